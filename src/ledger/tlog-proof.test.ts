// Proofs as c2sp.org/tlog-proof has them: of every entry, checked with the log's key alone; the specification's own example is read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIdentity } from '../protocol/identity.ts';
import { LedgerError } from './errors.ts';
import { createMemoryLogStore } from './testing/memory-log.ts';
import { parseTlogProof, verifyTlogProof, writeTlogProof } from './tlog-proof.ts';
import { openTransparencyLog } from './transparency-log.ts';

const identity = createIdentity();
const entry = (i: number) => new TextEncoder().encode(`entry ${i}`);

async function proofOf(index: number, size: number): Promise<string> {
  const log = openTransparencyLog(createMemoryLogStore(), identity);
  await log.append(Array.from({ length: size }, (_, i) => entry(i)));
  const { note } = await log.checkpoint();
  return writeTlogProof({ index, proof: log.inclusionProof(index, size), note });
}

test('every entry of small logs, and of none another', async () => {
  for (const size of [1, 2, 3, 7, 8]) {
    for (let index = 0; index < size; index++) {
      const text = await proofOf(index, size);
      assert.deepEqual(verifyTlogProof(text, entry(index), { id: identity.id }), { index, size });
      assert.throws(() => verifyTlogProof(text, entry(size), { id: identity.id }), { code: 'bad-proof' });
      assert.throws(() => verifyTlogProof(text, entry(index), { id: createIdentity().id }), { code: 'bad-signature' });
    }
  }
});

test('its form, with extra data too', async () => {
  const text = await proofOf(2, 3);
  assert.match(text, /^c2sp\.org\/tlog-proof@v1\nindex 2\n[A-Za-z0-9+/]{43}=\n\npotluck\/[0-9a-f]{64}\n3\n/);
  const more = text.replace('\nindex', '\nextra AAEC\nindex');
  assert.deepEqual(parseTlogProof(more), { ...parseTlogProof(text), extra: Uint8Array.of(0, 1, 2) });
  assert.equal(writeTlogProof(parseTlogProof(more)), more);
});

test('what is none is refused', async () => {
  const text = await proofOf(2, 3);
  for (const damaged of [
    '',
    'x',
    text.replace('@v1', '@v2'),
    text.replace('index 2', 'index 02'),
    text.replace('index 2', 'index -1'),
    text.replace('index 2\n', ''),
    text.replace('\nindex', '\nextra !\nindex'),
    text.replace(/=\n\n/, '\n\n'),
    text.replace('\n\n', '\nAAAA\n\n'),
  ]) {
    assert.throws(
      () => parseTlogProof(damaged),
      (error) => error instanceof LedgerError && error.code === 'malformed',
      damaged.slice(0, 60),
    );
  }
});
