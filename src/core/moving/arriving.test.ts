// A run comes to a log by proof alone, whole, from its owner, and only if it is one that events could have made.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '@ipld/dag-cbor';
import { openEvent, signEvent } from '../../protocol/envelope.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { decodeEvent } from '../codec.ts';
import { RunArrivedSchema } from '../events/run-arrived.ts';
import type { RunMoved } from '../events/run-moved.ts';
import { blobsNamedBy, type EventBody } from '../events.ts';
import { CORE_LIMITS, LOGS_LIMITS } from '../limits.ts';
import { initialState } from '../state.ts';
import { foreignLog } from '../testing/foreign-log.ts';
import { type Departure, logWith, partsOf, type SignedRun, signedRun } from '../testing/foreign-run.ts';
import {
  arrive,
  departs,
  happen,
  hubB,
  type Paused,
  pausedRun,
  peerOf,
  refusalIn,
  said,
} from '../testing/moves-by-hand.ts';
import { hashOfMovedRun } from './moved-run.ts';

test('an arrival without proof, with another first event, or of another owner is refused in a word', async () => {
  const paused = await pausedRun();
  const { hub, owner, created } = paused;
  const { arrived } = await departs(paused);
  const { moved } = arrived;
  const other = createIdentity();
  const forged = await signEvent(hub, {
    ...(openEvent(moved.event).body as RunMoved),
    state: '1'.repeat(64),
  });
  const byOther = foreignLog(other);
  byOther.entries.push(moved.event);
  const notAHubs = foreignLog(hub);
  notAHubs.entries.push(await signEvent(other, openEvent(moved.event).body));
  const cases: [string, Partial<typeof arrived>][] = [
    ['bad-proof', { moved: { ...moved, event: forged } }],
    ['bad-proof', { moved: { ...moved, index: 0 } }],
    ['bad-proof', { moved: { ...moved, head: { ...moved.head, size: 4 } } }],
    ['bad-proof', { moved: { ...moved, head: { ...moved.head, signature: '0'.repeat(128) } } }],
    ['bad-proof', { moved: { ...moved, hub: other.id } }],
    ['bad-proof', { moved: await byOther.prove(0) }],
    ['bad-proof', { moved: await notAHubs.prove(0) }],
    ['bad-proof', { moved: { ...moved, event: created, index: 0 } }],
    ['wrong-state', { run: '1'.repeat(64) }],
    ['wrong-state', { created: moved.event }],
    ['bad-proof', { created: created.slice(1) }],
  ];
  for (const [code, change] of cases) {
    const b = initialState(hubB.id);
    assert.equal(refusalIn(b, owner.id, { ...arrived, ...change }), code, JSON.stringify(Object.keys(change)));
    assert.equal(b.arriving.size, 0);
  }
  const another = await signedRun(other);
  const stolen = { ...(openEvent(moved.event).body as RunMoved), run: another.id };
  const log = foreignLog(hub);
  log.entries.push(await signEvent(hub, stolen));
  const taken = { ...arrived, run: another.id, created: another.created, moved: await log.prove(0) };
  assert.equal(refusalIn(initialState(hubB.id), owner.id, taken), 'wrong-state');
  const tick = await signEvent(other, { type: 'tick', version: 1, time_ms: 1 });
  const noRun = foreignLog(hub);
  noRun.entries.push(await signEvent(hub, { ...stolen, run: openEvent(tick).id, owner: other.id }));
  const brought = { ...arrived, run: openEvent(tick).id, created: tick, moved: await noRun.prove(0) };
  assert.equal(refusalIn(initialState(hubB.id), other.id, brought), 'wrong-state');
});

test('the hashes of a proof have 32 bytes each', async () => {
  const { arrived } = await departs(await pausedRun());
  const takes = (inclusion_proof: unknown): boolean =>
    RunArrivedSchema.safeParse({ ...arrived, moved: { ...arrived.moved, inclusion_proof } }).success;
  const proof = arrived.moved.inclusion_proof;
  assert.ok(proof.length > 0 && takes(proof));
  for (const hash of [proof[0].slice(1), 'a'.repeat(32), null]) assert.ok(!takes([hash]));
});

