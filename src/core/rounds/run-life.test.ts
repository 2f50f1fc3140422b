// A run paused, resumed and ended by its owner: who may say it, when, and what it must leave as it was.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { bindDevice } from '../devices.ts';
import type { EventBody } from '../events.ts';
import { CORE_LIMITS } from '../limits.ts';
import { balanceOf } from '../shares/balances.ts';
import { mayStateShares, statementOf } from '../shares/share-table.ts';
import type { Phase } from '../state.ts';
import { apply } from '../testing/checked-apply.ts';
import { exampleRules } from '../testing/example-events.ts';
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
} from '../testing/example-history.ts';

let h: History;
beforeEach(() => {
  h = new History();
});

const EMISSION = {
  ...{ shares_per_round: 1000, halving_rounds: 0, owner_permille: 180, workers_permille: 410 },
  validators_permille: 410,
};

type OwnersWord = 'run.paused' | 'run.resumed' | 'run.ended';
/** It names the present round and attempt, unless it is to be an old one. */
const say = (type: OwnersWord, round = h.run.round, attempt = h.run.attempt): EventBody => ({
  ...{ type, version: 1, run: RUN, round, attempt },
});
const WORDS: readonly OwnersWord[] = ['run.paused', 'run.resumed', 'run.ended'];

describe('refused', () => {
  test('a word of anybody but the owner', () => {
    h.openRound();
    for (const word of WORDS) for (const author of [ALICE, VERA, HUB]) h.refused('not-the-owner', author, say(word));
    // Not even of what earns for the owner.
    bindDevice(h.state, ALICE, { owner: OWNER, expires_ms: 1e9 });
    h.refused('not-the-owner', ALICE, say('run.ended'));
  });

  test('an end by the hub, unless nobody has been here for long and no round is open', () => {
    const hour_ms = 3_600_000;
    const isEnded = (passed_ms: number): boolean => {
      h.happen(HUB, tick(h.state.time_ms + passed_ms));
      const { round, attempt } = h.run;
      const said = apply(h.state, h.event(HUB, say('run.ended', round, attempt)));
      assert.ok(said === null || said.code === 'not-the-owner');
      return said === null;
    };
    h.happen(OWNER, created(), RUN);
    assert.ok(!isEnded(90 * hour_ms), 'from the first tick on, not before');
    h.refused('not-the-owner', HUB, say('run.paused'));
    assert.ok(!isEnded(hour_ms - 1));
    h.happen(ALICE, joined());
    assert.ok(!isEnded(1), 'somebody has come');
    assert.ok(!isEnded(90 * hour_ms));
    h.happen(ALICE, left(ALICE));
    assert.ok(!isEnded(1) && !isEnded(hour_ms - 1));
    h.refused('not-the-owner', ALICE, say('run.ended'));
    assert.ok(isEnded(1));
    assert.equal(h.run.phase, 'finished');

    h = new History();
    h.openRound(false);
    h.happen(ALICE, work());
    for (const who of [ALICE, BOB]) h.happen(who, left(who));
    assert.ok(!isEnded(1) && !isEnded(90 * hour_ms), 'its round is not merged');
    h = new History();
    h.openRound();
    h.playRound();
    for (const who of [ALICE, BOB, VERA]) h.happen(who, left(who));
    assert.ok(!isEnded(1) && !isEnded(72 * hour_ms - 1), 'something is merged');
    h.happen(OWNER, say('run.paused'));
    assert.ok(isEnded(1), 'a pause is no sign of life');
  });

  test('a pause of what is paused, going on with what is not, and anything of another round or attempt', () => {
    h.openRound();
    h.refused('wrong-phase', OWNER, say('run.resumed'));
    h.happen(OWNER, say('run.paused'));
    h.refused('wrong-phase', OWNER, say('run.paused'));
    h.refused('wrong-round', OWNER, say('run.resumed', 0, 0));
    h.refused('wrong-round', OWNER, say('run.ended', 0, 0));
    h.refused('wrong-round', OWNER, say('run.ended', 1, 1));
    h.happen(OWNER, say('run.resumed'));
    h.refused('wrong-round', OWNER, say('run.paused', 0, 0));
  });

  test('anything of a run that is finished, by its rounds or by its owner, also the same word again', () => {
    h.openRound();
    h.playRound();
    h.happen(OWNER, say('run.ended', 1, 0));
    for (const word of WORDS) {
      h.refused('wrong-phase', OWNER, say(word));
      h.refused('wrong-phase', OWNER, say(word, 1, 0));
    }
    h = new History();
    h.openRound(true, { rounds: 1 });
    h.playRound();
    assert.equal(h.run.phase, 'finished');
    for (const word of WORDS) h.refused('wrong-phase', OWNER, say(word));
  });

  test('what would let an ended run go on', () => {
    h.openRound();
    const a = h.happen(ALICE, work());
    h.happen(OWNER, say('run.ended'));
    h.refused('wrong-phase', HUB, opened(0, 1));
    h.refused('wrong-phase', ALICE, work({ attempt: 1 }));
    h.refused('wrong-phase', HUB, merged([a]));
    h.refused('wrong-phase', HUB, merged([], { attempt: 1 }));
    h.refused('unknown-submission', VERA, seal(VERA, a));
    const rules = exampleRules({ ...h.run.rules.emission, shares_per_round: 9 });
    h.refused('wrong-phase', OWNER, {
      ...{ type: 'rules.proposed', version: 1, run: RUN, proposal: 0, from_round: 9, rules },
    });
    h.happen(HUB, tick(60_000));
    h.happen(BOB, left(BOB));
    h.happen(BOB, joined('worker', 1));
    assert.equal(h.run.phase, 'finished');
  });
});

