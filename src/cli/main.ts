// The potluck command: what it can do, and how each part is started.
import { Command, CommanderError } from 'commander';
import { auditCommand } from './audit.ts';
import { certificateCommand } from './certificate.ts';
import { demoCommand } from './demo.ts';
import { exportCommand } from './export.ts';
import { hubCommand } from './hub.ts';
import { idCommand } from './id.ts';
import { joinCommand } from './join.ts';
import { reportFailure } from './output.ts';
import { runCommand } from './run.ts';
import { sharesCommand } from './shares.ts';
import { statusCommand } from './status.ts';
import { verifyCommand } from './verify.ts';
import { whyCommand } from './why.ts';

const program = new Command('potluck')
  .description('Train AI models together, on devices that people already own.')
  .version('0.1.0')
  .showHelpAfterError('(potluck --help shows what there is)')
  .addHelpText(
    'after',
    `
Examples:
  $ potluck demo                               a hub, a validator and three workers on this machine, for three minutes
  $ potluck hub                                a meeting place for others
  $ potluck run create --hub URL --data FILE   start a run on it
  $ potluck join URL                           lend this device`,
  );
const COMMANDS = [
  demoCommand,
  hubCommand,
  runCommand,
  joinCommand,
  statusCommand,
  exportCommand,
  idCommand,
  verifyCommand,
  certificateCommand,
  auditCommand,
  sharesCommand,
  whyCommand,
];
for (const command of COMMANDS) {
  program.addCommand(command().exitOverride());
}
program.exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and version end here with 0; commander has printed what was wrong otherwise.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.exitCode = reportFailure(error, process.argv.includes('--json'));
  }
}
