// Whether two threads that wait for each other get two cores at the same time. ONNX Runtime's threads spin while they wait: on a busy device
// they waste the cores that they get, and a training step on two threads takes twice as long as on one.
import { TURN } from './free-cores-turn.ts';

const LIMITS = {
  looks: 12, // a browser that opens a page is busy for a third of a second
  between_ms: 25,
  in_a_row: 3, // on a busy device two threads may run in parallel once by luck
  look_ms: 20, // several turns of a scheduler: if others want the cores, one of the two threads loses its core meanwhile
  stall_ms: 0.2, // where both threads run, passing the turn takes less than a thousandth of this
  stalled_part: 0.3, // of a look: half and more beside as many busy programs as cores, a few hundredths on an idle machine
  start_ms: 1000, // a helper that has not started by then also means a busy device
} as const;

/** Whether several threads are worthwhile here and now. Takes up to half a second where they are not. */
export async function coresAreFree(): Promise<boolean> {
  // In one expression, because bundlers recognise this pattern.
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
      passed = stalledPart(turn) < LIMITS.stalled_part ? passed + 1 : 0;
    }
    Atomics.store(turn, 0, TURN.end);
    return passed >= LIMITS.in_a_row;
  } finally {
    helper.terminate();
  }
}

/** The part of a few milliseconds in which two threads wait for each other in vain. Blocks this thread for that time. */
function stalledPart(turn: Int32Array): number {
  const from_ms = performance.now();
  let passed_ms = from_ms;
  let stalled_ms = 0;
  for (let now_ms = from_ms; now_ms < from_ms + LIMITS.look_ms; ) {
    Atomics.store(turn, 0, TURN.helper);
    do now_ms = performance.now();
    while (Atomics.load(turn, 0) !== TURN.owner && now_ms < from_ms + LIMITS.look_ms);
    if (now_ms - passed_ms > LIMITS.stall_ms) stalled_ms += now_ms - passed_ms;
    passed_ms = now_ms;
  }
  return stalled_ms / LIMITS.look_ms;
}
