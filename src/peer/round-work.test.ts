// A round's work, put together of pieces: what belongs to the round of a view is in it, and nothing that a hub sends fills the memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hexToBytes } from '@noble/hashes/utils.js';
import type { JudgedView, WorkPiece } from '../protocol/from-hub.ts';
import { WORK_LIMITS } from '../protocol/from-hub.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import { RoundWork } from './round-work.ts';

const name = (i: number): string => i.toString(16).padStart(64, '0');
const entries = (...of: number[]): Uint8Array => hexToBytes(of.map((i) => name(i) + name(i + 100)).join(''));
const piece = (from: number, listed: Uint8Array, drawn: Partial<JudgedView>[] = []): WorkPiece => ({
  ...{ type: 'work', round: 3, attempt: 1, from, listed },
  drawn: drawn as JudgedView[],
});
const view = exampleView({ round: 3, attempt: 1 });

test('a view has all that was told of its round, the newest of each submission, and nothing of another round', () => {
  const work = new RoundWork();
  work.take(piece(0, entries(1, 2)));
  work.take(piece(2, entries(3), [{ id: 'a', judges: ['x'] }, { id: 'b' }]));
  work.take(piece(3, entries(), [{ id: 'a', judges: ['y'] }]));
  const { submissions, handed_in } = work.seen(view);
  assert.deepEqual(submissions, [{ id: 'a', judges: ['y'] }, { id: 'b' }]);
  assert.deepEqual(
    handed_in,
    [1, 2, 3].map((i) => ({ worker: name(i), work: name(i + 100) })),
  );
  for (const other of [exampleView({ round: 4, attempt: 1 }), exampleView({ round: 3, attempt: 2 })]) {
    assert.deepEqual([work.seen(other).submissions, work.seen(other).handed_in], [[], []]);
  }
});

test('a connection that begins anew, and another round, start over', () => {
  for (const more of [{}, { round: 4 }, { attempt: 2 }]) {
    const work = new RoundWork();
    work.take(piece(0, entries(1, 2), [{ id: 'a' }]));
    work.take({ ...piece(0, entries(7)), ...more });
    const { submissions, handed_in } = work.seen({ ...view, ...more });
    assert.deepEqual([submissions, handed_in.map(({ worker }) => worker)], [[], [name(7)]]);
  }
});

test('what was shown does not change when more is told', () => {
  const work = new RoundWork();
  work.take(piece(0, entries(1)));
  const before = work.seen(view);
  work.take(piece(1, entries(2), [{ id: 'a' }]));
  assert.deepEqual([before.handed_in.length, before.submissions.length], [1, 0]);
});

test('pieces that do not follow, half an entry, and more than a round can have are nonsense', () => {
  const malformed = { code: 'malformed' };
  const work = new RoundWork();
  work.take(piece(0, entries(1)));
  assert.throws(() => work.take(piece(2, entries(2))), malformed);
  assert.throws(() => work.take(piece(1, new Uint8Array(WORK_LIMITS.entry_bytes / 2))), malformed);
  assert.throws(() => work.take({ ...piece(1, entries(2)), round: 9 }), malformed);
  const many = new RoundWork();
  const full = new Uint8Array(WORK_LIMITS.entries * WORK_LIMITS.entry_bytes);
  const fill = () => {
    for (let from = 0; from <= WORK_LIMITS.works; from += WORK_LIMITS.entries) many.take(piece(from, full));
  };
  assert.throws(fill, malformed);
  const crowd = new RoundWork();
  const views = (from: number) => Array.from({ length: 10_000 }, (_, i) => ({ id: String(from + i) }));
  crowd.take(piece(0, entries(1)));
  assert.throws(() => {
    for (let i = 0; i < 10; i++) crowd.take(piece(1, entries(), views(i * 10_000)));
  }, malformed);
});
