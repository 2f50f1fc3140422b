// The messages to observers: everything when they connect, then changes from time to time. Frames are encoded once for all of them.
import type { Clock, Timer } from '../protocol/clock.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import type { Feed } from './feed.ts';
import { statusPage } from './status-pages.ts';
import type { Statuses } from './statuses.ts';

/** An observer, as far as it matters here. */
export interface Observer {
  /** Gets changes instead of everything. */
  readonly follows: boolean;
}

export interface ObserversOptions<C> {
  readonly feed: Feed;
  readonly statuses: Statuses;
  readonly clock: Clock;
  readonly every_ms: number;
  all(): Iterable<C>;
  send(observer: C, frame: Uint8Array): void;
}

export interface Observers<C> {
  /** Tells an observer that has just come. */
  greet(observer: C): void;
  /** Tells all observers soon. */
  announce(): void;
  close(): void;
}

export function openObservers<C extends Observer>(options: ObserversOptions<C>): Observers<C> {
  const { feed, statuses, clock, send } = options;
  const framesOf = once(feed.snapshot, (changes) => changes.map(encodeMessage));
  const whole = once(statuses.recent, (runs) => encodeMessage({ type: 'status', ...statusPage(runs) }));
  let timer: Timer;
  let closed = false;

  const tellAll = (): void => {
    timer = undefined;
    const observers = [...options.all()];
    if (observers.length === 0) return;
    const following = observers.some(({ follows }) => follows);
    const changes = following ? feed.changes().map(encodeMessage) : [];
    // The status that is sent now must not be older than the announcement.
    if (!following) statuses.fresh();
    for (const observer of observers) {
      if (!observer.follows) send(observer, whole());
      else for (const frame of changes) send(observer, frame);
    }
  };

  return {
    greet(observer) {
      if (!observer.follows) send(observer, whole());
      else for (const frame of framesOf()) send(observer, frame);
    },
    announce() {
      if (!timer && !closed) timer = clock.setTimeout(tellAll, options.every_ms);
    },
    close() {
      closed = true;
      clock.clearTimeout(timer);
    },
  };
}

/** A value made from a source's value, made again only when the source gives another one. */
function once<T, R>(source: () => T, make: (value: T) => R): () => R {
  let last: { readonly value: T; readonly made: R } | undefined;
  return () => {
    const value = source();
    if (last?.value !== value) last = { value, made: make(value) };
    return last!.made;
  };
}
