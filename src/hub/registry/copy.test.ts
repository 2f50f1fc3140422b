// A hub's copy of its registry's log: what it has taken in is there after a restart, with proofs; another history than before leaves nothing.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { leafHash, nodesOfLeaves, rootAt, verifyConsistency, verifyInclusion } from '../../ledger/merkle.ts';
import { signEvent } from '../../protocol/envelope.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { openRegistryCopy } from './copy.ts';

const headOf = (entries: readonly Uint8Array[]) => ({
  size: entries.length,
  root: rootAt(entries.length, nodesOfLeaves(entries.map(leafHash))),
});

test('what names a key is found, also after a restart, and proven against the newest head and the one before', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-registry-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [owner, device, hub] = [createIdentity(), createIdentity(), createIdentity()];
  const vouched = { type: 'device.certificate', version: 1, device: device.id, expires_ms: 10 ** 12 } as const;
  const certificate = await signEvent(owner, vouched);
  const entries = [
    await signEvent(hub, { type: 'tick', version: 1, time_ms: 1 }),
    await signEvent(device, { type: 'device.bound', version: 1, certificate }),
    await signEvent(owner, { type: 'device.revoked', version: 1, device: device.id }),
  ];
  const copy = openRegistryCopy(folder, hub.id);
  assert.deepEqual(await copy.add(entries.slice(0, 2), headOf(entries.slice(0, 2))), [
    { index: 1, type: 'device.bound', key: device.id },
  ]);
  // A registry that has forgotten an entry, or shows another one, or signs another root, is not believed.
  for (const [more, head] of [
    [entries.slice(2), headOf([entries[0], entries[2]])],
    [[entries[0]], headOf(entries)],
    [entries.slice(2), { ...headOf(entries), size: 4 }],
  ] as const) {
    await assert.rejects(copy.add(more, head), { code: 'other-history' });
    assert.equal(copy.log.size, 2);
  }
  await copy.add(entries.slice(2), headOf(entries));
  await copy.close();

  const again = openRegistryCopy(folder, hub.id);
  t.after(() => again.close());
  assert.deepEqual(again.named(device.id), [
    { index: 1, type: 'device.bound', key: device.id },
    { index: 2, type: 'device.revoked', key: device.id },
  ]);
  assert.deepEqual([...again.all()], again.named(device.id));
  const [before, now] = [headOf(entries.slice(0, 2)), headOf(entries)];
  for (const [index, entry] of entries.entries()) {
    assert.deepEqual(again.log.read(index, index + 1)[0], entry);
    assert.ok(verifyInclusion(leafHash(entry), index, 3, again.log.inclusionProof(index, 3), now.root));
  }
  assert.ok(verifyConsistency(2, 3, again.log.consistencyProof(2, 3), before.root, now.root));
});
