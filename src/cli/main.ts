// The potluck command: what it can do, and how each part is started.
import { Command, CommanderError } from 'commander';
import { auditCommand } from './audit.ts';
import { certificateCommand } from './certificate.ts';
import { demoCommand } from './demo.ts';
import { exportCommand } from './export.ts';
import { hubCommand } from './hub.ts';
import { idCommand } from './id.ts';
import { joinCommand } from './join.ts';
import { reportFailure, reportProblem } from './output.ts';
import { runCommand } from './run.ts';
import { settleCommand } from './settle.ts';
import { sharesCommand } from './shares.ts';
import { statusCommand } from './status.ts';
import { verifyCommand } from './verify.ts';
import { whyCommand } from './why.ts';
import { witnessCommand } from './witness.ts';

const program = new Command('potluck')
  .description('Train AI models together, on devices that people already own.')
  .version('0.1.0')
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
  settleCommand,
  witnessCommand,
  auditCommand,
  sharesCommand,
  whyCommand,
];
for (const command of COMMANDS) program.addCommand(command());
leaveErrorsToUs(program);
const json = process.argv.includes('--json');

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = error instanceof CommanderError ? reportUsage(error) : reportFailure(error, json);
}

/** Commands, also those inside others, throw instead of printing and exiting. */
function leaveErrorsToUs(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => {} });
  for (const part of command.commands) leaveErrorsToUs(part);
}

/** What was wrong with the words on the command line. Help and version end here too. */
function reportUsage({ code, exitCode, message }: CommanderError): number {
  if (exitCode === 0) return 0;
  const EXIT_USAGE = 2;
  if (code === 'commander.help') return EXIT_USAGE; // no command was named: the help is printed
  const what = message
    .replace(/^error: /, '')
    .replace(/\.?\n/, ' ')
    .replace(/\.$/, '');
  reportProblem('usage', `${what} (--help shows what there is)`, {}, json);
  return EXIT_USAGE;
}
