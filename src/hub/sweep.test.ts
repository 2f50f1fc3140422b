// Uploads that no event comes to name are deleted after the grace time, on real files; whatever is named, directly or by what is named, stays, and so does what is being named.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { EventBody } from '../core/events.ts';
import type { NetworkState } from '../core/state.ts';
import { ANY_HASH, createdWith, mergedWith, workWith } from '../core/testing/naming-events.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { encodeModelManifest, PART_BYTES } from '../model/tensor-manifest.ts';
import type { Clock } from '../protocol/clock.ts';
import { signEvent } from '../protocol/envelope.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { CONNECTION_LIMITS } from './connection.ts';
import { openHubCore } from './hub-core.ts';
import type { EventLog } from './log-writer.ts';
import { CROWDED_GRACE_MS, GRACE_MS, namedThrough, openSweeps, STRANGERS_GRACE_MS, sweepUnnamed } from './sweep.ts';
import { UNNAMED_BYTES, unnamedBlobs } from './unnamed-blobs.ts';

/** Time that is ahead of the files' by as much as a test says; what is set for later happens when the test lets it. */
function clockAhead() {
  const later: { run: () => void; delay_ms: number }[] = [];
  const clock: Clock & { ahead_ms: number } = {
    ahead_ms: 0,
    now_ms: () => Date.now() + clock.ahead_ms,
    elapsed_ms: () => performance.now() + clock.ahead_ms,
    setTimeout: (run, delay_ms) => {
      if (delay_ms > 0) later.push({ run, delay_ms });
      else setImmediate(run);
    },
    clearTimeout: () => {},
  };
  return { clock, later };
}

