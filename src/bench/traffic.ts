// Bytes up and down for each worker and round, counted on the wire, against what dense float32 would send.
import { median } from '../training/statistics.ts';
import { type Report, text, type Values, whole } from './bench.ts';
import { table, wholeNumber } from './report.ts';
import { startSwarm } from './swarm.ts';

export const options = {
  workers: whole('workers', { from: 1, to: 10_000, usual: 4, quick: 2 }),
  rounds: whole('rounds', { from: 1, to: 10_000, usual: 12, quick: 3 }),
  steps: whole('inner steps a round', { from: 1, to: 10_000, usual: 30, quick: 2 }),
  data: text('text to learn from; otherwise the documentation that npm installed', 'PATH'),
};

export const notes = `A hub, a validator and the workers run as processes. Each worker talks to the hub through a proxy that counts the payload of its TCP
connections: HTTP headers, receipts, progress and data shards included. The first round, in which a worker fetches the model, has rows
of its own; the others are medians over rounds and workers.`;

interface RoundTraffic {
  readonly round: number;
  readonly worker: string;
  readonly up_bytes: number;
  readonly down_bytes: number;
}

export async function run(given: Values<typeof options>): Promise<Report> {
  const swarm = await startSwarm({ ...given, round_seconds: 120, restart_ms: 1000 });
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
        // Rounds that passed between two statuses share the counted bytes.
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
  const submissions = status.rounds * given.workers;
  const dense_bytes = status.dense_bytes / submissions;
  const steady = traffic.filter((entry) => entry.round > 0);
  const first = traffic.filter((entry) => entry.round === 0);
  const up_bytes = median(steady.map((entry) => entry.up_bytes));
  const down_bytes = median(steady.map((entry) => entry.down_bytes));
  const update_bytes = status.bytes_submitted / submissions;
  const result = {
    workers: given.workers,
    rounds: status.rounds,
    steps: given.steps,
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
  const row = (what: string, bytes: number) => [what, wholeNumber(bytes), `${(dense_bytes / bytes).toFixed(1)}x`];
  const shown = table(
    ['for each worker and round', 'bytes', 'less than dense'],
    [
      row('dense float32', dense_bytes),
      row('the update itself', update_bytes),
      row('everything up, on the wire', up_bytes),
      row(`everything down (the step, data, news), ${given.workers - 1} others`, down_bytes),
      row('first round, up', result.first_round_up_bytes),
      row('first round, down (the model itself)', result.first_round_down_bytes),
    ],
  );
  return { data: { ...result, traffic }, text: shown };
}
