// First works: how much a worker without a record may claim, that it is told and asked the same all round long, and who is not bound.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { apply } from '../reduce.ts';
import type { Rules } from '../rules.ts';
import { initialState } from '../state.ts';
import { openCast } from '../testing/cast.ts';
import { drawEvents } from '../testing/drawn-events.ts';
import { exampleRules } from '../testing/example-events.ts';
import {
  ALICE,
  BOB,
  History,
  HUB,
  joined,
  left,
  name,
  OWNER,
  RUN,
  TOKENS,
  tick,
  VERA,
  work,
} from '../testing/example-history.ts';
import { lacksRecord, mostAmount } from './first-work.ts';

const EMISSION = { shares_per_round: 1000, halving_rounds: 0, owner_permille: 0 } as const;
const rulesWith = (more: Partial<Rules>): Rules =>
  exampleRules({ ...EMISSION, workers_permille: 500, validators_permille: 500 }, { probation: 1, ...more });
/** Claims in the tests are of TOKENS, so that they are a whole round. */
/** Histories are drawn until one of them has come to each side; some sides are rare. */
const MOST_SEEDS = 200;
const BOUND = TOKENS - 1;

let h: History;
const most = (worker: string): number | null => mostAmount(h.run, worker);
const works = (more: Parameters<typeof work>[0] = {}) =>
  work({ round: h.run.round, attempt: h.run.attempt, base: h.run.model, ...more });

/** A run in which alice and bob work and vera judges, its first round open. */
const begin = (rules: Partial<Rules> = {}, validators: readonly string[] = [VERA]): void =>
  h.openWith(validators, { rounds: 8, checkpoint_every: 100, rules: rulesWith({ first_amount: BOUND, ...rules }) });

/** Alice and bob hand in what they may, vera says of it what she is told to. */
function playRound(says: (worker: string) => { accepted?: boolean; fraud?: boolean } | null = () => ({})): void {
  const ids = new Map<string, string>();
  for (const worker of [ALICE, BOB]) {
    ids.set(h.happen(worker, works({ amount: most(worker) ?? TOKENS })), worker);
  }
  h.judgeAll((_judge, id) => {
    const words = says(ids.get(id)!);
    return words && { accepted: true, ...words, weight: words.accepted === false ? 0 : 1 };
  });
  h.merge();
}

beforeEach(() => {
  h = new History();
});

describe('a worker without a record may claim', () => {
  test('as much as the rules say, and not a token more', () => {
    begin();
    h.refused('first-work-too-long', ALICE, works({ amount: BOUND + 1 }));
    assert.deepEqual([most(ALICE), most(name('9'))], [BOUND, BOUND], 'nor may who has not joined yet');
    h.happen(ALICE, works({ amount: BOUND }));
    assert.equal(h.run.peers.get(ALICE)!.refused_submissions, 0, 'a refusal at the door is held against nobody');
  });

  test('no more in what it hands in late, or when it has left and come back', () => {
    begin();
    h.happen(BOB, works({ amount: 1 }));
    h.happen(ALICE, left(ALICE));
    h.happen(ALICE, joined('worker', 1));
    h.happen(HUB, tick(2000));
    h.refused('first-work-too-long', ALICE, works());
    h.happen(ALICE, works({ amount: BOUND }));
  });

  test('so little again once its work was refused', () => {
    begin();
    playRound();
    h.openNext();
    assert.deepEqual([most(ALICE), most(BOB)], [null, null]);
    playRound((worker) => ({ accepted: worker !== ALICE }));
    h.openNext();
    assert.deepEqual([most(ALICE), most(BOB)], [BOUND, null]);
    h.refused('first-work-too-long', ALICE, works());
    h.happen(BOB, works());
    h.happen(ALICE, works({ amount: BOUND }));
  });

  test('as much more as it can lose', () => {
    const first = 10;
    begin({ first_amount: first, withheld_rounds: 3 });
    const claims = { [ALICE]: 5, [BOB]: 10 } as Record<string, number>;
    const both = (): (number | null)[] => [most(ALICE), most(BOB)];
    const round = (): void => {
      const ids = new Map([ALICE, BOB].map((worker) => [h.happen(worker, works({ amount: claims[worker] })), worker]));
      h.judgeAll((_judge, id) => ({ accepted: true, weight: claims[ids.get(id)!] }));
      h.merge();
      h.openNext();
    };
    round();
    assert.deepEqual(both(), [first + 5, first + 10]);
    h.refused('first-work-too-long', ALICE, works({ amount: first + 6 }));
    h.refused('first-work-too-long', BOB, works({ amount: first + 11 }));
    claims[BOB] = 20;
    round();
    assert.deepEqual(both(), [first + 10, first + 30], 'a whole round of ten first works with the fifth claim');
    claims[ALICE] = 1;
    round();
    assert.deepEqual(both(), [first + 6, first + 40], 'what is no longer withheld cannot be lost');
  });

  test('so little for as long as the rules call it new', () => {
    begin({ probation: 2 });
    for (const bound of [BOUND, BOUND, null]) {
      assert.equal(most(ALICE), bound);
      playRound();
      h.openNext();
    }
  });

  test('so little until somebody has judged its work', () => {
    begin({ validators: [{ account: VERA, stake: 1 }] });
    playRound(() => null);
    if (h.run.phase === 'gathering') h.openNext();
    assert.equal(most(ALICE), BOUND);
  });
});

