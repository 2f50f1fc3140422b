// `potluck ratings`: shows how the validators of this machine rate the workers that they judged.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { openDrawer } from '../games/folder-drawer.ts';
import { standingPermille } from '../games/rated-weight.ts';
import { type RatingRecord, ranking } from '../games/rating.ts';
import { readRatings } from '../peer/ratings.ts';
import { homeFolder } from './folders.ts';
import { jsonOption } from './options.ts';
import { CliError, openOutput } from './output.ts';

interface Found {
  readonly validator: string;
  readonly run: string;
  readonly records: ReadonlyMap<string, RatingRecord>;
}

export function ratingsCommand(): Command {
  return new Command('ratings')
    .argument('[run]', "the beginning of the run's id (default: all runs)", '')
    .option('--folder <dir>', "the validator's folder (default: all under ~/.potluck/peers)")
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck ratings
  $ potluck ratings 3fa9c1 --folder ./judge

score: skill (mu less three sigma, at least 1) times how surely the worker learns from its own data, fading by a quarter for each
round that it misses. standing: how much of its work a verdict may vouch for where the run's rules let ratings count
(rating_permille); it falls below 100 % only for who is surely worse than others that do as much work.`,
    )
    .action(async (wanted: string, flags: { folder?: string; json: boolean }) => {
      const output = openOutput(flags.json);
      const found = await ratingsIn(flags.folder ? [flags.folder] : peersHere(), wanted);
      if (found.length === 0) {
        throw new CliError(
          'missing-file',
          `no validator here has judged work of a run whose id begins with "${wanted}"`,
        );
      }
      for (const { validator, run, records } of found) {
        const workers = ranking(records).map(({ id, score }) => {
          const record = records.get(id)!;
          return { worker: id, score, standing_permille: standingPermille(record), ...record };
        });
        const rows = workers.map(({ worker, score, standing_permille: standing, mu, sigma, judged, missed }) =>
          [
            worker.slice(0, 12),
            score.toFixed(2).padStart(8),
            `${(standing / 10).toFixed(1)} %`.padStart(9),
            `${mu.toFixed(1)} ± ${sigma.toFixed(1)}`.padStart(12),
            String(judged).padStart(7),
            String(missed).padStart(7),
          ].join(' '),
        );
        const heading = `${'worker'.padEnd(12)} ${'score'.padStart(8)} ${'standing'.padStart(9)} ${'skill'.padStart(12)} ${'judged'.padStart(7)} ${'missed'.padStart(7)}`;
        output.say([`run ${run.slice(0, 12)}, by ${validator}`, heading, ...rows, ''].join('\n'), {
          ...{ type: 'ratings', run, validator, workers },
        });
      }
    });
}

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
};

const peersHere = (): string[] => {
  const peers = join(homeFolder(), 'peers');
  return namesIn(peers).map((name) => join(peers, name));
};

async function ratingsIn(folders: readonly string[], wanted: string): Promise<Found[]> {
  const found: Found[] = [];
  for (const validator of folders) {
    for (const run of namesIn(join(validator, 'runs'))) {
      if (!run.startsWith(wanted)) continue;
      const kept = await readRatings(openDrawer(join(validator, 'runs', run)));
      if (kept) found.push({ validator, run, records: new Map(kept.records) });
    }
  }
  return found;
}
