// What was decided wrongly can be contested for a while: everybody who may judge repeats it, more than half of their stake takes it back.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex } from '../../protocol/hash.ts';
import type { VerdictGiven } from '../events/verdict-given.ts';
import type { Rules } from '../rules.ts';
import { encodeState } from '../state-bytes.ts';
import { exampleRules, exampleVerdict, sealFor } from '../testing/example-events.ts';
import { ALICE, BOB, History, joined, left, OWNER, RUN, TOKENS, work } from '../testing/example-history.ts';
import { contestRounds } from './contest.ts';

const key = (n: number): string => sha256Hex(Uint8Array.of(n, 5));
const VALIDATORS = Array.from({ length: 5 }, (_, i) => key(i)).sort();
const EMISSION = { shares_per_round: 100_000, halving_rounds: 0, owner_permille: 180, workers_permille: 410 };
const FRAUD: Partial<VerdictGiven> = { accepted: false, fraud: true, code: 'other-update' };
const POOR: Partial<VerdictGiven> = { accepted: false, fraud: false, code: 'cannot-repeat' };
/** Half of it is a decision's time to be contested, half a jury's. */
const WITHHELD = 8;

let h: History;
function begin(more: Partial<Rules> = {}, count = VALIDATORS.length): void {
  h = new History();
  const rules = exampleRules(
    { ...EMISSION, validators_permille: 410 },
    { withheld_rounds: WITHHELD, judges: 5, ...more },
  );
  h.openWith(VALIDATORS.slice(0, count), { rounds: 1000, checkpoint_every: 1000, rules });
}
beforeEach(() => begin());

/** A round in which alice and bob hand in and judges say what they say; returns alice's and bob's work. The next one is open. */
function playRound(says?: (judge: string, submission: string, author: 'alice' | 'bob') => Partial<VerdictGiven>) {
  const { round, attempt, model: base } = h.run;
  const [a, b] = [ALICE, BOB].map((by) => h.happen(by, work({ round, attempt, base })));
  h.judgeAll((judge, id) => (says ? says(judge, id, id === a ? 'alice' : 'bob') : {}));
  h.merge();
  h.openNext();
  return [a, b] as const;
}
const contest = (submission: string, number = 0) =>
  ({ type: 'verdict.contested', version: 1, run: RUN, submission, contest: number }) as const;
const said = (submission: string, words: Partial<VerdictGiven>, number = 0): VerdictGiven =>
  exampleVerdict(RUN, submission, TOKENS, words.accepted ?? true, { ...words, contest: number });
type Word = Partial<VerdictGiven> | null;
/** The round goes on to its draw, and the jury of a contest says this; who says nothing keeps silent. */
function jurySays(submission: string, says: (judge: string) => Word): void {
  const { contests } = h.run.decided.get(submission)!;
  const words = h.run.contests.get(submission)!.judges.flatMap((judge) => {
    const word = says(judge);
    return word ? [[judge, said(submission, word, contests - 1)] as const] : [];
  });
  for (const [judge, verdict] of words) h.happen(judge, sealFor(judge, verdict));
  while (!isShown(submission)) playRound();
  for (const [judge, verdict] of words) h.happen(judge, verdict);
}
const isShown = (submission: string): boolean => {
  const { judges, seals, shows_round } = h.run.contests.get(submission)!;
  return seals.size === judges.length || h.run.round >= shows_round;
};
const peer = (id: string) => h.run.peers.get(id)!;
const held = (id: string): number => h.run.shares.get(id) ?? 0;
/** Somebody contests, its jury is drawn in a round that is played, says this, and is heard at the end of another one. */
function contested(by: string, submission: string, says: (judge: string) => Word): void {
  const { contests } = h.run.decided.get(submission)!;
  h.happen(by, contest(submission, contests));
  playRound();
  jurySays(submission, says);
  playRound();
}

