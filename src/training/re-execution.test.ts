// Distances between a trace that was told and one that was found.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { traceDistance } from './re-execution.ts';

test('jumps do not mind who learns faster, and count the half of the steps that is further away', () => {
  const told = [5, 4, 5, 4, 5, 4, 5, 4, 5];
  const slower = told.map((loss) => loss + 0.5);
  assert.deepEqual(traceDistance(told, slower), { mean: 0.5, last_half: 0.5, jumps: 0 });
  const invented = told.map((loss, i) => (i > 6 ? 5 : loss));
  const { jumps, mean } = traceDistance(invented, told);
  assert.deepEqual([jumps, mean], [0.5, 1 / 9]);
  assert.equal(traceDistance(told, [5, 4.5]).jumps, 0.5, 'only what was repeated');
  assert.equal(traceDistance(told, [5]).jumps, 0);
});
