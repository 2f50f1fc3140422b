// Events that come in one message: taken in their order, written together, answered together.
import { CodedError } from '../errors.ts';
import type { Receipts } from '../protocol/from-hub.ts';
import type { Sent } from '../protocol/from-peer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { Intake, Logged } from './intake.ts';
import type { RateLimits } from './rate-limits.ts';

export interface TogetherOptions {
  readonly hub: Pick<Intake, 'take' | 'prove'> & { readonly rates: RateLimits };
  /** The address that the events are counted under; null for none. */
  readonly address: string | null;
  /** Keeps what an event encloses; durable when resolved. */
  takeEnclosed(bytes: Uint8Array): Promise<void>;
  tell(receipts: Receipts): void;
  refuse(error: CodedError, event: string): void;
}

/**
 * Resolves when each event is answered: durable, and proven in a head of the log that has all that were taken, or refused. What one encloses is on
 * the disk before it is taken, and it is in the state before the next is. Rejects only with errors that have no code.
 */
export async function takeTogether(events: readonly Sent[], options: TogetherOptions): Promise<void> {
  const { hub, address, takeEnclosed, tell, refuse } = options;
  const all = events.map(({ event, enclosed }) => ({
    ...{ id: sha256Hex(event), event },
    // All at once, so that they share a commit.
    kept: settled(async () => {
      hub.rates.take('event_address', address);
      if (enclosed) await takeEnclosed(enclosed);
    }),
  }));
  const answers: Promise<Settled<Logged>>[] = [];
  for (const { id, event, kept } of all) {
    const taken = Promise.withResolvers<void>();
    const answer = settled(async () => {
      const flaw = await kept;
      if ('error' in flaw) throw flaw.error;
      return hub.take(event, address, taken.resolve);
    });
    answers.push(answer);
    await Promise.race([taken.promise, answer]);
    // Refused at once: the others may wait for the disk.
    void answer.then((one) => {
      if ('error' in one && one.error instanceof CodedError) refuse(one.error, id);
    });
  }
  const logged: Logged[] = [];
  for (const one of await Promise.all(answers)) {
    if ('value' in one) logged.push(one.value);
    else if (!(one.error instanceof CodedError)) throw one.error;
  }
  if (logged.length > 0) tell({ type: 'receipts', ...(await hub.prove(logged)) });
}

type Settled<T> = { readonly value: T } | { readonly error: unknown };

/** The outcome of a step, for whoever looks at it later than it comes. */
const settled = <T>(step: () => Promise<T>): Promise<Settled<T>> =>
  step().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
