// The arithmetic that `potluck why` shows is the one that pays: every part adds up, whoever worked, judged, owns several devices or nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bindDevice } from '../core/devices.ts';
import type { EventBody } from '../core/events.ts';
import { apply } from '../core/reduce.ts';
import { roundPayout } from '../core/shares/payout.ts';
import { initialState, type NetworkState, type RunState } from '../core/state.ts';
import { drawnBy, EXAMPLE_HUB } from '../core/testing/example-draw.ts';
import { EXAMPLE_WORDS, exampleRules, exampleVerdict, sealFor } from '../core/testing/example-events.ts';
import { arithmeticOf, type Explanation } from './why.ts';
import { sentencesOf } from './why-sentences.ts';

const id = (n: number): string => n.toString(16).padStart(64, '0');
const [OWNER, RUN, MODEL] = [2, 3, 4].map(id);
const HUB = EXAMPLE_HUB.id;
const WORKER = 1000;
const VALIDATOR = 2000;

interface Case {
  readonly shares: number;
  readonly split: readonly [number, number];
  readonly tokens: readonly number[];
  readonly verdicts: readonly (readonly boolean[])[];
  /** Which workers are devices of the owner. */
  readonly owned: readonly boolean[];
}

const cases: fc.Arbitrary<Case> = fc.record({
  shares: fc.nat({ max: 1_000_000_000 }),
  split: fc.tuple(fc.nat({ max: 500 }), fc.nat({ max: 500 })),
  tokens: fc.array(fc.integer({ min: 1, max: 10_000_000 }), { minLength: 1, maxLength: 6 }),
  verdicts: fc.array(fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), { maxLength: 3 }),
  owned: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
});

/** A round that is about to be merged. */
function roundOf({ shares, split, tokens, verdicts, owned }: Case): { state: NetworkState; run: RunState } {
  const state = initialState(HUB);
  let serial = 5000;
  const happen = (author: string, body: EventBody, name = id(serial++)): string => {
    assert.equal(apply(state, { id: name, author, body }), null);
    return name;
  };
  const [owner_permille, workers_permille] = split;
  const validators_permille = 1000 - owner_permille - workers_permille;
  const emission = {
    shares_per_round: shares,
    halving_rounds: 0,
    owner_permille,
    workers_permille,
    validators_permille,
  };
  const times = { rounds: 9, round_ms: 1000, judging_ms: 400, min_workers: 1, checkpoint_every: 5, created_ms: 0 };
  const base = { version: 1, run: RUN } as const;
  happen(
    OWNER,
    {
      type: 'run.created',
      version: 3,
      ...EXAMPLE_WORDS,
      name: 'x',
      game: 'pretrain',
      params: MODEL,
      model: MODEL,
      rules: exampleRules(emission),
      ...times,
    },
    RUN,
  );
  for (const k of verdicts.keys()) {
    happen(id(VALIDATOR + k), {
      ...base,
      type: 'peer.joined',
      session: 0,
      role: 'validator',
      name: `v${k}`,
      runtime: 'x',
    });
  }
  tokens.forEach((_, k) => {
    // As a certificate would: signatures are the core's own matter, tested there.
    if (owned[k]) bindDevice(state, id(WORKER + k), { owner: OWNER, expires_ms: 1e15 });
    happen(id(WORKER + k), { ...base, type: 'peer.joined', session: 0, role: 'worker', name: `w${k}`, runtime: 'x' });
  });
  happen(HUB, { ...base, type: 'round.opened', round: 0, attempt: 0 });
  const works = tokens.map((count, k) => {
    const numbers = { size_bytes: 1, amount: count, numbers: { steps: 1, loss_micro: 0 }, pledge: MODEL };
    return happen(id(WORKER + k), {
      ...base,
      type: 'work.submitted',
      round: 0,
      attempt: 0,
      base: MODEL,
      work: MODEL,
      ...numbers,
      version: 2,
    });
  });
  const given = verdicts.flatMap((said, v) =>
    works.map((submission, k) => {
      return { validator: id(VALIDATOR + v), verdict: exampleVerdict(RUN, submission, tokens[k], said[k]) };
    }),
  );
  if (given.length > 0) happen(HUB, drawnBy(EXAMPLE_HUB, state.runs.get(RUN)!));
  for (const { validator, verdict } of given) happen(validator, sealFor(validator, verdict));
  for (const { validator, verdict } of given) happen(validator, verdict);
  const run = state.runs.get(RUN)!;
  assert.equal(run.phase, 'merging');
  return { state, run };
}

