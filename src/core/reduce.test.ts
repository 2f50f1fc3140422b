// The state machine of a run: what may follow what, that deadlines hold, what a whole run pays, and that a refusal changes nothing.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import type { RoundMerged } from './events/round-merged.ts';
import type { RunCreated } from './events/run-created.ts';
import { EventBodySchema } from './events.ts';
import { brokenState } from './invariants.ts';
import { CORE_LIMITS } from './limits.ts';
import { refusalOf } from './reduce.ts';
import { neededBlobs } from './rounds/needed-blobs.ts';
import { statementOf } from './shares/share-table.ts';
import { initialState } from './state.ts';
import { stateHash } from './state-bytes.ts';
import { openCast } from './testing/cast.ts';
import { apply } from './testing/checked-apply.ts';
import { drawEvents } from './testing/drawn-events.ts';
import {
  ALICE,
  BOB,
  created,
  FIRST_MODEL,
  History,
  HUB,
  joined,
  left,
  merged,
  name,
  OWNER,
  opened,
  RUN,
  seal,
  tick,
  VERA,
  verdict,
  work,
} from './testing/example-history.ts';

let h: History;
beforeEach(() => {
  h = new History();
});

describe('a round', () => {
  test('opens when enough workers are here, and not before', () => {
    h.happen(OWNER, created(), RUN);
    h.happen(ALICE, joined());
    h.refused('wrong-phase', HUB, opened());
    h.happen(BOB, joined());
    h.happen(HUB, opened());
    assert.equal(h.run.phase, 'working');
    assert.match(h.run.seed, /^[0-9a-f]{64}$/);
  });

  test('goes to judging as soon as everybody has handed in, and to merging when all is judged', () => {
    h.openRound();
    const a = h.happen(ALICE, work());
    assert.equal(h.run.phase, 'working');
    const b = h.happen(BOB, work({ work: name('9') }));
    assert.equal(h.run.phase, 'judging');
    h.draw();
    h.happen(VERA, seal(VERA, a));
    h.happen(VERA, seal(VERA, b));
    assert.equal(h.run.phase, 'revealing');
    h.happen(VERA, verdict(a));
    h.happen(VERA, verdict(b));
    assert.equal(h.run.phase, 'merging');
    h.happen(HUB, merged([a, b].sort()));
    assert.deepEqual([h.run.phase, h.run.round, h.run.model], ['gathering', 1, name('6')]);
    assert.equal(h.run.peers.get(ALICE)!.credit_amount, 50);
  });

  test('gives validators the whole judging time, however old the last tick was when the work came', () => {
    h.openRound();
    h.happen(ALICE, work());
    h.happen(BOB, work({ work: name('9') }));
    assert.equal(h.run.phase, 'judging');
    h.draw();
    h.happen(HUB, tick(1900)); // the work came at some time after the tick at 1000
    assert.deepEqual([h.run.phase, h.run.judging_deadline_ms], ['judging', 2300]);
    h.happen(HUB, tick(2299));
    assert.equal(h.run.phase, 'judging');
    h.happen(HUB, tick(2300));
    assert.equal(h.run.phase, 'merging');
  });

  test('waits for nobody: at the deadline it is judged, after the grace it is merged without the missing', () => {
    h.openRound();
    const a = h.happen(ALICE, work());
    h.happen(HUB, tick(1999));
    assert.equal(h.run.phase, 'working');
    h.happen(HUB, tick(2000));
    assert.equal(h.run.phase, 'judging');
    h.happen(HUB, tick(2100));
    h.draw();
    h.happen(VERA, seal(VERA, a));
    assert.equal(h.run.phase, 'revealing');
    h.happen(VERA, verdict(a));
    assert.equal(h.run.phase, 'merging');
    h.happen(HUB, merged([a]));
    assert.equal(h.run.round, 1);
  });

  test('takes work that is late but within the grace, and refuses what comes after', () => {
    h.openRound();
    const a = h.happen(ALICE, work());
    h.happen(HUB, tick(2000));
    const b = h.happen(BOB, work());
    assert.equal(h.run.phase, 'judging');
    h.draw();
    h.happen(VERA, seal(VERA, a));
    h.happen(HUB, tick(2001));
    h.happen(HUB, tick(2401));
    assert.equal(h.run.phase, 'revealing');
    h.happen(VERA, verdict(a));
    assert.equal(h.run.phase, 'merging', 'a validator that does not answer is not waited for either');
    h.happen(HUB, merged([a]));
    h.refused('wrong-phase', BOB, work({ round: 1 }));
    assert.ok(a !== b);
    assert.equal(h.run.peers.get(BOB)!.refused_submissions, 1);
    assert.equal(h.run.peers.get(BOB)!.credit_amount, 0);
  });

  test('does not wait for a worker that has left', () => {
    h.openRound(false);
    h.happen(ALICE, work());
    h.happen(HUB, left(BOB, 0, 'connection lost'));
    assert.equal(h.run.phase, 'merging');
  });

  test('that brought no work is opened again with another seed, and does not count', () => {
    h.openRound();
    const { seed } = h.run;
    h.happen(HUB, tick(2000));
    h.happen(HUB, tick(2100));
    h.happen(HUB, merged([]));
    assert.deepEqual([h.run.round, h.run.attempt, h.run.model], [0, 1, FIRST_MODEL]);
    h.refused('wrong-round', HUB, opened(0, 0));
    h.happen(HUB, opened(0, 1));
    assert.notEqual(h.run.seed, seed);
  });

  test('merges unjudged work without credit where no validator is here', () => {
    h.openRound(false);
    const a = h.happen(ALICE, work());
    const b = h.happen(BOB, work());
    h.happen(HUB, merged([a, b].sort()));
    assert.equal(h.run.merged_amount, 100);
    assert.equal(h.run.peers.get(ALICE)!.credit_amount, 0);
  });

  test('merges what silent validators did not judge, without credit: silence delays a run, it does not stop it', () => {
    h.openRound();
    const all = [h.happen(ALICE, work()), h.happen(BOB, work())].sort();
    h.draw();
    h.happen(HUB, tick(1001));
    h.happen(HUB, tick(1500));
    h.happen(HUB, merged(all));
    assert.deepEqual([h.run.round, h.run.merged_amount, h.run.amounts.size], [1, 100, 0]);
    // Where the rules name who judges, only of workers with a record.
    h = new History();
    const { rules } = created() as RunCreated;
    h.openRound(true, { rules: { ...rules, validators: [{ account: VERA, stake: 1 }] } });
    const ids = [h.happen(ALICE, work()), h.happen(BOB, work())].sort();
    const known = h.run.peers.get(h.run.submissions.get(ids[0])!.worker)!;
    Object.assign(known, { consecutive_valid: 1, merged_submissions: 1 });
    h.run.submissions_total++;
    h.draw();
    h.happen(HUB, tick(1001));
    assert.equal(h.run.phase, 'judging');
    h.refused('wrong-phase', HUB, merged(ids));
    h.happen(HUB, tick(1500));
    h.refused('wrong-merge', HUB, merged(ids));
    h.happen(HUB, merged(ids.slice(0, 1)));
    assert.equal(h.run.round, 1);
    assert.equal(h.run.peers.get(ALICE)!.credit_amount, 0);
    assert.equal(h.run.shares.has(VERA), false);
  });

  test('moves its deadline by the time that the hub was away', () => {
    h.openRound();
    const away_ms = CORE_LIMITS.tick_gap_ms + 1;
    h.happen(HUB, tick(1000 + away_ms));
    assert.equal(h.run.phase, 'working');
    assert.equal(h.run.deadline_ms, 2000 + away_ms);
  });
});

