// What must hold is looked at: each planted change of a sound state is named, and a sound state has nothing to name.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { brokenState, brokenStep, stepOf } from './invariants.ts';
import { apply } from './reduce.ts';
import { mergedList } from './rounds/merged-list.ts';
import type { RunState } from './state.ts';
import {
  ALICE,
  BOB,
  History,
  HUB,
  joined,
  left,
  name,
  OWNER,
  tick,
  VERA,
  verdict,
  work,
} from './testing/example-history.ts';

let h: History;
let alices = '';
/** One round is merged and paid; the second is open, alice has handed in and vera has sealed. */
beforeEach(() => {
  h = new History();
  h.openRound(true, { rounds: 5, checkpoint_every: 9 });
  h.playRound();
  h.openNext();
  alices = h.happen(ALICE, work({ round: 1, base: h.run.model }));
});

describe('a whole state', () => {
  const broken: readonly [what: string, change: (run: RunState) => void, names: RegExp][] = [
    ['a share appears', (run) => run.shares.set(ALICE, run.shares.get(ALICE)! + 1), /were promised/],
    ['a share vanishes', (run) => run.unearned_shares--, /were promised|somebody has/],
    ['half a share', (run) => run.shares.set(ALICE, 0.5), /somebody has 0.5/],
    ['more is settled than held', (run) => run.settled.set(VERA, 411), /411 settled/],
    ['a token appears', (run) => run.amounts.set(ALICE, 51), /tokens are credited/],
    ['a worker is not counted', (run) => run.attendance.workers--, /attendance.workers is 1, counting gives 2/],
    ['work is not counted', (run) => run.attendance.handed_in--, /attendance.handed_in/],
    ['a seal is owed twice', (run) => run.attendance.seals_due++, /attendance.seals_due/],
    ['a verdict is owed', (run) => run.attendance.verdicts_due++, /attendance.verdicts_due/],
    ['a validator is forgotten', (run) => run.validators.pop(), /validators are known/],
    ['work is forgotten', (run) => run.submissions.clear(), /has handed in/],
    ['a judge who was not drawn', (run) => run.submissions.get(alices)!.seals.set(BOB, name('1')), /was not drawn/],
    ['a verdict that was not sealed', (run) => show(run), /did not seal/],
    ['a round too many', (run) => Object.assign(run, { round: 6 }), /no such round/],
    ['another model', (run) => Object.assign(run, { model: name('9') }), /work on model|led to/],
    ['stages without a whole model', (run) => Object.assign(run.spec, { stages: 2 }), /in stages that is not stored/],
    ['a gap in the history', (run) => run.recent.shift(), /reach back/],
    ['an idle stake', (run) => lock(run, 0, null), /locked 0 shares/],
    ['stake that came back and stands', (run) => lock(run, 1, 1), /free shares are locked/],
    ['two locks for one', (run) => [1, 1].forEach((shares) => void lock(run, shares, null)), /has two locks/],
    ['earned in a round to come', (run) => run.withheld.set(ALICE, [earned(1)]), /earned in round 1/],
    ['trust without work', (run) => void run.peers.get(BOB)!.consecutive_valid++, /trusted for work/],
    ['rules that were due', (run) => Object.assign(run, { pending_rules: { from_round: 1, rules: run.rules } }), /due/],
  ];
  const show = (run: RunState) => run.submissions.get(alices)!.verdicts.set(VERA, verdict(alices));
  const lock = (run: RunState, shares: number, free_round: number | null) =>
    run.locks.push({ account: VERA, device: VERA, shares, free_round });
  const earned = (round: number) => ({ round, account: ALICE, shares: 1, amount: 1 });

  for (const [what, change, names] of broken) {
    test(what, () => {
      assert.equal(brokenState(h.state), null);
      change(h.run);
      assert.match(brokenState(h.state) ?? 'nothing', names);
    });
  }

  test('money that appears, vanishes, or is in two places', () => {
    const caller = name('c');
    h.happen(HUB, { type: 'credit.granted', version: 1, account: caller, number: 0, amount_micro: 100 });
    const { paid } = h.state;
    const { credits, earnings, pots } = paid;
    const names = (change: () => void, undo: () => void, problem: RegExp): void => {
      assert.equal(brokenState(h.state), null);
      change();
      assert.match(brokenState(h.state) ?? 'nothing', problem);
      undo();
    };
    const left = (left_micro: number) => () => void credits.set(caller, { left_micro, grants: 1 });
    for (const wrong of [99, 101]) names(left(wrong), left(100), /100 micro-credits were granted/);
    names(left(-1), left(100), /has -1 micro-credits left/);
    names(left(99.5), left(100), /has 99.5 micro-credits left/);
    const owe = () => void earnings.set(BOB, { owed_micro: 5, payments: 0 });
    names(owe, () => void earnings.delete(BOB), /0 micro-credits were charged, 5 are owed/);
    names(
      () => void pots.set(h.run.id, 1),
      () => void pots.delete(h.run.id),
      /charged, 1 are owed/,
    );
    names(
      () => void pots.set(caller, 0),
      () => void pots.delete(caller),
      /holders of run/,
    );
    for (const sum of ['gateway_micro', 'paid_micro', 'charged_micro', 'granted_micro'] as const) {
      const before = paid[sum];
      names(
        () => void paid[sum]++,
        () => {
          paid[sum] = before;
        },
        /were granted|were charged/,
      );
    }
    names(
      () => void paid.batches++,
      () => void paid.batches--,
      /1 batches have 0 answers/,
    );
    // One event that moves money may move it; no other.
    const moved = h.event(HUB, tick(5000));
    const before = stepOf(h.state, moved);
    assert.equal(apply(h.state, moved), null);
    assert.equal(brokenStep(before, h.state, moved), null);
    paid.gateway_micro++;
    assert.match(brokenStep(before, h.state, moved)!, /money of answers has moved/);
  });

  test('a device that is its own owner, or whose owner is a device', () => {
    h.state.devices.set(BOB, { owner: BOB, expires_ms: 1, revoked: false });
    assert.match(brokenState(h.state)!, /is owned by a device/);
    h.state.devices.set(BOB, { owner: ALICE, expires_ms: 1, revoked: false });
    h.state.devices.set(ALICE, { owner: OWNER, expires_ms: 1, revoked: false });
    assert.match(brokenState(h.state)!, /is owned by a device/);
  });

  test('owners that are not those of the devices', () => {
    h.state.devices.set(BOB, { owner: ALICE, expires_ms: 1, revoked: false });
    assert.match(brokenState(h.state)!, /0 own devices, counting gives 1/);
    h.state.owners.set(ALICE, 2);
    assert.match(brokenState(h.state)!, /is said to own 2 devices/);
    h.state.owners.set(ALICE, 1);
    assert.equal(brokenState(h.state), null);
  });
});