test('what is shown adds up, and is what the core pays', () => {
  fc.assert(
    fc.property(cases, (made) => {
      const { state, run } = roundOf(made);
      const { emitted, owner, workers, validators, unearned } = arithmeticOf(state, run);
      const paid = roundPayout(state, run);
      const shown = new Map<string, number>();
      for (const { shares, claims, all_weights } of [owner, workers, validators]) {
        assert.equal(
          claims.reduce((sum, claim) => sum + claim.weight, 0),
          all_weights,
        );
        if (claims.length > 0)
          assert.equal(
            claims.reduce((sum, claim) => sum + claim.shares, 0),
            shares,
          );
        for (const claim of claims) {
          assert.equal(claim.shares, claim.whole + (claim.extra ? 1 : 0));
          // whole · all + remainder = part · weight, exactly
          const left = BigInt(claim.whole) * BigInt(all_weights) + BigInt(claim.remainder);
          assert.equal(left, BigInt(shares) * BigInt(claim.weight));
          shown.set(claim.account, (shown.get(claim.account) ?? 0) + claim.shares);
        }
      }
      assert.equal(owner.shares + workers.shares + validators.shares, emitted);
      assert.equal([...shown.values()].reduce((sum, shares) => sum + shares, 0) + unearned, emitted);
      const byAccount = Map.groupBy(paid.payouts, ({ account }) => account);
      for (const [account, list] of byAccount) {
        assert.equal(
          shown.get(account) ?? 0,
          list.reduce((sum, { shares }) => sum + shares, 0),
        );
      }
    }),
    { numRuns: 100 },
  );
});

const WORK = {
  type: 'work.submitted',
  version: 2,
  run: RUN,
  round: 0,
  attempt: 0,
  base: MODEL,
  work: MODEL,
} as const;
/** A submission about which nothing is known yet. */
const OPEN: Explanation = {
  submission: id(9),
  index: 7,
  run: RUN,
  run_name: 'x',
  worker: id(WORKER),
  worker_name: 'ada',
  account: id(WORKER),
  work: { ...WORK, size_bytes: 1, amount: 3, numbers: { steps: 2, loss_micro: 4 }, pledge: MODEL },
  verdicts: [],
  decision: { kind: 'open', phase: 'judging' },
  unit: 'tokens',
  numbers: EXAMPLE_WORDS.numbers,
  merged_amount: null,
  round: null,
  shares: 0,
  held_after: null,
  lost: null,
  plant: null,
  contests: [],
  warning: null,
};

test('the sentences say what stood behind verdicts, where it decided', () => {
  const refused = { kind: 'refused', index: 8, model: MODEL } as const;
  const text = (locked: number, by_rules = 1) => {
    const verdicts = [true, false].map((accepted, k) => ({
      ...{ index: 6 + k, validator: id(VALIDATOR + k), name: `v${k}` },
      verdict: exampleVerdict(RUN, id(9), 3, accepted),
      stake: accepted ? { by_rules: 1, locked: 0 } : { by_rules, locked },
    }));
    return sentencesOf({ ...OPEN, verdicts, decision: refused }).join('\n');
  };
  assert.doesNotMatch(text(0), /stake/);
  assert.match(text(0, 4), /1 of 2 verdicts accept it, with 1 of a stake of 5, but more than half is needed/);
  assert.match(
    text(1234),
    /v1 .* refused it.*Behind its verdict stands a stake of 1,235: 1 by the rules, 1,234 in locked shares\.[\s\S]*with 1 of a stake of 1,236, but more than half is needed/,
  );
});

