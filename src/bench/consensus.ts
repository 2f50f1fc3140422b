// A round of Yuma consensus: how long it takes by the number of validators and workers.
import { parseArgs } from 'node:util';
import { consensusOfRound, type RoundBonds } from '../core/shares/consensus.ts';
import { seededRandom } from '../protocol/random.ts';
import { median } from '../training/statistics.ts';
import { BenchError } from './errors.ts';
import { table, writeJson } from './report.ts';

const HELP = `npm run bench consensus [-- OPTIONS]

  --json FILE   the measurements as JSON; "-" for standard output instead of the table
  --quick       the smallest network only

Every validator scores every worker, no two alike; medians of some rounds, each with the bonds of the round
before. Milliseconds of processor time of all the process's threads, so that other work does not count.`;

const SIZES = [
  [4, 16],
  [16, 256],
  [64, 1000],
  [64, 10_000],
] as const;
const ROUNDS = 7;

interface Measured {
  readonly validators: number;
  readonly workers: number;
  readonly milliseconds: number;
}

/** Measures and prints. Throws BenchError `usage` for options it does not know. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (options === null) {
    console.log(HELP);
    return;
  }
  const sizes = options.quick ? SIZES.slice(0, 1) : SIZES;
  const results = sizes.map(
    ([validators, workers]): Measured => ({ validators, workers, milliseconds: measure(validators, workers) }),
  );
  if (options.json !== null) writeJson(options.json, results);
  if (options.json === '-') return;
  const rows = results.map(({ validators, workers, milliseconds }) => [
    `${validators} × ${workers}`,
    milliseconds.toFixed(1),
  ]);
  console.log(table(['validators × workers', 'a round, ms'], rows));
}

/** The median milliseconds of a round. */
function measure(validators: number, workers: number): number {
  const random = seededRandom('bench consensus', validators, workers);
  const staked = Array.from({ length: validators }, (_, i) => ({
    id: `validator ${i}`,
    stake: BigInt(1 + random.below(1e9)),
  }));
  const ids = Array.from({ length: workers }, (_, i) => `worker ${i}`);
  const times: number[] = [];
  let bonds: RoundBonds = [];
  for (let i = 0; i < ROUNDS; i++) {
    const truth = ids.map(() => random.below(900));
    const row = () => new Map(ids.map((id, k) => [id, truth[k] + random.below(100)]));
    const scores = new Map(staked.map(({ id }) => [id, row()]));
    const before = process.cpuUsage();
    ({ bonds } = consensusOfRound(staked, ids, scores, bonds));
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
  }
  return median(times);
}

function optionsOf(args: string[]): { json: string | null; quick: boolean } | null {
  try {
    const { values } = parseArgs({
      args,
      options: { json: { type: 'string' }, quick: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    return values.help ? null : { json: values.json ?? null, quick: values.quick ?? false };
  } catch (error) {
    throw new BenchError('usage', (error as Error).message);
  }
}
