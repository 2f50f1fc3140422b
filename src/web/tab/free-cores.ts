// Whether two threads that wait for each other get two cores at the same time. ONNX Runtime's threads spin while they wait: on a device
// that is busy with other things they burn what cores they get, and a training step on two threads takes twice as long as on one.
import { TURN } from './free-cores-turn.ts';

const LIMITS = {
  looks: 12, // a browser that starts a page is busy with that for a third of a second
  between_ms: 25,
  in_a_row: 3, // on a busy device two threads may be lucky once
  look_ms: 20, // several turns of a scheduler: where others want the cores, one of the two threads loses its own meanwhile
  stall_ms: 0.2, // handing over takes less than a thousandth of that where both threads run
  stalled_part: 0.3, // of a look: beside as many busy programs as there are cores it is half and more, on a free machine that others share a few hundredths
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
      passed = stalledPart(turn) < LIMITS.stalled_part ? passed + 1 : 0;
    }
    Atomics.store(turn, 0, TURN.end);
    return passed >= LIMITS.in_a_row;
  } finally {
    helper.terminate();
  }
}

/** The part of a few milliseconds in which two threads wait for each other in vain. Blocks this one for that time. */
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
