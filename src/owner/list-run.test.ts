// A registry's directory: what its log proves is believed, wherever the run has gone since; whatever it only says is not.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import type { RunListed } from '../core/events/run-listed.ts';
import type { ForeignEvent } from '../core/moving/foreign-event.ts';
import { foreignLog } from '../core/testing/foreign-log.ts';
import { type SignedRun, signedRun } from '../core/testing/foreign-run.ts';
import { type Hub, openHub } from '../hub/hub.ts';
import { assembleCheckpoint } from '../ledger/checkpoint.ts';
import { originOf } from '../ledger/key-names.ts';
import { writeTlogProof } from '../ledger/tlog-proof.ts';
import { directoryOf, findRunFrom, type ListedRun, provenListing, runNow } from '../peer/directory.ts';
import { MOVED_RUN_LIMITS } from '../peer/moved-run.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity, type DrawingIdentity, type Identity } from '../protocol/identity.ts';
import { exampleStatus } from '../protocol/testing/example-views.ts';
import { listRun } from './list-run.ts';

let keeper: DrawingIdentity;
let hub: DrawingIdentity;
let owner: DrawingIdentity;
let run: SignedRun;
/** That the log of `hub` holds the run. */
let held: ForeignEvent;

before(async () => {
  [keeper, hub, owner] = [createIdentity(), createIdentity(), createIdentity()];
  run = await signedRun(owner);
  const log = foreignLog(hub);
  log.entries.push(run.created);
  held = await log.prove(0);
});

const listing = (url: string, number = 0, more: Partial<RunListed> = {}): RunListed => ({
  ...{ type: 'run.listed', version: 1, run: run.id, number, url, held },
  ...more,
});

const said = async (body: object, by: Identity = owner) => signEvent(by, { type: 'none', version: 1, ...body });