/** Plays a whole run of three rounds; returns the state's hash. */
function playRun(): string {
  h.openRound();
  h.playRound();
  for (let round = 1; round < 3; round++) {
    h.openNext();
    h.playRound();
  }
  return stateHash(h.state);
}

test('a run ends after its last round, with its history from the checkpoint before the last', () => {
  playRun();
  assert.equal(h.run.phase, 'finished');
  assert.deepEqual(h.run.checkpoint, { merged_rounds: 3, model: '08'.repeat(32), rest: null });
  assert.deepEqual(
    h.run.recent.map((entry) => [entry.round, entry.parent]),
    [[2, '07'.repeat(32)]],
  );
  h.refused('wrong-phase', HUB, opened(3));
});

test('a run whose merges name steps goes on naming them, and what they leave out with every model that is kept whole', () => {
  h.openRound();
  const next = (merge: Partial<RoundMerged>) => {
    const { round, model } = h.run;
    const ids = [ALICE, BOB].map((author) => h.happen(author, work({ round, base: model }))).sort();
    h.judge(ids);
    return merged(ids, { round, model: merge.step ?? name('6'), ...merge });
  };
  h.happen(HUB, next({}));
  assert.deepEqual([h.run.recent[0].step, h.run.peers.get(ALICE)!.merged_round], [null, 0]);
  h.openNext();
  const second = { step: name('5'), checkpoint: true };
  const event = next({ ...second, rest: name('4') });
  h.refused('wrong-merge', HUB, { ...event, rest: undefined } as RoundMerged);
  h.happen(HUB, event);
  assert.deepEqual(h.run.checkpoint, { merged_rounds: 2, model: name('5'), rest: name('4') });
  assert.equal(h.run.recent.at(-1)!.step, name('5'));
  assert.equal(h.run.peers.get(ALICE)!.merged_round, 1);
  const needed = neededBlobs(h.run).map(([, hash]) => hash);
  for (const hash of [name('5'), name('4'), name('8')]) assert.ok(needed.includes(hash));
  h.happen(HUB, statementOf(h.run));
  h.openNext();
  const third = next({ step: name('3'), checkpoint: true, rest: name('2') });
  h.refused('wrong-merge', HUB, { ...third, step: undefined, rest: undefined } as RoundMerged);
  h.happen(HUB, third);
  assert.equal(brokenState(h.state), null);
});

