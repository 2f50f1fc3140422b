// Runs one command line: finds the command, runs it, and reports its failure.
import { Command, CommanderError } from 'commander';
import { passphrasesFrom } from '../protocol/passphrase-source.ts';
import { COMMANDS, loadCommand } from './commands.ts';
import { letReadersLeave, reportFailure, reportProblem } from './output.ts';
import { refuseRepeats } from './repeats.ts';
import { POTLUCK_VERSION } from './version.ts';

const EXIT_USAGE = 2;

/** Runs a command to its end; an error is reported and sets the exit code of the process. Never rejects. */
export async function runCommandLine(words: readonly string[]): Promise<void> {
  letReadersLeave(); // of the help, too
  passphrasesFrom(async (path) => (await import('./passphrase.ts')).askPassphrase(path));
  const json = words.includes('--json');
  const program = await programFor(words);
  leaveErrorsToUs(program);
  try {
    program.hook('preAction', async (_, command) => (await import('./run-links.ts')).followLinks(command));
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = reportUsage(error, json);
    else {
      const { withWayOut } = await import('./folders.ts'); // only where something failed: it loads SQLite
      process.exitCode = reportFailure(withWayOut(error), json);
    }
  }
}

async function programFor(words: readonly string[]): Promise<Command> {
  const program = new Command('potluck')
    .description('Train AI models together, on devices that people already own.')
    .version(POTLUCK_VERSION)
    .addHelpText(
      'after',
      `
Examples:
  $ potluck demo                               a hub, a validator and three workers on this machine, for four minutes
  $ potluck hub                                a meeting place for others
  $ potluck run create --hub URL --data FILE   start a run on it
  $ potluck join URL                           lend this device

Keys and state are kept under ~/.potluck, or in the folder that the variable POTLUCK_HOME names.`,
    );
  // Only the requested command is loaded, because loading all of them takes longer than most of them run.
  const meant = words.find((word, i) => i > 0 || word !== 'help') ?? '';
  if (Object.hasOwn(COMMANDS, meant)) program.addCommand(await loadCommand(meant));
  else for (const [name, { summary }] of Object.entries(COMMANDS)) program.command(name).description(summary);
  return program;
}

/** Makes commands, and those inside others, throw instead of printing and exiting. */
function leaveErrorsToUs(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => {} });
  refuseRepeats(command);
  for (const part of command.commands) leaveErrorsToUs(part);
}

/** Reports what was wrong with the command line. Help and version end here too. */
function reportUsage({ code, exitCode, message }: CommanderError, json: boolean): number {
  if (exitCode === 0) return 0;
  if (code === 'commander.help') return EXIT_USAGE; // no command was named: the help is printed
  const what = message
    .replace(/^error: /, '')
    .replace(/\.?\n/, ' ')
    .replace(/\.$/, '');
  reportProblem('usage', `${what} (--help shows what there is)`, {}, json);
  return EXIT_USAGE;
}
