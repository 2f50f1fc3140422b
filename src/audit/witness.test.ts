// A witness lets a log only grow: honest growth is cosigned, a fork or a rollback is proven with what the hub has signed itself.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { verifyCosignature } from '../ledger/checkpoint.ts';
import { witnessName } from '../ledger/key-names.ts';
import { equalHashes, nodesOfLeaves, rootAt } from '../ledger/merkle.ts';
import { isEquivocation } from '../ledger/testing/equivocation.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { openTransparencyLog, type TransparencyLog } from '../ledger/transparency-log.ts';
import { createIdentity } from '../protocol/identity.ts';
import { Misbehaviour, type WitnessedLog } from './continuation.ts';
import { OwnershipError, type OwnershipErrorCode } from './ownership-errors.ts';
import { witnessFile, witnessOnce } from './witness.ts';

const hub = createIdentity();
const witness = createIdentity();
const key = { name: witnessName(witness.id), id: witness.id };

const entries = (from: number, to: number, word = 'entry'): Uint8Array[] =>
  Array.from({ length: to - from }, (_, i) => new TextEncoder().encode(`${word} ${from + i}`));

async function log(...parts: Uint8Array[][]): Promise<TransparencyLog> {
  const opened = openTransparencyLog(createMemoryLogStore(), hub);
  for (const part of parts) await opened.append(part);
  return opened;
}

async function served(source: TransparencyLog): Promise<WitnessedLog> {
  return { hub: hub.id, head: await source.checkpoint(), tile: async (...place) => source.tile(...place) };
}

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'potluck-witness-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function caught(source: WitnessedLog, dir: string): Promise<Misbehaviour> {
  const file = witnessFile(dir, hub.id);
  const before = readFileSync(file, 'utf8');
  const error = await witnessOnce(source, witness, dir, 9).then(
    () => assert.fail('expected the witness to notice'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof Misbehaviour, String(error));
  assert.equal(readFileSync(file, 'utf8'), before, 'nothing is cosigned, and the first head is kept');
  return error;
}

async function refused(code: OwnershipErrorCode, source: WitnessedLog, dir: string): Promise<void> {
  await assert.rejects(
    witnessOnce(source, witness, dir, 9),
    (error) => error instanceof OwnershipError && !(error instanceof Misbehaviour) && error.code === code,
  );
}

test('a log that grows is cosigned at every size, across tiles', async (t) => {
  const dir = folder(t);
  const growing = await log();
  let before: number | null = null;
  let size = 0;
  for (const step of [0, 1, 6, 249, 1, 300, 0, 66_000]) {
    for (let at = 0; at < step; at += 10_000)
      await growing.append(entries(size + at, size + Math.min(step, at + 10_000)));
    size += step;
    const seen = await witnessOnce(await served(growing), witness, dir, 1000 + size);
    assert.deepEqual({ size: seen.size, before: seen.before }, { size, before });
    assert.deepEqual(verifyCosignature(seen.note, key).time_s, 1000 + size);
    assert.equal(readFileSync(witnessFile(dir, hub.id), 'utf8'), seen.note);
    before = size;
  }
});

test('two logs of one size: both notes convict the hub by themselves', async (t) => {
  const dir = folder(t);
  await witnessOnce(await served(await log(entries(0, 40))), witness, dir, 1);
  const { proof } = await caught(await served(await log(entries(0, 39), entries(39, 40, 'other'))), dir);
  assert.ok(isEquivocation(proof.before, proof.now, { id: hub.id }));
});

test('a larger log with another past is a fork, and the proof shows it without the log', async (t) => {
  for (const [size, changed, larger] of [
    [40, 0, 300],
    [300, 299, 301],
    [256, 100, 2_000],
  ]) {
    const dir = folder(t);
    await witnessOnce(await served(await log(entries(0, size))), witness, dir, 1);
    const past = entries(0, larger).with(changed, new TextEncoder().encode('rewritten'));
    const { proof } = await caught(await served(await log(past)), dir);
    assert.match(proof.before, new RegExp(`\n${size}\n`));
    assert.match(proof.now, new RegExp(`\n${larger}\n`));
    assert.ok(proof.consistency_proof !== null && proof.consistency_proof.length > 0);
  }
});

test('a log that became shorter is a rollback, also when it is a prefix', async (t) => {
  const dir = folder(t);
  await witnessOnce(await served(await log(entries(0, 600))), witness, dir, 1);
  const { proof, message } = await caught(await served(await log(entries(0, 500))), dir);
  assert.match(message, /600 entries and now has 500/);
  assert.equal(proof.consistency_proof, null);
});

test('tiles that do not fit the head, or are cut off, are the hub’s trouble and convict nobody', async (t) => {
  const dir = folder(t);
  const honest = await served(await log(entries(0, 300)));
  await witnessOnce(honest, witness, dir, 1);
  const larger = await served(await log(entries(0, 700)));
  const other = await log(entries(0, 700, 'other'));
  await refused('bad-log', { ...larger, tile: async (...place) => other.tile(...place) }, dir);
  await refused('bad-log', { ...larger, tile: async () => null }, dir);
  await refused('bad-log', { ...larger, tile: async (...place) => (await larger.tile(...place))!.slice(1) }, dir);
  await refused('bad-log', { ...larger, head: null }, dir);
  await witnessOnce(larger, witness, dir, 2);
});

test('a witness whose memory was damaged says so and does not begin anew', async (t) => {
  const dir = folder(t);
  const source = await served(await log(entries(0, 10)));
  await witnessOnce(source, witness, dir, 1);
  const file = witnessFile(dir, hub.id);
  writeFileSync(file, readFileSync(file, 'utf8').replace('\n10\n', '\n11\n'));
  await refused('malformed', source, dir);
});

test('nodes over leaves at hand give the roots of the log', async () => {
  const source = await log(entries(0, 77));
  const { leafHash } = await import('../ledger/merkle.ts');
  const node = nodesOfLeaves(entries(0, 77).map(leafHash));
  for (const size of [1, 2, 31, 64, 77]) assert.ok(equalHashes(rootAt(size, node), source.rootAt(size)));
});
