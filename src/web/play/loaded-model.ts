// Who writes for Play, the Worker with the model or the pool, and its session of each run. All outlive the view, so that nothing is lost when a
// person goes elsewhere and back.
import { keepOffline } from '../offline/keep-offline.ts';
import { poolAddress } from '../pool/known-pool.ts';
import { poolText } from '../pool/pool-client.ts';
import { createStore, type Store } from '../shell/store.ts';
import { type FromModel, THIS_BROWSER, type ToModel, type WriteOrder } from './play-messages.ts';
import { afterMessage, asked, dropped, type FromPool, isBusy, NEW_SESSION, type PlaySession } from './session.ts';

const sessions = new Map<string, Store<PlaySession>>();

/** Whether this page opens without the hub; null until that is known. */
export const opensOffline = createStore<boolean | null>(null);

/** One model at a time, because of the memory. */
let hand: { readonly run: string; readonly worker: Worker } | null = null;

/** What the pool is writing, by run. */
const atPool = new Map<string, AbortController>();

/** What is to be written next, beside what is being written, by run. */
const next = new Map<string, WriteOrder[]>();

/** Play's session of a run. */
export function sessionOf(run: string): Store<PlaySession> {
  let session = sessions.get(run);
  if (!session) {
    session = createStore(NEW_SESSION);
    sessions.set(run, session);
  }
  return session;
}

/**
 * Writes with a run's current model, which is downloaded first if necessary, or has the pool write; one order after the other, to be seen
 * beside each other.
 */
export function write(run: string, orders: readonly WriteOrder[], ask_hub: boolean): void {
  next.set(run, orders.slice(1));
  begin(run, orders[0], { ask_hub, beside: false });
}

function begin(run: string, order: WriteOrder, how: { readonly ask_hub: boolean; readonly beside: boolean }): void {
  const session = sessionOf(run);
  if (order.writer !== THIS_BROWSER) {
    session.set(asked(session.get(), order, how.beside));
    void askPool(run, order);
    return;
  }
  if (hand?.run !== run) {
    drop();
    hand = { run, worker: wake(run) };
  }
  session.set(asked(session.get(), order, how.beside));
  tell({ kind: 'write', run, ask_hub: how.ask_hub, order });
}

function hear(run: string, message: FromModel | FromPool): void {
  const session = sessionOf(run);
  session.set(afterMessage(session.get(), message));
  if (isBusy(session.get())) return;
  // A text that failed is not compared with anything.
  const [order, ...others] = message.kind === 'done' && !message.stopped ? (next.get(run) ?? []) : [];
  next.set(run, others);
  if (order) begin(run, order, { ask_hub: true, beside: true });
}

async function askPool(run: string, order: WriteOrder): Promise<void> {
  const stop = new AbortController();
  atPool.set(run, stop);
  const began_ms = performance.now();
  const progress = { prompt_tokens: 0, read_tokens: 0, written_tokens: 0, end_of_text: false };
  const done = (stopped: boolean): void => {
    const seconds = (performance.now() - began_ms) / 1000;
    hear(run, { kind: 'done', progress: { ...progress }, seconds, stopped });
  };
  try {
    const pieces = poolText(poolAddress(), order.writer, order, stop.signal);
    for (;;) {
      const { done: whole, value } = await pieces.next();
      if (whole) {
        Object.assign(progress, value, { read_tokens: value.prompt_tokens });
        break;
      }
      if (progress.written_tokens++ === 0) hear(run, { kind: 'pool-begun' });
      hear(run, { kind: 'piece', text: value, progress: { ...progress } });
    }
    done(false);
  } catch (error) {
    if (stop.signal.aborted && progress.written_tokens > 0) done(true);
    else hear(run, { kind: 'failed', message: stop.signal.aborted ? '' : sentenceOf(error) });
  } finally {
    if (atPool.get(run) === stop) atPool.delete(run);
  }
}

const sentenceOf = (error: unknown): string =>
  `The pool could not write: ${error instanceof Error ? error.message : String(error)}`;

/** Ends writing, or the download of the model. */
export function stop(run: string): void {
  next.delete(run);
  atPool.get(run)?.abort();
  if (hand?.run !== run || sessionOf(run).get().texts[0]?.order.writer !== THIS_BROWSER) return;
  if (sessionOf(run).get().phase === 'loading') drop();
  else tell({ kind: 'stop' });
}

const tell = (message: ToModel): void => hand?.worker.postMessage(message);

function drop(problem = ''): void {
  if (!hand) return;
  const { run, worker } = hand;
  hand = null;
  worker.terminate();
  const session = sessionOf(run);
  session.set(dropped(session.get(), problem));
}

function wake(run: string): Worker {
  // In one expression, because bundlers recognise this pattern.
  const worker = new Worker(new URL('./play-worker.ts', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }: MessageEvent<FromModel>) => {
    hear(run, data);
    // Everything that a page without the hub needs is here now, so storing it downloads nothing again.
    if (data.kind === 'done' && data.progress.written_tokens > 0) void keepPage();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    if (hand?.worker !== worker) return;
    drop(
      `The code that computes could not be started${event.message ? `: ${event.message}` : ''}. The hub may be away.`,
    );
  };
  return worker;
}

async function keepPage(): Promise<void> {
  if (opensOffline.get() !== true) opensOffline.set(await keepOffline());
}
