// Counts what judges decide on answers, by device, and puts the counts into the log every so often: one event for all of them.
import type { AnswersJudged } from '../../core/events/answers-judged.ts';
import type { EventBody } from '../../core/events.ts';
import { CORE_LIMITS } from '../../core/limits.ts';
import { isKnownDevice } from '../../core/serving/settling.ts';
import type { NetworkState } from '../../core/state.ts';
import type { Clock } from '../../protocol/clock.ts';
import { HubError } from '../errors.ts';

export const VERDICT_LIMITS = {
  every_ms: 600_000, // as receipts are settled: a log of a busy hub grows by one event in ten minutes
  again_ms: 5000, // after a question that nobody has answered: whoever leads knows its last events by their ids, and so an event that is asked for again
  devices: 8192, // of which counts wait; those that wait longest are forgotten, such as keys that the log never came to know
} as const;

export interface VerdictCounts {
  decided(device: string, refused: boolean): void;
  /** Writes what waits, as far as an event has room. @returns the event's body; null where nothing can be written */
  write(): Promise<AnswersJudged | null>;
  /** Writes what still waits, and nothing afterwards. */
  close(): Promise<void>;
}

export interface VerdictCountsOptions {
  readonly state: NetworkState;
  readonly clock: Clock;
  write(body: () => EventBody): Promise<unknown>;
  onError(error: unknown): void;
}

const isUnanswered = (error: unknown): boolean => error instanceof HubError && error.code === 'no-leader';

type Count = { readonly accepted: number; readonly refused: number };

export function openVerdictCounts({ state, clock, write: toLog, onError }: VerdictCountsOptions): VerdictCounts {
  const waiting = new Map<string, Count>();
  let writing: Promise<unknown> = Promise.resolve();
  /** What may be in the log: whoever leads was asked, and nobody has answered. */
  let unanswered: { readonly body: AnswersJudged; readonly taken: readonly [string, Count][] } | null = null;
  let closed = false;

  const add = (device: string, { accepted, refused }: Count): void => {
    const before = waiting.get(device) ?? { accepted: 0, refused: 0 };
    waiting.set(device, { accepted: before.accepted + accepted, refused: before.refused + refused });
    if (waiting.size > VERDICT_LIMITS.devices) waiting.delete(waiting.keys().next().value!);
  };

  /** Hands in the same event again, which is in the log once. */
  const askAgain = async ({ body, taken }: NonNullable<typeof unanswered>): Promise<void> => {
    try {
      await toLog(() => body);
      unanswered = null;
    } catch (error) {
      if (isUnanswered(error)) throw error;
      // It is not in the log, where another gateway may have taken its number.
      unanswered = null;
      for (const [device, count] of taken) add(device, count);
    }
  };

  const writeOne = async (): Promise<AnswersJudged | null> => {
    if (unanswered) await askAgain(unanswered);
    // A device that the log does not know yet may still become known.
    const known = [...waiting].filter(([device]) => isKnownDevice(state, device));
    const taken = known.slice(0, CORE_LIMITS.judged_devices).sort(([a], [b]) => (a < b ? -1 : 1));
    if (taken.length === 0) return null;
    const most = ({ accepted, refused }: Count): [number, number] => [
      Math.min(accepted, CORE_LIMITS.judged_parts),
      Math.min(refused, CORE_LIMITS.judged_parts),
    ];
    const devices = taken.map(([device, count]): [string, number, number] => [device, ...most(count)]);
    for (const [device] of taken) waiting.delete(device);
    let body: AnswersJudged | null = null;
    try {
      await toLog(() => {
        body = { ...{ type: 'answers.judged', version: 1, number: state.judged.batches, devices } };
        return body;
      });
      return body;
    } catch (error) {
      if (body && isUnanswered(error)) {
        unanswered = { body, taken };
        clock.clearTimeout(timer);
        if (!closed) timer = clock.setTimeout(tick, VERDICT_LIMITS.again_ms);
      } else for (const [device, count] of taken) add(device, count);
      throw error;
    }
  };

  const write = (): Promise<AnswersJudged | null> => {
    const written = writing.then(writeOne);
    writing = written.catch(() => {}); // the caller handles it
    return written;
  };

  let timer = clock.setTimeout(tick, VERDICT_LIMITS.every_ms);
  function tick(): void {
    write().catch(onError);
    timer = clock.setTimeout(tick, VERDICT_LIMITS.every_ms);
  }

  return {
    decided(device, refused) {
      if (!closed) add(device, { accepted: refused ? 0 : 1, refused: refused ? 1 : 0 });
    },
    write,
    async close() {
      closed = true;
      clock.clearTimeout(timer);
      await write().catch(onError);
    },
  };
}
