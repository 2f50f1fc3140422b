// What a judge is asked of a lease: the device's own tokens behind those of others, with its end where it wrote one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, judgeTaskOf, type Lease } from './answer.ts';
import { ask } from './testing/pool-world.ts';

const leaseOf = (from: number, own: number, ending: Lease['ending'], max_tokens = 20) =>
  judgeTaskOf({
    answer: { stream: { request: ask({ max_tokens, echo: true }), written: [1, 2, 3, 4, 5] } } as unknown as Answer,
    ...{ cursor: { written: own } as Lease['cursor'], from, logprobs: [], ending },
  } as unknown as Lease);

test('a part is what one device wrote, with the end that it wrote, or cut', () => {
  const part = leaseOf(1, 2, null)!;
  assert.deepEqual([part.request.written, part.served], [[1], { ids: [2, 3], reason: 'cut' }]);
  assert.deepEqual([part.request.max_tokens, part.request.echo], [20, false]);
  assert.deepEqual(leaseOf(3, 2, { reason: 'tool_calls', end_id: 0 })!.served, { ids: [4, 5, 0], reason: 'stop' });
});

test('an end by a device’s own context, which the hub has checked, is judged as one by the most tokens', () => {
  const part = leaseOf(0, 5, { reason: 'length', end_id: null })!;
  assert.deepEqual([part.request.max_tokens, part.served.reason], [5, 'length']);
});

test('where nothing was drawn nothing is judged, but an end without a token is', () => {
  assert.equal(leaseOf(5, 0, null), null);
  assert.equal(leaseOf(5, 0, { reason: 'length', end_id: null }, 5), null);
  assert.deepEqual(leaseOf(5, 0, { reason: 'stop', end_id: null })!.served, { ids: [], reason: 'stop' });
});
