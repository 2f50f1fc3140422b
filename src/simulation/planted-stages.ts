// Faults of one line in who holds which stage of a model.
import type { PlantedFault } from './planted-rules.ts';

const file = 'core/rounds/stages.ts';
const of = (name: string): readonly [string, string] => ['core/rounds/stages.test.ts', name];

export const STAGES: readonly PlantedFault[] = [
  {
    name: 'an-empty-stage-stays-empty',
    file,
    find: 'if (workers[left] === 0 && Math.max(...workers) > 1)',
    replace: 'if (workers[left] < 0)',
    by: 'rules',
    unit: of('a stage that nobody holds any more gets a worker at once'),
  },
  {
    name: 'a-crowded-stage-when-a-round-opens',
    file: 'core/events/round-opened.ts',
    find: '    evenStages(state, run);\n',
    replace: '',
    by: 'rules',
    unit: of('no stage has two workers more than another when a round opens'),
  },
  {
    name: 'a-round-opens-with-an-empty-stage',
    file: 'core/state.ts',
    find: 'Math.max(spec.min_workers, stages) : stages;',
    replace: 'Math.max(spec.min_workers, stages) : 1;',
    by: 'rules',
    unit: of('every round waits for as many workers as there are stages'),
  },
  {
    name: 'who-comes-is-not-counted',
    file,
    find: '  workers[peer.stage]++;\n',
    replace: '',
    by: 'rules',
    unit: of('each worker that comes gets a stage that the fewest hold'),
  },
  {
    name: 'who-comes-goes-where-most-are',
    file,
    find: 'const fewest = Math.min(...workers);\n  if (peer.stage === null',
    replace: 'const fewest = Math.max(...workers);\n  if (peer.stage === null',
    by: 'rules',
    unit: of('each worker that comes gets a stage that the fewest hold'),
  },
  {
    name: 'who-comes-back-gets-another-stage',
    file,
    find: 'if (peer.stage === null || workers[peer.stage] > fewest) {',
    replace: '{',
    by: 'rules',
    unit: of('a worker that comes back keeps its stage while no other needs it more'),
  },
  {
    name: 'who-comes-back-crowds-its-stage',
    file,
    find: 'if (peer.stage === null || workers[peer.stage] > fewest) {',
    replace: 'if (peer.stage === null) {',
    by: 'rules',
    unit: of('a worker that comes back keeps its stage while no other needs it more'),
  },
  {
    name: 'who-has-done-most-is-moved',
    file,
    find: 'if (peer.credit_amount > least_amount) continue;\n    if (peer.credit_amount < least_amount)',
    replace:
      'if (peer.credit_amount < least_amount && spare.length > 0) continue;\n    if (peer.credit_amount > least_amount)',
    by: 'rules',
    unit: of('the one with the least verified work is moved'),
  },
  {
    name: 'work-of-another-stage-is-taken',
    file: 'core/events/work-submitted.ts',
    find: 'if (body.stage !== stage) {',
    replace: 'if ((body.stage === undefined) !== (stage === undefined)) {',
    by: 'rules',
    unit: of('work of a stage that its worker does not hold any more is refused'),
  },
  {
    name: 'a-model-in-stages-that-is-not-whole',
    file: 'core/events/run-created.ts',
    find: 'if (stages === undefined || checkpoint_every === 1) return null;',
    replace: 'return null;',
    // No drawn run in stages keeps its models otherwise.
    by: null,
    unit: ['core/reduce-refusals.test.ts', 'a run in stages whose models are not all stored whole'],
  },
];
