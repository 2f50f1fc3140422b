// The log over a store: what it serves is what RFC 6962 defines, across restarts, and every kind of rewriting is noticed.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { createIdentity, identityFromSecret } from '../protocol/identity.ts';
import { openCheckpoint } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import type { LogStore } from './log-store.ts';
import { CompactTree, HASH_BYTES, leafHash, verifyConsistency, verifyInclusion } from './merkle.ts';
import { receiptOf, verifyReceipt } from './receipt.ts';
import { openSqliteLogStore } from './sqlite-log-store.ts';
import { throwsWith } from './testing/log-store-compliance.ts';
import { createMemoryLogStore } from './testing/memory-log.ts';
import { verifyLog } from './testing/verify-log.ts';
import { decodeEntryBundle, TileNodes, tilesOfTree } from './tiles.ts';
import { openTransparencyLog } from './transparency-log.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-transparency-'));
after(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const newPath = () => join(root, `log-${count++}.sqlite`);

const hub = identityFromSecret(new Uint8Array(32).fill(1));
const entry = (i: number) => new TextEncoder().encode(`entry ${i}`);
const entries = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => entry(from + i));
/** The roots of every size up to a limit, by the compact tree that merkle.test.ts holds against the definition. */
const rootsUpTo = (size: number) => {
  const tree = new CompactTree();
  return Array.from({ length: size + 1 }, (_, i) => {
    if (i > 0) tree.append(leafHash(entry(i - 1)));
    return tree.root();
  });
};
const SIZE = 70_000;
const ROOTS = rootsUpTo(SIZE);

test('a log of 70,000: roots, proofs, tiles and bundles, before and after a restart', async () => {
  const path = newPath();
  let store: LogStore = openSqliteLogStore(path);
  let log = openTransparencyLog(store, hub);
  for (let at = 0; at < SIZE; at += 3_500) await log.append(entries(at, at + 3_500));
  for (const restarted of [false, true]) {
    if (restarted) {
      await store.close();
      store = openSqliteLogStore(path);
      log = openTransparencyLog(store, hub);
    }
    assert.equal(log.size, SIZE);
    for (const size of [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 69_999, SIZE]) {
      assert.deepEqual(log.rootAt(size), ROOTS[size]);
      assert.ok(verifyConsistency(size, SIZE, log.consistencyProof(size, SIZE), ROOTS[size], ROOTS[SIZE]));
      for (const index of [0, Math.floor(size / 3), size - 1]) {
        if (index < 0 || index >= size) continue;
        assert.ok(verifyInclusion(leafHash(entry(index)), index, size, log.inclusionProof(index, size), ROOTS[size]));
      }
    }
    for (const { level, full, partial_width } of tilesOfTree(SIZE)) {
      for (const index of full > 0 ? [0, full - 1] : []) assert.equal(log.tile(level, index)?.length, 256 * HASH_BYTES);
      assert.equal(log.tile(level, full), null, 'a full tile that is not full yet');
      assert.equal(log.tile(level, full, partial_width)?.length, partial_width * HASH_BYTES);
      assert.equal(log.tile(level, full, partial_width + 1), null);
      // Partial tiles of earlier checkpoints must still be served.
      assert.deepEqual(log.tile(level, full, 1), log.tile(level, full, partial_width)?.subarray(0, HASH_BYTES));
      assert.equal(log.tile(level, full + 1, 1), null);
      if (full > 0) {
        const above = log.tile(level + 1, 0, 1);
        assert.deepEqual(TileNodes.fromBytes(log.tile(level, 0)!).root, above?.subarray(0, HASH_BYTES));
      }
    }
    assert.deepEqual(decodeEntryBundle(log.entryBundle(3)!, 256), entries(768, 1024));
    assert.deepEqual(decodeEntryBundle(log.entryBundle(273, 112)!, 112), entries(69_888, SIZE));
    assert.equal(log.entryBundle(273), null);
    assert.equal(log.entryBundle(274, 1), null);
    for (const [level, index, width] of [
      [0, -1, 1],
      [0, 0, 0],
      [0, 0, 257],
      [0.5, 0, 1],
      [7, 0, 1],
      [-1, 0, 1],
    ]) {
      assert.equal(log.tile(level, index, width), null);
    }
    verifyLog(log);
  }
  await store.close();
});

