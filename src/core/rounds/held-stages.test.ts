// Where a run keeps its stages apart, no account but the owner's is given all of them, whatever its devices do; what was held long ago is forgotten.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { signEvent } from '../../protocol/envelope.ts';
import { sha256Hex, utf8 } from '../../protocol/hash.ts';
import { identityFromSecret } from '../../protocol/identity.ts';
import { bindDevice } from '../devices.ts';
import { brokenState } from '../invariants.ts';
import { mayOpenRound, workersNeeded } from '../state.ts';
import { decodeState, encodeState } from '../state-bytes.ts';
import { created, History, HUB, joined, left, OWNER, opened, RUN } from '../testing/example-history.ts';
import { heldByAccount, passRound } from './held-stages.ts';
import { sessionOf } from './presence.ts';
import { haveHeldAll } from './stage-invariants.ts';

let h: History;
beforeEach(() => {
  h = new History();
});

const key = (name: string): string => sha256Hex(utf8(name));
const [ANN, BEN] = [key('ann'), key('ben')];
const stageOf = (id: string): number => h.run.peers.get(id)!.stage!;
const here = (): string[] => [...h.run.peers.values()].filter((peer) => peer.present).map(({ id }) => id);
const at = (stage: number): string[] => here().filter((id) => stageOf(id) === stage);
const heldBy = (account: string): number[] => [...(heldByAccount(h.state, h.run).get(account) ?? [])].sort();

/** A device comes; the first time for its owner. */
function comes(device: string, owner?: string): number {
  if (owner && !h.state.devices.has(key(device))) bindDevice(h.state, key(device), { owner, expires_ms: 1e15 });
  h.happen(key(device), joined('worker', sessionOf(h.run, key(device)).session));
  return stageOf(key(device));
}
const goes = (device: string) => h.happen(key(device), left(key(device), sessionOf(h.run, key(device)).session));

function runOf(stages: number, apart_rounds?: number): void {
  const apart = apart_rounds === undefined ? {} : { apart_rounds };
  h.happen(OWNER, created({ stages, min_workers: 1, checkpoint_every: 1, rounds: 1000, ...apart }), RUN);
}

/** So many rounds are in the model: nothing else of a merge matters here. */
function pass(rounds: number): void {
  for (let i = 0; i < rounds; i++) {
    h.run.checkpoint.merged_rounds = h.run.stated_rounds = ++h.run.round;
    passRound(h.run);
  }
}

