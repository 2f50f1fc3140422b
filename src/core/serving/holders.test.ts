// What a model earns goes to those who made it: by their shares, whole, nothing lost, those of the model that it started from among them.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import type { AnswersSettled } from '../events/answers-settled.ts';
import { CORE_LIMITS } from '../limits.ts';
import type { RunState } from '../state.ts';
import { ALICE, BOB, created, FIRST_MODEL, History, HUB, name, OWNER, RUN, VERA } from '../testing/example-history.ts';
import { earnedBy } from './credit.ts';
import { divideAmongHolders, holdersOf } from './holders.ts';

const CALLER = name('c');
const LEAST = CORE_LIMITS.holder_least_micro;
let h: History;
let batches = 0;

/** All that the caller pays goes to the holders of a run. */
const serve = (micro: number, run = RUN): void => {
  const body: AnswersSettled = {
    ...{ type: 'answers.settled', version: 1, number: batches++, root: name('1'), receipts: 1, blob: name('2') },
    ...{ charges: [[CALLER, micro]], earnings: [], holders: [[run, micro]], gateway_micro: 0, from_ms: 0, until_ms: 0 },
  };
  h.happen(HUB, body);
};
const earned = (): number[] => [OWNER, ALICE, BOB, VERA].map((account) => earnedBy(h.state, account));

/** A run whose first round is merged: of 1000 shares the owner has 180, vera 410, alice and bob 205 each. */
beforeEach(() => {
  batches = 0;
  h = new History();
  h.openRound(true, { rounds: 9, checkpoint_every: 1 });
  h.happen(HUB, { type: 'credit.granted', version: 1, account: CALLER, number: 0, amount_micro: 10 ** 12 });
});

describe('what a model earns', () => {
  test('is divided by the shares that are held, to the last micro-credit', () => {
    h.playRound();
    serve(10_000);
    assert.deepEqual(earned(), [1800, 2050, 2050, 4100]);
    serve(10_001);
    // The odd one goes to the largest fraction: 0.41 of it is vera's.
    assert.deepEqual(earned(), [3600, 4100, 4100, 8201]);
  });

  test('waits until there is enough for everybody, and is not lost meanwhile', () => {
    h.playRound();
    serve(4 * LEAST - 1);
    assert.deepEqual(earned(), [0, 0, 0, 0]);
    assert.equal(h.state.paid.pots.get(RUN), 4 * LEAST - 1);
    serve(1);
    assert.equal(
      earned().reduce((sum, one) => sum + one, 0),
      4 * LEAST,
    );
    assert.equal(h.state.paid.pots.get(RUN), 0);
  });

  test('waits for somebody who holds shares', () => {
    serve(50_000);
    assert.deepEqual(earned(), [0, 0, 0, 0]);
    h.playRound();
    serve(1);
    assert.equal(
      earned().reduce((sum, one) => sum + one, 0),
      50_001,
    );
  });

  test('goes to who holds shares at that moment', () => {
    h.playRound();
    serve(10_000);
    h.openNext();
    h.playRound();
    h.run.shares.set(VERA, h.run.shares.get(VERA)! - 400);
    h.run.unearned_shares += 400;
    const [before] = [earnedBy(h.state, VERA)];
    serve(1600 * 10);
    assert.equal(earnedBy(h.state, VERA) - before, 10 * (820 - 400));
  });
});

describe('a run that started from another model', () => {
  const NEXT = name('4');
  const next = (): RunState => h.state.runs.get(NEXT)!;
  beforeEach(() => {
    h.playRound();
    const { model, round: merged_rounds } = h.run;
    const ancestor = { run: RUN, merged_rounds, model, royalty_permille: 250 };
    assert.notEqual(model, FIRST_MODEL);
    h.happen(name('7'), created({ model, ancestor }), NEXT);
  });

  test('serves the model of its ancestor until it has paid somebody: that model’s holders earn', () => {
    assert.deepEqual([...holdersOf(next())].sort(), [...h.run.shares].sort());
    serve(10_000, NEXT);
    assert.deepEqual(earned(), [1800, 2050, 2050, 4100]);
  });

  test('pays them by the shares that its rounds gave them, and not a second time', () => {
    // As its first round would: 250 of 1000 shares to the ancestor's holders, the rest to its own people.
    for (const [account, shares] of [[VERA, 250], [name('7'), 750]] as const) next().shares.set(account, shares); // biome-ignore format: one line
    Object.assign(next(), { emitted_shares: 1000 });
    serve(10_000, NEXT);
    assert.deepEqual([earnedBy(h.state, VERA), earnedBy(h.state, name('7'))], [2500, 7500]);
    assert.equal(earnedBy(h.state, OWNER), 0);
  });
});

test('whoever holds how much: whole parts that add up, each less than one from the exact one', () => {
  const holding = fc.uniqueArray(fc.tuple(fc.nat(15), fc.integer({ min: 1, max: 10 ** 9 })), {
    ...{ minLength: 1, maxLength: 16, selector: ([id]) => id },
  });
  fc.assert(
    fc.property(holding, fc.integer({ min: 0, max: 2 ** 52 }), (held, more) => {
      const shares = new Map(held.map(([id, shares]) => [name(id.toString(16)), shares]));
      const run = { shares, lineage: null } as unknown as RunState;
      const pot = Math.min(2 ** 52, more + shares.size * LEAST);
      const parts = divideAmongHolders(run, pot)!;
      const all = [...shares.values()].reduce((sum, one) => sum + BigInt(one), 0n);
      assert.equal(
        [...parts.values()].reduce((sum, part) => sum + BigInt(part), 0n),
        BigInt(pot),
      );
      for (const [account, part] of parts) {
        const off = BigInt(part) * all - BigInt(pot) * BigInt(shares.get(account)!);
        assert.ok(off < all && off > -all, `${account.slice(0, 2)} gets ${part} of ${pot}`);
      }
      assert.equal(divideAmongHolders(run, shares.size * LEAST - 1), null);
    }),
  );
});
