// A run that moves to another hub's log goes on there exactly as it would have gone on here, and counts in one log at a time.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { openEvent, signEvent } from '../../protocol/envelope.ts';
import { createIdentity } from '../../protocol/identity.ts';
import type { EventBody } from '../events.ts';
import { brokenState } from '../invariants.ts';
import { neededBlobs } from '../rounds/needed-blobs.ts';
import { sessionOf } from '../rounds/presence.ts';
import { initialState, type NetworkState, type RunState } from '../state.ts';
import { decodeState, encodeState } from '../state-bytes.ts';
import { type Cast, openCast } from '../testing/cast.ts';
import { apply } from '../testing/checked-apply.ts';
import { drawEvents } from '../testing/drawn-events.ts';
import { foreignLog } from '../testing/foreign-log.ts';
import { departure, logWith, partsOf, signedRun } from '../testing/foreign-run.ts';
import { arrive, departs, eventBy, happen, hubB, pausedRun, refusalIn, URL_OF_B } from '../testing/moves-by-hand.ts';
import { decodeMovedRun, encodeMovedRun, hashOfMovedRun as movedState } from './moved-run.ts';

/** Of the drawn histories: how many, and how long before and after the move. */
const [SEEDS, BEFORE, AFTER] = [16, 220, 160];

let cast: Cast;
before(async () => {
  cast = await openCast();
});

test('a run goes to another log, with all that it takes along, and nothing of it counts in the first any more', async () => {
  const paused = await pausedRun();
  const { a, owner, run } = paused;
  const b = initialState(hubB.id);
  const departure = await departs(paused);
  assert.deepEqual(run.moved, { hub: hubB.id, url: URL_OF_B, index: 3 });
  const here = arrive(b, departure);
  assert.equal(here.owner, owner.id);
  assert.deepEqual([here.moves, here.entry, here.balances_since], [1, 0, b.events]);
  assert.deepEqual(encodeMovedRun(b, here), departure.bytes);
  const resumed = { type: 'run.resumed', version: 1, run: run.id, round: 0, attempt: 2 } as const;
  for (const body of [
    resumed,
    { ...resumed, type: 'run.ended' },
    { type: 'peer.joined', version: 1, run: run.id, session: 0, role: 'worker', name: 'x', runtime: 'wasm' },
  ] as const) {
    assert.equal(refusalIn(a, owner.id, body), 'run-moved', body.type);
  }
  happen(b, owner.id, resumed);
});

test('a departure opens one log, once: not another hub’s, not again after the run has left there, not for somebody else', async () => {
  const paused = await pausedRun();
  const { owner } = paused;
  const departure = await departs(paused);
  assert.equal(refusalIn(initialState(createIdentity().id), owner.id, departure.arrived), 'wrong-hub');
  const b = initialState(hubB.id);
  assert.equal(refusalIn(b, createIdentity().id, departure.arrived), 'not-the-owner');
  const here = arrive(b, departure);
  assert.equal(refusalIn(b, owner.id, departure.arrived), 'run-exists');
  // On it goes, to a third hub; nobody can bring the old state here again.
  const hubC = createIdentity();
  const onwards = await departs({ ...paused, a: b, hub: hubB, run: here }, hubC.id);
  assert.equal(here.moves, 2);
  assert.equal(refusalIn(b, owner.id, departure.arrived), 'wrong-state');
  const c = initialState(hubC.id);
  const there = arrive(c, onwards);
  assert.equal(there.moves, 2);
  // But it may come back, and go on where it was left last.
  const back = await departs({ ...paused, a: c, hub: hubC, run: there });
  const again = arrive(b, back);
  assert.equal(again.moves, 3);
  assert.equal(refusalIn(b, owner.id, back.arrived), 'run-exists');
});

