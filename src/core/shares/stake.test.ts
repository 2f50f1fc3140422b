// Shares behind validators: only free ones, counted from the next opening of a round, lost with the verdicts that they stood behind, given back once and not too soon.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { bindDevice } from '../devices.ts';
import type { EventBody } from '../events.ts';
import { judgementOf, pledgeOf } from '../rounds/judging.ts';
import type { Rules } from '../rules.ts';
import { exampleRules, exampleVerdict, sealFor } from '../testing/example-events.ts';
import {
  ALICE,
  BOB,
  History,
  HUB,
  joined,
  left,
  merged,
  name,
  OWNER,
  RUN,
  seal,
  TOKENS,
  VERA,
  verdict,
  work,
} from '../testing/example-history.ts';
import { balanceOf } from './balances.ts';
import { weightsOf } from './payout.ts';

const WIM = name('d');
/** Vera's owner. */
const EVE = name('c');
const EMISSION = { shares_per_round: 1000, halving_rounds: 0, owner_permille: 180, workers_permille: 410 };
const rules = (more: Partial<Rules> = {}): Rules =>
  exampleRules({ ...EMISSION, validators_permille: 410 }, { release_rounds: 2, ...more });

const lock = (shares: number, change: number, behind = VERA): EventBody => ({
  ...{ type: 'stake.locked', version: 1, run: RUN, behind, shares, change },
});
const release = (shares: number, change: number, behind = VERA): EventBody => ({
  ...{ type: 'stake.released', version: 1, run: RUN, behind, shares, change },
});

let h: History;
/** A run in which vera has earned 410 shares in the round that was merged; the next one is not open. */
function begin(more: Partial<Rules> = {}, rounds = 9): void {
  h = new History();
  h.openRound(true, { rounds, rules: rules(more) });
  h.playRound();
}
beforeEach(() => begin());

const standing = () => {
  const { held, settled, locked, withheld, free } = balanceOf(h.run, VERA);
  return { held, settled, locked, withheld, free };
};

describe('locking', () => {
  test('takes shares from what is free and leaves them their holder’s', () => {
    assert.deepEqual(standing(), { held: 410, settled: 0, locked: 0, withheld: 0, free: 410 });
    h.happen(VERA, lock(300, 0));
    h.happen(VERA, lock(10, 1));
    assert.deepEqual(standing(), { held: 410, settled: 0, locked: 310, withheld: 0, free: 100 });
    assert.equal(h.run.locks.length, 1);
  });

  test('more than one has, of nothing, of what others have, and the same again', () => {
    h.refused('not-enough-shares', VERA, lock(411, 0));
    h.happen(VERA, lock(410, 0));
    h.refused('not-enough-shares', VERA, lock(1, 1));
    h.refused('wrong-change', VERA, lock(410, 0));
    h.refused('wrong-change', VERA, lock(1, 2));
    h.refused('not-the-owner', ALICE, lock(1, 0));
    h.refused('not-the-owner', HUB, lock(1, 0));
    h.refused('unknown-run', VERA, { ...lock(1, 1), run: name('9') } as EventBody);
  });

  test('behind somebody who has never been here', () => {
    h.refused('not-a-validator', OWNER, lock(1, 0, OWNER));
  });

  test('earns a seat where the rules name others: whoever earned shares may stand for its verdicts', () => {
    begin({ validators: [{ account: VERA, stake: 5 }] });
    h.refused('no-stake', WIM, joined('validator'));
    h.happen(ALICE, left(ALICE));
    h.refused('no-stake', ALICE, joined('validator', 1));
    h.happen(ALICE, lock(7, 0, ALICE));
    h.happen(ALICE, joined('validator', 1));
    h.openNext();
    assert.deepEqual(h.run.eligible, [ALICE, VERA]);
    const id = h.happen(BOB, work({ round: 1, base: h.run.model }));
    h.draw();
    for (const [by, accepted] of [
      [VERA, true],
      [ALICE, false],
    ] as const)
      h.happen(by, seal(by, id, accepted));
    for (const [by, accepted] of [
      [VERA, true],
      [ALICE, false],
    ] as const)
      h.happen(by, verdict(id, accepted));
    assert.equal(judgementOf(h.state, h.run, h.run.submissions.get(id)!), 'refused', 'seven against five');
  });

  test('what was earned so lately that it is withheld', () => {
    begin({ withheld_rounds: 1 });
    h.happen(VERA, lock(410, 0));
    begin({ withheld_rounds: 2 });
    assert.equal(standing().free, 0);
    h.refused('not-enough-shares', VERA, lock(1, 0));
    h.openNext();
    h.playRound();
    assert.deepEqual(standing(), { held: 820, settled: 0, locked: 0, withheld: 410, free: 410 });
    h.refused('not-enough-shares', VERA, lock(411, 0));
    h.happen(VERA, lock(410, 0));
  });

  test('by an owner behind its device, not by the device, and not behind one that is revoked', () => {
    h = new History();
    bindDevice(h.state, VERA, { owner: EVE, expires_ms: 1e9 });
    h.openRound(true, { rounds: 9, rules: rules() });
    h.playRound();
    assert.equal(balanceOf(h.run, EVE).free, 410);
    h.refused('not-the-owner', VERA, lock(1, 0));
    h.happen(EVE, lock(400, 0));
    h.refused('not-locked', VERA, release(1, 0));
    h.happen(EVE, { type: 'device.revoked', version: 1, device: VERA });
    h.refused('device-revoked', EVE, lock(1, 1));
    h.happen(EVE, release(400, 1));
  });

  test('in a run that is finished', () => {
    begin({}, 1);
    h.refused('wrong-phase', VERA, lock(1, 0));
  });
});

