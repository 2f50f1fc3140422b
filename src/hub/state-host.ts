// The hub's side of its thread for states: orders go there, its questions for blobs are answered here, and errors come back as they were thrown.
import { Worker } from 'node:worker_threads';
import { errorOf, type Failure, failureOf } from '../games/host/wire.ts';
import type { GameSpec, Made, Order, StateBlobs } from './state-work.ts';

export type ToStates =
  | { readonly type: 'order'; readonly order: number; readonly spec: GameSpec; readonly what: Order }
  | { readonly type: 'given'; readonly ask: number; readonly value: string | Uint8Array }
  | { readonly type: 'not-given'; readonly ask: number; readonly failure: Failure };

export type FromStates =
  | { readonly type: 'done'; readonly order: number; readonly made: Made | null }
  | { readonly type: 'failed'; readonly order: number; readonly failure: Failure }
  | {
      readonly type: 'ask';
      readonly order: number;
      readonly ask: number;
      readonly fetch?: string;
      readonly put?: Uint8Array;
    };

export interface StateHost {
  /** As carryOut of state-work.ts, for a game of this build. Throws what the game throws as CodedError, and what the blobs throw as it is. */
  carryOut(spec: GameSpec, what: Order, blobs: StateBlobs): Promise<Made | null>;
  /** Ends the thread: what is under way fails. */
  close(): void;
}

interface Given {
  readonly blobs: StateBlobs;
  readonly done: (made: Made | null) => void;
  readonly failed: (error: Error) => void;
  /** What its questions failed with, by their numbers: the thread knows only the words of it. */
  readonly errors: Map<number, Error>;
}

/** Opens the host; the thread begins with the first order, and with the next one where it has ended. */
export function openStateHost(): StateHost {
  const orders = new Map<number, Given>();
  let numbers = 0;
  let thread: Worker | null = null;
  let closed = false;

  const endAll = (why: Error): void => {
    thread = null;
    for (const { failed } of orders.values()) failed(why);
    orders.clear();
  };
  const done = (order: number): Given | undefined => {
    const given = orders.get(order);
    orders.delete(order);
    if (orders.size === 0) thread?.unref();
    return given;
  };

  const answer = async (
    to: Worker,
    { order, ask, fetch, put }: Extract<FromStates, { type: 'ask' }>,
  ): Promise<void> => {
    const given = orders.get(order);
    if (!given) return;
    try {
      const value = fetch === undefined ? await given.blobs.put(put!) : await given.blobs.fetch(fetch);
      const whole = typeof value !== 'string' && value.length === value.buffer.byteLength;
      post(to, { type: 'given', ask, value }, whole ? [value.buffer as ArrayBuffer] : []);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      given.errors.set(ask, error);
      post(to, { type: 'not-given', ask, failure: failureOf(error) });
    }
  };

  const begin = (): Worker => {
    const begun = new Worker(new URL('./state-thread.ts', import.meta.url));
    begun.on('message', (message: FromStates) => {
      if (message.type === 'ask') return void answer(begun, message);
      const given = done(message.order);
      if (message.type === 'done') return given?.done(message.made);
      const { failure } = message;
      given?.failed((failure.ask === null ? undefined : given.errors.get(failure.ask)) ?? errorOf(failure));
    });
    const gone = (why: Error): void => {
      if (thread === begun) endAll(why);
    };
    begun.on('error', (error) => gone(error instanceof Error ? error : new Error(String(error))));
    begun.on('exit', (code) => gone(new Error(`the hub's thread for states has ended (code ${code})`)));
    return begun;
  };

  return {
    carryOut: (spec, what, blobs) =>
      new Promise((done, failed) => {
        if (closed) throw new Error('the hub is closing');
        thread ??= begin();
        thread.ref();
        orders.set(++numbers, { blobs, done, failed, errors: new Map() });
        post(thread, { type: 'order', order: numbers, spec, what });
      }),
    close() {
      closed = true;
      void thread?.terminate();
      endAll(new Error('the hub is closing'));
    },
  };
}

const post = (to: Worker, message: ToStates, moved: ArrayBuffer[] = []): void => to.postMessage(message, moved);
