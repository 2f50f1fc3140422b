// Who has held a stage in a round is known to who has seen all of the round, and to nobody else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleView } from '../protocol/testing/example-views.ts';
import { HeldStages } from './held-stages.ts';

const [ADA, BOB] = ['a'.repeat(64), 'b'.repeat(64)];
const view = exampleView({ phase: 'working', round: 3, roster: [[ADA, 0, true]] });
const known = (held: HeldStages) => held.held && [...held.held].map(([id, stages]) => [id[0], ...stages]);

test('a round that was seen from its opening is known, with who has moved and who has left', () => {
  const held = new HeldStages();
  held.see({ ...view, round: 2 });
  assert.equal(held.held, null, 'the round was open already');
  held.see(view);
  held.see({ ...view, roster: [[ADA, 1, true]] });
  held.see({ ...view, phase: 'judging', roster: [[BOB, 2, false]] });
  assert.deepEqual(known(held), [
    ['a', 0, 1],
    ['b', 2],
  ]);
  held.see({ ...view, round: 4 });
  assert.deepEqual(known(held), [['a', 0]]);
});

test('so is the first round where it was not open yet, and one that is opened again', () => {
  const held = new HeldStages();
  held.see({ ...view, phase: 'gathering', roster: [] });
  held.see(view);
  assert.deepEqual(known(held), [['a', 0]]);
  held.see({ ...view, attempt: view.attempt + 1, roster: [[BOB, 0, false]] });
  assert.deepEqual(known(held), [['b', 0]]);
});

test('a round in which the connection was lost is not', () => {
  const held = new HeldStages();
  held.see({ ...view, round: 2 });
  held.see(view);
  held.away();
  assert.equal(held.held, null);
  held.see(view);
  assert.equal(held.held, null);
  held.see({ ...view, round: 4 });
  assert.deepEqual(known(held), [['a', 0]]);
});

test('where the model is not cut nobody holds anything', () => {
  const held = new HeldStages();
  held.see({ ...view, phase: 'gathering', roster: undefined });
  assert.deepEqual(known(held), []);
});