describe('accepted work that a jury finds to be made up', () => {
  test('costs its worker what is withheld, its record and the credit for it; the model stays', () => {
    begin({}, 1);
    const [a] = playRound();
    playRound();
    for (const id of VALIDATORS.slice(1)) h.joinLongAgo(id);
    playRound();
    const { model, merged_amount } = h.run;
    const earned = held(ALICE);
    const [judge, by] = [VALIDATORS[0], VALIDATORS[1]];
    // Who has never judged has nothing to lose yet.
    playRound();
    h.happen(by, contest(a));
    assert.equal(h.run.model === model, false);
    playRound();
    assert.deepEqual(h.run.contests.get(a)!.judges, VALIDATORS);
    jurySays(a, (id) => (id === judge ? {} : FRAUD));
    assert.ok(held(ALICE) > earned);
    const credit = peer(ALICE).credit_amount;
    playRound();
    assert.equal(held(ALICE), 0);
    assert.deepEqual(
      [peer(ALICE).consecutive_valid, peer(ALICE).credit_amount, peer(ALICE).refused_submissions],
      [0, credit, 0],
      'one submission more is credited, the contested one is not',
    );
    assert.equal(h.run.amounts.get(ALICE), credit);
    assert.ok(h.run.merged_amount > merged_amount);
    assert.equal(peer(ALICE).merged_submissions, 6);
    assert.deepEqual([peer(judge).strikes, peer(by).strikes], [1, 0]);
    h.refused('not-contestable', by, contest(a, 1));
  });

  test('costs who was to repeat it and accepted it, where its worker had no record; of others’ work nobody who judged it', () => {
    const [a] = playRound();
    const [later] = playRound();
    assert.deepEqual(h.run.decided.get(a)!.said, VALIDATORS);
    assert.deepEqual(h.run.decided.get(later)!.said, []);
    const before = VALIDATORS.map((id) => held(id));
    contested(VALIDATORS[0], later, () => FRAUD);
    assert.deepEqual(peer(ALICE).forfeited_shares > 0, true);
    assert.ok(VALIDATORS.every((id, i) => peer(id).strikes === 0 && held(id) > before[i]));
    contested(VALIDATORS[0], a, () => FRAUD);
    assert.ok(VALIDATORS.every((id) => peer(id).strikes === 1));
  });

  test('also where its worker has gone', () => {
    const [a] = playRound();
    h.happen(ALICE, left(ALICE));
    const earned = held(ALICE);
    h.happen(VALIDATORS[0], contest(a));
    const { round, attempt, model: base } = h.run;
    h.happen(BOB, work({ round, attempt, base }));
    h.judgeAll();
    jurySays(a, () => FRAUD);
    h.merge();
    assert.deepEqual([held(ALICE), peer(ALICE).forfeited_shares], [0, earned]);
  });
});

