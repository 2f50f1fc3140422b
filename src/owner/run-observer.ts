// Looks at the work of a run without taking part: all of it from time to time, or what becomes of one worker's. A hub tells workers nothing of the work
// of others, but it tells anybody who asks.

import { connectToHub } from '../peer/connection.ts';
import { findRun, readHub } from '../peer/find-run.ts';
import type { SeenRun } from '../peer/round-work.ts';
import { webSockets } from '../peer/web-sockets.ts';
import { createIdentity } from '../protocol/identity.ts';
import { type RunView, RunViewSchema } from '../protocol/messages.ts';

const LOOK_EVERY_MS = 500;

export interface RunObserver {
  /** The run as it was a moment ago, with all work of its open round; null before the first answer. */
  view(): RunView | null;
  close(): void;
}

/** Observes all work of a run until it is closed. Throws PeerError `hub-unreachable`, `not-a-hub`, `no-such-run`. */
export async function observeRun(url: string, wanted: string | undefined): Promise<RunObserver> {
  const { view: run } = await findRun(url, wanted);
  let newest: RunView | null = null;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const look = async (): Promise<void> => {
    const answer = await readHub(url, `/runs/${run.run}`).catch(() => null); // it may be there again at the next look
    newest = RunViewSchema.safeParse(answer?.json).data ?? newest;
    if (!closed) timer = setTimeout(look, LOOK_EVERY_MS);
  };
  await look();
  return {
    view: () => newest,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** Hears what becomes of one worker's work: who judges it, once that is drawn. */
export function watchWorker(
  url: string,
  { hub, run, worker }: { readonly hub: string; readonly run: string; readonly worker: string },
  onView: (view: SeenRun) => void,
): { close(): void } {
  return connectToHub({
    ...{ transport: webSockets(url), hub, run, role: 'validator', identity: createIdentity(), watches: worker },
    ...{ onWelcome() {}, onAway() {}, onFatal() {}, onRun: onView },
  });
}
