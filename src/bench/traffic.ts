// Bytes up and down for each worker and round, counted on the wire, against what dense float32 would send.
import { parseArgs } from 'node:util';
import { median } from '../training/statistics.ts';
import { BenchError } from './errors.ts';
import { table, writeJson } from './report.ts';
import { startSwarm } from './swarm.ts';

const HELP = `npm run bench traffic [-- OPTIONS]

  --workers N      (default 4)
  --rounds N       (default 12)
  --steps N        inner steps a round (default 30)
  --data PATH      text to learn from (default: the documentation that npm installed)
  --json FILE      the measurements as JSON; "-" for standard output instead of the table
  --quick          two workers, three rounds, two steps: shows that the bench works

A hub, a validator and the workers run as processes; each worker talks to the hub through a proxy that counts the
payload of its TCP connections: HTTP headers, receipts, progress and data shards included. The first round, in which
a worker fetches the model, is given apart; the others are medians over rounds and workers.`;

interface RoundTraffic {
  readonly round: number;
  readonly worker: string;
  readonly up_bytes: number;
  readonly down_bytes: number;
}

/** Measures and prints. Throws BenchError usage. */
export async function run(args: string[]): Promise<void> {
  const options = parse(args);
  if (!options) return console.log(HELP);
  const swarm = await startSwarm({ ...options, round_seconds: 120, restart_ms: 1000 });
  const traffic: RoundTraffic[] = [];
  const before = swarm.workers.map(() => ({ up_bytes: 0, down_bytes: 0 }));
  let round = 0;
  let status: Awaited<ReturnType<typeof swarm.watch>>;
  try {
    status = await swarm.watch((seen) => {
      if (seen.round === round) return;
      swarm.workers.forEach(({ name, wire }, i) => {
        const up_bytes = wire.up_bytes - before[i].up_bytes;
        const down_bytes = wire.down_bytes - before[i].down_bytes;
        // Rounds that passed between two looks share what was counted.
        for (let r = round; r < seen.round; r++) {
          const passed = seen.round - round;
          traffic.push({ round: r, worker: name, up_bytes: up_bytes / passed, down_bytes: down_bytes / passed });
        }
        before[i] = { ...wire };
      });
      round = seen.round;
    });
  } finally {
    await swarm.close();
  }
  const submissions = status.rounds * options.workers;
  const dense_bytes = status.dense_bytes / submissions;
  const steady = traffic.filter((entry) => entry.round > 0);
  const first = traffic.filter((entry) => entry.round === 0);
  const up_bytes = median(steady.map((entry) => entry.up_bytes));
  const down_bytes = median(steady.map((entry) => entry.down_bytes));
  const update_bytes = status.bytes_submitted / submissions;
  const result = {
    workers: options.workers,
    rounds: status.rounds,
    steps: options.steps,
    dense_bytes,
    update_bytes,
    update_ratio: dense_bytes / update_bytes,
    up_bytes,
    up_ratio: dense_bytes / up_bytes,
    down_bytes,
    down_ratio: dense_bytes / down_bytes,
    first_round_up_bytes: median(first.map((entry) => entry.up_bytes)),
    first_round_down_bytes: median(first.map((entry) => entry.down_bytes)),
    validation_loss: status.metrics[0].last,
  };
  if (options.json) writeJson(options.json, { ...result, traffic });
  if (options.json === '-') return;
  const row = (what: string, bytes: number) => [
    what,
    Math.round(bytes).toLocaleString('en-US'),
    `${(dense_bytes / bytes).toFixed(1)}x`,
  ];
  console.log(
    table(
      ['for each worker and round', 'bytes', 'less than dense'],
      [
        row('dense float32', dense_bytes),
        row('the update itself', update_bytes),
        row('everything up, on the wire', up_bytes),
        row(`everything down (the step, data, news), ${options.workers - 1} others`, down_bytes),
        row('first round, up', result.first_round_up_bytes),
        row('first round, down (the model itself)', result.first_round_down_bytes),
      ],
    ),
  );
}

function parse(args: string[]) {
  let values: ReturnType<typeof parseFlags>;
  try {
    values = parseFlags(args);
  } catch (error) {
    throw new BenchError('usage', `bench traffic: ${(error as Error).message}`);
  }
  if (values.help) return null;
  const count = (name: 'workers' | 'rounds' | 'steps', quick: number, usual: number): number => {
    const value = Number(values[name] ?? (values.quick ? quick : usual));
    if (Number.isInteger(value) && value >= 1 && value <= 10_000) return value;
    throw new BenchError('usage', `--${name}: expected a whole number from 1, got "${values[name]}"`);
  };
  return {
    workers: count('workers', 2, 4),
    rounds: count('rounds', 3, 12),
    steps: count('steps', 2, 30),
    data: values.data ?? null,
    json: values.json ?? null,
  };
}

function parseFlags(args: string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const options = { workers: text, rounds: text, steps: text, data: text, json: text, quick: flag, help: flag };
  return parseArgs({ args, options }).values;
}