describe('work that was called made up and that a jury accepts', () => {
  /** Alice has a record of three when the one judge who is there calls her work made up; then others come. */
  function convicted() {
    begin({}, 1);
    for (let i = 0; i < 3; i++) playRound();
    const [before, record] = [held(ALICE), peer(ALICE).consecutive_valid];
    const bonds = structuredClone(h.run.withheld.get(ALICE)!);
    const [a] = playRound((_judge, _id, author) => (author === 'alice' ? FRAUD : {}));
    assert.deepEqual([held(ALICE), peer(ALICE).consecutive_valid], [0, 0]);
    for (const id of VALIDATORS.slice(1)) h.joinLongAgo(id);
    return { a, before, record, bonds };
  }

  test('gets back what it cost, withheld as before, and its record; who called it made up pays', () => {
    const { a, before, record, bonds } = convicted();
    h.refused('not-enough-shares', ALICE, contest(a));
    playRound();
    const earned = held(ALICE);
    assert.ok(earned > 0);
    h.happen(ALICE, contest(a));
    playRound();
    jurySays(a, (id) => (id === VALIDATORS[0] ? FRAUD : {}));
    const [unearned, since] = [h.run.unearned_shares, peer(ALICE).consecutive_valid];
    playRound();
    assert.ok(held(ALICE) > before + earned);
    assert.equal(peer(ALICE).consecutive_valid, record + since + 1);
    assert.equal(peer(ALICE).forfeited_shares, 0);
    assert.deepEqual(h.run.withheld.get(ALICE)!.slice(0, 3), bonds);
    assert.equal(unearned - h.run.unearned_shares + peer(VALIDATORS[0]).forfeited_shares, before);
    assert.equal(peer(VALIDATORS[0]).strikes, 1);
  });

  test('is not trusted again as before where it was refused since', () => {
    const { a } = convicted();
    for (const id of VALIDATORS.slice(1)) peer(id).judged = true;
    playRound();
    playRound((_judge, _id, author) => (author === 'alice' ? POOR : {}));
    contested(VALIDATORS[1], a, () => ({}));
    assert.equal(peer(ALICE).forfeited_shares, 0);
    assert.equal(peer(ALICE).consecutive_valid, 2);
  });

  test('gets back what was locked behind it too, after what it had earned', () => {
    begin({}, 1);
    for (let i = 0; i < WITHHELD + 2; i++) playRound();
    h.happen(ALICE, { type: 'stake.locked', version: 1, run: RUN, behind: ALICE, shares: 7, change: 0 });
    const before = held(ALICE);
    const [a] = playRound((_judge, _id, author) => (author === 'alice' ? FRAUD : {}));
    const { lost } = h.run.decided.get(a)!;
    assert.deepEqual([lost.length, lost.at(-1)!.shares, lost.at(-1)!.round], [WITHHELD, 7, h.run.round - 1]);
    const kept = held(ALICE);
    h.joinLongAgo(VALIDATORS[1]);
    h.joinLongAgo(VALIDATORS[2]);
    for (let i = 0; i < 2; i++) playRound();
    contested(VALIDATORS[1], a, () => ({}));
    assert.equal(peer(ALICE).forfeited_shares, 0);
    assert.ok(kept < before && held(ALICE) > before);
    assert.equal(h.run.locks.length, 0);
  });

  test('is answered for by a first judge that called it made up and said nothing in the appeal', () => {
    begin({ judges: 2 });
    playRound();
    const { round, attempt, model: base } = h.run;
    const [a] = [ALICE, BOB].map((by) => h.happen(by, work({ round, attempt, base })));
    h.draw();
    const [liar] = h.run.submissions.get(a)!.judges;
    h.judgeAll((judge, id) => {
      if (id !== a) return {};
      if (h.run.submissions.get(a)!.first === null) return judge === liar ? FRAUD : {};
      return judge === liar ? null : FRAUD;
    });
    h.merge();
    assert.deepEqual(h.run.decided.get(a)!.said, VALIDATORS);
  });

  test('is remembered only where it cost something', () => {
    const [a, b] = playRound(() => FRAUD);
    assert.deepEqual([h.run.decided.has(a), h.run.decided.has(b)], [false, false]);
  });
});

describe('a contest that the jury does not follow', () => {
  test('costs who contested its last pay and its seat for a while, and may be repeated by another', () => {
    const [a] = playRound();
    const [by, other, wolf] = VALIDATORS;
    const before = held(ALICE);
    contested(by, a, (id) => (id === wolf ? FRAUD : {}));
    assert.ok(held(ALICE) > before);
    assert.deepEqual(
      [by, other, wolf].map((id) => peer(id).strikes),
      [1, 0, 1],
    );
    assert.ok(peer(by).forfeited_shares > 0);
    h.refused('wrong-contest', other, contest(a));
    h.refused('not-a-validator', by, contest(a, 1));
    const old = said(a, FRAUD);
    h.happen(other, contest(a, 1));
    playRound();
    const [juror] = h.run.contests.get(a)!.judges;
    h.refused('wrong-contest', juror, sealFor(juror, old));
  });

  test('changes nothing where most of the jury is silent or cannot say', () => {
    const [a] = playRound();
    const before = held(ALICE);
    contested(VALIDATORS[0], a, (id) =>
      VALIDATORS.indexOf(id) < 2 ? FRAUD : VALIDATORS.indexOf(id) < 4 ? POOR : null,
    );
    assert.ok(held(ALICE) > before);
    assert.ok(VALIDATORS.every((id) => peer(id).strikes === 0));
    assert.equal(h.run.contests.size, 0);
  });
});

test('half of the stake takes nothing back, and costs nobody anything', () => {
  begin({ judges: 4 }, 4);
  playRound();
  const [a] = playRound();
  contested(VALIDATORS[0], a, (id) => (VALIDATORS.indexOf(id) < 2 ? FRAUD : {}));
  assert.deepEqual([peer(ALICE).forfeited_shares, h.run.contests.size], [0, 0]);
  assert.ok(VALIDATORS.slice(0, 4).every((id) => peer(id).strikes === 0));
});