test('concurrent appends, checkpoints and receipts: each receipt verifies with the event and the hub alone', async () => {
  const log = openTransparencyLog(createMemoryLogStore(), hub, { origin: 'example.com/hub' });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 15 }), async (sizes) => {
      const before = await log.checkpoint();
      let next = log.size;
      const receipts = await Promise.all(
        sizes.map(async (size) => {
          const own = entries(next, next + size);
          next += size;
          const first = await log.append(own);
          return { own, first, receipt: await log.receipt(first) };
        }),
      );
      for (const { own, first, receipt } of receipts) {
        // As it travels: through JSON.
        const shown = verifyReceipt(JSON.parse(JSON.stringify(receipt)), own[0], {
          id: hub.id,
          origin: 'example.com/hub',
        });
        assert.equal(shown.index, first);
        assert.ok(shown.size > first && shown.size <= log.size);
      }
      const now = await log.checkpoint();
      assert.equal(now.note, (await log.checkpoint()).note);
      assert.deepEqual(openCheckpoint(now.note, { id: hub.id }).root, ROOTS[log.size]);
      assert.ok(
        verifyConsistency(before.size, now.size, log.consistencyProof(before.size, now.size), before.root, now.root),
      );
    }),
    { numRuns: 20 },
  );
});

test('proofs of several entries in one head make their receipts', async () => {
  const log = openTransparencyLog(createMemoryLogStore(), hub);
  await log.append(entries(0, 300));
  const asked = [299, 0, 123].map((index) => ({ index, bytes: entry(index) }));
  const { note, proofs } = await log.proofs(asked);
  for (const [i, { index, bytes }] of asked.entries()) {
    const receipt = receiptOf(bytes, { index, note, proof: proofs[i] });
    assert.deepEqual(receipt, await log.receipt(index));
    assert.equal(verifyReceipt(receipt, bytes, hub.id).index, index);
  }
  await assert.rejects(log.proofs([asked[0], { index: 0, bytes: entry(1) }]), { code: 'log-corrupt' });
  throwsWith(() => receiptOf(entry(0), { index: 0, note, proof: proofs[1].subarray(1) }), 'malformed');
});

test('a receipt proves nothing else than what it is for', async () => {
  const log = openTransparencyLog(createMemoryLogStore(), hub);
  await log.append(entries(0, 300));
  const receipt = await log.receipt(123);
  assert.equal(verifyReceipt(receipt, entry(123), hub.id).index, 123);
  assert.deepEqual(await log.receipt(123, entry(123)), receipt, 'the same for who has the entry');
  await assert.rejects(log.receipt(123, entry(124)), { code: 'log-corrupt' });
  const other = await log.receipt(124);
  throwsWith(() => verifyReceipt(receipt, entry(124), hub.id), 'bad-proof');
  throwsWith(() => verifyReceipt({ ...receipt, event_id: other.event_id }, entry(124), hub.id), 'bad-proof');
  throwsWith(() => verifyReceipt({ ...receipt, index: 122 }, entry(123), hub.id), 'bad-proof');
  throwsWith(() => verifyReceipt({ ...receipt, index: 300 }, entry(123), hub.id), 'bad-proof');
  throwsWith(
    () => verifyReceipt({ ...receipt, inclusion_proof: other.inclusion_proof }, entry(123), hub.id),
    'bad-proof',
  );
  throwsWith(
    () => verifyReceipt({ ...receipt, inclusion_proof: receipt.inclusion_proof.slice(1) }, entry(123), hub.id),
    'bad-proof',
  );
  throwsWith(() => verifyReceipt(receipt, entry(123), createIdentity().id), 'bad-signature');
  throwsWith(() => verifyReceipt(receipt, entry(123), { id: hub.id, origin: 'elsewhere' }), 'bad-signature');
  throwsWith(
    () =>
      verifyReceipt({ ...receipt, checkpoint: receipt.checkpoint.replace('\n300\n', '\n301\n') }, entry(123), hub.id),
    'bad-signature',
  );
  const bad = [
    null,
    'text',
    {},
    { ...receipt, index: -1 },
    { ...receipt, index: 1.5 },
    { ...receipt, format: 'v2' },
    { ...receipt, more: 1 },
  ];
  bad.push(
    { ...receipt, inclusion_proof: ['!'.repeat(44)] },
    { ...receipt, inclusion_proof: Array(60).fill(receipt.inclusion_proof[0]) },
  );
  for (const value of bad) throwsWith(() => verifyReceipt(value, entry(123), hub.id), 'malformed');
});