test('a run that names its first hub shows the whole way from there, and no hub that it never came to can let it go', async () => {
  const [hubA, hubC, owner] = [createIdentity(), createIdentity(), createIdentity()];
  const signed = await signedRun(owner, hubA.id);
  const { state: a, run } = logWith(hubA.id, owner.id, signed);
  const { created } = signed;
  const to_b = await departure({ state: a, run }, { hub: hubA, owner, created }, hubB.id);
  const b = initialState(hubB.id);
  const here = arrive(b, to_b);
  const to_c = await departure({ state: b, run: here }, { hub: hubB, owner, created }, hubC.id);
  const c = initialState(hubC.id);
  const first = to_b.arrived.moved;
  const way = { ...to_c.arrived, way: [first] };
  const stranger = createIdentity();
  const other = await signedRun(stranger, hubA.id);
  const away = { hub: hubA, owner: stranger, created: other.created };
  const anothers = (await departure(logWith(hubA.id, stranger.id, other), away, hubB.id)).arrived.moved;
  const wrong: (typeof first)[][] = [[], [first, first], [to_c.arrived.moved], [anothers]];
  for (const departures of wrong) {
    assert.equal(refusalIn(c, owner.id, { ...to_c.arrived, way: departures }), 'wrong-way', `${departures.length}`);
  }
  const forged = { ...first, head: { ...first.head, signature: '0'.repeat(128) } };
  assert.equal(refusalIn(c, owner.id, { ...way, way: [forged] }), 'bad-proof');
  // Its owner begins it once more at a hub of its own, which lets it go to one that has let the true run go.
  const own = createIdentity();
  const untrue = { ...(openEvent(first.event).body as Extract<EventBody, { type: 'run.moved' }>), to: hubB.id };
  for (const [move, departures] of [
    [0, []],
    [1, [first]],
    [2, [first, to_c.arrived.moved]],
    [7, [first]],
  ] as const) {
    const log = foreignLog(own);
    log.entries.push(await signEvent(own, { ...untrue, move }));
    const body = { ...to_b.arrived, moved: await log.prove(0), way: [...departures] };
    assert.ok(['wrong-way', 'wrong-state'].includes(refusalIn(b, owner.id, body)!), `${move}`);
    assert.equal(refusalIn(initialState(hubB.id), owner.id, body), 'wrong-way', `${move}`);
  }
  // Nor does its first hub count anew.
  const counted = foreignLog(hubA);
  counted.entries.push(await signEvent(hubA, { ...untrue, move: 1 }));
  const miscounted = { ...to_b.arrived, moved: await counted.prove(0) };
  assert.equal(refusalIn(initialState(hubB.id), owner.id, miscounted), 'wrong-way');
  arrive(c, { ...to_c, arrived: way });
});

test('the word that sends a run away is used once: not again in the log that it has come back to, not where it went', async () => {
  const paused = await pausedRun();
  const { a, hub, owner, run } = paused;
  const leaving = { type: 'run.leaving', version: 1, run: run.id, round: 0, url: URL_OF_B } as const;
  const [hubC, hubD] = [createIdentity(), createIdentity()];
  // The owner names another hub before the first word is followed: nobody can put the first in its place again.
  happen(a, owner.id, { ...leaving, attempt: 1, to: hubC.id });
  const b = initialState(hubB.id);
  const here = arrive(b, await departs(paused));
  for (const to of [hub.id, hubC.id, hubD.id]) {
    for (const attempt of [1, 2]) assert.equal(refusalIn(b, owner.id, { ...leaving, attempt, to }), 'wrong-round');
  }
  const back = await departs({ ...paused, a: b, hub: hubB, run: here }, hub.id);
  arrive(a, back);
  for (const to of [hubB.id, hubC.id]) {
    for (const attempt of [1, 2, 3]) assert.equal(refusalIn(a, owner.id, { ...leaving, attempt, to }), 'wrong-round');
  }
});

test('a run that is on its way does not begin, one that has come back is here, and one begins where its first event says', async () => {
  const paused = await pausedRun();
  const { a, hub, owner, run } = paused;
  const departure = await departs(paused);
  const b = initialState(hubB.id);
  happen(b, owner.id, departure.arrived);
  const begins = { id: run.id, author: owner.id, body: run.spec };
  const [elsewhere, here] = [hub.id, hubB.id].map((id) => ({
    ...begins,
    id: '5'.repeat(64),
    body: { ...run.spec, hub: id },
  }));
  assert.equal(apply(b, elsewhere)?.code, 'wrong-hub');
  assert.equal(apply(b, here), null);
  assert.equal(apply(b, begins)?.code, 'run-exists');
  for (const part of departure.parts) happen(b, owner.id, part);
  assert.equal(apply(b, begins)?.code, 'run-exists');
  const back = await departs({ ...paused, a: b, hub: hubB, run: b.runs.get(run.id)! }, hub.id);
  arrive(a, back);
  for (const { arrived } of [departure, back]) {
    const code = refusalIn(a, owner.id, arrived);
    assert.equal(code, 'run-exists');
  }
});

