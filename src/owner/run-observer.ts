// Observes a run as its validators see it, without taking part. A hub tells workers nothing about other submissions, but it tells anybody who
// says hello as a validator, and a key costs nothing.

import { connectToHub } from '../peer/connection.ts';
import { findRun } from '../peer/find-run.ts';
import { webSockets } from '../peer/web-sockets.ts';
import { createIdentity } from '../protocol/identity.ts';
import type { RunStatus, RunView } from '../protocol/messages.ts';

export interface RunObserver {
  readonly run: RunStatus;
  /** The newest view. */
  view(): RunView | null;
  close(): void;
}

/** Observes until it is closed. Throws PeerError `hub-unreachable`, `not-a-hub`, `no-such-run`. */
export async function observeRun(
  url: string,
  wanted: string | undefined,
  onView: (view: RunView) => void = () => {},
): Promise<RunObserver> {
  const { hub, view: run } = await findRun(url, wanted);
  let newest: RunView | null = null;
  const connection = connectToHub({
    ...{ transport: webSockets(url), hub, run: run.run, role: 'validator', identity: createIdentity() },
    ...{ onWelcome() {}, onAway() {}, onFatal() {} },
    onRun: (view) => {
      newest = view;
      onView(view);
    },
  });
  return { run, view: () => newest, close: () => connection.close() };
}