test('out of range', async () => {
  const log = openTransparencyLog(createMemoryLogStore(), hub);
  throwsWith(() => log.inclusionProof(0, 0), 'out-of-range');
  await log.append(entries(0, 10));
  throwsWith(() => log.inclusionProof(10, 10), 'out-of-range');
  throwsWith(() => log.inclusionProof(5, 11), 'out-of-range');
  throwsWith(() => log.inclusionProof(-1, 10), 'out-of-range');
  throwsWith(() => log.inclusionProof(0.5, 10), 'out-of-range');
  throwsWith(() => log.consistencyProof(5, 11), 'out-of-range');
  throwsWith(() => log.consistencyProof(6, 5), 'out-of-range');
  throwsWith(() => log.rootAt(11), 'out-of-range');
  throwsWith(() => log.read(0, 11), 'out-of-range');
  await assert.rejects(log.receipt(10), { code: 'out-of-range' });
});

/** A closed log of some entries with a signed checkpoint on disk, edited by SQL, opened again. */
async function tampered(size: number, edit: (db: DatabaseSync) => void): Promise<LogStore> {
  const path = newPath();
  const store = openSqliteLogStore(path);
  const log = openTransparencyLog(store, hub);
  await log.append(entries(0, size));
  await log.checkpoint();
  await store.close();
  const db = new DatabaseSync(path);
  edit(db);
  db.close();
  return openSqliteLogStore(path);
}

test('an entry changed on the disk is found: where it is read, and by checking everything', async () => {
  const store = await tampered(3_000, (db) => db.exec("UPDATE entries SET bytes = x'00' WHERE idx = 1500"));
  const log = openTransparencyLog(store, hub);
  assert.equal(log.read(1_400, 1_500).length, 100);
  assert.throws(
    () => log.read(1_400, 1_600),
    (error) => error instanceof LedgerError && error.code === 'log-corrupt' && error.details.index === 1_500,
  );
  assert.throws(
    () => verifyLog(log),
    (error) => error instanceof LedgerError && error.details.index === 1_500,
  );
  await store.close();
});

test('a log that no longer fits what it has signed does not open', async () => {
  const edits: Record<string, (db: DatabaseSync) => void> = {
    'its last entry changed': (db) => db.exec("UPDATE entries SET bytes = x'00' WHERE idx = 2999"),
    'its end cut off': (db) => db.exec('DELETE FROM entries WHERE idx >= 2990'),
    'two entries of its end swapped': (db) => {
      db.exec('UPDATE entries SET idx = -1 WHERE idx = 2998; UPDATE entries SET idx = 2998 WHERE idx = 2997');
      db.exec('UPDATE entries SET idx = 2997 WHERE idx = -1');
    },
    'an old entry changed, and its tile removed': (db) =>
      db.exec("UPDATE entries SET bytes = x'00' WHERE idx = 7; DELETE FROM derived WHERE key = 'tile/0/0'"),
  };
  for (const [what, edit] of Object.entries(edits)) {
    const store = await tampered(3_000, edit);
    assert.throws(
      () => openTransparencyLog(store, hub),
      (error) => error instanceof LedgerError && error.code === 'log-rewritten',
      what,
    );
    await store.close();
  }
  // Under another key or name nothing has been signed: that is another log.
  const store = await tampered(10, () => {});
  throwsWith(() => openTransparencyLog(store, createIdentity()), 'bad-signature');
  throwsWith(() => openTransparencyLog(store, hub, { origin: 'another' }), 'bad-signature');
  await store.close();
});

