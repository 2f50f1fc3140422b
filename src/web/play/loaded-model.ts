// The Worker with the model, and what Play remembers of each run: they outlive the view, so that going elsewhere and back forgets nothing.
import { keepOffline } from '../offline/keep-offline.ts';
import { createStore, type Store } from '../shell/store.ts';
import type { FromModel, ToModel, WriteOrder } from './play-messages.ts';
import { afterMessage, asked, dropped, NEW_SESSION, type PlaySession } from './session.ts';

const sessions = new Map<string, Store<PlaySession>>();

/** Whether this page opens without the hub; null until that is known. */
export const opensOffline = createStore<boolean | null>(null);

/** One model at a time: a second would take its memory. */
let hand: { readonly run: string; readonly worker: Worker } | null = null;

/** What Play remembers of a run. */
export function sessionOf(run: string): Store<PlaySession> {
  let session = sessions.get(run);
  if (!session) {
    session = createStore(NEW_SESSION);
    sessions.set(run, session);
  }
  return session;
}

/** Writes with the present model of a run, which is fetched now where it is not loaded. */
export function write(run: string, order: WriteOrder, ask_hub: boolean): void {
  if (hand?.run !== run) {
    drop();
    hand = { run, worker: wake(run) };
  }
  const session = sessionOf(run);
  session.set(asked(session.get(), order));
  tell({ kind: 'write', run, ask_hub, order });
}

/** Ends what is written; while the model is fetched, the fetching. */
export function stop(run: string): void {
  if (hand?.run !== run) return;
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
  // Written in one expression, because bundlers look for this pattern.
  const worker = new Worker(new URL('./play-worker.ts', import.meta.url), { type: 'module' });
  const session = sessionOf(run);
  worker.onmessage = ({ data }: MessageEvent<FromModel>) => {
    session.set(afterMessage(session.get(), data));
    // What a page without the hub consists of is here by now: keeping it fetches nothing anew.
    if (data.kind === 'done' && data.progress.written_tokens > 0) void keepPage();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    if (hand?.worker !== worker) return;
    drop(`What computes could not be started${event.message ? `: ${event.message}` : ''}. The hub may be away.`);
  };
  return worker;
}

async function keepPage(): Promise<void> {
  if (opensOffline.get() !== true) opensOffline.set(await keepOffline());
}
