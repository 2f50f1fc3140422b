// The other thread of free-cores.ts: gives the turn back whenever it gets it.
import { TURN } from './free-cores-turn.ts';

/** The starting thread may have ended, so this one must not spin for ever. */
const MOST_MS = 2000;

globalThis.onmessage = ({ data: turn }: MessageEvent<Int32Array>) => {
  globalThis.postMessage('ready');
  const until_ms = performance.now() + MOST_MS;
  for (;;) {
    const now = Atomics.load(turn, 0);
    if (now === TURN.end) break;
    if (now === TURN.helper) Atomics.store(turn, 0, TURN.owner);
    else if (performance.now() > until_ms) break;
  }
  globalThis.close();
};
