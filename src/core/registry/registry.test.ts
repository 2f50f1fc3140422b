// A log that follows a registry learns of devices and addresses by proof, from one history of it, and in no other way; a directory lists runs by proof.
import assert from 'node:assert/strict';
import { before, beforeEach, test } from 'node:test';
import { signCheckpoint, takeApart } from '../../ledger/checkpoint.ts';
import { originOf } from '../../ledger/key-names.ts';
import { EMPTY_ROOT } from '../../ledger/merkle.ts';
import { openEvent, signEvent } from '../../protocol/envelope.ts';
import { createIdentity, type DrawingIdentity, type Identity } from '../../protocol/identity.ts';
import { decodeEvent } from '../codec.ts';
import type { RegistrySeen } from '../events/registry-seen.ts';
import type { RunArrived } from '../events/run-arrived.ts';
import type { RunListed } from '../events/run-listed.ts';
import type { RunMoved } from '../events/run-moved.ts';
import type { EventBody } from '../events.ts';
import { LOGS_LIMITS } from '../limits.ts';
import { foreignEvent } from '../moving/foreign-event.ts';
import { accountOf, initialState, type NetworkState } from '../state.ts';
import { decodeState, encodeState, stateHash } from '../state-bytes.ts';
import { apply } from '../testing/checked-apply.ts';
import { listingsOf } from '../testing/drawn-registry.ts';
import { type ForeignLog, foreignLog } from '../testing/foreign-log.ts';
import { departure, logWith, signedRun } from '../testing/foreign-run.ts';

const URL = 'http://registry.example';
let hub: DrawingIdentity;
let keeper: DrawingIdentity;
let owner: DrawingIdentity;
let device: DrawingIdentity;
let state: NetworkState;
let registry: ForeignLog;

before(() => {
  [hub, keeper, owner, device] = [createIdentity(), createIdentity(), createIdentity(), createIdentity()];
});
beforeEach(() => {
  state = initialState(hub.id);
  registry = foreignLog(keeper);
});

/** Signs for real; a refusal changes nothing. */
async function happen(author: Identity, body: EventBody): Promise<string | null> {
  const before = stateHash(state);
  const refusal = apply(state, decodeEvent(await signEvent(author, { ...body })));
  if (refusal) assert.equal(stateHash(state), before);
  return refusal?.code ?? null;
}

const say = async (author: Identity, body: EventBody): Promise<number> =>
  registry.entries.push(await signEvent(author, { ...body })) - 1;

async function bound(by: Identity, key: Identity, expires_ms = 1000): Promise<EventBody> {
  const certificate = { type: 'device.certificate', version: 1, device: key.id, expires_ms };
  return { type: 'device.bound', version: 1, certificate: await signEvent(by, certificate) };
}

const revoked = (key: Identity): EventBody => ({ type: 'device.revoked', version: 1, device: key.id });
const addressed = (digit: number, change: number, of = keeper.id): EventBody => ({
  ...{ type: 'account.address', version: 1, hub: of, change, chain: 'evm', address: `0x${`${digit}`.repeat(40)}` },
});

/** What the hub writes of these entries under the registry's present head. */
const seen = (...indices: number[]): Promise<RegistrySeen> => seenOf(registry, indices);

async function seenOf(registry: ForeignLog, indices: readonly number[] = []): Promise<RegistrySeen> {
  const proofs = await Promise.all(indices.map((index) => registry.prove(index)));
  const { head } = await registry.prove(0);
  const facts = proofs.map(({ index, event, inclusion_proof }) => ({ index, event, inclusion_proof }));
  const consistency = registry.consistency(state.registry?.size ?? 0);
  return { type: 'registry.seen', version: 1, registry: keeper.id, url: URL, head, consistency, facts };
}

test('a device is bound, revoked and addressed by entries of the registry, and a copy of the log needs nothing else', async () => {
  await say(device, await bound(owner, device));
  await say(owner, addressed(1, 0));
  const events = [await seen(0)];
  assert.equal(await happen(hub, events[0]), null);
  assert.equal(accountOf(state, device.id), owner.id);
  assert.equal(state.addresses.size, 0);
  events.push(await seen(1));
  assert.equal(await happen(hub, events[1]), null, 'the same head, another entry');
  assert.deepEqual(state.addresses.get(owner.id), { address: `0x${'1'.repeat(40)}`, changes: 1 });
  await say(owner, revoked(device));
  events.push(await seen(2));
  assert.equal(await happen(hub, events[2]), null);
  assert.equal(state.devices.get(device.id)?.revoked, true);
  assert.deepEqual(state.registry, { hub: keeper.id, url: URL, size: 3, root: events[2].head.root });
  const copy = initialState(hub.id);
  for (const body of events) assert.equal(apply(copy, decodeEvent(await signEvent(hub, { ...body }))), null);
  assert.equal(stateHash(copy), stateHash(state));
  assert.deepEqual(decodeState(encodeState(state)), state);
  assert.equal(
    await happen(device, { type: 'device.bound', version: 1, certificate: new Uint8Array(8) }),
    'device-revoked',
  );
});

