// What the pool did in the last day, in the hub's memory: numbers by ten minutes, nothing of prompts or answers, gone with the hub.
import type { Clock } from '../../protocol/clock.ts';
import { HISTORY_BUCKET_MS, HISTORY_BUCKETS, type PoolDay } from '../../protocol/fleet.ts';
import type { ServingErrorCode } from '../../serving/errors.ts';
import { UPTIME_ANSWERS } from '../../serving/provider-document.ts';
import type { ModelKey } from './devices.ts';
import type { PoolCounts, WatchedPool } from './pool-metrics.ts';

type Bucket = { -readonly [name in 'tokens' | 'answers' | 'no_room' | 'waiting']: number };

const LIMITS = {
  models: 512, // whose ends are remembered: twice the files that may be offered; the one that was asked for longest ago is forgotten
} as const;
/** Ends of answers that say nothing of those who serve. */
const OF_CALLERS: ReadonlySet<string> = new Set<ServingErrorCode | 'left'>([
  ...(['left', 'bad-input', 'unsupported', 'unknown-model', 'too-large', 'no-credit', 'bad-grammar'] as const),
]);

export interface PoolHistory {
  /** What the pool counts on, passed on to the counts that were given. */
  readonly counts: PoolCounts;
  day(): PoolDay;
  /** How the last answers of a model ended, oldest first: true where one came whole. What was the caller's doing is not counted. */
  uptime(model: ModelKey): readonly boolean[];
}

export function openPoolHistory(clock: Pick<Clock, 'elapsed_ms'>, counts: PoolCounts): PoolHistory {
  const bucketNow = (): number => Math.floor(clock.elapsed_ms() / HISTORY_BUCKET_MS);
  const first = bucketNow();
  const buckets = new Map<number, Bucket>();
  const ends = new Map<ModelKey, boolean[]>();
  let pool: Pick<WatchedPool, 'wanting'> | null = null;

  const bucket = (): Bucket => {
    const number = bucketNow();
    let found = buckets.get(number);
    if (!found) {
      found = { tokens: 0, answers: 0, no_room: 0, waiting: 0 };
      buckets.set(number, found);
      for (const old of buckets.keys()) if (old <= number - HISTORY_BUCKETS) buckets.delete(old);
    }
    found.waiting = Math.max(found.waiting, pool?.wanting() ?? 0);
    return found;
  };
  return {
    counts: {
      ...counts,
      watch(watched) {
        pool = watched;
        counts.watch(watched);
      },
      answer(how, model) {
        if (!OF_CALLERS.has(how)) note(ends, model, how === 'whole');
        const now = bucket();
        if (how === 'whole') now.answers++;
        if (how === 'no-room') now.no_room++;
        counts.answer(how, model);
      },
      lease(why) {
        bucket();
        counts.lease(why);
      },
      tokens(count) {
        bucket().tokens += count;
        counts.tokens(count);
      },
    },
    uptime: (model) => ends.get(model) ?? [],
    day() {
      const last = bucketNow();
      const length = Math.min(HISTORY_BUCKETS, last - first + 1);
      const all = Array.from({ length }, (_, i) => buckets.get(last - length + 1 + i));
      const of = (name: keyof Bucket): number[] => all.map((one) => one?.[name] ?? 0);
      return { tokens: of('tokens'), answers: of('answers'), no_room: of('no_room'), waiting: of('waiting') };
    },
  };
}

function note(ends: Map<ModelKey, boolean[]>, model: ModelKey, isWhole: boolean): void {
  const those = [...(ends.get(model) ?? []), isWhole].slice(-UPTIME_ANSWERS);
  ends.delete(model);
  ends.set(model, those);
  if (ends.size > LIMITS.models) ends.delete(ends.keys().next().value!);
}
