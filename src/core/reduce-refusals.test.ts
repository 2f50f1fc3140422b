// What must not happen in a run: who may not say what, twice, too early, of something else, or again from an old log.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { identityFromSecret } from '../protocol/identity.ts';
import { bindDevice } from './devices.ts';
import { type EventBody, EventBodySchema } from './events.ts';
import { CORE_LIMITS } from './limits.ts';
import { statementOf } from './shares/share-table.ts';
import { drawnBy, EXAMPLE_HUB } from './testing/example-draw.ts';
import { exampleVerdict, sealFor } from './testing/example-events.ts';
import {
  ALICE,
  BOB,
  created,
  evaluated,
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
  TOKENS,
  tick,
  VERA,
  verdict,
  work,
} from './testing/example-history.ts';

let h: History;
beforeEach(() => {
  h = new History();
});

describe('what must not happen', () => {
  test('only the hub moves the clock, opens and merges rounds', () => {
    h.openRound();
    h.refused('not-the-hub', ALICE, tick(5000));
    h.refused('clock-went-back', HUB, tick(999));
    h.refused('not-the-hub', ALICE, merged([]));
    h.refused('wrong-phase', HUB, merged([]));
    h.refused('wrong-phase', HUB, opened());
  });

  test('work by strangers, twice, of another round or on another model', () => {
    h.openRound();
    h.refused('not-a-worker', name('c'), work());
    h.refused('not-a-worker', VERA, work());
    h.refused('wrong-round', ALICE, work({ round: 1 }));
    h.refused('wrong-round', ALICE, work({ attempt: 1 }));
    h.refused('wrong-model', ALICE, work({ base: name('6') }));
    h.happen(ALICE, work());
    h.refused('already-submitted', ALICE, work({ work: name('9') }));
  });

  test('verdicts by workers, twice, or of nothing', () => {
    h.openRound();
    const a = h.happen(ALICE, work());
    h.refused('not-a-validator', BOB, verdict(a));
    h.refused('unknown-submission', VERA, verdict(name('9')));
    h.refused('not-a-validator', BOB, seal(BOB, a));
    h.refused('wrong-phase', VERA, verdict(a, false));
    h.refused('wrong-phase', VERA, seal(VERA, a, false));
    const b = h.happen(BOB, work());
    h.refused('wrong-phase', VERA, seal(VERA, a, false));
    h.draw();
    h.happen(VERA, seal(VERA, a, false));
    h.refused('already-judged', VERA, seal(VERA, a, true));
    h.refused('wrong-phase', VERA, { ...seal(VERA, b), appeal: true } as EventBody);
    h.happen(VERA, seal(VERA, b));
    assert.equal(h.run.phase, 'revealing');
    h.refused('wrong-seal', VERA, verdict(a, true));
    h.happen(VERA, verdict(a, false));
    h.refused('already-judged', VERA, verdict(a, true));
  });

  test('numbers that the run’s game does not name, in work and in verdicts', () => {
    h.openRound();
    h.refused('wrong-numbers', ALICE, work({ numbers: { steps: 5, other: 1 } }));
    const a = h.happen(ALICE, work({ numbers: {} }));
    h.happen(BOB, work());
    h.draw();
    const odd = exampleVerdict(RUN, a, TOKENS, true, { numbers: { other: 1 } });
    h.happen(VERA, sealFor(VERA, odd));
    h.happen(VERA, seal(VERA, [...h.run.submissions.keys()][1]));
    h.refused('wrong-numbers', VERA, odd);
  });

  test('more work than a number can count', () => {
    h.openRound();
    const { amount, merged_amount } = CORE_LIMITS;
    for (const [counted, is] of [
      [amount, true],
      [amount + 1, false],
    ] as const) {
      assert.equal(EventBodySchema.safeParse(work({ amount: counted })).success, is);
    }
    h.run.merged_amount = merged_amount + 1;
    h.refused('run-full', ALICE, work());
    h.run.merged_amount = 0;
    h.happen(ALICE, work());
  });

  test('a draw by somebody else, of another round, too early, twice, or that does not follow from the key of the hub', () => {
    h.openRound();
    h.happen(ALICE, work());
    h.refused('wrong-phase', HUB, drawnBy(EXAMPLE_HUB, h.run));
    h.happen(HUB, tick(h.run.deadline_ms));
    const right = drawnBy(EXAMPLE_HUB, h.run);
    h.refused('too-soon', HUB, right);
    h.happen(BOB, work({ work: name('8') }));
    h.refused('not-the-hub', VERA, right);
    h.refused('wrong-round', HUB, { ...right, attempt: 1 });
    h.refused('wrong-draw', HUB, drawnBy(identityFromSecret(new Uint8Array(32).fill(2)), h.run));
    h.refused('wrong-draw', HUB, { ...right, proof: drawnBy(EXAMPLE_HUB, { ...h.run, attempt: 1 }).proof });
    h.happen(HUB, right);
    h.refused('wrong-phase', HUB, right);
  });

  test('a merge that leaves out accepted work, adds refused work, changes the order or names no bundle', () => {
    h.openRound();
    const ids = [h.happen(ALICE, work()), h.happen(BOB, work())].sort();
    h.judge(ids);
    h.refused('wrong-merge', HUB, merged([]));
    h.refused('wrong-merge', HUB, merged([ids[0]]));
    h.refused('wrong-merge', HUB, merged([ids[1], ids[0]]));
    h.refused('wrong-merge', HUB, merged([...ids, name('9')]));
    h.refused('wrong-merge', HUB, merged(ids, { bundle: null }));
    h.refused('wrong-merge', HUB, merged(ids, { checkpoint: true }));
    h.refused('wrong-merge', HUB, merged(ids, { rest: name('4') }));
    h.refused('wrong-merge', HUB, merged(ids, { step: name('5'), rest: name('4') }));
    h.happen(HUB, merged(ids));
  });

  test('events of unknown runs, second joins, leaves of the absent or by others, pauses by strangers', () => {
    h.refused('unknown-run', ALICE, joined());
    h.openRound();
    h.refused('already-present', ALICE, joined());
    const leave = left(BOB);
    h.refused('not-the-hub', ALICE, leave);
    h.happen(BOB, leave);
    h.refused('not-present', BOB, leave);
    h.refused('not-the-owner', ALICE, { type: 'run.paused', version: 1, run: RUN, round: 0, attempt: 0 });
    h.refused('wrong-phase', OWNER, { type: 'run.resumed', version: 1, run: RUN, round: 0, attempt: 0 });
    h.refused('run-exists', OWNER, created(), RUN);
  });

  test('a pause or its end that was said before: whoever reads the log cannot say it again', () => {
    h.openRound();
    const say = (type: 'run.paused' | 'run.resumed', attempt: number): EventBody => ({
      ...{ type, version: 1, run: RUN, round: 0, attempt },
    });
    h.happen(OWNER, say('run.paused', 0));
    h.happen(OWNER, say('run.resumed', 1));
    h.refused('wrong-round', OWNER, say('run.paused', 0));
    h.happen(OWNER, say('run.paused', 1));
    h.refused('wrong-round', OWNER, say('run.resumed', 1));
    h.happen(OWNER, say('run.resumed', 2));
  });

  test('a join or a leave that was said before, or that skips a number', () => {
    h.openRound();
    h.refused('wrong-session', BOB, left(BOB, 1));
    h.happen(BOB, left(BOB, 0));
    h.refused('wrong-session', BOB, joined('worker', 0));
    h.refused('wrong-session', BOB, joined('worker', 2));
    h.happen(BOB, joined('worker', 1));
    h.refused('wrong-session', BOB, left(BOB, 0));
    h.refused('wrong-session', HUB, left(BOB, 0, 'connection lost'));
    assert.equal(h.run.peers.get(BOB)!.present, true);
    h.happen(HUB, left(BOB, 1, 'connection lost'));
    h.refused('wrong-session', name('c'), joined('worker', 1));
  });

  test('an evaluation said again, of a model that is no longer or not yet, or by somebody else', () => {
    h.openRound();
    h.happen(VERA, evaluated(0, FIRST_MODEL));
    h.refused('already-evaluated', VERA, evaluated(0, FIRST_MODEL));
    h.refused('wrong-model', VERA, evaluated(1, FIRST_MODEL));
    h.refused('wrong-model', VERA, evaluated(0, name('6')));
    h.refused('not-a-validator', ALICE, evaluated(0, FIRST_MODEL));
    const ids = [h.happen(ALICE, work()), h.happen(BOB, work())].sort();
    h.judge(ids);
    h.happen(HUB, merged(ids));
    h.refused('wrong-model', VERA, evaluated(0, FIRST_MODEL));
    h.happen(VERA, evaluated(1, name('6')));
    h.refused('already-evaluated', VERA, evaluated(1, name('6')));
    assert.equal(h.run.evaluation?.merged_rounds, 1);
  });

  test('a run in stages whose models are not all stored whole', () => {
    h.refused('wrong-checkpoints', OWNER, created({ stages: 2 }), RUN);
    h.openRound(true, { stages: 2, checkpoint_every: 1 });
    assert.equal(h.run.spec.stages, 2);
  });

  test('more unfinished runs than a hub has', () => {
    const owner = (i: number): string => name('c').slice(0, 60) + String(1000 + i);
    const { runs, unfinished_runs_per_owner: each } = CORE_LIMITS;
    for (let i = 0; i < runs; i++) h.happen(owner(Math.floor(i / each)), created());
    h.refused('too-many-runs', OWNER, created());
    // One that is over makes room, for whomever.
    [...h.state.runs.values()][7].phase = 'finished';
    h.happen(OWNER, created());
    h.refused('too-many-runs', ALICE, created());
  });

  test('more unfinished runs of one owner, also in the name of its devices', () => {
    for (let i = 0; i < CORE_LIMITS.unfinished_runs_per_owner; i++)
      h.happen(OWNER, created(), i === 0 ? RUN : undefined);
    h.refused('too-many-runs', OWNER, created());
    bindDevice(h.state, ALICE, { owner: OWNER, expires_ms: 99 });
    h.refused('too-many-runs', ALICE, created());
    h.happen(BOB, created());
    h.run.phase = 'finished';
    h.happen(OWNER, created());
  });

  test('a round after a model that is kept whole, before its shares are stated', () => {
    h.openRound(true);
    for (const round of [0, 1]) {
      if (round > 0) h.happen(HUB, opened(round));
      const ids = [ALICE, BOB].map((author) => h.happen(author, work({ round, base: h.run.model }))).sort();
      h.judge(ids);
      h.happen(HUB, merged(ids, { round, model: name(String(6 + round)), checkpoint: round > 0 }));
    }
    h.refused('statement-due', HUB, opened(2));
    h.happen(HUB, statementOf(h.run));
    h.refused('wrong-statement', HUB, statementOf(h.run));
    h.happen(HUB, opened(2));
  });
});