test('what is known already is not written again, and an empty word says nothing', async () => {
  await say(device, await bound(owner, device));
  assert.equal(await happen(hub, await seen(0)), null);
  assert.equal(await happen(hub, await seen(0)), 'already-bound');
  assert.equal(await happen(hub, await seen()), 'nothing-new');
  await say(owner, revoked(device));
  assert.equal(await happen(hub, await seen()), null, 'a newer head alone');
  assert.equal(await happen(hub, await seen(1)), null);
  assert.equal(await happen(hub, await seen(1)), 'device-revoked');
});

test('a registry has one history: another one of it is not taken in', async () => {
  await say(device, await bound(owner, device));
  await say(owner, addressed(1, 0));
  const real = registry;
  assert.equal(await happen(hub, await seen(0)), null);
  registry = foreignLog(keeper);
  await say(owner, addressed(1, 0));
  await say(owner, addressed(2, 1));
  await say(device, await bound(owner, device));
  assert.equal(await happen(hub, await seen(0)), 'bad-proof');
  registry = foreignLog(keeper);
  registry.entries.push(real.entries[0]);
  const { head } = await registry.prove(0);
  const older = { ...(await seenOf(real)), head, consistency: [] };
  assert.equal(await happen(hub, older), 'bad-proof', 'a shorter one');
  registry = real;
  await say(owner, revoked(device));
  const next = await seen(2);
  assert.equal(await happen(hub, { ...next, consistency: next.consistency.slice(1) }), 'bad-proof');
  assert.equal(await happen(hub, next), null);
});

test('a head that the registry has not signed is refused', async () => {
  await say(device, await bound(owner, device));
  const body = await seen(0);
  const forged = foreignLog(hub);
  forged.entries.push(registry.entries[0]);
  assert.equal(await happen(hub, { ...body, head: (await forged.prove(0)).head }), 'bad-proof');
  assert.equal(await happen(hub, { ...body, registry: owner.id }), 'bad-proof');
  assert.equal(await happen(device, body), 'not-the-hub');
  assert.equal(await happen(hub, body), null);
});

test('what is not an entry of the registry, or of no device, is refused', async () => {
  await say(device, await bound(owner, device));
  await say(owner, { type: 'tick', version: 1, time_ms: 1 });
  const body = await seen(0);
  const own = await signEvent(device, { ...(await bound(owner, device, 2000)) });
  assert.equal(await happen(hub, { ...body, facts: [{ ...body.facts[0], event: own }] }), 'bad-proof');
  assert.equal(await happen(hub, { ...body, facts: [{ ...body.facts[0], index: 1 }] }), 'bad-proof');
  assert.equal(await happen(hub, await seen(1)), 'bad-proof', 'a tick');
  const many = Array.from({ length: LOGS_LIMITS.registry_facts + 1 }, () => body.facts[0]);
  const bytes = await signEvent(hub, { ...body, facts: many });
  assert.throws(() => decodeEvent(bytes), { code: 'malformed' });
});

