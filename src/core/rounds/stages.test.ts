// Each worker of a run in stages holds one of them; no stage stays empty while there is somebody to spare; nobody is asked where it wants to be.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex, utf8 } from '../../protocol/hash.ts';
import { brokenState } from '../invariants.ts';
import { CORE_LIMITS } from '../limits.ts';
import { apply } from '../reduce.ts';
import { mayOpenRound, workersNeeded } from '../state.ts';
import { decodeState, encodeState } from '../state-bytes.ts';
import {
  created,
  History,
  HUB,
  joined,
  left,
  OWNER,
  opened,
  RUN,
  tick,
  VERA,
  work,
} from '../testing/example-history.ts';
import { sessionOf } from './presence.ts';

let h: History;
beforeEach(() => {
  h = new History();
});

const key = (i: number): string => sha256Hex(utf8(`worker ${i}`));
const stageOf = (id: string): number => h.run.peers.get(id)!.stage!;
const here = (): string[] => [...h.run.peers.values()].filter((peer) => peer.present).map(({ id }) => id);
const at = (stage: number): string[] => here().filter((id) => stageOf(id) === stage);
const comes = (id: string, role: 'worker' | 'validator' = 'worker') =>
  h.happen(id, joined(role, sessionOf(h.run, id).session));
const goes = (id: string) => h.happen(id, left(id, sessionOf(h.run, id).session));

/** A run of three stages with so many workers; returns them. */
function runOf(workers: number, stages = 3, min_workers = 1): string[] {
  h.happen(OWNER, created({ stages, min_workers, checkpoint_every: 1 }), RUN);
  const ids = Array.from({ length: workers }, (_, i) => key(i));
  for (const id of ids) comes(id);
  return ids;
}

/** Gives a worker a record, as merges do, so that it is not the one with the least verified work. */
function worked(id: string, amount: number): void {
  const account = h.run.amounts.get(id) ?? 0;
  h.run.peers.get(id)!.credit_amount += amount;
  h.run.amounts.set(id, account + amount);
  h.run.merged_amount += amount;
}

describe('who comes', () => {
  test('each worker that comes gets a stage that the fewest hold', () => {
    runOf(0);
    const counts: string[] = [];
    for (let i = 0; i < 7; i++) {
      comes(key(i));
      counts.push([...h.run.stage_workers].sort().join(''));
    }
    assert.deepEqual(counts, ['001', '011', '111', '112', '122', '222', '223']);
  });

  test('a lot decides among equals, and the place in the log is the lot: another key would get the same', () => {
    const first = (id: string, before: number): number => {
      h = new History();
      runOf(0, 8);
      for (let i = 0; i < before; i++) h.happen(HUB, tick(i));
      comes(id);
      return stageOf(id);
    };
    const places = Array.from({ length: 40 }, (_, i) => i);
    assert.equal(new Set(places.map((place) => first(key(0), place))).size, 8);
    for (const place of places) assert.equal(first(key(1), place), first(key(0), place));
  });

  test('a worker that comes back keeps its stage while no other needs it more', () => {
    const ids = runOf(3, 8);
    for (let i = 0; i < 12; i++) {
      const had = ids.map(stageOf);
      for (const id of ids) goes(id);
      for (const id of ids) comes(id);
      assert.deepEqual(ids.map(stageOf), had);
    }
    const [gone, other] = ids;
    const had = stageOf(gone);
    goes(gone);
    for (let i = 3; at(had).length === 0; i++) comes(key(i));
    const free = stageOf(other);
    goes(other);
    comes(gone);
    assert.equal(stageOf(gone), free, 'its own has somebody, and another has nobody');
  });

  test('validators hold none, and a worker that judges from now on forgets its own', () => {
    const [id] = runOf(4);
    comes(VERA, 'validator');
    assert.equal(h.run.peers.get(VERA)!.stage, null);
    goes(id);
    assert.equal(typeof stageOf(id), 'number', 'it is remembered while it is away');
    comes(id, 'validator');
    assert.equal(h.run.peers.get(id)!.stage, null);
    assert.deepEqual([...h.run.stage_workers].sort(), [1, 1, 1]);
  });

  test('in a run without stages nobody holds one', () => {
    h.happen(OWNER, created(), RUN);
    comes(key(0));
    comes(VERA, 'validator');
    goes(key(0));
    assert.deepEqual(
      [...h.run.peers.values()].map(({ stage }) => stage),
      [null, null],
    );
    assert.deepEqual(h.run.stage_workers, []);
  });

  test('more workers than all can be told of are refused, validators are not', () => {
    runOf(0, 2);
    for (let i = 0; i < CORE_LIMITS.staged_workers; i++) {
      assert.equal(apply(h.state, h.event(key(i), joined())), null);
    }
    const refusal = apply(h.state, h.event(key(CORE_LIMITS.staged_workers), joined()));
    assert.deepEqual(refusal, {
      code: 'too-many-peers',
      message: `a run in stages has at most ${CORE_LIMITS.staged_workers} workers at a time`,
    });
    assert.equal(apply(h.state, h.event(VERA, joined('validator'))), null);
    assert.equal(apply(h.state, h.event(key(0), left(key(0)))), null);
    assert.equal(apply(h.state, h.event(key(CORE_LIMITS.staged_workers), joined())), null);
  });
});