test('whatever a jury says: more than half of all its stake decides, nobody else loses, nothing vanishes', () => {
  const word = fc.constantFrom<'accepted' | 'fraud' | 'poor' | 'silent'>('accepted', 'fraud', 'poor', 'silent');
  const stakes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(fc.array(word, { minLength: 5, maxLength: 5 }), stakes, (words, weights) => {
      const validators = VALIDATORS.map((account, i) => ({ account, stake: weights[i] }));
      begin({ validators });
      playRound();
      const [a] = playRound();
      const of = { accepted: {}, fraud: FRAUD, poor: POOR, silent: null } as const;
      contested(VALIDATORS[0], a, (id) => of[words[VALIDATORS.indexOf(id)]]);
      const sum = (who: string): number => weights.reduce((all, stake, i) => (words[i] === who ? all + stake : all), 0);
      const all = weights.reduce((total, stake) => total + stake, 0);
      const found = sum('fraud') * 2 > all ? 'fraud' : sum('accepted') * 2 > all ? 'accepted' : null;
      assert.equal(peer(ALICE).forfeited_shares > 0, found === 'fraud');
      const wrong = VALIDATORS.filter((_, i) => {
        if (found === 'accepted') return words[i] === 'fraud' || i === 0;
        return found === 'fraud' && words[i] === 'accepted';
      });
      assert.deepEqual(
        VALIDATORS.filter((id) => peer(id).strikes > 0),
        wrong,
      );
    }),
    { numRuns: 25 },
  );
});

describe('who may contest what, and when', () => {
  test('a decision of the last rounds, while what it paid is still withheld when it is heard', () => {
    const [a] = playRound();
    for (let i = 1; i < WITHHELD / 2; i++) playRound();
    assert.ok(h.run.decided.has(a));
    const [last] = h.run.withheld.get(ALICE)!;
    contested(VALIDATORS[0], a, (id) => (id === VALIDATORS[4] ? null : FRAUD));
    assert.equal(peer(ALICE).forfeited_shares >= last.shares, true);
    assert.deepEqual(h.run.withheld.get(ALICE) ?? [], []);
    begin();
    const [b] = playRound();
    for (let i = 0; i < WITHHELD / 2; i++) playRound();
    h.refused('not-contestable', VALIDATORS[0], contest(b));
    assert.ok([...h.run.decided.values()].every(({ round }) => round + WITHHELD / 2 >= h.run.round));
  });

  test('a jury is heard in the last round in which it can take what was earned, and not later', () => {
    const [a] = playRound();
    for (let i = 1; i < WITHHELD / 2; i++) playRound();
    h.happen(VALIDATORS[0], contest(a));
    const { shows_round } = h.run.contests.get(a)!;
    assert.equal(shows_round, WITHHELD - 1);
    playRound();
    jurySays(a, (id) => (id === VALIDATORS[4] ? null : FRAUD));
    assert.equal(h.run.round, shows_round);
    assert.equal(h.run.withheld.get(ALICE)![0].round, 0);
    playRound();
    assert.equal(held(ALICE), 0);
  });

  test('nothing in a run that withholds too little, and nothing any more when a run is over', () => {
    begin({ withheld_rounds: 3 });
    const [a] = playRound();
    h.refused('not-contestable', VALIDATORS[0], contest(a));
    assert.deepEqual(
      [3, 4, 9, 40, 1000].map((withheld_rounds) => contestRounds({ ...h.run.rules, withheld_rounds })),
      [0, 2, 4, 20, 20],
    );
    begin();
    const [b] = playRound();
    h.happen(VALIDATORS[0], contest(b));
    const { round, attempt } = h.run;
    h.happen(OWNER, { type: 'run.ended', version: 1, run: RUN, round, attempt });
    assert.deepEqual([h.run.decided.size, h.run.contests.size], [0, 0]);
    h.refused('wrong-phase', VALIDATORS[1], contest(b, 1));
  });

  test('by who has a seat and has judged, not by strangers, nor by a worker whose work was accepted', () => {
    const [a] = playRound();
    h.refused('not-a-validator', key(99), contest(a));
    h.refused('not-a-validator', ALICE, contest(a));
    h.refused('not-a-validator', BOB, contest(a));
    const fresh = key(98);
    h.joinLongAgo(fresh);
    h.refused('not-a-validator', fresh, contest(a));
    playRound();
    peer(fresh).judged = false;
    h.refused('not-a-validator', fresh, contest(a));
    peer(VALIDATORS[0]).suspended_until = h.run.round + 1;
    h.refused('not-a-validator', VALIDATORS[0], contest(a));
    h.happen(VALIDATORS[1], left(VALIDATORS[1]));
    h.refused('not-a-validator', VALIDATORS[1], contest(a));
  });

  test('one at a time of each author, four of a run, each once at a time', () => {
    const works = [...playRound(), ...playRound(), ...playRound()];
    h.happen(VALIDATORS[0], contest(works[0]));
    h.refused('not-contestable', VALIDATORS[1], contest(works[0], 1));
    h.refused('too-many-contests', VALIDATORS[0], contest(works[1]));
    for (let i = 1; i < 4; i++) h.happen(VALIDATORS[i], contest(works[i]));
    h.refused('too-many-contests', VALIDATORS[4], contest(works[4]));
  });

  test('jurors seal first and show then, one verdict each, of this contest, the one that they sealed', () => {
    const [a] = playRound();
    h.happen(VALIDATORS[0], contest(a));
    const verdict = said(a, FRAUD);
    h.refused('not-assigned', VALIDATORS[1], sealFor(VALIDATORS[1], verdict));
    playRound();
    const [first, second] = VALIDATORS;
    h.refused('unknown-submission', first, sealFor(first, said('9'.repeat(64), FRAUD)));
    h.refused('wrong-contest', first, sealFor(first, said(a, FRAUD, 1)));
    h.refused('wrong-contest', first, { ...sealFor(first, verdict), appeal: true });
    h.refused('not-assigned', ALICE, sealFor(ALICE, verdict));
    h.happen(first, sealFor(first, verdict));
    h.refused('already-judged', first, sealFor(first, verdict));
    h.refused('wrong-phase', first, verdict);
    for (const id of VALIDATORS.slice(1))
      h.happen(id, sealFor(id, id === second ? { ...verdict, weight: 9 } : verdict));
    h.refused('wrong-seal', first, said(a, {}));
    h.refused('bad-verdict', second, { ...verdict, weight: 9 });
    h.happen(first, verdict);
    h.refused('already-judged', first, verdict);
    const late = key(97);
    h.joinLongAgo(late);
    h.refused('not-assigned', late, sealFor(late, verdict));
  });

  test('what nobody seals in time is shown by nobody, and whoever was not here is not waited for', () => {
    const [a] = playRound();
    h.happen(VALIDATORS[0], contest(a));
    playRound();
    const verdict = said(a, FRAUD);
    while (!isShown(a)) playRound();
    h.refused('wrong-phase', VALIDATORS[1], sealFor(VALIDATORS[1], verdict));
    h.refused('not-sealed', VALIDATORS[1], verdict);
    playRound();
    assert.equal(h.run.contests.size, 0);
  });
});

