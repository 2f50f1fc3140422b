// Settlements: the core takes the one that follows from the log, once, and nobody's shares are paid, locked or lost twice, whatever happens in whatever order.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import type { PayoutSettled } from '../events/payout-settled.ts';
import type { EventBody } from '../events.ts';
import { refusalOf } from '../reduce.ts';
import { pledgeOf } from '../rounds/judging.ts';
import { apply } from '../testing/checked-apply.ts';
import { exampleRules } from '../testing/example-events.ts';
import {
  ALICE,
  BOB,
  FIRST_MODEL,
  History,
  HUB,
  merged,
  name,
  OWNER,
  RUN,
  seal,
  VERA,
  verdict,
  work,
} from '../testing/example-history.ts';
import { allBalances, balanceOf } from './balances.ts';
import { settleable, settlementRoot } from './settlement.ts';

const EMISSION = { shares_per_round: 1001, halving_rounds: 0, owner_permille: 180, workers_permille: 410 };
const rules = (withheld_rounds: number) =>
  exampleRules({ ...EMISSION, validators_permille: 410 }, { release_rounds: 2, withheld_rounds, probation: 1000 });
const ADDRESSES = new Map([OWNER, ALICE, BOB, VERA].map((account, i) => [account, `0x${String(i + 1).repeat(40)}`]));

let h: History;
const address = (account: string, change = 0, to = ADDRESSES.get(account)!): EventBody => ({
  ...{ type: 'account.address', version: 1, hub: HUB, change, chain: 'evm', address: to },
});

/** The settlement that is true now. */
function settlement(more: Partial<PayoutSettled> = {}): PayoutSettled {
  const { balances, total: owed } = settleable(h.state, h.run);
  const total = Number(owed);
  const format = more.format ?? 'merkle-distributor';
  return {
    ...{ type: 'payout.settled', version: 1, run: RUN, settlement: h.run.settlements, log_size: h.state.events },
    ...{ format, root: total > 0 ? settlementRoot(format, balances) : `0x${name('0')}`, total },
    ...more,
  };
}

beforeEach(() => {
  h = new History();
  h.openRound(true, { rounds: 9, rules: rules(0) });
  h.playRound();
  for (const account of [ALICE, VERA]) h.happen(account, address(account));
});