describe('workers may claim as much as they like', () => {
  test('where the rules do not bound it', () => {
    begin({ first_amount: undefined });
    assert.equal(most(ALICE), null);
    h.happen(ALICE, works({ amount: 1_000_000 }));
  });

  test('in a round in which, where nobody could judge when it opened, somebody comes to judge', () => {
    begin({}, []);
    assert.equal(most(ALICE), null);
    h.happen(VERA, joined('validator'));
    h.happen(BOB, works());
    h.happen(HUB, tick(2000));
    assert.deepEqual([h.run.phase, h.run.eligible], ['judging', [VERA]]);
    h.happen(ALICE, works());
    h.judgeAll(() => null);
    h.merge();
    h.openNext();
    assert.equal(most(ALICE), BOUND);
  });

  test('with a record, unlike whoever comes now', () => {
    begin();
    playRound();
    h.openNext();
    h.happen(ALICE, works({ amount: 1_000_000 }));
    assert.equal(most(name('9')), BOUND);
  });
});

test('what a worker may claim does not change while a round is open: neither with contests nor with rules that are announced', () => {
  begin({ withheld_rounds: 8 });
  playRound();
  h.openNext();
  const [submission] = h.run.decided.keys();
  const accused = h.run.decided.get(submission)!.worker;
  h.happen(VERA, { type: 'verdict.contested', version: 1, run: RUN, submission, contest: 0 });
  h.happen(OWNER, {
    ...{ type: 'rules.proposed', version: 1, run: RUN, proposal: 0, from_round: h.run.round + 1 },
    rules: rulesWith({ first_amount: 1, probation: 9, withheld_rounds: 8 }),
  });
  assert.equal(most(accused), 2 * BOUND);
  playRound();
  h.openNext();
  assert.equal(most(accused), 1, 'the new rules hold from the next round on');
  assert.equal(lacksRecord({ consecutive_valid: 0 }, { probation: 0 }), true);
});

test('drawn histories come to both sides of each bound', async () => {
  const cast = await openCast();
  const seen = new Map<string, number>();
  const sides = [
    'free, as much: taken',
    'grown, as much: taken',
    'grown, more: first-work-too-long',
    'new, as much: taken',
    'new, more: first-work-too-long',
  ];
  for (let seed = 1; seed <= MOST_SEEDS && seen.size < sides.length; seed++) {
    const state = initialState(cast.hub);
    const next = drawEvents(cast, state, seed);
    for (let i = 0; i < 300; i++) {
      const event = next();
      const run = event.body.type === 'work.submitted' ? state.runs.get(event.body.run) : undefined;
      const first = run?.first_amount ?? null;
      const bound = run && mostAmount(run, event.author);
      const refusal = apply(state, event);
      if (event.body.type !== 'work.submitted' || first === null) continue;
      if (refusal && refusal.code !== 'first-work-too-long') continue;
      const who = bound === null ? 'free' : bound === first ? 'new' : 'grown';
      const much = event.body.amount > (bound ?? Number.POSITIVE_INFINITY) ? 'more' : 'as much';
      const what = `${who}, ${much}: ${refusal?.code ?? 'taken'}`;
      seen.set(what, (seen.get(what) ?? 0) + 1);
    }
  }
  assert.deepEqual([...seen.keys()].sort(), sides, JSON.stringify([...seen]));
});