test('parts come in order, whole, from who brings the run; the last one only if all of it is what the other log states', async () => {
  const paused = await pausedRun();
  const { owner, run } = paused;
  // Enough peers for several parts.
  for (let i = 0; i < 900; i++) {
    const id = i.toString(16).padStart(64, '0');
    run.peers.set(id, peerOf(id));
  }
  const departure = await departs(paused);
  const { parts } = departure;
  assert.ok(parts.length > 3, `${parts.length} parts`);
  const b = initialState(hubB.id);
  assert.equal(refusalIn(b, owner.id, parts[0]), 'unknown-run');
  happen(b, owner.id, departure.arrived);
  assert.equal(refusalIn(b, owner.id, departure.arrived), 'run-exists');
  assert.equal(refusalIn(b, createIdentity().id, parts[0]), 'not-the-owner');
  assert.equal(refusalIn(b, owner.id, parts[1]), 'wrong-part');
  assert.equal(refusalIn(b, owner.id, { ...parts[0], bytes: parts[0].bytes.slice(1) }), 'wrong-part');
  happen(b, owner.id, parts[0]);
  assert.equal(refusalIn(b, owner.id, parts[0]), 'wrong-part');
  // Names of further blobs, without bytes; but not without end, and not nothing.
  const names = Array.from({ length: LOGS_LIMITS.part_blobs }, (_, i) => i.toString(16).padStart(64, 'c'));
  const empty = { ...parts[0], part: 1, bytes: new Uint8Array(0) };
  assert.equal(refusalIn(b, owner.id, { ...empty, blobs: [] }), 'wrong-part');
  let at = 1;
  for (let named = parts[0].blobs.length; named + names.length <= LOGS_LIMITS.moved_run_blobs; named += names.length) {
    happen(b, owner.id, { ...empty, part: at++, blobs: names });
  }
  assert.equal(refusalIn(b, owner.id, { ...empty, part: at, blobs: names }), 'wrong-part');
  const renumbered = parts.map((part, i) => ({ ...part, part: i + at - 1 }));
  for (const part of renumbered.slice(1, -1)) happen(b, owner.id, part);
  assert.equal(refusalIn(b, owner.id, parts[0]), 'wrong-part');
  const last = renumbered.at(-1)!;
  const changed = last.bytes.slice();
  changed[changed.length - 1] ^= 1;
  assert.equal(refusalIn(b, owner.id, { ...last, bytes: changed }), 'wrong-state');
  happen(b, owner.id, last);
  assert.equal(b.runs.get(run.id)!.peers.size, 900);
});

test('what no part names is missed, and what comes too slowly is given up', async () => {
  const paused = await pausedRun();
  const { owner } = paused;
  const departure = await departs(paused);
  const b = initialState(hubB.id);
  happen(b, hubB.id, { type: 'tick', version: 1, time_ms: 1000 });
  happen(b, owner.id, departure.arrived);
  const [{ blobs, ...part }] = departure.parts;
  assert.equal(refusalIn(b, owner.id, { ...part, blobs: blobs.slice(1) }), 'wrong-state');
  happen(b, hubB.id, { type: 'tick', version: 1, time_ms: 1000 + LOGS_LIMITS.arriving_ms - 1 });
  assert.equal(b.arriving.size, 1);
  happen(b, hubB.id, { type: 'tick', version: 1, time_ms: 1000 + LOGS_LIMITS.arriving_ms });
  assert.equal(b.arriving.size, 0);
  arrive(b, departure);
});