/** Everybody leaves, the owner pauses, nothing is open. False where something is contested, or the run is over. */
function comeToRest(a: NetworkState, run: RunState): boolean {
  if (run.phase === 'finished' || run.contests.size > 0) return false;
  const { round, attempt } = run;
  if (
    run.phase !== 'paused' &&
    apply(a, eventBy(run.owner, { type: 'run.paused', version: 1, run: run.id, round, attempt }))
  )
    return false;
  for (const { id, present } of [...run.peers.values()]) {
    if (!present) continue;
    const { session } = sessionOf(run, id);
    happen(a, a.hub, { type: 'peer.left', version: 1, run: run.id, peer: id, session, reason: 'goodbye' });
  }
  return true;
}

/** Not of the run, or of the size of the log. */
const ELSEWHERE: readonly EventBody['type'][] = [
  ...([
    'run.created',
    'payout.settled',
    'credit.granted',
    'answers.settled',
    'earnings.paid',
    'answers.judged',
  ] as const),
  ...(['run.leaving', 'run.moved', 'run.arrived', 'run.part', 'account.address'] as const),
];

test('drawn histories go on after a move as without one, event by event', () => {
  let moved = 0;
  let rounds = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const a = initialState(cast.hub);
    const next = drawEvents(cast, a, `moves ${seed}`);
    for (let i = 0; i < BEFORE; i++) apply(a, next());
    const run = [...a.runs.values()].findLast((one) => one.phase !== 'finished' && one.moved === null);
    if (!run || !comeToRest(a, run)) continue;
    moved++;
    // The same log under the name of the other hub, in which the run is alone: one in which it stays, one into which it comes.
    const stays: NetworkState = { ...decodeState(encodeState(a)), hub: hubB.id };
    stays.runs = new Map([[run.id, stays.runs.get(run.id)!]]);
    stays.arriving = new Map();
    stays.paid = initialState(hubB.id).paid;
    const comes: NetworkState = { ...decodeState(encodeState(stays)), runs: new Map() };
    const bytes = encodeMovedRun(a, run);
    const from = {
      by: run.owner,
      from: cast.hub,
      spec: run.spec,
      entry: comes.events,
      moves: 1,
      state: '',
      size_bytes: bytes.length,
    };
    comes.arriving.set(run.id, { ...from, state: movedState(bytes), since_ms: comes.time_ms, parts: [], blobs: [] });
    for (const part of partsOf(
      run.id,
      bytes,
      neededBlobs(run).map(([, hash]) => hash),
    ))
      happen(comes, run.owner, part);
    assert.equal(brokenState(comes), null);
    stays.events = comes.events; // the lot of stages is drawn by the place in the log
    const [here, there] = [stays.runs.get(run.id)!, comes.runs.get(run.id)!];
    for (const revoked of run.peers.values())
      if (a.devices.get(revoked.id)?.revoked) here.peers.get(revoked.id)!.consecutive_valid = 0;
    here.decided = new Map();
    const { round, attempt } = here;
    for (const state of [stays, comes])
      happen(state, run.owner, { type: 'run.resumed', version: 1, run: run.id, round, attempt });
    const on = drawEvents({ ...cast, hub: hubB.id, drawer: hubB }, stays, `moved ${seed}`);
    for (let i = 0; i < AFTER; i++) {
      const said = on();
      if (ELSEWHERE.includes(said.body.type)) continue;
      const [in_one, in_other] = [apply(stays, said), apply(comes, said)];
      assert.equal(
        in_other?.code,
        in_one?.code,
        `seed ${seed}, ${said.body.type}: ${in_one?.message} | ${in_other?.message}`,
      );
      if (i % 8 > 0 && i < AFTER - 8) continue;
      assert.deepEqual(decodeMovedRun(encodeMovedRun(comes, there)), decodeMovedRun(encodeMovedRun(stays, here)));
      assert.equal(there.phase, here.phase);
      if (here.phase === 'gathering' || here.phase === 'paused') continue;
      assert.deepEqual([there.seed, there.draw, there.silent], [here.seed, here.draw, here.silent]);
    }
    rounds += here.round - round;
  }
  assert.ok(
    moved > SEEDS / 3 && rounds > SEEDS / 2,
    `${moved} of ${SEEDS} runs moved, and merged ${rounds} rounds afterwards`,
  );
});
