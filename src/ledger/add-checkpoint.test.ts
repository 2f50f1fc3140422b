// What a witness answers to add-checkpoint (c2sp.org/tlog-witness): every status of the specification for what deserves it, a cosignature for nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIdentity } from '../protocol/identity.ts';
import { judgeCheckpoint, parseAddCheckpoint, writeAddCheckpoint } from './add-checkpoint.ts';
import { type Checkpoint, openCheckpoint, signCheckpoint } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import { createMemoryLogStore } from './testing/memory-log.ts';
import { openTransparencyLog } from './transparency-log.ts';

const origin = 'log.example/one';
const identity = createIdentity();
const key = { name: origin, id: identity.id };
const log = openTransparencyLog(createMemoryLogStore(), identity, { origin });
const heads: { note: string; checkpoint: Checkpoint }[] = [];
for (let size = 0; size < 6; size++) {
  const { note } = await log.checkpoint();
  heads.push({ note, checkpoint: openCheckpoint(note, { id: identity.id, origin }) });
  await log.append([Uint8Array.of(size + 1)]);
}

/** What is answered when the witness has cosigned `latest` entries, and is asked to go from `from` to `to`. */
async function answer(
  latest: number | null,
  from: number,
  to: number,
  more: Partial<{ note: string; proof: Uint8Array[]; keys: (typeof key)[] }> = {},
) {
  const proof = more.proof ?? (from === 0 || from > to ? [] : log.consistencyProof(from, to));
  const text = writeAddCheckpoint({ old_size: from, proof, note: more.note ?? heads[to].note });
  const judged = await judgeCheckpoint(parseAddCheckpoint(text), more.keys ?? [key], async () =>
    latest === null ? null : heads[latest].checkpoint,
  );
  return 'status' in judged ? [judged.status, judged.size] : judged.checkpoint.size;
}

test('what follows is cosigned: the first, growth, the same again', async () => {
  assert.equal(await answer(null, 0, 3), 3);
  assert.equal(await answer(3, 3, 5), 5);
  assert.equal(await answer(3, 3, 3), 3);
});

test('404 for a log that is not known, 403 without its signature', async () => {
  assert.deepEqual(await answer(null, 0, 3, { keys: [{ ...key, name: 'other.example' }] }), [404, null]);
  assert.deepEqual(await answer(null, 0, 3, { keys: [{ ...key, id: createIdentity().id }] }), [403, null]);
});

test('400 for an old size beyond the checkpoint, 409 with its own for any other', async () => {
  assert.deepEqual(await answer(5, 5, 3), [400, null]);
  assert.deepEqual(await answer(3, 0, 5), [409, 3]);
  assert.deepEqual(await answer(null, 2, 5), [409, 0]);
  assert.deepEqual(await answer(3, 2, 5), [409, 3]);
});

test('422 for a proof that does not lead there', async () => {
  assert.deepEqual(await answer(3, 3, 5, { proof: [] }), [422, null]);
  assert.deepEqual(await answer(3, 3, 5, { proof: log.consistencyProof(2, 5) }), [422, null]);
  assert.deepEqual(await answer(null, 0, 5, { proof: [new Uint8Array(32)] }), [422, null]);
});

test('another history is never cosigned', async () => {
  const forked = await signCheckpoint(identity, { origin, size: 3, root: new Uint8Array(32).fill(7) });
  assert.deepEqual(await answer(3, 3, 3, { note: forked }), [409, 3]);
  const longer = await signCheckpoint(identity, { origin, size: 5, root: new Uint8Array(32).fill(7) });
  assert.deepEqual(await answer(3, 3, 5, { note: longer }), [422, null]);
});

test('what is no request is malformed', () => {
  const right = writeAddCheckpoint({ old_size: 3, proof: [new Uint8Array(32)], note: heads[5].note });
  assert.equal(parseAddCheckpoint(right).note, heads[5].note);
  const many = Array.from({ length: 64 }, () => new Uint8Array(32));
  for (const text of [
    '',
    'old 3',
    right.replace('old 3', 'old 03'),
    right.replace('old 3', 'new 3'),
    right.replace('=\n\n', '\n\n'),
    writeAddCheckpoint({ old_size: 3, proof: many, note: '' }),
  ]) {
    assert.throws(
      () => parseAddCheckpoint(text),
      (error) => error instanceof LedgerError && error.code === 'malformed',
    );
  }
});