describe('who goes', () => {
  test('a stage that nobody holds any more gets a worker at once', () => {
    runOf(4, 3);
    const crowded = h.run.stage_workers.indexOf(2);
    const [lone] = at((crowded + 1) % 3);
    const empty = stageOf(lone);
    goes(lone);
    assert.deepEqual(h.run.stage_workers, [1, 1, 1]);
    assert.equal(at(empty).length, 1);
    assert.equal(stageOf(lone), empty, 'the one that left may have its stage back');
  });

  test('nobody is moved where each has a stage to itself, nor while the stage has another', () => {
    const ids = runOf(6);
    const had = new Map(ids.map((id) => [id, stageOf(id)]));
    goes(at(0)[0]);
    goes(at(1)[0]);
    goes(at(2)[0]);
    goes(at(2)[0]);
    assert.deepEqual(h.run.stage_workers, [1, 1, 0]);
    for (const id of here()) assert.equal(stageOf(id), had.get(id));
  });

  test('the one with the least verified work is moved', () => {
    for (const least of [0, 1, 2]) {
      h = new History();
      runOf(9);
      const [lone, ...others] = at(0);
      for (const id of others) goes(id);
      goes(at(1)[0]);
      const crowd = at(2);
      for (const [i, id] of crowd.entries()) worked(id, i === least ? 5 : 6);
      for (const id of at(1)) worked(id, 1);
      goes(lone);
      assert.equal(stageOf(crowd[least]), 0, 'of the most crowded stage, though others have less');
    }
  });

  test('among equals a lot moves one, also one that has handed in', () => {
    const moved = new Set<number>();
    for (let i = 0; i < 30; i++) {
      h = new History();
      runOf(0, 2);
      for (let time_ms = 0; time_ms < i; time_ms++) h.happen(HUB, tick(time_ms));
      for (const id of [0, 1, 2, 3, 4, 5].map(key)) comes(id);
      h.happen(HUB, opened());
      const crowd = at(1);
      for (const id of crowd.slice(0, 2)) h.happen(id, work({ stage: 1 }));
      for (const id of at(0)) goes(id);
      const [id] = at(0);
      moved.add(crowd.indexOf(id));
      if (crowd.indexOf(id) < 2) h.refused('already-submitted', id, work({ stage: 0 }));
      assert.deepEqual(
        [...h.run.submissions.values()].map(({ body }) => body.stage),
        [1, 1],
        'what was handed in stays what it was',
      );
    }
    assert.equal(moved.size, 3);
  });
});

describe('a round', () => {
  test('every round waits for as many workers as there are stages', () => {
    const ids = runOf(2, 3);
    assert.equal(workersNeeded(h.run), 3);
    assert.ok(!mayOpenRound(h.run));
    h.refused('wrong-phase', HUB, opened());
    comes(key(2));
    h.happen(HUB, opened());
    h.run.round = 1;
    h.run.attempt = 1;
    assert.equal(workersNeeded(h.run), 3);
    h.run.round = 0;
    h.run.attempt = 0;
    assert.equal(workersNeeded({ ...h.run, spec: { ...h.run.spec, min_workers: 5 } }), 5);
    assert.equal(ids.length, 2);
  });

  test('no stage has two workers more than another when a round opens', () => {
    runOf(12);
    for (const id of [...at(1), ...at(2)].filter((_, i) => i % 4 > 0)) goes(id);
    assert.deepEqual(h.run.stage_workers, [4, 1, 1]);
    h.happen(HUB, opened());
    assert.deepEqual(h.run.stage_workers, [2, 2, 2]);
  });

  test('work of a stage that its worker does not hold any more is refused', () => {
    runOf(3);
    h.happen(HUB, opened());
    const [id] = here();
    const stage = stageOf(id);
    h.refused('wrong-stage', id, work({ stage: (stage + 1) % 3 }));
    h.refused('wrong-stage', id, work());
    h.happen(id, work({ stage }));
    h = new History();
    h.openRound(false);
    h.refused('wrong-stage', here()[0], work({ stage: 0 }));
  });
});

test('whoever comes and goes: no stage is empty beside a spare worker, and a state that was stored goes on the same', () => {
  const coming = fc.record({ who: fc.nat(11), comes: fc.boolean(), opens: fc.boolean() });
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 5 }), fc.array(coming, { maxLength: 80 }), (stages, moves) => {
      h = new History();
      runOf(0, stages);
      for (const { who, comes: wants, opens } of moves) {
        const { present } = sessionOf(h.run, key(who));
        const before = new Map(here().map((id) => [id, stageOf(id)]));
        const stored = decodeState(encodeState(h.state));
        const { session } = sessionOf(h.run, key(who));
        if (wants && !present) {
          const event = h.event(key(who), joined('worker', session));
          assert.equal(apply(h.state, event), null);
          assert.equal(apply(stored, event), null);
        } else if (!wants && present) {
          const event = h.event(key(who), left(key(who), session));
          assert.equal(apply(h.state, event), null);
          assert.equal(apply(stored, event), null);
        }
        assert.deepEqual(stored, h.state);
        assert.equal(brokenState(h.state), null);
        if (here().length >= stages) assert.ok(!h.run.stage_workers.includes(0));
        const moved = here().filter((id) => before.has(id) && before.get(id) !== stageOf(id));
        assert.ok(moved.length <= Number(!wants && present), `${moved.length} were moved`);
        if (!opens || !mayOpenRound(h.run)) continue;
        h.happen(HUB, opened(0, h.run.attempt));
        assert.ok(Math.max(...h.run.stage_workers) - Math.min(...h.run.stage_workers) < 2);
        h.happen(OWNER, { type: 'run.paused', version: 1, run: RUN, round: 0, attempt: h.run.attempt });
        h.happen(OWNER, { type: 'run.resumed', version: 1, run: RUN, round: 0, attempt: h.run.attempt });
      }
    }),
    { numRuns: 60 },
  );
});