test('a log keeps its registry, has none but from its beginning, and is not its own', async () => {
  await say(device, await bound(owner, device));
  const body = await seen(0);
  assert.equal(await happen(device, await bound(owner, device)), null);
  assert.equal(await happen(hub, body), 'wrong-registry', 'it has named a device itself');
  state = initialState(hub.id);
  assert.equal(await happen(owner, addressed(1, 0, hub.id)), null);
  assert.equal(await happen(hub, body), 'wrong-registry', 'it has named an address itself');
  state = initialState(hub.id);
  assert.equal(await happen(hub, { ...body, registry: hub.id }), 'wrong-registry');
  const empty = await signCheckpoint(keeper, { origin: originOf(keeper.id), size: 0, root: EMPTY_ROOT });
  const { head } = foreignEvent(
    keeper.id,
    takeApart(empty, { id: keeper.id, name: originOf(keeper.id) }),
    body.facts[0],
  );
  assert.equal(await happen(hub, { ...body, head, facts: [] }), null, 'one in which nothing stands yet');
  assert.equal(await happen(hub, { ...body, head, facts: [] }), 'nothing-new');
  assert.equal(await happen(hub, body), null);
  const other = createIdentity();
  const others = foreignLog(other);
  others.entries.push(...registry.entries, registry.entries[0]);
  const consistency = others.consistency(1);
  const theirs = await others.prove(0);
  assert.equal(
    await happen(hub, { ...body, registry: other.id, head: theirs.head, consistency, facts: [] }),
    'wrong-registry',
  );
  // The registry may be found elsewhere one day.
  await say(owner, addressed(1, 0));
  assert.equal(await happen(hub, { ...(await seen(1)), url: 'http://new.example' }), null);
  assert.equal(state.registry?.url, 'http://new.example');
});

test('what belongs to the registry is refused here, with the words where to say it', async () => {
  await say(device, await bound(owner, device));
  assert.equal(await happen(hub, await seen(0)), null);
  const other = createIdentity();
  assert.equal(await happen(other, await bound(owner, other)), 'at-the-registry');
  assert.equal(await happen(owner, revoked(device)), 'at-the-registry');
  assert.equal(await happen(owner, addressed(1, 0, hub.id)), 'at-the-registry');
  const said = apply(state, decodeEvent(await signEvent(owner, { ...revoked(device) })));
  assert.ok(said?.message.includes(keeper.id) && said.message.includes(URL), said?.message);
});

test('an address counts once, the newest that has come, and for this registry', async () => {
  for (const change of [0, 1, 2]) await say(owner, addressed(change, change));
  await say(owner, addressed(7, 3, hub.id));
  assert.equal(await happen(hub, await seen(1)), null, 'those before it need not come');
  assert.equal(await happen(hub, await seen(0)), 'wrong-change');
  assert.equal(await happen(hub, await seen(1)), 'wrong-change');
  assert.equal(await happen(hub, await seen(3)), 'wrong-hub');
  await say(device, await bound(owner, device));
  await say(device, addressed(1, 0));
  assert.equal(await happen(hub, await seen(4)), null);
  assert.equal(await happen(hub, await seen(5)), 'not-the-owner', 'a device has none');
  assert.equal(await happen(hub, await seen(2)), null);
  assert.deepEqual(state.addresses.get(owner.id), { address: `0x${'2'.repeat(40)}`, changes: 3 });
});

test('a device that is revoked stays so, keeps its owner, and its certificate ends by this log’s time', async () => {
  const thief = createIdentity();
  await say(device, await bound(owner, device));
  await say(device, await bound(owner, device, 2000));
  await say(device, await bound(thief, device, 3000));
  await say(owner, revoked(device));
  assert.equal(await happen(hub, await seen(3)), 'not-the-owner', 'nobody knows the device here');
  assert.equal(await happen(hub, { type: 'tick', version: 1, time_ms: 1000 }), null);
  assert.equal(await happen(hub, await seen(0)), 'device-expired');
  assert.equal(await happen(hub, await seen(1)), null);
  assert.equal(await happen(hub, await seen(2)), 'already-bound', 'it is another owner’s');
  assert.equal(await happen(hub, await seen(3)), null);
  await say(device, await bound(owner, device, 4000));
  assert.equal(await happen(hub, await seen(4)), 'device-revoked');
});

test('facts that come together follow one another, or none of them counts', async () => {
  await say(device, await bound(owner, device));
  await say(owner, revoked(device));
  await say(owner, addressed(1, 0));
  assert.equal(await happen(hub, await seen(1, 0)), 'not-the-owner');
  assert.equal(await happen(hub, await seen(2, 2)), 'wrong-change');
  assert.equal(await happen(hub, await seen(0)), null);
  assert.equal(await happen(hub, await seen(1, 1)), 'device-revoked', 'and the device is not revoked by half');
  assert.equal(await happen(hub, await seen(1, 2)), null);
  assert.deepEqual([state.devices.get(device.id)?.revoked, state.addresses.size], [true, 1]);
});

/** A run in the log of a hub, which then lets it go to another one. */
async function listed() {
  const [first, second] = [createIdentity(), createIdentity()];
  const run = await signedRun(owner);
  const left = await departure(
    logWith(first.id, owner.id, run),
    { hub: first, owner, created: run.created },
    second.id,
  );
  const [before, after] = await listingsOf(left, first, second);
  const listing = (number: number, held: RunListed['held']): RunListed => ({
    ...{ type: 'run.listed', version: 1, run: run.id, number, url: 'http://hub.example', held },
  });
  return { run: run.id, first, second, before, after, listing };
}