describe('one step', () => {
  const merge = () => {
    h.happen(BOB, work({ round: 1, base: h.run.model }));
    h.judge([...h.run.submissions.keys()]);
    const { round, attempt } = h.run;
    const accepted = [...h.run.submissions.keys()].sort();
    return { type: 'round.merged', version: 2, run: h.run.id, round, attempt, ...mergedList(accepted) } as const;
  };
  const found = (author: string, body: Parameters<History['event']>[1], meddle: (run: RunState) => void) => {
    const event = h.event(author, body);
    const before = stepOf(h.state, event);
    assert.equal(apply(h.state, event), null);
    assert.equal(brokenStep(before, h.state, event), null, 'a sound step has nothing to name');
    meddle(h.run);
    return brokenStep(before, h.state, event) ?? 'nothing';
  };

  test('the clock goes by ticks alone', () => {
    assert.match(
      found(HUB, tick(1500), () => h.state.time_ms--),
      /time went/,
    );
  });
  test('an event is counted once', () => {
    assert.match(
      found(HUB, tick(1500), () => h.state.events++),
      /counted/,
    );
  });
  test('no phase comes again within a round', () => {
    const twice = found(BOB, left(BOB), (run) => Object.assign(run, { phase: 'gathering' }));
    assert.match(twice, /it is gathering now/);
  });
  test('a merge pays what its round promised, and to somebody', () => {
    const body = { ...merge(), model: name('4'), bundle: name('8'), checkpoint: false };
    assert.match(
      found(HUB, body, (run) => run.emitted_shares++),
      /are promised/,
    );
    h.run.emitted_shares--;
    h.run.shares.set(ALICE, h.run.shares.get(ALICE)! + 1);
    assert.match(brokenState(h.state)!, /were promised/);
  });
  test('a round is merged once and none is left out', () => {
    const body = { ...merge(), model: name('4'), bundle: name('8'), checkpoint: false };
    assert.match(
      found(HUB, body, (run) => void run.round++),
      /round 3.0 follows/,
    );
  });
  test('nothing moves shares but a merge and a plant', () => {
    assert.match(
      found(name('c'), joined(), (run) => void run.unearned_shares++),
      /nobody earned/,
    );
  });
  test('work that is handed in is there', () => {
    const { model, round } = h.run;
    assert.match(
      found(BOB, work({ round, base: model }), (run) => run.submissions.clear()),
      /work is lost|have handed in/,
    );
  });
});
