// The Worker with the model, and Play's session of each run. Both outlive the view, so that nothing is lost when a person goes elsewhere and back.
import { keepOffline } from '../offline/keep-offline.ts';
import { createStore, type Store } from '../shell/store.ts';
import type { FromModel, ToModel, WriteOrder } from './play-messages.ts';
import { afterMessage, asked, dropped, NEW_SESSION, type PlaySession } from './session.ts';

const sessions = new Map<string, Store<PlaySession>>();

/** Whether this page opens without the hub; null until that is known. */
export const opensOffline = createStore<boolean | null>(null);

/** One model at a time, because of the memory. */
let hand: { readonly run: string; readonly worker: Worker } | null = null;

/** Play's session of a run. */
export function sessionOf(run: string): Store<PlaySession> {
  let session = sessions.get(run);
  if (!session) {
    session = createStore(NEW_SESSION);
    sessions.set(run, session);
  }
  return session;
}

/** Writes with a run's current model, which is downloaded first if necessary. */
export function write(run: string, order: WriteOrder, ask_hub: boolean): void {
  if (hand?.run !== run) {
    drop();
    hand = { run, worker: wake(run) };
  }
  const session = sessionOf(run);
  session.set(asked(session.get(), order));
  tell({ kind: 'write', run, ask_hub, order });
}

/** Ends writing, or the download of the model. */
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
  // In one expression, because bundlers recognise this pattern.
  const worker = new Worker(new URL('./play-worker.ts', import.meta.url), { type: 'module' });
  const session = sessionOf(run);
  worker.onmessage = ({ data }: MessageEvent<FromModel>) => {
    session.set(afterMessage(session.get(), data));
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
