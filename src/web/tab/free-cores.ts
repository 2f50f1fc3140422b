// Whether two threads that wait for each other get two cores at the same time. ONNX Runtime's threads spin while they wait: on a device
// that is busy with other things they burn what cores they get, and a training step on two threads takes twice as long as on one.
import { TURN } from './free-cores-turn.ts';

const LIMITS = {
  looks: 16, // a browser that starts a page is busy with that for a third of a second
  between_ms: 25,
  in_a_row: 3, // on a busy device two threads may be lucky once
  look_ms: 8,
  enough: 1000, // free cores pass tens of thousands in that time, busy ones two or three
  start_ms: 1000, // a helper that is not there by then is an answer as well
} as const;

/** Whether several threads are worth their while here and now. Takes up to half a second where they are not. */
export async function coresAreFree(): Promise<boolean> {
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
    if (!ready) return false;
    let passed = 0;
    for (let look = 0; look < LIMITS.looks && passed < LIMITS.in_a_row; look++) {
      if (look > 0) await new Promise((resolve) => setTimeout(resolve, LIMITS.between_ms));
      passed = lookOnce(turn) >= LIMITS.enough ? passed + 1 : 0;
    }
    Atomics.store(turn, 0, TURN.end);
    return passed >= LIMITS.in_a_row;
  } finally {
    helper.terminate();
  }
}

/** How often two threads hand over to each other in a few milliseconds. Blocks this one for that time. */
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
