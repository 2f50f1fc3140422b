// `potluck why SUBMISSION`: shows what was submitted, the verdicts on it, and the arithmetic from there to its shares.
import { Command } from 'commander';
import { explainSubmission } from '../audit/why.ts';
import { sentencesOf } from '../audit/why-sentences.ts';
import { DEFAULT_HUB, idBeginning, jsonOption, WHENCE_SUBMISSIONS } from './options.ts';
import { openOutput } from './output.ts';
import { logOrRun } from './run-links.ts';
import { withLog } from './with-log.ts';

export function whyCommand(): Command {
  return new Command('why')
    .argument('<submission>', "the beginning of the submission's id", idBeginning)
    .option('--hub <place>', "the address of the hub, or a hub's folder", logOrRun, DEFAULT_HUB)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck why 3fa9c1
  $ potluck why 3fa9c1 --hub http://hub.example:7700 --json

${WHENCE_SUBMISSIONS}`,
    )
    .action(async (submission: string, flags: { hub: string; json: boolean }) => {
      const why = await withLog(flags.hub, (log) => explainSubmission(log, submission));
      const sentences = sentencesOf(why);
      openOutput(flags.json).say(sentences.join('\n'), { type: 'why', ...why, sentences });
    });
}