test('a changed tile is found by checking everything; a lost one is computed again', async () => {
  const changed = await tampered(3_000, (db) => {
    const bytes = db.prepare("SELECT bytes FROM derived WHERE key = 'tile/0/3'").get()?.bytes as Uint8Array;
    bytes[100] ^= 1;
    db.prepare("UPDATE derived SET bytes = ? WHERE key = 'tile/0/3'").run(bytes);
  });
  assert.throws(() => verifyLog(openTransparencyLog(changed, hub)), { code: 'log-corrupt' });
  await changed.close();
  for (const edit of [
    "DELETE FROM derived WHERE key LIKE 'tile/%'",
    "UPDATE derived SET bytes = x'00' WHERE key LIKE 'tile/%'",
  ]) {
    const store = await tampered(3_000, (db) => db.exec(edit));
    const log = openTransparencyLog(store, hub);
    assert.deepEqual(log.rootAt(3_000), ROOTS[3_000]);
    assert.deepEqual(log.rootAt(700), ROOTS[700]);
    verifyLog(log);
    await store.close();
  }
});

test('somebody else writing into the store is noticed at the next append', async () => {
  const store = createMemoryLogStore();
  const log = openTransparencyLog(store, hub);
  await log.append(entries(0, 3));
  await store.append([entry(3)]);
  await assert.rejects(log.append([entry(4)]), { code: 'log-rewritten' });
});

test('a head that could not be signed is tried again', async () => {
  let broken = true;
  const flaky = {
    id: hub.id,
    sign: async (message: Uint8Array) => (broken ? Promise.reject(new Error('no key')) : hub.sign(message)),
  };
  const log = openTransparencyLog(createMemoryLogStore(), flaky);
  await log.append(entries(0, 3));
  await assert.rejects(log.checkpoint(), /no key/);
  broken = false;
  assert.deepEqual((await log.checkpoint()).root, ROOTS[3]);
});

test('a follower takes heads of its own entries alone: of others, or more than it has, or by another key, it says so', async () => {
  const [leaders, followers] = [createMemoryLogStore(), createMemoryLogStore()];
  const [leader, follower] = [openTransparencyLog(leaders, hub), openTransparencyLog(followers, hub)];
  await leader.append(entries(0, 5));
  const note = (await leader.checkpoint()).note;
  assert.equal(follower.hear(note), null, 'it does not have the entries yet');
  await followers.append(entries(0, 5));
  follower.grow(entries(0, 5));
  const head = follower.hear(note)!;
  assert.deepEqual([head.size, head.root], [5, leader.rootAt(5)]);
  follower.headsFrom(async () => head);
  verifyReceipt(await follower.receipt(3), entry(3), hub.id);

  const other = openTransparencyLog(createMemoryLogStore(), hub);
  await other.append(entries(1, 5));
  const forked = (await other.checkpoint()).note;
  throwsWith(() => follower.hear(forked), 'log-rewritten');
  const strangers = openTransparencyLog(createMemoryLogStore(), createIdentity());
  await strangers.append(entries(0, 5));
  const foreign = (await strangers.checkpoint()).note;
  throwsWith(() => follower.hear(foreign), 'bad-signature');
});