async function folder(
  t: TestContext,
): Promise<{ dir: string; blobs: BlobStore; put: (text: string) => Promise<string> }> {
  const dir = await mkdtemp(join(tmpdir(), 'potluck-sweep-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const blobs = await openFolderBlobStore(dir);
  return { dir, blobs, put: (text) => blobs.put(new TextEncoder().encode(text)) };
}

const author = createIdentity();
const peer = { peer: 'peer', address: null };
const owner = { peer: 'owner', address: null };
const verdict = (evidence: string): EventBody => ({
  ...{
    type: 'verdict.given',
    version: 2,
    run: ANY_HASH,
    submission: ANY_HASH,
    salt: ANY_HASH,
    accepted: false,
    fraud: false,
  },
  ...{ code: 'x', weight: 0, score_micro: 0, numbers: {}, evidence },
});
/** A log of these events, and a state with a run for each that is created in it. */
async function logOf(...bodies: EventBody[]): Promise<{ log: EventLog; state: NetworkState }> {
  const entries = await Promise.all(bodies.map((body) => signEvent(author, body)));
  const runs = bodies.flatMap((spec, i) => (spec.type === 'run.created' ? [[`${i}`, { spec }] as const] : []));
  return {
    log: { size: entries.length, read: (from, to) => entries.slice(from, to), append: async () => 0 },
    state: { runs: new Map<string, unknown>(runs) } as unknown as NetworkState,
  };
}

/** The log's time is the machine's. */
const RIGHT = { ahead_ms: () => 0, opened: { at_ms: 0, away_ms: 0 } };
const onError = (error: unknown): void => assert.fail(String(error));

test('an upload that nothing names is deleted after the grace time, not before, and its sender may send more', async (t) => {
  const { blobs, put } = await folder(t);
  const hash = await put('never named');
  const { clock } = clockAhead();
  const unnamed = unnamedBlobs(() => true);
  unnamed.add(peer, hash, UNNAMED_BYTES.key);
  assert.throws(() => unnamed.mustFit(peer, 1), { code: 'too-much' });
  const options = { blobs, ...(await logOf()), unnamed, clock, time: RIGHT, onError };
  clock.ahead_ms = GRACE_MS - 60_000;
  assert.deepEqual(await sweepUnnamed(options), []);
  clock.ahead_ms = GRACE_MS + 60_000;
  assert.deepEqual(await sweepUnnamed(options), [hash]);
  assert.equal(await blobs.has(hash), false);
  unnamed.mustFit(peer, UNNAMED_BYTES.key);
});

test('what strangers bring waits for a shorter time, and shorter still where they have left each other no room', async (t) => {
  const { blobs, put } = await folder(t);
  const [strange, ours] = [await put('of a stranger'), await put('of a worker')];
  const { clock } = clockAhead();
  const unnamed = unnamedBlobs((key) => key === 'owner');
  unnamed.add(peer, strange, 1);
  unnamed.add(owner, ours, 1);
  const options = { blobs, ...(await logOf()), unnamed, clock, time: RIGHT, onError };
  clock.ahead_ms = CROWDED_GRACE_MS + 60_000;
  assert.deepEqual(await sweepUnnamed(options), []);
  assert.deepEqual(await sweepUnnamed({ ...options, strangers_grace_ms: CROWDED_GRACE_MS }), [strange]);
  unnamed.add(peer, await put('of a stranger'), 1);
  clock.ahead_ms = STRANGERS_GRACE_MS - 60_000;
  assert.deepEqual(await sweepUnnamed(options), []);
  clock.ahead_ms = STRANGERS_GRACE_MS + 60_000;
  assert.deepEqual(await sweepUnnamed(options), [strange]);
  assert.equal(await blobs.has(ours), true);
});

test('strangers who have brought as much as they may together are told when to come again, and are swept', async (t) => {
  const { blobs, put } = await folder(t);
  const hash = await put('of a stranger');
  const { clock } = clockAhead();
  const unnamed = unnamedBlobs((key) => key === 'owner');
  const options = { blobs, ...(await logOf()), unnamed, clock, time: RIGHT, onError };
  const sweeps = openSweeps(options);
  t.after(() => sweeps.close());
  unnamed.add(peer, hash, 1);
  for (let key = 0; key < 4; key++) unnamed.arriving({ peer: `${key}`, address: `${key}` }).grow(2 ** 31 - 1);
  clock.ahead_ms = CROWDED_GRACE_MS + 60_000;
  const newcomer = { peer: 'newcomer', address: null };
  assert.throws(() => unnamed.mustFit(newcomer, 2 ** 20), { code: 'too-much', details: { retry_after_s: 60 } });
  unnamed.mustFit(owner, 2 ** 31); // who takes part does not suffer
  while (await blobs.has(hash)) await new Promise((resolve) => setTimeout(resolve, 5));
  const arriving = unnamed.arriving({ peer: 'a', address: '192.0.2.1' });
  assert.throws(() => arriving.grow(5), { code: 'too-much' });
});

test('what is on its way in counts as it comes, and no more when it is over', () => {
  const unnamed = unnamedBlobs();
  const arriving = unnamed.arriving(peer);
  arriving.grow(UNNAMED_BYTES.key);
  assert.throws(() => arriving.grow(1), { code: 'too-much' });
  assert.throws(() => unnamed.mustFit(peer, 1), { code: 'too-much' });
  arriving.end();
  arriving.end();
  unnamed.mustFit(peer, UNNAMED_BYTES.key);
  assert.throws(() => unnamed.mustFit(peer, UNNAMED_BYTES.key + 1), { code: 'too-much' });
});

test('one address has its bound, however many keys it has', () => {
  const unnamed = unnamedBlobs(() => true);
  const at = (key: number, address: string | null) => ({ peer: `${key}`, address });
  for (let key = 0; key < 4; key++) unnamed.add(at(key, '192.0.2.1'), `${key}`, UNNAMED_BYTES.address / 4);
  assert.throws(() => unnamed.mustFit(at(5, '192.0.2.1'), 1), { code: 'too-much' });
  unnamed.mustFit(at(5, '192.0.2.2'), 1);
  unnamed.mustFit(at(5, null), 1);
  unnamed.named('2');
  unnamed.mustFit(at(5, '192.0.2.1'), 2 ** 30);
});

test('what a run names through its settings counts against nobody any more: the text of another run may follow', async (t) => {
  const { blobs, put } = await folder(t);
  const pieces = [await put('a piece of text'), await put('another')];
  const manifest = await put(JSON.stringify({ train: pieces.map((hash) => ({ hash, tokens: 5 })) }));
  const params = await put(JSON.stringify({ dataset: manifest }));
  const hoarded = await put('of nothing');
  const unnamed = unnamedBlobs();
  for (const hash of [...pieces, manifest, params]) unnamed.add(owner, hash, UNNAMED_BYTES.key / 4);
  assert.throws(() => unnamed.mustFit(owner, 1), { code: 'too-much' });
  const { length: before } = [...unnamed.of('owner')];
  for (const hash of await namedThrough(blobs, [params], unnamed.of('owner'))) unnamed.named(hash);
  assert.deepEqual([before, [...unnamed.of('owner')]], [4, [params]]);
  unnamed.add(owner, hoarded, UNNAMED_BYTES.key);
  assert.throws(() => unnamed.mustFit(owner, 1), { code: 'too-much' }, 'what no run names counts as before');
});

test('nothing is deleted early because a clock was set: not while the hub runs, and not when it starts with a wrong one', async (t) => {
  const { blobs, put } = await folder(t);
  const hash = await put('never named');
  const { clock } = clockAhead();
  const options = { blobs, ...(await logOf()), unnamed: unnamedBlobs(), clock, onError };
  clock.ahead_ms = 30 * GRACE_MS;
  const set = { ...RIGHT, ahead_ms: () => -clock.ahead_ms };
  assert.deepEqual(await sweepUnnamed({ ...options, time: set }), []);
  const at_ms = clock.now_ms();
  const started = { ...RIGHT, opened: { at_ms, away_ms: clock.ahead_ms } };
  assert.deepEqual(await sweepUnnamed({ ...options, time: started }), []);
  clock.ahead_ms += GRACE_MS + 60_000;
  assert.deepEqual(await sweepUnnamed({ ...options, time: started }), [hash]);
});

test('what events name stays, and what a run’s settings name, and what that names', async (t) => {
  const { dir, blobs, put } = await folder(t);
  const { clock } = clockAhead();
  clock.ahead_ms = 2 * GRACE_MS;
  const shards = [await put('shard 1'), await put('shard 2')];
  const pieces = [await put('piece 1'), await put('piece 2')];
  const manifest = await put(JSON.stringify({ train: [{ hash: shards[0] }], validation: [{ hash: shards[1] }] }));
  const binary = await blobs.put(Buffer.concat([Buffer.from([7]), ...pieces.map((hash) => Buffer.from(hash, 'hex'))]));
  const params = await put(JSON.stringify({ dataset: manifest, other: binary.toUpperCase() }));
  const named = await Promise.all(['model', 'work', 'evidence', 'bundle', 'checkpoint'].map(put));
  const [model, ownWork, evidence, bundle, checkpoint] = named;
  const unkept = await put('a model between two that are kept');
  const bodies = [
    createdWith(params, model),
    workWith(ownWork),
    verdict(evidence),
    mergedWith(bundle, checkpoint, true),
  ];
  const settled = await logOf(...bodies, mergedWith(bundle, unkept, false));
  const options = { blobs, ...settled, unnamed: unnamedBlobs(), clock, time: RIGHT, onError };
  // The manifest was brought again lately: what it names is as old as before.
  const path = join(dir, manifest.slice(0, 2), manifest.slice(2, 4), manifest);
  const now_s = clock.now_ms() / 1000;
  await utimes(path, now_s, now_s);
  assert.deepEqual(await sweepUnnamed(options), [unkept]);
  for (const hash of [...named, ...shards, ...pieces, manifest, binary, params]) assert.ok(await blobs.has(hash), hash);
});

test('a log of many pages is read to its end, and one that cannot be read lets nothing be deleted', async (t) => {
  const { blobs, put } = await folder(t);
  const { clock } = clockAhead();
  clock.ahead_ms = 2 * GRACE_MS;
  const [last, nowhere] = [await put('named at the end'), await put('named nowhere')];
  const ticks = Array.from({ length: 600 }, (_, i): EventBody => ({ type: 'tick', version: 1, time_ms: i }));
  const { log, state } = await logOf(...ticks, workWith(last));
  const damaged: EventLog = { ...log, read: (from, to) => (from > 0 ? [new Uint8Array(9)] : log.read(from, to)) };
  const options = { blobs, state, unnamed: unnamedBlobs(), clock, time: RIGHT, onError };
  await assert.rejects(sweepUnnamed({ ...options, log: damaged }));
  assert.ok((await blobs.has(last)) && (await blobs.has(nowhere)));
  const stopped = new AbortController();
  stopped.abort();
  assert.deepEqual(await sweepUnnamed({ ...options, log }, stopped.signal), []);
  assert.deepEqual(await sweepUnnamed({ ...options, log }), [nowhere]);
  assert.ok(await blobs.has(last));
});

test('what is put or named while the sweep is at work stays', async (t) => {
  const { blobs, put } = await folder(t);
  const { clock } = clockAhead();
  clock.ahead_ms = 2 * GRACE_MS;
  const hashes = await Promise.all(['held', 'named', 'put again', 'gone'].map(put));
  const [held, named, again, gone] = hashes;
  const unnamed = unnamedBlobs();
  let letGo = (): void => {};
  const naming = unnamed.holding([held], () => new Promise<void>((resolve) => (letGo = resolve)));
  const { log, state } = await logOf({ type: 'tick', version: 1, time_ms: 1 });
  const busy: EventLog = {
    ...log,
    read(from, to) {
      unnamed.named(named);
      return log.read(from, to);
    },
  };
  // Whoever comes while a blob is on its way out waits for that, and then puts it anew.
  let putting: Promise<unknown> = Promise.resolve();
  const slow: BlobStore = {
    ...blobs,
    async delete(hash) {
      if (hash === again) putting = unnamed.holding([again], () => put('put again'));
      return blobs.delete(hash);
    },
  };
  const deleted = await sweepUnnamed({ blobs: slow, log: busy, state, unnamed, clock, time: RIGHT, onError });
  await putting;
  letGo();
  await naming;
  assert.deepEqual(deleted.sort(), [again, gone].sort());
  for (const hash of [held, named, again]) assert.ok(await blobs.has(hash));
  assert.equal(await blobs.has(gone), false);
});

test('a hub sweeps by itself, and goes on', async (t) => {
  const { blobs } = await folder(t);
  const { clock, later } = clockAhead();
  const identity = createIdentity();
  const log = openTransparencyLog(createMemoryLogStore(), identity);
  const problems: unknown[] = [];
  const hubCore = await openHubCore({
    ...{ identity, log, blobs, randomBytes, clock, limits: CONNECTION_LIMITS },
    onError: (error) => problems.push(error),
  });
  const forgotten = await blobs.put(new Uint8Array([1, 2, 3]));
  hubCore.begin();
  clock.ahead_ms = GRACE_MS + 60_000;
  // Others than the sweep wait for ten minutes, too.
  for (const { run } of later.filter(({ delay_ms }) => delay_ms === 600_000)) run();
  while (await blobs.has(forgotten)) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(later.filter(({ delay_ms }) => delay_ms === 86_400_000).length, 1, 'the next one is a day later');
  await hubCore.close();
  assert.deepEqual(problems, []);
  assert.equal(sha256Hex(new Uint8Array([1, 2, 3])), forgotten);
});

test('the parts of every checkpoint that the log names stay, however old it is; a part that none names goes', async (t) => {
  const { blobs, put } = await folder(t);
  const { clock } = clockAhead();
  const parts = [await put('first part'), await put('second part')];
  const tensors = [{ name: 'weight', dtype: 'i8' as const, shape: [PART_BYTES + 1] }];
  const model = await blobs.put(encodeModelManifest({ tensors, parts }));
  const lost = await put('a part of nothing');
  const bundle = await put('bundle');
  const log = await logOf(mergedWith(bundle, model, true), mergedWith(bundle, 'd'.repeat(64), false));
  clock.ahead_ms = GRACE_MS + 60_000;
  const options = { blobs, ...log, unnamed: unnamedBlobs(), clock, time: RIGHT, onError };
  assert.deepEqual(await sweepUnnamed(options), [lost]);
  for (const part of parts) assert.ok(await blobs.has(part));
});