describe('stake', () => {
  /** Vera and wim judge one submission of alice and disagree; bob hands in nothing. */
  function disagree(): string {
    const id = h.happen(ALICE, work({ round: h.run.round, base: h.run.model }));
    h.happen(HUB, { type: 'tick', version: 1, time_ms: 9000 });
    h.happen(HUB, { type: 'tick', version: 1, time_ms: 9500 });
    h.draw();
    for (const [by, accepted] of [
      [VERA, true],
      [WIM, false],
    ] as const) {
      h.happen(by, seal(by, id, accepted));
    }
    assert.equal(h.run.phase, 'revealing');
    h.happen(VERA, verdict(id, true));
    h.happen(WIM, verdict(id, false));
    return id;
  }
  const judgement = (id: string) => judgementOf(h.state, h.run, h.run.submissions.get(id)!);

  test('that was locked before a round opened decides in it; what is locked later does not', () => {
    h.joinLongAgo(WIM);
    h.openNext();
    h.happen(VERA, lock(5, 0));
    assert.equal(judgement(disagree()), 'refused', 'one against one, as if nothing were locked');
    begin();
    h.joinLongAgo(WIM);
    h.happen(VERA, lock(5, 0));
    h.openNext();
    assert.equal(judgement(disagree()), 'accepted', 'six against one');
  });

  test('that is asked back in a round still counts in it, and not in the next', () => {
    h.joinLongAgo(WIM);
    h.happen(VERA, lock(5, 0));
    h.openNext();
    h.happen(VERA, release(5, 1));
    assert.equal(judgement(disagree()), 'accepted');
    h.happen(HUB, merged([...h.run.submissions.keys()], { round: 1, model: name('9'), checkpoint: true }));
    assert.equal(h.run.staked.get(VERA), 5);
    h.run.stated_rounds = h.run.round;
    h.openNext();
    assert.equal(h.run.staked.size, 0);
  });

  test('adds to what the rules give, in consensus as well', () => {
    begin({ validators: [VERA, WIM].map((account) => ({ account, stake: 20 })) });
    h.happen(WIM, joined('validator'));
    h.happen(VERA, lock(400, 0));
    h.openNext();
    disagree();
    const stakes = Object.fromEntries(weightsOf(h.state, h.run).validators.map(({ id, stake }) => [id, stake]));
    assert.deepEqual(stakes, { [VERA]: 420_000_000n, [WIM]: 20_000_000n });
  });

  test('of any size fits what the consensus takes', () => {
    begin({ validators: [VERA, WIM].map((account) => ({ account, stake: 1e12 })) });
    h.run.emitted_shares += 9e15 - h.run.shares.get(VERA)!;
    h.run.shares.set(VERA, 9e15);
    h.happen(WIM, joined('validator'));
    h.happen(VERA, lock(8e15, 0));
    h.openNext();
    disagree();
    const { validators } = weightsOf(h.state, h.run);
    const sum = validators.reduce((all, { stake }) => all + stake, 0n);
    assert.ok(sum < 2n ** 63n && validators.every(({ stake }) => stake > 0n));
  });
});