describe('an end', () => {
  /** How a run of which one round is merged comes into each phase. */
  const ways: Readonly<Record<Exclude<Phase, 'finished'>, () => void>> = {
    gathering: () => {},
    working: () => {
      h.openNext();
      h.happen(ALICE, work({ round: 1, base: h.run.model }));
    },
    judging: () => submitted(),
    revealing: () => {
      const ids = submitted();
      h.draw();
      for (const id of ids) h.happen(VERA, seal(VERA, id));
    },
    merging: () => h.judge(submitted()),
    paused: () => h.happen(OWNER, say('run.paused')),
  };
  const submitted = (): string[] => {
    h.openNext();
    return [ALICE, BOB].map((author) => h.happen(author, work({ round: 1, base: h.run.model })));
  };

  for (const [phase, come] of Object.entries(ways)) {
    test(`of a run that is ${phase} drops the open round and touches nothing of what was merged`, () => {
      h.openRound(true, { rounds: 9, checkpoint_every: 5 });
      h.playRound();
      come();
      assert.equal(h.run.phase, phase);
      const { round, model, shares, unearned_shares, emitted_shares, amounts, recent, merged_amount } = structuredClone(
        h.run,
      );
      h.happen(OWNER, say('run.ended'));
      assert.equal(h.run.phase, 'finished');
      assert.equal(h.run.submissions.size, 0);
      assert.ok([...h.run.peers.values()].every(({ handed_in }) => !handed_in));
      const { workers, ...nothing } = h.run.attendance;
      assert.deepEqual([workers, nothing], [2, { handed_in: 0, seals_due: 0, verdicts_due: 0 }]);
      for (const [kept, before] of [
        [h.run.round, round],
        [h.run.model, model],
        [h.run.shares, shares],
        [h.run.unearned_shares, unearned_shares],
        [h.run.emitted_shares, emitted_shares],
        [h.run.amounts, amounts],
        [h.run.recent, recent],
        [h.run.merged_amount, merged_amount],
      ]) {
        assert.deepEqual(kept, before);
      }
      assert.equal(h.run.emitted_shares, 1000, 'rounds that are never merged promise nothing');
    });
  }

  test('before any round has been merged leaves nothing to state', () => {
    h.openRound();
    h.happen(OWNER, say('run.ended'));
    assert.equal(mayStateShares(h.run), false);
    h.refused('wrong-statement', HUB, statementOf(h.run));
    assert.deepEqual([h.run.model, h.run.shares.size, h.run.emitted_shares], [FIRST_MODEL, 0, 0]);
  });

  test('frees what is withheld, and a settlement that does not know of it is refused', () => {
    h.openRound(true, { rounds: 9, rules: exampleRules(EMISSION, { withheld_rounds: 5 }) });
    h.playRound();
    const { held, withheld, free } = balanceOf(h.run, ALICE);
    assert.deepEqual([withheld, free], [held, 0]);
    assert.ok(held > 0);
    const log_size = h.state.events;
    h.happen(OWNER, say('run.ended'));
    assert.deepEqual([balanceOf(h.run, ALICE).withheld, balanceOf(h.run, ALICE).free], [0, held]);
    h.refused('stale-settlement', OWNER, {
      ...{ type: 'payout.settled', version: 1, run: RUN, settlement: 0, log_size, format: 'merkle-distributor' },
      ...{ root: `0x${name('0')}`, total: 1 },
    });
  });

  test('gives back the stakes that were asked for, and the others as soon as they are', () => {
    h.openRound(true, { rounds: 9, rules: exampleRules(EMISSION, { release_rounds: 8 }) });
    h.playRound();
    const stake = { version: 1, run: RUN, behind: VERA } as const;
    h.happen(VERA, { type: 'stake.locked', ...stake, shares: 300, change: 0 });
    h.happen(VERA, { type: 'stake.released', ...stake, shares: 100, change: 1 });
    assert.equal(balanceOf(h.run, VERA).locked, 300);
    h.happen(OWNER, say('run.ended'));
    assert.equal(balanceOf(h.run, VERA).locked, 200);
    h.refused('wrong-phase', VERA, { type: 'stake.locked', ...stake, shares: 1, change: 2 });
    h.happen(VERA, { type: 'stake.released', ...stake, shares: 200, change: 2 });
    assert.equal(balanceOf(h.run, VERA).locked, 0);
  });

  test('between two whole models: what the last rounds paid is stated once, and others start from the last whole model', () => {
    h.openRound(true, { rounds: 9 });
    h.playRound();
    h.openNext();
    h.playRound();
    const whole = { ...h.run.checkpoint };
    const holders = new Map(h.run.shares);
    h.openNext();
    h.playRound();
    assert.deepEqual([whole.merged_rounds, h.run.round], [2, 3]);
    h.refused('wrong-statement', HUB, statementOf(h.run));
    h.happen(OWNER, say('run.ended'));
    h.refused('wrong-statement', HUB, { ...statementOf(h.run), shares: 1 } as EventBody);
    h.refused('not-the-hub', OWNER, statementOf(h.run));
    h.happen(HUB, statementOf(h.run));
    h.refused('wrong-statement', HUB, statementOf(h.run));
    const from = (merged_rounds: number, model: string): EventBody => {
      const ancestor = { run: RUN, merged_rounds, model, royalty_permille: 100 };
      return created({ model, ancestor });
    };
    h.refused('wrong-model', BOB, from(3, h.run.model));
    const heir = h.happen(BOB, from(2, whole.model));
    assert.deepEqual(h.state.runs.get(heir)!.lineage!.holders, holders);
  });

  test('of one run makes room for another of its owner, and the refusal says so', () => {
    for (let i = 0; i < CORE_LIMITS.unfinished_runs_per_owner; i++)
      h.happen(OWNER, created(), i === 0 ? RUN : undefined);
    h.refused('too-many-runs', OWNER, created());
    h.happen(OWNER, say('run.paused'));
    h.refused('too-many-runs', OWNER, created());
    h.happen(OWNER, say('run.ended'));
    h.happen(OWNER, created());
    h.refused('too-many-runs', OWNER, created());
  });
});

