// The potluck command: what it can do, and how each part is started.
import { enableCompileCache } from 'node:module';
import { Command, CommanderError } from 'commander';
import { reportFailure, reportProblem } from './output.ts';

enableCompileCache(); // the second start need not strip types again

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
  $ potluck join URL                           lend this device

Keys and state are kept under ~/.potluck, or in the folder that the variable POTLUCK_HOME names.`,
  );
// Only the command that is meant is loaded: loading all of them takes longer than most of them run.
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  demo: async () => (await import('./demo.ts')).demoCommand(),
  hub: async () => (await import('./hub.ts')).hubCommand(),
  run: async () => (await import('./run.ts')).runCommand(),
  join: async () => (await import('./join.ts')).joinCommand(),
  status: async () => (await import('./status.ts')).statusCommand(),
  export: async () => (await import('./export.ts')).exportCommand(),
  id: async () => (await import('./id.ts')).idCommand(),
  verify: async () => (await import('./verify.ts')).verifyCommand(),
  certificate: async () => (await import('./certificate.ts')).certificateCommand(),
  stake: async () => (await import('./stake.ts')).stakeCommand(),
  settle: async () => (await import('./settle.ts')).settleCommand(),
  witness: async () => (await import('./witness.ts')).witnessCommand(),
  audit: async () => (await import('./audit.ts')).auditCommand(),
  shares: async () => (await import('./shares.ts')).sharesCommand(),
  rules: async () => (await import('./rules.ts')).rulesCommand(),
  play: async () => (await import('./play.ts')).playCommand(),
  plant: async () => (await import('./plant.ts')).plantCommand(),
  ratings: async () => (await import('./ratings.ts')).ratingsCommand(),
  recheck: async () => (await import('./recheck.ts')).recheckCommand(),
  why: async () => (await import('./why.ts')).whyCommand(),
};
const [meant] = process.argv.slice(2);
const names = Object.hasOwn(COMMANDS, meant ?? '') ? [meant] : Object.keys(COMMANDS);
for (const name of names) program.addCommand(await COMMANDS[name]());
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