describe('a settlement', () => {
  test('takes what is free of those who have an address, and the next one only what has come since', () => {
    const before = balanceOf(h.run, ALICE).held;
    h.happen(OWNER, settlement({ reference: 'tx 0x12' }));
    assert.deepEqual(balanceOf(h.run, ALICE), { held: before, settled: before, locked: 0, withheld: 0, free: 0 });
    assert.equal(balanceOf(h.run, BOB).settled, 0, 'who has no address keeps everything');
    h.refused('wrong-settlement', OWNER, settlement());
    h.openNext();
    h.playRound();
    const { total, shares } = settleable(h.state, h.run);
    assert.deepEqual([...shares.keys()], [ALICE, VERA]);
    assert.equal(total, BigInt(balanceOf(h.run, ALICE).held - before + balanceOf(h.run, VERA).free));
    h.happen(OWNER, settlement({ format: 'standard-merkle-tree' }));
    assert.equal(h.run.settlements, 2);
    const { held, settled } = balanceOf(h.run, ALICE);
    assert.ok(held > before && settled === held, 'what was settled before still is');
  });

  test('by somebody else, said again, or with a number, root, total or format that is not the one', () => {
    const true_one = settlement();
    h.refused('not-the-owner', ALICE, true_one);
    h.refused('not-the-owner', HUB, true_one);
    h.refused('wrong-settlement', OWNER, settlement({ settlement: 1 }));
    h.refused('wrong-settlement', OWNER, settlement({ root: `0x${name('1')}` }));
    h.refused('wrong-settlement', OWNER, settlement({ total: true_one.total + 1 }));
    h.refused('wrong-settlement', OWNER, settlement({ total: true_one.total - 1 }));
    h.refused('wrong-settlement', OWNER, { ...true_one, format: 'standard-merkle-tree' });
    h.happen(OWNER, true_one);
    h.refused('wrong-settlement', OWNER, true_one);
    h.refused('stale-settlement', OWNER, { ...true_one, settlement: 1 });
    h.refused('wrong-settlement', OWNER, { ...true_one, settlement: 1, log_size: h.state.events });
  });

  test('of a log that does not know of the last change, or that does not exist yet', () => {
    const early = settlement({ log_size: h.run.balances_since - 1 });
    h.refused('stale-settlement', OWNER, early);
    h.refused('stale-settlement', OWNER, settlement({ log_size: h.state.events + 1 }));
    const then = settlement();
    h.happen(HUB, { type: 'tick', version: 1, time_ms: 9000 });
    h.happen(BOB, address(BOB));
    h.refused('stale-settlement', OWNER, then);
    const now = settlement();
    h.happen(HUB, { type: 'tick', version: 1, time_ms: 9001 });
    h.happen(name('9'), address(ALICE), name('8'));
    h.happen(OWNER, now);
  });

  test('does not reach what is locked or withheld, and what it took cannot be locked', () => {
    const all = balanceOf(h.run, VERA).held;
    h.happen(VERA, { type: 'stake.locked', version: 1, run: RUN, behind: VERA, shares: 100, change: 0 });
    assert.equal(settleable(h.state, h.run).shares.get(VERA), all - 100);
    h.happen(OWNER, settlement());
    const more: EventBody = { type: 'stake.locked', version: 1, run: RUN, behind: VERA, shares: 1, change: 1 };
    h.refused('not-enough-shares', VERA, more);
    h = new History();
    h.openRound(true, { rounds: 9, rules: rules(5) });
    h.playRound();
    h.happen(ALICE, address(ALICE));
    assert.equal(settleable(h.state, h.run).total, 0n);
    h.refused('wrong-settlement', OWNER, settlement({ total: 1 }));
  });

  test('what was paid out cannot be lost any more: a plant that is revealed when the run is over finds nothing', () => {
    h = new History();
    h.openRound(true, { rounds: 1, rules: rules(5) });
    const plant = h.happen(ALICE, work({ pledge: pledgeOf(OWNER, name('9'), false) }));
    const ids = [plant, h.happen(BOB, work())].sort();
    h.judge(ids);
    h.happen(HUB, merged(ids, { checkpoint: true }));
    h.happen(VERA, address(VERA));
    h.happen(OWNER, settlement());
    const { held } = balanceOf(h.run, VERA);
    h.happen(OWNER, {
      type: 'plant.revealed',
      version: 1,
      run: RUN,
      submission: plant,
      salt: name('9'),
      accepted: false,
    });
    assert.deepEqual(balanceOf(h.run, VERA), { held, settled: held, locked: 0, withheld: 0, free: 0 });
  });

  test('of more than 2^53 shares is exact: a total that was rounded is not the one', () => {
    h.run.shares.set(ALICE, Number.MAX_SAFE_INTEGER).set(VERA, 2);
    assert.equal(settleable(h.state, h.run).total, 2n ** 53n + 1n);
    h.refused('wrong-settlement', OWNER, settlement());
  });

  test('of thousands of holders is computed once, however often a wrong one is sent', () => {
    for (let i = 0; i < 2000; i++) {
      const account = `${i.toString(16).padStart(4, '0')}${name('9').slice(4)}`;
      h.run.shares.set(account, i + 1);
      h.run.emitted_shares += i + 1;
      h.state.addresses.set(account, { address: `0x${i.toString(16).padStart(40, '0')}`, changes: 1 });
    }
    const wrong = settlement({ root: `0x${name('a')}` });
    const cost = (): number => {
      const before = process.cpuUsage();
      assert.equal(refusalOf(h.state, h.event(OWNER, wrong))?.code, 'wrong-settlement');
      return process.cpuUsage(before).user;
    };
    const first = cost();
    const again = [cost(), cost(), cost()].sort((a, b) => a - b)[1];
    assert.ok(again < first / 5, `${first} µs at first, ${again} µs again`);
  });
});

/** One thing that somebody tries; most of it may be refused. */
type Money =
  | { readonly do: 'lock' | 'release'; readonly who: string; readonly shares: number }
  | { readonly do: 'settle'; readonly format: PayoutSettled['format']; readonly wrong: number }
  | { readonly do: 'address'; readonly who: string };
/** A round in which somebody judges, and somebody tries to move shares before they do. */
interface Round {
  readonly do: 'round';
  readonly vera: boolean;
  readonly wim: boolean;
  readonly plant: boolean;
  readonly during: readonly Money[];
}
type Attempt = Money | Round;

const WIM = name('d');
const people = fc.constantFrom(VERA, VERA, VERA, WIM, WIM, ALICE, OWNER);
const money: fc.Arbitrary<Money> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('lock' as const, 'release' as const),
      who: people,
      shares: fc.oneof(fc.integer({ min: 1, max: 120 }), fc.constantFrom(1, 205, 410, 411, 900)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      format: fc.constantFrom('merkle-distributor' as const, 'standard-merkle-tree' as const),
      wrong: fc.constantFrom(0, 0, 0, 1, -1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('address' as const), who: people }) },
);
const attempt: fc.Arbitrary<Attempt> = fc.oneof(
  money,
  fc.record({
    do: fc.constant('round' as const),
    ...{ vera: fc.boolean(), wim: fc.boolean(), plant: fc.boolean() },
    during: fc.array(money, { maxLength: 3 }),
  }),
);

