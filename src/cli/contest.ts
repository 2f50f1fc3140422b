// `potluck contest SUBMISSION`: judges a submission again, and where the log decided wrongly, asks every eligible validator to judge it.
import { join } from 'node:path';
import { Command } from 'commander';
import { openPublicLog } from '#public-log-open';
import { contestOf, type PossibleContest } from '../owner/contest.ts';
import { devicesBelow } from '../owner/ownership.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { homeFolder } from './folders.ts';
import { DEFAULT_HUB, idBeginning, WHENCE_SUBMISSIONS } from './options.ts';
import { openOutput } from './output.ts';
import { addRecheckOptions, describeRecheck, type RecheckFlags, repeatedHere } from './recheck.ts';
import { hubOrRun } from './run-links.ts';

interface ContestFlags extends RecheckFlags {
  folder?: string;
  yes?: boolean;
}

export function contestCommand(): Command {
  const command = new Command('contest')
    .argument('<submission>', "the beginning of the submission's id", idBeginning)
    .option('--yes', 'send it; without it this says what would follow, and sends nothing')
    .option(
      '--folder <dir>',
      'the folder of the device that contests (default: the first under ~/.potluck/peers that may)',
    )
    .option('--hub <url>', 'the address of the hub', hubOrRun, DEFAULT_HUB);
  return addRecheckOptions(command)
    .addHelpText(
      'after',
      `
A validator with a seat may contest what was decided in the last rounds, and a worker that its work was called made up. Everybody who may
judge then repeats the work from the log. More than half of all their stake takes the decision back; where more than half finds what the
log says, the device that contested loses its last pay, and its seat for a while.

Examples:
  $ potluck contest 3fa9c1                       judge it again, and say what would follow
  $ potluck contest 3fa9c1 --yes --folder ~/.potluck/peers/vera

${WHENCE_SUBMISSIONS}`,
    )
    .action(async (wanted: string, flags: ContestFlags) => {
      const { say } = openOutput(flags.json);
      const log = await openPublicLog(flags.hub);
      try {
        const recheck = await repeatedHere(log, wanted, flags);
        say(describeRecheck(recheck), { type: 'recheck', ...recheck });
        const devices = await devicesAt(flags.folder);
        const contest = await contestOf(log, recheck, [...devices.keys()]);
        const { body, by, ...about } = contest;
        const { submission, run } = body;
        const send = async () => sendEvent(flags.hub, await signEvent(await loadIdentity(devices.get(by)!), body));
        const event = flags.yes ? await send() : null;
        say(describe(contest, event), { type: 'contest', submission, run, by, ...about, event });
      } finally {
        log.close();
      }
    });
}

/** Key files by device. */
async function devicesAt(folder: string | undefined): Promise<Map<string, string>> {
  if (folder) {
    const file = join(folder, 'identity.key');
    return new Map([[(await loadIdentity(file)).id, file]]);
  }
  const devices = await devicesBelow(join(homeFolder(), 'peers'));
  return new Map(devices.map((one) => [one.device, join(one.folder, 'identity.key')]));
}

function describe(
  { body, by, decided, round, shows_round, merged_rounds }: PossibleContest,
  event: string | null,
): string {
  const follows =
    decided === 'accepted'
      ? 'its worker loses its withheld shares, its record and the credit for this work; the model stays as it is'
      : 'its worker gets back what it lost, and the validators that called it made up are suspended';
  const rounds = shows_round - merged_rounds + 1;
  const lines = [
    `It was ${decided === 'accepted' ? 'accepted' : 'called made up'} in round ${round}. If more than half of the jury's stake finds otherwise, ${follows}.`,
    `If more than half finds the same, ${by.slice(0, 12)} loses its last pay, and as a validator its seat for a while.`,
  ];
  return event
    ? [
        ...lines,
        `Contested: event ${event}. The jury is heard within ${rounds} rounds: potluck why ${body.submission.slice(0, 12)}`,
      ].join('\n')
    : [...lines, 'Nothing was sent. To contest it, say --yes.'].join('\n');
}
