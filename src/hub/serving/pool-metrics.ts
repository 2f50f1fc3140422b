// What the hub counts of its pool, in Prometheus' text format: numbers alone, nothing of prompts or answers.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ModelKey } from './devices.ts';

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30];

/** What the gauges read. */
export interface WatchedPool {
  devices(): number;
  answers(): number;
  wanting(): number;
  leases(): number;
  judging(): number;
  judging_bytes(): number;
  paying(): number;
}

export interface PoolCounts {
  watch(pool: WatchedPool): void;
  /** `how`: `whole`, `left` where the caller went away, or the code of the error. `model`: its key. */
  answer(how: string, model: ModelKey): void;
  /** From the request to the first token, as the caller has it. */
  firstToken(seconds: number): void;
  /** `why`: `first`, `hedge` or `hand-over`. */
  lease(why: string): void;
  leaseEnded(how: string): void;
  tokens(count: number): void;
  /**
   * Of a part of an answer that was drawn for judging: `accepted`, `refused`, `found` where it alone is accepted, but the device's parts
   * together are not, or `unjudgeable` where too few could judge.
   */
  judged(end: string): void;
  /** From the last token of one device to the first of the next, as the caller notices it. */
  pause(seconds: number): void;
}

/** Counts nothing: for a pool whose hub nobody watches. */
export const NO_COUNTS: PoolCounts = {
  ...{ watch() {}, answer() {}, firstToken() {}, lease() {}, leaseEnded() {}, tokens() {}, judged() {}, pause() {} },
};

export function openPoolCounts(registers: Registry[]): PoolCounts {
  const counter = (name: string, help: string, label: string) =>
    new Counter({ name: `potluck_pool_${name}_total`, help, labelNames: [label], registers });
  const answers = counter('answers', 'Answers by how they ended: whole, left by their callers, or an error.', 'end');
  const leases = counter('leases', 'Leases given to devices, by reason.', 'why');
  const ends = counter('lease_ends', 'Leases that have ended: well, by a fault of the device, or neither.', 'how');
  const judgings = counter('judgings', 'Parts of answers drawn for judging, by what judges said.', 'end');
  const tokens = new Counter({
    ...{ name: 'potluck_pool_tokens_total', help: 'Tokens that devices have written for callers.', registers },
  });
  const histogram = (name: string, help: string) =>
    new Histogram({ name: `potluck_pool_${name}_seconds`, help, buckets: SECONDS, registers });
  const first = histogram('first_token', 'From a request to its first token.');
  const pauses = histogram('pause', 'From the last token of a device to the first token of the one that goes on.');
  return {
    watch(pool) {
      const gauge = (name: keyof WatchedPool, help: string) =>
        new Gauge({
          ...{ name: `potluck_pool_${name}`, help, registers },
          collect() {
            this.set(pool[name]());
          },
        });
      gauge('devices', 'Devices that offer to serve.');
      gauge('answers', 'Answers that are being written.');
      gauge('wanting', 'Answers that wait for a device.');
      gauge('leases', 'Leases that devices have now.');
      gauge('judging', 'Parts of answers that wait for a verdict.');
      gauge('judging_bytes', 'Bytes of prompts and answers that are kept for judging.');
      gauge(
        'paying',
        'Parts of answers that devices will be paid for: written now, or waiting for a claim or a verdict.',
      );
    },
    answer: (end) => answers.inc({ end }),
    firstToken: (seconds) => first.observe(seconds),
    lease: (why) => leases.inc({ why }),
    leaseEnded: (how) => ends.inc({ how }),
    judged: (end) => judgings.inc({ end }),
    tokens: (count) => tokens.inc(count),
    pause: (seconds) => pauses.observe(seconds),
  };
}