test('a run pays exactly what it promised, to those who earned it', () => {
  playRun();
  const { shares, unearned_shares } = h.run;
  const paid = [...shares.values()].reduce((sum, value) => sum + value, 0);
  assert.equal(paid + unearned_shares, 1000 + 1000 + 500);
  assert.equal(unearned_shares, 0);
  assert.equal(shares.get(OWNER), 180 + 180 + 90);
  assert.equal(shares.get(VERA), 410 + 410 + 205);
  assert.ok(Math.abs(shares.get(ALICE)! - shares.get(BOB)!) <= 3);
});

test('what nobody earned stays with the run: no validator, no verified work', () => {
  h.openRound(false);
  const ids = [h.happen(ALICE, work()), h.happen(BOB, work())].sort();
  h.happen(HUB, merged(ids));
  assert.deepEqual([...h.run.shares], [[OWNER, 180]]);
  assert.equal(h.run.unearned_shares, 820);
});

test('the same events give the same state hash', () => {
  const first = playRun();
  h = new History();
  assert.equal(playRun(), first);
});

test('whatever comes in whatever order: everything that must hold does, and a refusal changes nothing', async () => {
  const cast = await openCast();
  const taken = new Set<string>();
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 300 }), (seed, length) => {
      const state = initialState(cast.hub);
      const next = drawEvents(cast, state, seed, { moves: seed % 3 === 0, registry: seed % 7 === 5 });
      /** Of the state since it last took an event: to hash it costs more than any event. */
      let hash: string | null = null;
      for (let i = 0; i < length; i++) {
        const event = next();
        const refused = refusalOf(state, event);
        if (refused) hash ??= stateHash(state);
        assert.equal(apply(state, event)?.code, refused?.code);
        if (refused) {
          assert.equal(stateHash(state), hash, `a refused ${event.body.type} has changed something`);
        } else {
          hash = null;
          taken.add('appeal' in event.body && event.body.appeal ? `${event.body.type}, appealed` : event.body.type);
        }
      }
    }),
    // A fixed seed: that every kind of event is met depends on it.
    { numRuns: 60, seed: 20_261_136 },
  );
  const kinds = EventBodySchema.options.map(({ shape }) => shape.type.value);
  const all = [...kinds, 'verdict.given, appealed', 'verdict.sealed, appealed'];
  assert.deepEqual([...taken].sort(), all.sort(), 'every kind of event was taken at least once');
});
