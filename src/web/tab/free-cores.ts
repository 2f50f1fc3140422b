// Whether two threads that wait for each other get two cores at the same time. ONNX Runtime's threads spin while they wait: on a device
// that is busy with other things they burn what cores they get, and a training step on two threads takes twice as long as on one.
import { TURN } from './free-cores-turn.ts';

const LIMITS = {
  looks: 3, // a device that starts a page hesitates now and then: the best of these counts
  look_ms: 8,
  enough: 1000, // free cores pass tens of thousands in that time, busy ones two or three
  start_ms: 1000, // a helper that is not there by then is an answer as well
} as const;

/** How often two threads can hand over to each other in a few milliseconds, at best. Blocks this thread for that time. */
export async function passes(): Promise<number> {
  // Written in one expression, because bundlers look for this pattern.
  const helper = new Worker(new URL('./free-cores-helper.ts', import.meta.url), {
    type: 'module',
    name: 'potluck probe',
  });
  try {
    const turn = new Int32Array(new SharedArrayBuffer(4));
    const ready = await new Promise<boolean>((resolve) => {
      const late = setTimeout(() => resolve(false), LIMITS.start_ms);
      helper.onmessage = () => {
        clearTimeout(late);
        resolve(true);
      };
      helper.onerror = () => resolve(false);
      helper.postMessage(turn);
    });
    if (!ready) return 0;
    let best = 0;
    for (let look = 0; look < LIMITS.looks && best < LIMITS.enough; look++) best = Math.max(best, lookOnce(turn));
    Atomics.store(turn, 0, TURN.end);
    return best;
  } finally {
    helper.terminate();
  }
}

function lookOnce(turn: Int32Array): number {
  const until_ms = performance.now() + LIMITS.look_ms;
  let count = 0;
  for (;;) {
    Atomics.store(turn, 0, TURN.helper);
    while (Atomics.load(turn, 0) !== TURN.owner) if (performance.now() > until_ms) return count;
    count++;
    if (count >= LIMITS.enough) return count;
  }
}

/** Whether several threads are worth their while here and now. */
export const coresAreFree = async (): Promise<boolean> => (await passes()) >= LIMITS.enough;