test('a hub lists runs, proves the last listing of each, and still does after it has begun again', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-registry-'));
  t.after(async () => {
    await registry?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const problems: unknown[] = [];
  const open = () => {
    const onError = (error: unknown) => problems.push(error);
    return openHub({ folder, host: '127.0.0.1', port: 0, snapshot_every_events: 2, onError });
  };
  let registry: Hub | null = null;
  registry = await open();
  assert.deepEqual(await directoryOf(registry.url), { hub: registry.id, runs: [] });
  await sendEvent(registry.url, await said(listing('http://one.example')));
  await sendEvent(registry.url, await said(listing('http://two.example', 1)));
  const expected = {
    ...{ run: run.id, name: run.body.name, owner: owner.id, hub: hub.id, url: 'http://two.example' },
    ...{ listed: 2, moves: 0 },
  };
  for (const restarts of [0, 1, 2]) {
    if (restarts > 0) {
      await registry.close();
      registry = await open();
    }
    assert.deepEqual(await directoryOf(registry.url), { hub: registry.id, runs: [expected] });
    for (const wanted of [run.id.slice(0, 6), run.body.name])
      assert.deepEqual((await directoryOf(registry.url, wanted)).runs, [expected], wanted);
    assert.deepEqual((await directoryOf(registry.url, 'none of them')).runs, []);
    assert.deepEqual(await provenListing(registry.url, registry.id, run.id), expected);
  }
  await assert.rejects(provenListing(registry.url, registry.id, 'a'.repeat(64)), /\/directory\/a+\/proof.*404/);
  assert.deepEqual(problems, []);
});

/** What somebody answers who claims to be a registry: by path, an error as a refusal, or 404. */
async function answering(t: TestContext, answers: Readonly<Record<string, unknown>>): Promise<string> {
  const server = createServer((request, response) => {
    const answer = answers[request.url!.replace(/\?.*/, '')];
    const refused = answer instanceof Error;
    response.writeHead(answer === undefined ? 404 : refused ? 400 : 200);
    const said = refused ? { error: { code: 'refused', message: answer.message } } : (answer ?? { error: {} });
    response.end(typeof said === 'string' ? said : JSON.stringify(said));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The proof of the last of these entries, as the log of `by` has it. */
async function proofOf(entries: readonly Uint8Array[], by: Identity = keeper): Promise<string> {
  const log = foreignLog(by);
  log.entries.push(...entries);
  const { index, inclusion_proof, head, event } = await log.prove(entries.length - 1);
  const [root, signature] = [Buffer.from(head.root, 'hex'), Buffer.from(head.signature, 'hex')];
  const note = assembleCheckpoint({ size: head.size, root, signature }, { name: originOf(by.id), id: by.id });
  return writeTlogProof({ index, proof: inclusion_proof, note, extra: event });
}

const proofPath = (): string => `/directory/${run.id}/proof`;

test('what a registry shows is believed only as its own log and the hub’s prove it', async (t) => {
  const url = 'http://one.example';
  const [other, first] = [createIdentity(), await said({ type: 'tick', version: 1, time_ms: 1 }, keeper)];
  const of = async (proof: string) => provenListing(await answering(t, { [proofPath()]: proof }), keeper.id, run.id);
  const good = await said(listing(url));
  assert.equal((await of(await proofOf([first, good]))).url, url);

  const another = await signedRun(other);
  const log = foreignLog(hub);
  log.entries.push(another.created);
  const wrong: [string, RegExp][] = [
    [await proofOf([first, await said(listing(url), other)]), /expected a listing by the run's owner/],
    [await proofOf([first]), /got entry 0, a tick/],
    [
      await proofOf([first, await said(listing(url, 0, { run: another.id, held: await log.prove(0) }), other)]),
      /got entry 1/,
    ],
    [
      await proofOf([first, await said(listing(url, 0, { held: await log.prove(0) }))]),
      /expected the first event of run/,
    ],
    [
      await proofOf([first, await said(listing(url, 0, { held: { ...held, hub: other.id } }))]),
      /the head of the log of/,
    ],
    // The entry of another log, and one that is not there.
    [(await proofOf([first, good])).replace('index 1', 'index 0'), /does not show that the event is entry 0/],
  ];
  for (const [proof, message] of wrong) await assert.rejects(of(proof), { code: 'bad-proof', message });
  await assert.rejects(of(await proofOf([first, good], other)), { code: 'not-a-hub' });
  await assert.rejects(of('a page'), { code: 'not-a-hub' });
});

const listed = (url: string): ListedRun => ({
  ...{ run: run.id, name: 'a run', owner: owner.id, hub: hub.id, url, listed: 1, moves: 0 },
});

test('a listed run is where its listing says or has gone on from there, and nobody is sent into their own network', async () => {
  const [A, B] = ['https://a.example', 'https://b.example'];
  const there = new Map([
    [A, { hub: hub.id, view: exampleStatus({ run: run.id, moved: { hub: keeper.id, url: B, entry: 0, index: 1 } }) }],
    [B, { hub: keeper.id, view: exampleStatus({ run: run.id }) }],
  ]);
  const find = async (url: string) => there.get(url)!;
  const now = await runNow('https://registry.example', listed(A), find);
  assert.deepEqual([now.url, now.hub, now.view.run], [B, keeper.id, run.id]);
  await assert.rejects(runNow(A, listed(B), find), { code: 'other-hub' });
  for (const url of ['http://a.example', 'https://192.168.0.1', 'https://localhost'])
    await assert.rejects(runNow('https://registry.example', listed(url), find), { code: 'elsewhere' });
  // A run that goes round in circles is not followed for ever.
  there.set(B, {
    hub: keeper.id,
    view: exampleStatus({ run: run.id, moved: { hub: hub.id, url: A, entry: 0, index: 1 } }),
  });
  await assert.rejects(runNow(A, listed(A), find), { code: 'elsewhere' });
  assert.ok(MOVED_RUN_LIMITS.hops < 100);
});

test('a run that a person means is looked for at the hub, then in its directory', async (t) => {
  const view = exampleStatus({ run: run.id, name: 'poems' });
  const at = await answering(t, { '/status': { hub: hub.id, runs: [view], next: null } });
  assert.deepEqual(await findRunFrom(at, 'poems'), { url: at, hub: hub.id, view });

  const none = { '/status': { hub: keeper.id, runs: [], next: null } };
  const proof = await proofOf([await said(listing(at))]);
  const registry = await answering(t, {
    ...{ ...none, [proofPath()]: proof },
    // What it says is not what its log says: the log counts.
    '/directory': { hub: keeper.id, runs: [listed('http://127.0.0.1:1')], next: null },
  });
  assert.deepEqual(await findRunFrom(registry, run.id.slice(0, 8)), { url: at, hub: hub.id, view });

  const unproven = await answering(t, { ...none, '/directory': { hub: keeper.id, runs: [listed(at)], next: null } });
  await assert.rejects(findRunFrom(unproven, run.id), { code: 'not-a-hub' });
  const empty = await answering(t, { ...none, '/directory': { hub: keeper.id, runs: [], next: null } });
  await assert.rejects(findRunFrom(empty, 'poems'), {
    code: 'no-such-run',
    message: /the hub has none, and its directory lists/,
  });
  // An older hub has no directory.
  await assert.rejects(findRunFrom(await answering(t, none), 'poems'), { code: 'no-such-run' });
  // What is wrong is said as it is: a directory that is refused or is none, and a status that is none beside a directory.
  const closed = await answering(t, { ...none, '/directory': new Error('not now') });
  await assert.rejects(findRunFrom(closed, 'poems'), { code: 'refused', message: /not now/ });
  await assert.rejects(directoryOf(await answering(t, { '/directory': { runs: 1 } })), { code: 'not-a-hub' });
  const directory = { hub: keeper.id, runs: [listed(at)], next: null };
  const odd = await answering(t, { '/status': 'no', '/directory': directory, [proofPath()]: proof });
  await assert.rejects(findRunFrom(odd, 'poems'), { code: 'not-a-hub', message: /status/ });
});

test('only what others can find is listed, by its owner, where it is', async (t) => {
  const view = exampleStatus({ run: run.id, name: 'poems', owner: owner.id });
  const status = (more: object) => ({ '/status': { hub: hub.id, runs: [{ ...view, ...more }], next: null } });
  const registered = (url: string, registry?: string, by: Identity = owner) =>
    listRun({ url, registry, owner: by, wanted: 'poems' });
  const at = await answering(t, { ...status({}), '/registry': { hub: hub.id, registry: null } });
  await assert.rejects(registered(at, at, hub), { code: 'not-the-owner' });
  await assert.rejects(registered(at), { code: 'no-registry' });
  await assert.rejects(registered(at, 'https://registry.example'), { code: 'not-reachable' });
  const gone = await answering(t, status({ moved: { hub: keeper.id, url: 'http://b.example', entry: 0, index: 1 } }));
  await assert.rejects(registered(gone, gone), { code: 'refused', message: /at http:\/\/b.example: list it there/ });
});