test('runs on their way count as their owner’s, and so many are on their way at a time', async () => {
  const b = initialState(hubB.id);
  const departures = [];
  for (let i = 0; i <= LOGS_LIMITS.arriving_runs; i++) {
    departures.push(await departs(await pausedRun()));
  }
  for (const { owner, arrived } of departures.slice(0, -1)) happen(b, owner.id, arrived);
  const last = departures.at(-1)!;
  assert.equal(refusalIn(b, last.owner.id, last.arrived), 'too-many-arrivals');
  const full = initialState(hubB.id);
  const most = CORE_LIMITS.unfinished_runs_per_owner;
  for (let i = 1; i < most; i++) happen(full, last.owner.id, { ...(await signedRun(last.owner)).body, created_ms: i });
  happen(full, last.owner.id, last.arrived);
  const one_more = { ...(await signedRun(last.owner)).body, created_ms: most };
  assert.equal(refusalIn(full, last.owner.id, one_more), 'too-many-runs');
  const crowded = initialState(hubB.id);
  for (let i = 0; i < most; i++)
    happen(crowded, last.owner.id, { ...(await signedRun(last.owner)).body, created_ms: i });
  assert.equal(refusalIn(crowded, last.owner.id, last.arrived), 'too-many-runs');
});

test('what one run takes along is not taken for another run of the same owner', async () => {
  const paused = await pausedRun();
  const { owner, hub } = paused;
  const { arrived } = await departs(paused);
  const { body } = await signedRun(owner);
  const created = await signEvent(owner, { ...body, created_ms: 9 });
  const { id: run } = openEvent(created);
  for (const other of [{ run, created }, { created }, { run }]) {
    assert.equal(refusalIn(initialState(hubB.id), owner.id, { ...arrived, ...other }), 'wrong-state');
  }
  // A log that nobody has audited may have had a run that no log takes.
  const wrong = await signEvent(owner, { ...body, apart_rounds: 2 });
  const left = openEvent(arrived.moved.event).body as RunMoved;
  const log = foreignLog(hub);
  log.entries.push(await signEvent(hub, { ...left, run: openEvent(wrong).id }));
  const brought = { ...arrived, run: openEvent(wrong).id, created: wrong, moved: await log.prove(0) };
  assert.equal(refusalIn(initialState(hubB.id), owner.id, brought), 'wrong-stage');
});

test('what has come is what was stated, to the last number', async () => {
  const paused = await pausedRun();
  const { owner } = paused;
  const departure = await departs(paused);
  const b = initialState(hubB.id);
  happen(b, owner.id, departure.arrived);
  const [part] = departure.parts;
  // A form in which everything is in order, but for one proposal that there never was.
  const form = decode<{ proposals: number }>(departure.bytes);
  const bytes = encode({ ...form, proposals: form.proposals + 1 });
  assert.equal(bytes.length, part.bytes.length);
  assert.equal(refusalIn(b, owner.id, { ...part, bytes }), 'wrong-state');
  happen(b, owner.id, part);
});

/** What another hub states of a run in its own log, whatever it is, with the bytes that it says the run takes along. */
async function stated({ hub, owner, run, created }: Paused, body: object, bytes: Uint8Array): Promise<Departure> {
  const log = foreignLog(hub);
  log.entries.push(await signEvent(hub, { ...body } as EventBody));
  const moved = await log.prove(0);
  const arrived = { type: 'run.arrived', version: 1, run: run.id, created, moved, url: 'http://a.example' } as const;
  const blobs = [run.spec.params, run.checkpoint.model];
  return { owner, run: run.id, bytes, arrived, parts: partsOf(run.id, bytes, blobs) };
}

const movedIn = ({ arrived }: Departure): RunMoved => openEvent(arrived.moved.event).body as unknown as RunMoved;