test('a verdict on dropped work is no verdict, also when the run goes on', () => {
  h.openRound();
  const [a] = [ALICE, BOB].map((author) => h.happen(author, work()));
  h.draw();
  h.happen(VERA, seal(VERA, a));
  h.happen(OWNER, say('run.paused'));
  h.happen(OWNER, say('run.resumed'));
  h.refused('unknown-submission', VERA, verdict(a));
  h.happen(HUB, opened(0, 1));
  h.refused('unknown-submission', VERA, verdict(a));
  h.happen(ALICE, work({ attempt: 1 }));
});

describe('a pause or an end that lets what is in be merged', () => {
  const after = (type: 'run.paused' | 'run.ended', round = h.run.round, attempt = h.run.attempt): EventBody => ({
    ...{ type, version: 2, run: RUN, round, attempt },
  });

  for (const type of ['run.paused', 'run.ended'] as const) {
    const phase = type === 'run.paused' ? 'paused' : 'finished';

    test(`${type}: work that was handed in is judged, merged and paid, then the run is ${phase}`, () => {
      h.openRound(true, { rounds: 9 });
      const [a] = [h.happen(ALICE, work())];
      h.happen(OWNER, after(type));
      assert.deepEqual([h.run.phase, h.run.submissions.size], ['judging', 1]);
      // Bob has heard of it, and hands in what he has done within the grace.
      h.happen(HUB, tick(2000));
      const b = h.happen(BOB, work());
      h.judge([a, b]);
      assert.equal(h.run.phase, 'merging');
      h.happen(HUB, merged([a, b].sort()));
      assert.deepEqual([h.run.phase, h.run.round, h.run.closing], [phase, 1, null]);
      assert.ok((h.run.shares.get(ALICE) ?? 0) > 0 && (h.run.shares.get(BOB) ?? 0) > 0);
      h.refused('wrong-phase', HUB, opened(1, 0));
    });

    test(`${type}: nobody is waited for beyond the grace and the judging, and a round that brings nothing is none`, () => {
      h.openRound(true, { rounds: 9 });
      const before = structuredClone(h.run.spec);
      h.happen(OWNER, after(type));
      assert.equal(h.run.phase, 'judging');
      h.happen(HUB, tick(1001));
      h.happen(HUB, tick(1002 + before.judging_ms));
      assert.equal(h.run.phase, 'merging');
      h.happen(HUB, merged([]));
      assert.deepEqual([h.run.phase, h.run.round, h.run.attempt], [phase, 0, 1]);
    });

    test(`${type}: in whatever phase the open round is, and at once between rounds`, () => {
      for (const steps of [0, 1, 2]) {
        h = new History();
        h.openRound(true, { rounds: 9 });
        const ids = [ALICE, BOB].map((author) => h.happen(author, work()));
        if (steps > 0) h.draw();
        if (steps > 0) for (const id of ids) h.happen(VERA, seal(VERA, id));
        if (steps > 1) for (const id of ids) h.happen(VERA, verdict(id));
        const { phase: then } = h.run;
        h.happen(OWNER, after(type));
        assert.equal(h.run.phase, then);
        if (steps < 1) h.draw();
        if (steps < 1) for (const id of ids) h.happen(VERA, seal(VERA, id));
        if (steps < 2) for (const id of ids) h.happen(VERA, verdict(id));
        h.happen(HUB, merged(ids.sort()));
        assert.deepEqual([h.run.phase, h.run.round], [phase, 1]);
      }
      h = new History();
      h.openRound(true, { rounds: 9 });
      h.playRound();
      h.happen(OWNER, after(type));
      assert.deepEqual([h.run.phase, h.run.attempt], [phase, 1]);
    });
  }

  test('is said once, cannot be said again from the log, and may still become a drop or an end', () => {
    h.openRound(true, { rounds: 9 });
    const a = h.happen(ALICE, work());
    h.happen(OWNER, after('run.paused'));
    h.refused('wrong-phase', OWNER, after('run.paused'));
    h.refused('wrong-phase', OWNER, say('run.resumed'));
    h.happen(OWNER, after('run.ended'));
    h.refused('wrong-phase', OWNER, after('run.ended'));
    h.refused('wrong-phase', OWNER, after('run.paused'));
    h.happen(OWNER, say('run.ended'));
    assert.deepEqual([h.run.phase, h.run.submissions.size, h.run.closing], ['finished', 0, null]);
    h.refused('unknown-submission', VERA, seal(VERA, a));
    h = new History();
    h.openRound(true, { rounds: 9 });
    h.happen(OWNER, after('run.paused'));
    const b = h.happen(ALICE, work());
    h.happen(BOB, left(BOB));
    h.judge([b]);
    h.happen(HUB, merged([b]));
    h.refused('wrong-round', OWNER, after('run.ended', 0, 0));
    h.refused('wrong-round', OWNER, say('run.resumed', 0, 0));
    h.happen(OWNER, say('run.resumed'));
    h.refused('wrong-round', OWNER, after('run.paused', 0, 0));
    h.openNext();
    assert.equal(h.run.phase, 'working');
  });

  test('of the last round, the run is finished as it would have been', () => {
    h.openRound(true, { rounds: 1 });
    const ids = [ALICE, BOB].map((author) => h.happen(author, work()));
    h.happen(OWNER, after('run.paused'));
    h.judge(ids);
    h.happen(HUB, merged(ids.sort(), { checkpoint: true }));
    assert.deepEqual([h.run.phase, h.run.closing], ['finished', null]);
  });
});