test('a run is listed by its owner, with the proof that the hub’s log holds it, one listing after another', async () => {
  const { run, first, before, listing } = await listed();
  assert.equal(await happen(device, listing(0, before)), 'not-the-owner');
  assert.equal(await happen(owner, { ...listing(0, before), run: 'a'.repeat(64) }), 'bad-proof');
  assert.equal(await happen(owner, listing(0, { ...before, hub: hub.id })), 'bad-proof');
  assert.equal(await happen(owner, listing(1, before)), 'wrong-change');
  assert.equal(await happen(owner, listing(0, before)), null);
  const { name } = openEvent(before.event).body as unknown as { readonly name: string };
  const place = { hub: first.id, url: 'http://hub.example', owner: owner.id, name };
  assert.deepEqual(state.directory.get(run), { ...place, moves: 0, listed: 1 });
  assert.equal(await happen(owner, listing(0, before)), 'wrong-change', 'used again');
  assert.equal(await happen(owner, { ...listing(1, before), url: 'http://new.example' }), null);
  assert.equal(state.directory.get(run)?.url, 'http://new.example');
});

test('a run that has moved is listed where it is, and not again where it was', async () => {
  const { run, second, before, after, listing } = await listed();
  assert.equal(await happen(owner, listing(0, before)), null);
  assert.equal(await happen(owner, listing(1, { ...after, hub: before.hub, head: before.head })), 'bad-proof');
  assert.equal(await happen(owner, listing(1, after)), null);
  assert.deepEqual([state.directory.get(run)?.hub, state.directory.get(run)?.moves], [second.id, 1]);
  assert.equal(await happen(owner, listing(2, before)), 'wrong-state');
});

test('an arrival that does not belong to the run, its owner and the hub that holds it lists nothing', async () => {
  const { run, second, after, listing } = await listed();
  const arrival = openEvent(after.event).body as unknown as RunArrived;
  const left = openEvent(arrival.moved.event).body as unknown as RunMoved;
  const other = await signedRun(device);
  /** An arrival that the second hub's log holds, whoever has said it. */
  const held = async (body: RunArrived, by: Identity = owner) => {
    const log = foreignLog(second);
    log.entries.push(await signEvent(by, { ...body }));
    return log.prove(0);
  };
  /** A departure that the first hub states, whatever it is. */
  const departs = async (change: Partial<RunMoved>) => {
    const first = createIdentity();
    const log = foreignLog(first);
    log.entries.push(await signEvent(first, { ...left, ...change }));
    return log.prove(0);
  };
  const wrong: [Partial<RunArrived>, Identity?][] = [
    [{ run: other.id }],
    [{ created: other.created }],
    [{ moved: await departs({ run: other.id }) }],
    [{ moved: await departs({ to: hub.id }) }],
    [{ moved: await departs({ owner: device.id }) }],
    [{}, device],
  ];
  for (const [change, by] of wrong) {
    const body = listing(0, await held({ ...arrival, ...change }, by));
    assert.equal(await happen(by ?? owner, body), 'bad-proof', `${Object.keys(change)} ${by?.id}`);
  }
  const third = await held({ ...arrival, moved: await departs({ move: 2 }) });
  assert.equal(await happen(owner, listing(0, third)), null);
  assert.equal(state.directory.get(run)?.moves, 3);
});

test('an owner lists so many runs, and a directory so many', async () => {
  const { before, listing } = await listed();
  const other = { hub: hub.id, url: URL, name: 'other', moves: 0, listed: 1 };
  for (let i = 0; i < LOGS_LIMITS.listed_runs_per_owner; i++)
    state.directory.set(`${i}`.padStart(64, '0'), { ...other, owner: owner.id });
  assert.equal(await happen(owner, listing(0, before)), 'too-many-runs');
  state.directory.delete('0'.repeat(64));
  for (let i = state.directory.size; i < LOGS_LIMITS.listed_runs; i++)
    state.directory.set(`${i}`.padStart(64, 'f'), { ...other, owner: device.id });
  assert.equal(await happen(owner, listing(0, before)), 'too-many-runs');
  state.directory.delete([...state.directory.keys()].at(-1)!);
  assert.equal(await happen(owner, listing(0, before)), null);
});
