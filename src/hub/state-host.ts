// The hub's side of its thread for states: it sends orders to the thread, and learns which blobs the thread is about to store. No bytes of blobs cross.
import { Worker } from 'node:worker_threads';
import { errorOf, type Failure } from '../games/host/wire.ts';
import { LedgerError, type LedgerErrorCode } from '../ledger/errors.ts';
import { HubError } from './errors.ts';
import type { NamedPlace } from './named-place.ts';
import type { GameSpec, Made, Order, Place, Putting } from './state-work.ts';

export type ToStates =
  | { readonly type: 'order'; readonly order: number; readonly spec: GameSpec; readonly what: Order }
  | { readonly type: 'put'; readonly ask: number };

export type FromStates =
  | { readonly type: 'done'; readonly order: number; readonly made: Made | null }
  | { readonly type: 'failed'; readonly order: number; readonly failure: Failure; readonly of: 'hub' | 'ledger' | null }
  | {
      readonly type: 'putting';
      readonly order: number;
      readonly ask: number;
      readonly hash: string;
      readonly place: Place;
    };

/** Where the hub's two blob stores are. */
export interface StatePlaces {
  readonly named: NamedPlace;
  /** A folder. */
  readonly present: string;
}

export interface StateHost {
  /** As carryOut of state-work.ts, for a game of this build. Throws HubError and LedgerError as they were, what the game throws as CodedError. */
  carryOut(spec: GameSpec, what: Order, putting: Putting): Promise<Made | null>;
  /** Ends the thread: orders under way fail. */
  close(): void;
}

interface Given {
  readonly putting: Putting;
  readonly done: (made: Made | null) => void;
  readonly failed: (error: Error) => void;
}

/** Opens the host; the thread begins with the first order, and with the next one where it has ended. */
export function openStateHost(places: StatePlaces): StateHost {
  const orders = new Map<number, Given>();
  let numbers = 0;
  let thread: Worker | null = null;
  let closed = false;

  const endAll = (why: Error): void => {
    thread = null;
    for (const { failed } of orders.values()) failed(why);
    orders.clear();
  };

  const begin = (): Worker => {
    const begun = new Worker(new URL('./state-thread.ts', import.meta.url), { workerData: places });
    begun.on('message', (message: FromStates) => {
      const given = orders.get(message.order);
      if (message.type === 'putting') {
        const { ask, hash, place } = message;
        void given?.putting(hash, place).then(() => post(begun, { type: 'put', ask }));
        return;
      }
      orders.delete(message.order);
      if (orders.size === 0) begun.unref();
      if (message.type === 'done') given?.done(message.made);
      else given?.failed(errorFrom(message));
    });
    const gone = (why: Error): void => {
      if (thread === begun) endAll(why);
    };
    begun.on('error', (error) => gone(error instanceof Error ? error : new Error(String(error))));
    begun.on('exit', (code) => gone(new Error(`the hub's thread for states has ended (code ${code})`)));
    return begun;
  };

  return {
    carryOut: ({ game, params }, what, putting) =>
      new Promise((done, failed) => {
        if (closed) throw new Error('the hub is closing');
        thread ??= begin();
        thread.ref();
        orders.set(++numbers, { putting, done, failed });
        // What is given may be all that a run's first event says: of that the thread gets no copy.
        post(thread, { type: 'order', order: numbers, spec: { game, params }, what });
      }),
    close() {
      closed = true;
      void thread?.terminate();
      endAll(new Error('the hub is closing'));
    },
  };
}

const post = (to: Worker, message: ToStates): void => to.postMessage(message);

/** An error of the hub's own, which has one there, or of its store as what it was: others are a game's. */
function errorFrom({ failure, of }: Extract<FromStates, { type: 'failed' }>): Error {
  const error = errorOf(failure);
  if (of === null) return error;
  const details = failure.details as LedgerError['details'];
  if (of === 'ledger') return new LedgerError(failure.code as LedgerErrorCode, failure.message, details);
  return new HubError('missing-blob', failure.message, details);
}
