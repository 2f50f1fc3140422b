// Server-sent events (HTML standard, 9.2): a stream that says so when nothing happens, ends what nobody reads, and is never cut by an error.
import type { Clock, Timer } from '../../protocol/clock.ts';
import { utf8 } from '../../protocol/hash.ts';
import { API_LIMITS } from '../limits.ts';

const KEEP_ALIVE = ': keep-alive\n\n';

/** One event; `name` for streams whose readers go by names. */
export const eventOf = (data: unknown, name?: string): string =>
  `${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`;

export interface EventStreamOptions {
  readonly clock: Clock;
  readonly keep_alive_ms: number;
  /** Fires when the client has gone. */
  readonly gone: AbortSignal;
  /** The events that tell what went wrong. */
  readonly onFailure: (error: unknown) => string;
}

/**
 * The body of a stream of events. `write` gets a signal that fires when nobody reads any more, and yields texts of whole events.
 * Resolves when the first one is there, or after some time: an error before that is the caller's, who can still answer with a status.
 */
export async function eventStream(
  write: (signal: AbortSignal) => AsyncGenerator<string>,
  options: EventStreamOptions,
): Promise<ReadableStream<Uint8Array>> {
  const unread = new AbortController();
  const signal = AbortSignal.any([options.gone, unread.signal]);
  const texts = write(signal);
  const first = texts.next();
  await orLater(first, options.clock);
  return bodyFrom(texts, first, { ...options, signal, stopReading: (why) => unread.abort(new Error(why)) });
}

/** Resolves with a promise, or after some time. */
function orLater(promise: Promise<unknown>, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(resolve, API_LIMITS.first_wait_ms);
    const settle = (then: () => void): void => {
      clock.clearTimeout(timer);
      then();
    };
    promise.then(
      () => settle(resolve),
      (error) => settle(() => reject(error)),
    );
  });
}

interface Pumped extends EventStreamOptions {
  readonly signal: AbortSignal;
  readonly stopReading: (why: string) => void;
}

function bodyFrom(
  texts: AsyncGenerator<string>,
  first: Promise<IteratorResult<string>>,
  { clock, keep_alive_ms, signal, stopReading, onFailure }: Pumped,
): ReadableStream<Uint8Array> {
  let onRoom = (): void => {};

  /** Resolves when the client has read enough. One that reads nothing for too long is taken for gone. */
  const room = async (controller: ReadableStreamDefaultController): Promise<void> => {
    if ((controller.desiredSize ?? 1) > 0 || signal.aborted) return;
    const stalled = clock.setTimeout(() => stopReading('the client reads nothing'), API_LIMITS.stalled_ms);
    await new Promise<void>((resolve) => {
      onRoom = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    clock.clearTimeout(stalled);
  };

  const pump = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    const say = (text: string): void => controller.enqueue(utf8(text));
    let quiet = false;
    let beat: Timer;
    const keepAlive = (): void => {
      if (quiet && (controller.desiredSize ?? 0) > 0) say(KEEP_ALIVE);
      quiet = true;
      beat = clock.setTimeout(keepAlive, keep_alive_ms);
    };
    keepAlive();
    try {
      for (let next = await first; !next.done && !signal.aborted; next = await texts.next()) {
        quiet = false;
        say(next.value);
        await room(controller);
      }
    } catch (error) {
      if (!signal.aborted) say(onFailure(error));
    } finally {
      clock.clearTimeout(beat);
    }
    await texts.return(undefined);
    // A stream that its reader has cancelled is closed already.
    if (controller.desiredSize !== null && !signal.aborted) controller.close();
    else if (signal.aborted) tryToClose(controller);
  };

  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => void pump(controller),
      pull: () => onRoom(),
      cancel: () => stopReading('the client has gone'),
    },
    new CountQueuingStrategy({ highWaterMark: API_LIMITS.unread_events }),
  );
}

/** Closes a stream that its reader may have cancelled, which is the same to whoever writes it. */
function tryToClose(controller: ReadableStreamDefaultController): void {
  try {
    controller.close();
  } catch {
    // it was cancelled
  }
}
