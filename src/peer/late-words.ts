// What an honest device is told when its work or verdict came too late: one calm sentence per code, because nobody has done anything wrong.
import type { RefusalCode } from '../core/refusal.ts';

type LateCode = Extract<
  RefusalCode,
  | 'wrong-round'
  | 'wrong-model'
  | 'wrong-stage'
  | 'wrong-phase'
  | 'already-submitted'
  | 'not-a-worker'
  | 'not-a-validator'
  | 'unknown-submission'
  | 'already-judged'
  | 'not-sealed'
  | 'not-assigned'
  | 'already-evaluated'
>;

const HARMLESS = 'nothing is held against this device, and it goes on with the next round';

const WORDS: Readonly<Record<LateCode, (round: number) => string>> = {
  'wrong-round': (round) =>
    `the work of round ${round} came after that round was merged or opened again, so it does not count: ${HARMLESS}`,
  'wrong-model': (round) =>
    `the work of round ${round} was done on a model that has been replaced meanwhile, so it does not count: ${HARMLESS}`,
  'wrong-stage': (round) =>
    `the work of round ${round} is of a stage of the model that this device does not hold any more, because devices have come or gone: nothing is held against it, and it goes on with the stage that it holds now`,
  'wrong-phase': (round) =>
    `the work of round ${round} came when the hub did not take work any more (the round was being merged, or the run is paused or over), so it does not count: ${HARMLESS}`,
  'already-submitted': (round) => `work of this device for round ${round} is in the log already, and counts once`,
  'not-a-worker': (round) =>
    `the work of round ${round} came after the hub had reported this device as gone: nothing is held against it, and it joins again by itself`,
  'not-a-validator': () =>
    'the verdict came after the hub had reported this device as gone: nothing is held against it, and it joins again by itself',
  'unknown-submission': () => `the verdict came after its round was over, so it does not count: ${HARMLESS}`,
  'already-judged': () => 'this verdict is in the log already, and counts once',
  'not-sealed': () => `the verdict was not sealed in time, so it is not shown: ${HARMLESS}`,
  'not-assigned': () => `other validators judge this work now, because devices have come or gone: ${HARMLESS}`,
  'already-evaluated': () => 'what this device measured of the model is in the log already, and counts once',
};

/** The sentence for the device's owner about a refusal that only means "too late"; null for any other refusal. */
export function lateWords(refusal: unknown, round: number): string | null {
  return typeof refusal === 'string' && Object.hasOwn(WORDS, refusal) ? WORDS[refusal as LateCode](round) : null;
}
