// `potluck run list`: the runs of a hub, a line each; or those of a registry's directory.
import { Command, Option } from 'commander';
import { fetchStatus } from '../peer/find-run.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { metricText } from '../protocol/measures.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { ownerKeyFile } from './folders.ts';
import { DEFAULT_HUB, hubUrl, jsonOption } from './options.ts';
import { formatCount, openOutput } from './output.ts';
import { sayDirectory } from './run-directory.ts';
import { liveFirst } from './status.ts';

interface ListFlags {
  hub: string;
  registry?: string;
  mine: boolean;
  all: boolean;
  owner?: string;
  json: boolean;
}

export function listCommand(): Command {
  return new Command('list')
    .description('the runs of a hub, a line each; those that go on first')
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .addOption(
      new Option('--registry <url>', 'instead of a hub: the runs that a registry lists, wherever they are now')
        .argParser(hubUrl)
        .conflicts('hub'),
    )
    .option('--mine', 'only those that you own', false)
    .option('--all', 'finished runs too', false)
    .option('--owner <file>', 'your key, instead of owner.key under ~/.potluck')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ potluck run list\n  $ potluck run list --mine --all --hub http://hub.example:7700\n  $ potluck run list --registry https://registry.example',
    )
    .action(async (flags: ListFlags) => {
      // Who has no key yet owns nothing; a key that cannot be read is told.
      const owner = flags.mine ? (await loadIdentity(flags.owner ?? ownerKeyFile())).id : null;
      const output = openOutput(flags.json);
      if (flags.registry !== undefined) return sayDirectory(flags.registry, { owner, all: flags.all }, output);
      const { hub, runs: known } = await fetchStatus(flags.hub);
      const mine = known.filter((run) => owner === null || run.owner === owner);
      const runs = liveFirst(mine).filter((run) => flags.all || run.phase !== 'finished');
      const rows = runs.map(rowOf);
      const rest = mine.length - runs.length;
      if (runs.length === 0) rows.push(`No run${flags.mine ? ' of yours' : ''} goes on at ${flags.hub}.`);
      if (rest > 0) rows.push(`${rest} finished (--all shows ${rest === 1 ? 'it' : 'them'})`);
      output.say(rows.join('\n'), {
        ...{ type: 'runs', hub, url: flags.hub },
        runs: runs.map((run) => ({
          ...{ run: run.run, name: run.name, owner: run.owner, game: run.game, phase: run.phase },
          ...{ merged_rounds: run.round, rounds: run.rounds, metrics: run.metrics },
          ...{ workers: here(run, 'worker'), validators: here(run, 'validator') },
        })),
      });
    });
}

const here = (run: RunStatus, wanted: 'worker' | 'validator'): number =>
  run.peers.filter(({ present, role }) => present && role === wanted).length;

function rowOf(run: RunStatus): string {
  const [workers, validators] = [here(run, 'worker'), here(run, 'validator')];
  const devices = `${workers} + ${validators} here`;
  const rounds = `${formatCount(run.round)}/${formatCount(run.rounds)}`;
  return [
    run.run.slice(0, 12),
    run.phase.padEnd(9),
    rounds.padStart(11),
    devices.padStart(12),
    metricText(run.metrics[0]).padStart(21),
    nameOf(run.name),
  ]
    .join('  ')
    .trimEnd();
}
