// `potluck shares RUN`: shows who holds what of a run, recomputed here from the public log.
import { Command } from 'commander';
import { type Forfeit, type Holding, type Holdings, holdingsOf } from '../audit/shares.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { linesOfStages, type WeighedStages, weigh } from './held-stages.ts';
import { A_RUN, DEFAULT_HUB, jsonOption, logPlace, runHandle } from './options.ts';
import { formatCount, openOutput } from './output.ts';
import { withLog } from './with-log.ts';

export function sharesCommand(): Command {
  return new Command('shares')
    .argument('<run>', A_RUN, runHandle)
    .option('--hub <place>', "the address of the hub, or a hub's folder", logPlace, DEFAULT_HUB)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ potluck shares 3fa9c1\n  $ potluck shares 3fa9c1 --hub ./potluck-data/demo/hub',
    )
    .action(async (run: string, flags: { hub: string; json: boolean }) => {
      const shown = await withLog(flags.hub, async (log) => {
        const holdings = await holdingsOf(log, run);
        return { ...holdings, stages: holdings.stages && (await weigh(log, holdings.stages)) };
      });
      openOutput(flags.json).say(describe(shown), { type: 'shares', ...shown });
    });
}

type Shown = Omit<Holdings, 'stages'> & { readonly stages: WeighedStages | null };

function describe(holdings: Shown): string {
  const { run, name, phase, merged_rounds, rounds, emitted, unearned, to_come, lineage, holders, forfeits, warning } =
    holdings;
  const row = (shares: number, what: string) => {
    const part = emitted > 0 ? `${((100 * shares) / emitted).toFixed(2)} %` : '';
    return `${formatCount(shares).padStart(15)}  ${part.padStart(8)}  ${what}`;
  };
  const lines = [
    `run ${run.slice(0, 12)}  ${nameOf(name)}  (${phase}, ${merged_rounds} of ${rounds} rounds merged)`,
    ...(lineage
      ? [
          `started from run ${lineage.run.slice(0, 12)} after ${lineage.merged_rounds} rounds: ${lineage.royalty_permille / 10} % of every round flow to who held that model`,
        ]
      : []),
    '',
    ...holders.map((holding) => row(holding.shares, describeHolder(holding))),
  ];
  if (unearned > 0) lines.push(row(unearned, 'unearned: nobody had a claim to it'));
  lines.push(row(emitted, `in all${to_come > 0 ? `, ${formatCount(to_come)} to come` : ''}`));
  if (forfeits.length > 0) lines.push('', ...forfeits.map(describeForfeit));
  if (holdings.stages) lines.push('', ...linesOfStages(holdings.stages));
  if (warning) lines.push('', `Warning: ${warning}.`);
  return lines.join('\n');
}

function describeForfeit({ id, name, role, shares, plants_wrong }: Forfeit): string {
  const misjudged = `misjudged ${plants_wrong} ${plants_wrong === 1 ? 'submission' : 'submissions'} that the run's owner had planted`;
  const why = plants_wrong > 0 ? misjudged : 'handed in work that was made up';
  return `${nameOf(name)} (${role}, ${id.slice(0, 12)}) ${why} and lost ${formatCount(shares)} shares that it had earned.`;
}

function describeHolder({ account, devices, owner, ancestor, withheld, locked, settled }: Holding): string {
  const names = devices.map(({ name, role }) => (role === 'worker' ? nameOf(name) : `${nameOf(name)} (${role})`));
  const who = [
    ...(owner ? ["the run's owner"] : []),
    ...names,
    ...(ancestor ? ['a holder of what it started from'] : []),
  ].join(', ');
  const bound = [
    ...(withheld > 0 ? [`${formatCount(withheld)} withheld`] : []),
    ...(locked > 0 ? [`${formatCount(locked)} locked behind validators`] : []),
    ...(settled > 0 ? [`${formatCount(settled)} settled elsewhere`] : []),
  ];
  return `${account.slice(0, 12)}  ${who}${bound.length > 0 ? `: ${bound.join(', ')}` : ''}`;
}
