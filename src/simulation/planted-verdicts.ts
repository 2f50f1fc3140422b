// Faults of one line in what the log keeps of judging answers: published limits, and counts of verdicts.
import type { PlantedFault } from './planted-rules.ts';

const JUDGED = 'core/serving/judged.ts';
const TEST = 'core/serving/judged.test.ts';

export const VERDICTS: readonly PlantedFault[] = [
  {
    name: 'anybody-publishes-limits',
    file: JUDGED,
    find: 'if (author !== run.owner) return',
    replace: 'if (author !== run.owner && !author) return',
    by: 'rules',
    unit: [TEST, 'are published by the owner of the run alone, and once each'],
  },
  {
    name: 'limits-used-again',
    file: JUDGED,
    find: 'if (number !== published) return',
    replace: 'if (number > published) return',
    by: 'rules',
    unit: [TEST, 'are published by the owner of the run alone, and once each'],
  },
  {
    name: 'limits-of-one-quantisation-for-all',
    file: JUDGED,
    find: 'serving.margins.set(quantisation, margins);',
    replace: "serving.margins.set(quantisation && 'f32', margins);",
    by: 'rules',
    unit: [TEST, 'of one quantisation take the place of its last ones'],
  },
  {
    name: 'verdicts-counted-again',
    file: JUDGED,
    find: 'if (number !== batches) return',
    replace: 'if (number > batches) return',
    by: 'rules',
    unit: [TEST, 'are counted by the hub alone, and once'],
  },
  {
    name: 'verdicts-take-the-place-of-the-last',
    file: JUDGED,
    find: 'accepted: before.accepted + accepted, refused',
    replace: 'accepted, refused',
    by: 'rules',
    unit: [TEST, 'add up to the record of each device'],
  },
  {
    name: 'refused-answers-not-counted',
    file: JUDGED,
    find: 'refused: before.refused + refused }',
    replace: 'refused: before.refused }',
    by: 'rules',
    unit: [TEST, 'add up to the record of each device'],
  },
  {
    name: 'verdicts-on-a-stranger',
    file: JUDGED,
    find: '!isKnownDevice(state, device)',
    replace: '!isKnownDevice(state, device) && false',
    by: 'rules',
    unit: [TEST, 'are of devices of this log'],
  },
];