describe('a run that keeps its stages apart', () => {
  test('gives no device the last stage that its account lacks, though nobody holds it', () => {
    for (let stages = 2; stages <= 4; stages++) {
      h = new History();
      runOf(stages, 5);
      for (let i = 0; i < 3 * stages; i++) comes(`${stages} of ann ${i}`, ANN);
      assert.equal(heldBy(ANN).length, stages - 1);
      assert.equal(h.run.stage_workers.filter((workers) => workers === 0).length, 1);
    }
  });

  test('waits for somebody who may hold what nobody holds, and says so', () => {
    runOf(3, 5);
    for (const device of ['a', 'b', 'c']) comes(device, ANN);
    assert.equal(workersNeeded(h.run), 4);
    assert.ok(!mayOpenRound(h.run));
    h.refused('wrong-phase', HUB, opened());
    const empty = h.run.stage_workers.indexOf(0);
    assert.equal(comes('x', BEN), empty);
    assert.equal(workersNeeded(h.run), 3);
    h.happen(HUB, opened());
  });

  test('moves a worker whose account may hold the stage, not one that has done less', () => {
    runOf(2, 5);
    comes('a', ANN);
    const [anns, other] = [stageOf(key('a')), 1 - stageOf(key('a'))];
    comes('x', BEN);
    assert.equal(stageOf(key('x')), other);
    comes('b', ANN); // may not go anywhere else
    assert.equal(stageOf(key('b')), anns);
    comes('o', OWNER);
    assert.equal(stageOf(key('o')), other);
    goes('o');
    goes('x');
    assert.deepEqual([at(anns).length, at(other).length], [2, 0], 'ann has two devices to spare, and neither may');
    comes('o');
    assert.equal(stageOf(key('o')), other);
    h.happen(HUB, opened());
    assert.equal(heldBy(ANN).length, 1);
  });

  test('lets a worker that could not stay away go where it is needed, when another one comes', () => {
    runOf(2, 5);
    comes('a', ANN);
    const first = stageOf(key('a'));
    comes('b', ANN);
    assert.deepEqual([at(first).length, at(1 - first).length], [2, 0]);
    comes('x', BEN);
    assert.equal(stageOf(key('x')), 1 - first);
  });

  test('lets its owner hold all, who would otherwise wait for strangers', () => {
    runOf(3, 5);
    for (const device of ['a', 'b', 'c']) comes(device, OWNER);
    assert.deepEqual(h.run.stage_workers, [1, 1, 1]);
    h.happen(HUB, opened());
    assert.deepEqual(heldBy(OWNER), [0, 1, 2]);
    assert.deepEqual(haveHeldAll(h.state, h.run), []);
  });

  test('remembers what a device held that is away, or judges now', () => {
    runOf(2, 5);
    const first = comes('a', ANN);
    goes('a');
    assert.equal(comes('b', ANN), first);
    goes('b');
    h.happen(key('a'), joined('validator', sessionOf(h.run, key('a')).session));
    assert.equal(stageOf(key('a')), null);
    assert.equal(comes('c', ANN), first);
  });

  test('does not move who is bound to an account that has the others, and gives it nothing more', () => {
    runOf(2, 5);
    const first = comes('a', ANN);
    const other = comes('b');
    assert.equal(other, 1 - first);
    bindDevice(h.state, key('b'), { owner: ANN, expires_ms: 1e15 });
    assert.deepEqual(haveHeldAll(h.state, h.run), [ANN], 'keys are free: this cannot be known before');
    assert.equal(brokenState(h.state), null);
    assert.equal(stageOf(key('b')), other);
  });

  test('sends a device where only its owner’s may go as soon as it is known to be one', async () => {
    const [owner, device] = [1, 2].map((byte) => identityFromSecret(new Uint8Array(32).fill(byte)));
    h.happen(owner.id, created({ stages: 2, min_workers: 1, checkpoint_every: 1, apart_rounds: 5 }), RUN);
    const first = comes('a', ANN);
    h.happen(device.id, joined());
    comes('b', ANN);
    comes('x', BEN);
    for (const anns of ['a', 'b']) goes(anns);
    assert.deepEqual([at(first).length, at(1 - first).length], [0, 2], 'neither account may have both');
    const expires_ms = 1e9;
    const body = { type: 'device.certificate', version: 1, device: device.id, expires_ms } as const;
    const certificate = await signEvent(owner, body);
    h.happen(device.id, { type: 'device.bound', version: 1, certificate });
    assert.deepEqual(at(first), [device.id]);
  });

  test('forgets what was held as many rounds ago as it says, and not before', () => {
    for (const rounds of [4, 5]) {
      h = new History();
      runOf(2, 5);
      const first = comes('a', ANN);
      goes('a');
      pass(rounds);
      assert.deepEqual(heldBy(ANN), rounds < 5 ? [first] : []);
      for (const device of ['o', 'p']) comes(device, OWNER);
      goes(stageOf(key('o')) === first ? 'p' : 'o'); // nobody holds the other one
      assert.equal(comes('b', ANN), rounds < 5 ? first : 1 - first);
    }
  });

  test('does not forget what is held all the time', () => {
    runOf(2, 5);
    const first = comes('a', ANN);
    pass(50);
    assert.equal(h.run.peers.get(key('a'))!.held.get(first), 50);
    assert.equal(comes('b', ANN), first);
    assert.equal(brokenState(h.state), null);
  });
});

test('a run that says nothing gives anybody all stages, and remembers it for a hundred rounds', () => {
  runOf(3);
  for (const device of ['a', 'b', 'c']) comes(device, ANN);
  assert.deepEqual(heldBy(ANN), [0, 1, 2]);
  for (const device of ['a', 'b']) goes(device);
  pass(99);
  assert.equal(heldBy(ANN).length, 3);
  pass(1);
  assert.deepEqual(heldBy(ANN), [stageOf(key('c'))]);
});

test('a run without stages keeps none apart', () => {
  h.refused('wrong-stage', OWNER, created({ apart_rounds: 5 }), RUN);
  h.happen(OWNER, created(), RUN);
  comes('a', ANN);
  assert.equal(h.run.peers.get(key('a'))!.held.size, 0);
});

test('whoever comes and goes for whom: no account but the owner has been given all, and a state that was stored goes on the same', () => {
  const move = fc.record({ who: fc.nat(13), round: fc.boolean() });
  fc.assert(
    fc.property(
      fc.record({ stages: fc.integer({ min: 2, max: 5 }), apart: fc.integer({ min: 1, max: 4 }) }),
      fc.array(move, { maxLength: 60 }),
      ({ stages, apart }, moves) => {
        h = new History();
        runOf(stages, apart);
        const owners = [ANN, ANN, ANN, ANN, ANN, ANN, BEN, BEN, BEN, OWNER, OWNER];
        for (const { who, round } of moves) {
          // Checks the invariants with each event: nobody is given all, nobody is missing where another may be spared.
          if (h.run.peers.get(key(`${who}`))?.present) goes(`${who}`);
          else comes(`${who}`, owners[who]);
          assert.deepEqual(haveHeldAll(h.state, h.run), []);
          for (const account of [ANN, BEN]) assert.ok(heldBy(account).length < stages);
          assert.deepEqual(decodeState(encodeState(h.state)), h.state);
          if (!round || !mayOpenRound(h.run)) continue;
          h.happen(HUB, opened(h.run.round, h.run.attempt));
          for (const type of ['run.paused', 'run.resumed'] as const) {
            h.happen(OWNER, { type, version: 1, run: RUN, round: h.run.round, attempt: h.run.attempt });
          }
          pass(1);
        }
      },
    ),
    { numRuns: 60 },
  );
});