test('a verdict on work that was refused before anything was measured names no number', () => {
  const verdict = {
    ...exampleVerdict(RUN, id(7), 5, false),
    numbers: {},
    score_micro: 0,
  };
  const stake = { by_rules: 1, locked: 0 };
  const sentence = (given: typeof verdict): string =>
    sentencesOf({ ...OPEN, verdicts: [{ index: 3, validator: id(8), name: 'vera', verdict: given, stake }] }).join(
      '\n',
    );
  assert.match(sentence(verdict), /refused it[^.]*, without measuring what the work does \(event 3\)/);
  assert.doesNotMatch(sentence(verdict), /score/);
  const numbers = { loss_before_micro: 2_000_000 };
  assert.match(sentence({ ...verdict, numbers }), /with a score of 0\.000000: loss before 2\.0000 nats \(event 3\)/);
});

test('the sentences say why nothing was earned', () => {
  const text = (more: Partial<Explanation>) => sentencesOf({ ...OPEN, ...more }).join('\n');
  assert.match(text({}), /Nothing is decided yet: the run is judging/);
  assert.match(
    text({ decision: { kind: 'paused', index: 8 } }),
    /The owner paused the run \(event 8\)[\s\S]*nothing was paid/,
  );
  assert.match(text({ decision: { kind: 'ended', index: 8 } }), /The owner ended the run \(event 8\)/);
  assert.match(text({ decision: { kind: 'refused', index: 8, model: MODEL } }), /none had judged it in time/);
  const { state, run } = roundOf({ shares: 10, split: [0, 500], tokens: [5], verdicts: [], owned: [false] });
  const unverified = { kind: 'merged', index: 8, model: MODEL, verified: false } as const;
  const unpaid = text({ decision: unverified, merged_amount: 2, round: arithmeticOf(state, run) });
  assert.match(
    unpaid,
    /it was merged, but earns nothing[\s\S]*10 of them nobody earned[\s\S]*earned 0 shares: only verified work/,
  );
  const lost = { peer: id(WORKER), name: 'ada', account: id(WORKER), shares: 1234, locked: 0 };
  assert.match(text({ lost }), /It was made up: ada \(\w+\) lost the 1,234 shares/);
  const judge = { peer: id(3), name: 'larry' };
  const wrong = [{ ...judge, account: id(4), shares: 56, locked: 0 }];
  const plant = { index: 9, accepted: false, right: [{ peer: id(5), name: 'vera' }], wrong };
  assert.match(
    text({ plant }),
    /bad work, which judges must refuse \(event 9\)[\s\S]*vera \(\w+\) judged it rightly[\s\S]*larry \(\w+\) accepted it, and lost the 56 shares/,
  );
  const staked = { ...plant, wrong: [{ ...wrong[0], locked: 50 }] };
  assert.match(
    text({ plant: staked }),
    /lost the 6 shares that it had earned recently and the 50 that were locked behind/,
  );
  assert.match(text({ plant: { ...plant, accepted: true } }), /good work, which judges must accept[\s\S]*refused it/);
});

test('the sentences say what was contested and what came of it', () => {
  const verdict = { ...exampleVerdict(RUN, id(9), 3, false), fraud: true, code: 'other-update' };
  const base = { index: 20, by: id(5), name: 'vera', verdicts: [{ validator: id(6), name: 'otto', verdict }] };
  const text = (more: Partial<Explanation['contests'][number]>) =>
    sentencesOf({
      ...OPEN,
      contests: [{ ...base, ended: 30, found: null, taken_back: false, shares: 0, ...more }],
    }).join('\n');
  assert.match(
    text({ ended: null }),
    /vera \(\w+\) contested this decision \(event 20\)[\s\S]*otto .*finds it made up/,
  );
  assert.match(text({ ended: null }), /Nothing is decided about that yet/);
  assert.match(text({}), /Not more than half of the jury's stake .*\(event 30\): nothing changed/);
  assert.match(text({ found: 'accepted' }), /accepted it .*: the decision stands, and vera lost its last pay/);
  assert.match(text({ found: 'fraud', taken_back: true, shares: 1234 }), /taken back, and ada lost 1,234 shares/);
  assert.match(text({ found: 'accepted', taken_back: true, shares: 7 }), /taken back, and ada got back 7 shares/);
});