describe('releasing', () => {
  test('takes effect after the notice, once', () => {
    h.happen(VERA, lock(300, 0));
    h.openNext();
    h.refused('not-locked', VERA, release(301, 1));
    h.refused('not-locked', BOB, release(1, 0));
    h.happen(VERA, release(200, 1));
    h.refused('wrong-change', VERA, release(200, 1));
    h.refused('not-locked', VERA, release(200, 2));
    h.playRound();
    assert.equal(standing().locked, 300, 'one round of two');
    h.openNext();
    h.playRound();
    assert.deepEqual([standing().locked, h.run.locks.length], [100, 1]);
    h.refused('not-locked', VERA, release(200, 2));
    h.happen(VERA, release(100, 2));
    h.openNext();
    h.playRound();
    h.openNext();
    h.playRound();
    assert.deepEqual([standing().locked, standing().free], [0, 5 * 410]);
  });

  test('without a rule of its own has the usual notice', () => {
    h = new History();
    h.openRound(true, { rounds: 20, rules: exampleRules({ ...EMISSION, validators_permille: 410 }) });
    h.playRound();
    h.happen(VERA, lock(1, 0));
    h.happen(VERA, release(1, 1));
    for (let i = 0; i < 9; i++) {
      h.openNext();
      h.playRound();
    }
    assert.equal(standing().locked, 1);
    h.openNext();
    h.playRound();
    assert.equal(standing().locked, 0);
  });

  test('needs no notice when the run is over', () => {
    begin({}, 2);
    h.happen(VERA, lock(300, 0));
    h.happen(VERA, release(100, 1));
    h.openNext();
    h.playRound();
    assert.equal(standing().locked, 200, 'what was asked for is free at the end');
    h.happen(VERA, release(200, 2));
    assert.deepEqual(standing(), { held: 820, settled: 0, locked: 0, withheld: 0, free: 820 });
  });

  test('of an open round’s stake ends after its plants can be revealed', () => {
    h.happen(VERA, lock(300, 0));
    h.openNext();
    const planted = plantedRound();
    h.openNext();
    assert.equal(standing().locked, 300);
    h.happen(OWNER, {
      type: 'plant.revealed',
      version: 1,
      run: RUN,
      submission: planted,
      salt: name('9'),
      accepted: false,
    });
    assert.equal(standing().locked, 0);
    assert.equal(h.run.peers.get(VERA)!.forfeited_shares, 300, 'also what was on its way back');
  });

  /** An open round in which vera accepts what the owner has planted, and asks for its stake back at once. */
  function plantedRound(): string {
    const { round, model } = h.run;
    const plant = h.happen(ALICE, work({ round, base: model, pledge: pledgeOf(OWNER, name('9'), false) }));
    const honest = h.happen(BOB, work({ round, base: model }));
    h.happen(VERA, release(300, 1));
    h.judge([plant, honest]);
    h.happen(HUB, merged([plant, honest].sort(), { round, model: name('9'), checkpoint: (round + 1) % 2 === 0 }));
    h.run.stated_rounds = h.run.round;
    return plant;
  }
});

describe('forfeiting', () => {
  /** Vera misjudges a plant in the next round. */
  function misjudge(): void {
    h.openNext();
    const { round, model } = h.run;
    const plant = h.happen(ALICE, work({ round, base: model, pledge: pledgeOf(OWNER, name('9'), false) }));
    h.happen(BOB, work({ round, base: model }));
    const ids = [...h.run.submissions.keys()].sort();
    h.judge(ids);
    h.happen(HUB, merged(ids, { round, model: name('9'), checkpoint: (round + 1) % 2 === 0 }));
    h.happen(OWNER, {
      type: 'plant.revealed',
      version: 1,
      run: RUN,
      submission: plant,
      salt: name('9'),
      accepted: false,
    });
  }
  const sum = () => [...h.run.shares.values()].reduce((all, shares) => all + shares, 0) + h.run.unearned_shares;

  test('a misjudged plant takes what is locked and what is withheld, and leaves what is free', () => {
    begin({ withheld_rounds: 1 });
    h.happen(VERA, lock(300, 0));
    h.openNext();
    h.playRound();
    misjudge();
    // 410 of the first round less 300 that were locked, 410 of the second, and 410 of the third, which is not withheld any more.
    assert.equal(h.run.shares.get(VERA), 110 + 410 + 410);
    assert.equal(h.run.unearned_shares, 300);
    assert.equal(sum(), h.run.emitted_shares);
    begin({ withheld_rounds: 2 });
    h.openNext();
    h.playRound();
    h.happen(VERA, lock(410, 0));
    misjudge();
    assert.equal(h.run.shares.get(VERA), 410, 'the second round is not withheld any more');
    assert.equal(sum(), h.run.emitted_shares);
  });

  test('fraud of a device takes what stands behind it', () => {
    h.happen(VERA, lock(300, 0));
    h.joinLongAgo(WIM);
    h.openNext();
    const { round, model } = h.run;
    // Vera leaves its judging to wim and trains instead.
    h.happen(VERA, { type: 'peer.left', version: 1, run: RUN, peer: VERA, session: 0, reason: 'goodbye' });
    h.happen(VERA, joined('worker', 1));
    const made_up = h.happen(VERA, work({ round, base: model }));
    const fine = [ALICE, BOB].map((by) => h.happen(by, work({ round, base: model })));
    const said = [
      exampleVerdict(RUN, made_up, TOKENS, false, { fraud: true }),
      ...fine.map((id) => exampleVerdict(RUN, id, TOKENS)),
    ];
    h.draw();
    for (const one of said) h.happen(WIM, sealFor(WIM, one));
    for (const one of said) h.happen(WIM, one);
    h.happen(HUB, merged(fine.sort(), { round, model: name('9'), checkpoint: true }));
    assert.deepEqual([h.run.shares.get(VERA), h.run.locks], [110, []]);
    assert.equal(sum(), h.run.emitted_shares);
  });

  test('what rules withhold for longer again, and was locked meanwhile, is lost once', () => {
    begin({ withheld_rounds: 0 });
    h.happen(VERA, lock(410, 0));
    h.happen(OWNER, {
      ...{ type: 'rules.proposed', version: 1, run: RUN, proposal: 0, from_round: h.run.round + 1 },
      rules: rules({ withheld_rounds: 9 }),
    });
    misjudge();
    assert.ok(h.run.shares.get(VERA)! >= 0);
    assert.deepEqual(standing().locked, 0);
    assert.equal(sum(), h.run.emitted_shares);
  });
});