test('any history: every share is in one place, nothing is negative, and refusals change nothing', () => {
  const allowed = { lock: 0, release: 0, settle: 0, address: 0 };
  fc.assert(
    fc.property(
      fc.array(attempt, { maxLength: 40, size: 'max' }),
      fc.integer({ min: 0, max: 3 }),
      (attempts, withheld_rounds) => {
        h = new History();
        h.openRound(true, { rounds: 12, checkpoint_every: 100, rules: rules(withheld_rounds) });
        h.playRound();
        h.joinLongAgo(WIM);
        for (const who of [VERA, ALICE]) h.happen(who, address(who));
        for (const one of attempts) {
          if (one.do === 'round') playRound(one);
          else if (moved(one)) allowed[one.do]++;
        }
      },
    ),
    { numRuns: 80 },
  );
  assert.ok(
    Object.values(allowed).every((count) => count >= 5),
    `too little was allowed to show anything: ${JSON.stringify(allowed)}`,
  );
});

function playRound(one: Round): void {
  if (h.run.phase === 'finished') return;
  if (h.run.phase === 'gathering') h.openNext();
  const { round, attempt: again, model } = h.run;
  const pledge = one.plant ? pledgeOf(OWNER, name('9'), false) : name('d');
  const more = { round, attempt: again, base: model };
  const plant = h.happen(ALICE, work({ ...more, pledge }));
  const ids = [plant, h.happen(BOB, work(more))].sort();
  for (const move of one.during) moved(move);
  h.draw();
  for (const id of ids) {
    h.happen(VERA, seal(VERA, id, one.vera));
    h.happen(WIM, seal(WIM, id, one.wim));
  }
  for (const id of ids) {
    h.happen(VERA, verdict(id, one.vera));
    h.happen(WIM, verdict(id, one.wim));
  }
  const next = (round + 6).toString(16).padStart(2, '0').repeat(32);
  const checkpoint = round === 11;
  const merge = { round, attempt: again };
  const all = merged(ids, { ...merge, model: next, checkpoint });
  if (apply(h.state, h.event(HUB, all)) !== null) {
    h.happen(HUB, merged([], { ...merge, model: model ?? FIRST_MODEL }));
  }
  conserved();
  if (one.plant) {
    h.happen(OWNER, {
      type: 'plant.revealed',
      version: 1,
      run: RUN,
      submission: plant,
      salt: name('9'),
      accepted: false,
    });
    conserved();
  }
}

/** Whether it was allowed. */
function moved(one: Money): boolean {
  const body = bodyOf(one);
  const author = one.do === 'settle' ? OWNER : one.who;
  const before = JSON.stringify([...allBalances(h.run)]);
  const refusal = apply(h.state, h.event(author, body));
  if (refusal) assert.equal(JSON.stringify([...allBalances(h.run)]), before);
  else if (one.do === 'settle') assert.equal(one.wrong, 0, 'a wrong total was taken');
  conserved();
  return refusal === null;
}

function bodyOf(one: Money): EventBody {
  switch (one.do) {
    case 'address':
      return address(
        one.who,
        h.state.addresses.get(one.who)?.changes ?? 0,
        ADDRESSES.get(one.who) ?? `0x${'d'.repeat(40)}`,
      );
    case 'settle': {
      const body = settlement({ format: one.format });
      return { ...body, total: body.total + one.wrong };
    }
    default: {
      const change = h.run.stake_changes.get(one.who) ?? 0;
      const type = one.do === 'lock' ? 'stake.locked' : 'stake.released';
      return { type, version: 1, run: RUN, behind: one.who, shares: one.shares, change };
    }
  }
}

function conserved(): void {
  const { run } = h;
  let held = run.unearned_shares;
  for (const [account, balance] of allBalances(run)) {
    const parts = [balance.settled, balance.locked, balance.withheld, balance.free];
    assert.ok(
      parts.every((part) => Number.isSafeInteger(part) && part >= 0),
      `${account}: ${parts}`,
    );
    assert.equal(
      parts.reduce((sum, part) => sum + part, 0),
      balance.held,
    );
    held += balance.held;
  }
  assert.equal(held, run.emitted_shares);
  assert.ok(run.locks.every(({ shares }) => Number.isSafeInteger(shares) && shares > 0));
}