test('a round is not held up by a contest', () => {
  const [a] = playRound();
  h.happen(VALIDATORS[0], contest(a));
  const { round } = h.run;
  playRound();
  assert.equal(h.run.round, round + 1);
});

test('what is kept of 64 submissions a round stays small', (t) => {
  const rules = { ...exampleRules({ ...EMISSION, validators_permille: 410 }), withheld_rounds: 40, judges: 3 };
  h = new History();
  h.openWith(VALIDATORS, { rounds: 1000, checkpoint_every: 1000, rules });
  const workers = Array.from({ length: 62 }, (_, i) => key(100 + i));
  for (const id of workers) h.happen(id, joined());
  for (let i = 0; i < 3; i++) {
    const { round, attempt, model: base } = h.run;
    for (const by of [ALICE, BOB, ...workers]) h.happen(by, work({ round, attempt, base }));
    h.judgeAll();
    h.merge();
    h.openNext();
  }
  assert.equal(h.run.decided.size, 3 * 64);
  const bytes = encodeState(h.state).length;
  const decided = new Map(h.run.decided);
  h.run.decided.clear();
  const each = Math.ceil((bytes - encodeState(h.state).length) / decided.size);
  h.run.decided = decided;
  t.diagnostic(
    `${each} bytes a submission: ${Math.ceil((each * 64 * contestRounds(rules)) / 1024)} KiB for 64 a round`,
  );
  assert.ok(each < 450, `${each} bytes a submission`);
});