test('nothing but a departure lets a run go, whatever a hub has signed', async () => {
  const paused = await pausedRun();
  const left = await departs(paused);
  const right = movedIn(left);
  const { owner: _owner, ...without_owner } = right;
  const wrong: object[] = [
    { type: 'tick', version: 1, time_ms: 1 },
    { ...right, type: 'run.leaving' },
    without_owner,
    { ...right, more: 1 },
    { ...right, move: -1 },
    { ...right, move: LOGS_LIMITS.moves },
    // Nothing would be brought whole at once, and never be here.
    { ...right, size_bytes: 0 },
    { ...right, size_bytes: LOGS_LIMITS.moved_run_bytes + 1 },
  ];
  for (const body of wrong) {
    const { arrived } = await stated(paused, body, left.bytes);
    assert.equal(refusalIn(initialState(hubB.id), paused.owner.id, arrived), 'bad-proof', JSON.stringify(body));
  }
  arrive(initialState(hubB.id), await stated(paused, right, left.bytes));
});

test('a state that could not follow from events is no run, although another hub has stated it', async () => {
  const paused = await pausedRun();
  const left = await departs(paused);
  const form = decode<object>(left.bytes);
  const [one, other] = ['1'.repeat(64), '2'.repeat(64)];
  const lineage = { run: one, merged_rounds: 1, model: one, royalty_permille: 9, holders: [] };
  const wrong: [RegExp, object][] = [
    [/no run: 5 shares were promised, 4 are held/, { emitted_shares: 5, shares: [[one, 4]] }],
    [/no run: no such round/, { round: 31 }],
    [/no run: all rounds are merged, and it goes on/, { round: 30 }],
    [/no run: who may judge is not in order/, { eligible: [one] }],
    [/no run: a checkpoint of 1 rounds/, { checkpoint: { merged_rounds: 1, model: paused.run.model, rest: null } }],
    [/no run: 1111.* has earned something and never joined/, { withheld: [[one, []]] }],
    [/no run: 1111.* locks behind 2222/, { locks: [{ account: one, device: other, shares: 1, free_round: null }] }],
    [/^lineage.run: expected none, as its first event says, got 1111/, { lineage }],
    [/^what the run takes along: round: /, { round: 0.5 }],
    [
      /^no part names the blob 1111.*, the last checkpoint/,
      { model: one, checkpoint: { merged_rounds: 0, model: one, rest: null } },
    ],
  ];
  for (const [why, change] of wrong) {
    const bytes = encode({ ...form, ...change });
    const about = { state: hashOfMovedRun(bytes), size_bytes: bytes.length };
    const untrue = await stated(paused, { ...movedIn(left), ...about }, bytes);
    const b = initialState(hubB.id);
    happen(b, paused.owner.id, untrue.arrived);
    const refusal = said(b, paused.owner.id, untrue.parts[0]);
    assert.equal(refusal?.code, 'wrong-state', String(why));
    assert.match(refusal.message, why);
    assert.equal(b.runs.size, 0);
  }
});

test('a run in stages comes with all of its stages empty', async () => {
  const [paused, hub] = [await pausedRun(), createIdentity()];
  const { owner } = paused;
  const { body } = await signedRun(owner, hub.id);
  const created = await signEvent(owner, { ...body, stages: 3, checkpoint_every: 1 });
  const signed: SignedRun = { id: openEvent(created).id, created, body: { ...body, stages: 3, checkpoint_every: 1 } };
  const { state: a, run } = logWith(hub.id, owner.id, signed);
  const b = initialState(hubB.id);
  assert.deepEqual(arrive(b, await departs({ a, hub, owner, run, created })).stage_workers, [0, 0, 0]);
});

test('a part names the blobs that the hub must have, so many that the event has room for them', async () => {
  const { owner, parts } = await departs(await pausedRun());
  const names = Array.from({ length: LOGS_LIMITS.part_blobs + 1 }, (_, i) => i.toString(16).padStart(64, 'c'));
  const part = { ...parts[0], blobs: names.slice(1) };
  assert.deepEqual(blobsNamedBy(part), part.blobs);
  const { body } = decodeEvent(await signEvent(owner, { ...part }));
  assert.deepEqual(body, part);
  const bytes = await signEvent(owner, { ...part, blobs: names });
  assert.throws(() => decodeEvent(bytes), { code: 'malformed' });
});
