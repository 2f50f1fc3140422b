// `potluck stake`: a holder locks shares behind its validator, releases them, and sees what is locked where.
import { Command } from 'commander';
import { type StakedDevice, type Stakes, stakeChange, stakesOf } from '../owner/stakes.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { ownerKeyFile } from './folders.ts';
import { A_RUN, DEFAULT_HUB, fullId, hubUrl, integer, jsonOption, logPlace, runHandle } from './options.ts';
import { formatCount, openOutput } from './output.ts';
import { withLog } from './with-log.ts';

interface StakeFlags {
  hub: string;
  owner?: string;
  json: boolean;
}

export function stakeCommand(): Command {
  return new Command('stake')
    .addCommand(showCommand())
    .addCommand(changeCommand('lock'))
    .addCommand(changeCommand('release'))
    .addHelpText(
      'after',
      `
Locked shares stay yours. They add to the validator's stake from the next round on, and are lost when it is caught misjudging what
the run's owner has planted. Those that are released count no more from the next round on, and are free after the notice of the rules.

Examples:
  $ potluck stake show 3fa9c1
  $ potluck stake lock 3fa9c1 --shares 5000
  $ potluck stake release 3fa9c1 --shares all`,
    );
}

function showCommand(): Command {
  return new Command('show')
    .description('show what you hold of a run, and what of it is free, withheld, locked and settled')
    .argument('<run>', A_RUN, runHandle)
    .option('--hub <place>', "the address of the hub, or a hub's folder", logPlace, DEFAULT_HUB)
    .option('--holder <id>', 'whose, by full id (default: yours)', fullId)
    .option('--owner <file>', 'your key, instead of the one under ~/.potluck')
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ potluck stake show 3fa9c1 --hub http://hub.example:7700')
    .action(async (run: string, flags: StakeFlags & { holder?: string }) => {
      const holder = flags.holder ?? (await loadIdentity(flags.owner ?? ownerKeyFile())).id;
      const stakes = await stakesAt(flags.hub, run, holder);
      openOutput(flags.json).say(describe(stakes), { type: 'stakes', ...stakes });
    });
}

function changeCommand(kind: 'lock' | 'release'): Command {
  const locking = kind === 'lock';
  return new Command(kind)
    .description(locking ? 'put free shares behind a validator of yours' : 'ask for shares behind a validator back')
    .argument('<run>', A_RUN, runHandle)
    .requiredOption('--shares <n>', locking ? 'how many, or "all" that are free' : 'how many, or "all"', sharesOrAll)
    .option(
      '--behind <device>',
      'which validator, by its name or the beginning of its id (needed when you have several)',
    )
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .option('--owner <file>', 'your key, instead of the one under ~/.potluck')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `\nExamples:\n  $ potluck stake ${kind} 3fa9c1 --shares 5000\n  $ potluck stake ${kind} 3fa9c1 --shares all --behind 77aa01 --hub http://hub.example:7700`,
    )
    .action(async (wanted: string, flags: StakeFlags & { shares: number | 'all'; behind?: string }) => {
      const owner = await loadIdentity(flags.owner ?? ownerKeyFile());
      const stakes = await stakesAt(flags.hub, wanted, owner.id);
      const body = stakeChange(stakes, locking ? 'stake.locked' : 'stake.released', flags.shares, flags.behind);
      const event = await sendEvent(flags.hub, await signEvent(owner, body));
      const { run, behind, shares } = body;
      const free_round = stakes.merged_rounds + (stakes.phase === 'finished' ? 0 : stakes.release_rounds);
      openOutput(flags.json).say(
        locking
          ? `${formatCount(shares)} shares stand behind ${behind.slice(0, 12)} from the next round on: event ${event}`
          : `${formatCount(shares)} shares behind ${behind.slice(0, 12)} are free when ${free_round} rounds are merged (now ${stakes.merged_rounds}): event ${event}`,
        locking
          ? { type: 'locked', run, behind, shares, event }
          : { type: 'released', run, behind, shares, event, free_round },
      );
    });
}

const stakesAt = (place: string, run: string, account: string): Promise<Stakes> =>
  withLog(place, (log) => stakesOf(log, run, account));

function sharesOrAll(text: string): number | 'all' {
  return text === 'all' ? text : integer(1, Number.MAX_SAFE_INTEGER)(text);
}

function describe({ run, name, phase, merged_rounds, account, balance, devices }: Stakes): string {
  const row = (shares: number, what: string): string => `${formatCount(shares).padStart(15)}  ${what}`;
  const { held, free, withheld, locked, settled } = balance;
  return [
    `run ${run.slice(0, 12)}  ${nameOf(name)}  (${phase}, ${merged_rounds} rounds merged)`,
    `holder ${account}`,
    '',
    row(held, 'held'),
    row(free, 'free'),
    row(withheld, 'withheld: earned lately, lost if the device is caught cheating'),
    row(locked, 'locked behind validators'),
    row(settled, 'settled elsewhere'),
    ...(devices.length > 0 ? ['', ...devices.flatMap(describeDevice)] : []),
  ].join('\n');
}

function describeDevice(device: StakedDevice): string[] {
  const { id, name, present, stake_by_rules, counting, locked, releasing } = device;
  const stake = `stake ${formatCount(stake_by_rules + counting)}: ${formatCount(stake_by_rules)} by the rules, ${formatCount(counting)} locked`;
  const next = locked === counting ? '' : `; ${formatCount(locked)} locked from the next round on`;
  return [
    `${nameOf(name)} (${id.slice(0, 12)}${present ? '' : ', not here'})  ${stake}${next}`,
    ...releasing.map(
      ({ shares, free_round }) => `  ${formatCount(shares)} on the way back: free when ${free_round} rounds are merged`,
    ),
  ];
}
