// Dissent goes to everybody who may judge: nobody is robbed by a few, nobody is called a cheat by a few, and who contradicts the jury pays.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { sha256Hex } from '../../protocol/hash.ts';
import { bindDevice } from '../devices.ts';
import type { VerdictGiven } from '../events/verdict-given.ts';
import type { Rules } from '../rules.ts';
import { exampleRules, exampleVerdict, sealFor } from '../testing/example-events.ts';
import { ALICE, BOB, History, HUB, joined, left, RUN, TOKENS, tick, work } from '../testing/example-history.ts';
import { suspend } from './eligible.ts';
import { judgementOf } from './judging.ts';
import { dutyOf, repeatableOf } from './panel.ts';

const key = (n: number): string => sha256Hex(Uint8Array.of(n, 3));
const VALIDATORS = Array.from({ length: 10 }, (_, i) => key(i)).sort();
const EMISSION = { shares_per_round: 100_000, halving_rounds: 0, owner_permille: 180, workers_permille: 410 };
const FRAUD: Partial<VerdictGiven> = { accepted: false, fraud: true, code: 'other-losses' };

let h: History;
/** Alice and Bob have a record, and ten validators are here; the first round is open. */
function begin(more: Partial<Rules> = {}, count = 10): void {
  h = new History();
  const rules = exampleRules({ ...EMISSION, validators_permille: 410 }, { withheld_rounds: 40, ...more });
  h.openWith(VALIDATORS.slice(0, count), { rounds: 1000, checkpoint_every: 1000, rules });
  playRound();
  h.openNext();
}
beforeEach(() => begin());

/** A round in which alice and bob hand in and judges say what they say. */
function playRound(says?: Parameters<History['judgeAll']>[0]): void {
  handIn();
  h.judgeAll(says);
  h.merge();
}
const handIn = (): [string, string] => {
  const { round, attempt, model: base } = h.run;
  const ids = [ALICE, BOB].map((by) => h.happen(by, work({ round, attempt, base })));
  return ids as [string, string];
};
const submission = (id: string) => h.run.submissions.get(id)!;
const sharesOf = (id: string): number => h.run.shares.get(id) ?? 0;
const peer = (id: string) => h.run.peers.get(id)!;

describe('an appeal', () => {
  test('is opened by one judge who does not accept; everybody who may judge judges again, and their word counts', () => {
    const [a, b] = handIn();
    h.draw();
    const [liar] = submission(a).judges;
    const before = sharesOf(ALICE);
    h.judgeAll((judge, id) => (judge === liar && id === a ? FRAUD : {}));
    assert.equal(submission(a).first!.size, 3);
    assert.deepEqual(submission(a).judges, VALIDATORS);
    assert.equal(submission(b).first, null, 'what all accept is not judged again');
    assert.equal(judgementOf(h.state, h.run, submission(a)), 'accepted');
    h.merge();
    assert.ok(sharesOf(ALICE) > before && peer(ALICE).forfeited_shares === 0);
  });

  test('three of three first judges who lie about honest work cannot take anything', () => {
    const [a] = handIn();
    h.draw();
    const cartel = submission(a).judges;
    h.judgeAll((judge, id) => (cartel.includes(judge) && id === a ? FRAUD : {}));
    assert.equal(judgementOf(h.state, h.run, submission(a)), 'accepted');
    h.merge();
    assert.equal(peer(ALICE).refused_submissions, 0);
  });

  test('one judge who finds made-up work convicts its worker, when the others have repeated it too', () => {
    const [a] = handIn();
    h.draw();
    const [finder] = submission(a).judges;
    h.judgeAll((judge, id) => {
      if (id !== a) return {};
      return submission(a).first !== null || judge === finder ? FRAUD : {};
    });
    assert.equal(judgementOf(h.state, h.run, submission(a)), 'fraud');
    const before = sharesOf(ALICE);
    assert.ok(before > 0);
    h.merge();
    assert.deepEqual([sharesOf(ALICE), peer(ALICE).forfeited_shares, peer(ALICE).consecutive_valid], [0, before, 0]);
  });

  test('a newcomer whom all first judges refuse is refused without one, and without being called a cheat', () => {
    const carl = key(200);
    h.happen(carl, joined());
    const { round, model: base } = h.run;
    handIn();
    const c = h.happen(carl, work({ round, base }));
    h.judgeAll((_, id) => (id === c ? FRAUD : {}));
    assert.deepEqual([submission(c).first, judgementOf(h.state, h.run, submission(c))], [null, 'refused']);
  });

  /** An appeal of alice's work, in which only those who are named say what they are told. */
  function appealHeardBy(says: ReadonlyMap<string, Partial<VerdictGiven>>): string {
    const [a] = handIn();
    h.draw();
    const liar = submission(a).judges.find((id) => says.has(id)) ?? submission(a).judges[0];
    h.judgeAll((judge, id) => {
      if (id !== a) return {};
      if (submission(a).first === null) return judge === liar ? FRAUD : {};
      return says.get(judge) ?? null;
    });
    return a;
  }
  const strikes = (): number => VALIDATORS.reduce((sum, id) => sum + peer(id).strikes, 0);

  test('that most do not answer in time decides nothing: three of ten convict nobody while the others still check', () => {
    for (const speakers of [3, 5]) {
      begin();
      const cartel = VALIDATORS.slice(0, speakers);
      const a = appealHeardBy(new Map(cartel.map((id) => [id, FRAUD])));
      const before = sharesOf(ALICE);
      assert.equal(judgementOf(h.state, h.run, submission(a)), 'none');
      h.merge();
      assert.deepEqual([sharesOf(ALICE), peer(ALICE).forfeited_shares, strikes()], [before, 0, 0]);
      assert.equal(peer(ALICE).consecutive_valid, 1, 'its record stays');
    }
  });

  test('is decided by more than half of all who may judge, not of those who were quick', () => {
    for (const [cartel, lie, expected] of [
      [4, FRAUD, 'refused'],
      [5, FRAUD, 'refused'],
      [6, FRAUD, 'fraud'],
      [4, {}, 'refused'],
      [5, {}, 'refused'],
      [6, {}, 'accepted'],
    ] as const) {
      begin();
      const honest = lie === FRAUD ? {} : FRAUD;
      const quick = VALIDATORS.slice(0, cartel + 2);
      const a = appealHeardBy(new Map(quick.map((id, i) => [id, i < cartel ? lie : honest])));
      assert.equal(judgementOf(h.state, h.run, submission(a)), expected, `${cartel} of ten`);
      h.merge();
      if (expected === 'refused') assert.equal(strikes(), 0);
    }
  });

  test('is counted by accounts: of two devices of one person the word of one is enough', () => {
    for (const [third, expected] of [
      [null, 'refused'],
      [{}, 'accepted'],
    ] as const) {
      begin();
      const [a] = handIn();
      h.draw();
      const [liar] = submission(a).judges;
      const [silent, ...devices] = VALIDATORS.filter((id) => id !== liar);
      for (const id of devices) bindDevice(h.state, id, { owner: key(99), expires_ms: 9e12 });
      h.judgeAll((judge, id) => {
        if (id !== a) return {};
        if (judge === liar) return FRAUD;
        if (submission(a).first === null || judge === devices[0]) return {};
        return judge === silent ? third : null;
      });
      assert.equal(judgementOf(h.state, h.run, submission(a)), expected);
    }
  });

  test('needs most of the seats: one friend alone among judges who kept silent accepts nothing for good', () => {
    const [a] = handIn();
    h.draw();
    const { judges } = submission(a);
    const friend = judges[0];
    h.judgeAll((judge, id) => {
      if (id !== a || submission(a).first !== null) return id === a ? FRAUD : {};
      return judge === friend ? {} : null;
    });
    assert.equal(judgementOf(h.state, h.run, submission(a)), 'fraud');
  });

  test('is no second vote for those who judge alone, or who have all repeated the work already', () => {
    begin({ judges: 3 }, 1);
    const [a] = handIn();
    h.judgeAll((_, id) => (id === a ? FRAUD : {}));
    assert.deepEqual([submission(a).first, judgementOf(h.state, h.run, submission(a))], [null, 'fraud']);
    begin({ judges: 3 }, 3);
    const [b] = handIn();
    h.draw();
    const [one] = submission(b).judges;
    h.judgeAll((judge, id) => (id === b && judge === one ? FRAUD : {}));
    assert.equal(submission(b).first, null, 'all repeat what a newcomer hands in');
  });

  test('takes verdicts of its own only, one of each judge', () => {
    const [a] = handIn();
    h.draw();
    const { judges } = submission(a);
    const says = (accepted: boolean, more: Partial<VerdictGiven> = {}) =>
      exampleVerdict(RUN, a, TOKENS, accepted, { ...(accepted ? {} : FRAUD), ...more });
    for (const id of h.run.submissions.keys()) {
      for (const by of submission(id).judges)
        h.happen(by, sealFor(by, { ...says(by !== judges[0]), submission: id, weight: by !== judges[0] ? TOKENS : 0 }));
    }
    assert.equal(h.run.phase, 'revealing');
    for (const id of h.run.submissions.keys()) {
      for (const by of submission(id).judges) h.happen(by, { ...says(by !== judges[0]), submission: id });
    }
    assert.equal(h.run.phase, 'judging');
    h.refused('wrong-phase', judges[0], sealFor(judges[0], says(true)));
    const again = says(true, { appeal: true });
    h.refused('not-a-validator', key(250), sealFor(key(250), again));
  });
});

test('the first judges call nobody a cheat because everybody else has just gone', () => {
  const [a] = handIn();
  h.draw();
  const { judges } = submission(a);
  for (const id of VALIDATORS.filter((other) => !judges.includes(other))) h.happen(id, left(id));
  h.judgeAll((_, id) => (id === a ? FRAUD : {}));
  assert.deepEqual([submission(a).first, judgementOf(h.state, h.run, submission(a))], [null, 'refused']);
});

describe('contradicting a jury', () => {
  /** A round in which one first judge of alice's work cries wolf; returns it. */
  function wolf(): string {
    const [a] = handIn();
    h.draw();
    const [liar] = submission(a).judges;
    h.judgeAll((judge, id) => (judge === liar && id === a && submission(a).first === null ? FRAUD : {}));
    h.merge();
    return liar;
  }

  test('suspends who cried wolf, for longer each time, and takes its pay of the round', () => {
    const before = new Map(h.run.shares);
    const liar = wolf();
    assert.deepEqual([peer(liar).strikes, peer(liar).suspended_until], [1, h.run.round + 2]);
    assert.equal(sharesOf(liar), before.get(liar) ?? 0);
    assert.ok(peer(liar).forfeited_shares > 0);
    for (let i = 0; i < 2; i++) {
      h.openNext();
      assert.ok(!h.run.eligible.includes(liar));
      playRound();
    }
    h.openNext();
    assert.ok(h.run.eligible.includes(liar));
    peer(liar).strikes = 5;
    peer(liar).struck_round = h.run.round;
    for (;;) {
      const [a] = handIn();
      h.draw();
      const seated = submission(a).judges.includes(liar);
      h.judgeAll((judge, id) => (judge === liar && id === a && submission(a).first === null ? FRAUD : {}));
      h.merge();
      if (seated) break;
      h.openNext();
    }
    assert.deepEqual([peer(liar).strikes, peer(liar).suspended_until], [6, h.run.round + 64]);
  });

  test('costs nobody who was not to repeat all of what it accepted', () => {
    for (const kind of ['nothing', 'a beginning']) {
      begin({ probation: 1, reexecute_permille: 500 });
      for (;;) {
        const [a] = handIn();
        h.draw();
        const { judges } = submission(a);
        const duties = judges.map((id) => dutyOf(repeatableOf(h.run, submission(a)), id).repeat_permille);
        // Who repeats nothing cannot know, and who repeats a beginning need not.
        const finder = judges[duties.indexOf(kind === 'nothing' ? 1000 : 0)];
        if (duties.some((part) => (kind === 'nothing' ? part === 1000 : part > 0 && part < 1000))) {
          h.judgeAll((judge, id) => {
            if (id !== a) return {};
            return submission(a).first !== null || judge === finder ? FRAUD : {};
          });
          assert.equal(judgementOf(h.state, h.run, submission(a)), 'fraud');
          h.merge();
          for (const id of judges) assert.equal(peer(id).strikes, 0, kind);
          break;
        }
        h.judgeAll();
        h.merge();
        h.openNext();
      }
    }
  });

  test('costs nobody who was to repeat it only because another judge went, while it was at it', () => {
    begin({ probation: 1, reexecute_permille: 500 });
    for (;;) {
      const [a] = handIn();
      h.draw();
      const { judges } = submission(a);
      const whole = (id: string): boolean => dutyOf(repeatableOf(h.run, submission(a)), id).repeat_permille === 1000;
      const friend = judges.find(whole);
      if (friend) h.happen(friend, left(friend));
      const surprised = judges.find((id) => id !== friend && whole(id));
      const finder = judges.find((id) => id !== friend && id !== surprised)!;
      h.judgeAll((judge, id) => {
        if (!friend || !surprised || id !== a) return {};
        return submission(a).first !== null || judge === finder ? FRAUD : {};
      });
      const found = judgementOf(h.state, h.run, submission(a));
      h.merge();
      if (friend && surprised) {
        assert.deepEqual([found, peer(surprised).strikes], ['fraud', 0]);
        return;
      }
      if (friend) h.happen(friend, joined('validator', peer(friend).joins));
      h.openNext();
    }
  });

  test('cannot be got round by keeping what was sealed to oneself: that is not paid, also when the appeal is', () => {
    const [a, b] = handIn();
    h.draw();
    const [keeper, finder] = submission(a).judges;
    const says = (judge: string, id: string) => {
      const accepted = judge !== finder || id !== a;
      return exampleVerdict(RUN, id, TOKENS, accepted, accepted ? {} : FRAUD);
    };
    const said = [a, b].flatMap((id) => submission(id).judges.map((judge) => [judge, says(judge, id)] as const));
    for (const [judge, one] of said) h.happen(judge, sealFor(judge, one));
    for (const [judge, one] of said) if (judge !== keeper || one.submission !== a) h.happen(judge, one);
    for (let i = 0; i < 2; i++) h.happen(HUB, tick(h.state.time_ms + 5000));
    assert.equal(h.run.phase, 'judging');
    const before = sharesOf(keeper);
    h.judgeAll();
    assert.ok(!submission(a).judges.includes(keeper), 'who was silent is not asked again');
    h.merge();
    assert.equal(sharesOf(keeper), before);
  });

  test('suspends who was to repeat made-up work and accepted it, and jurors on either side who stand alone', () => {
    const [a] = handIn();
    h.draw();
    const [friend, finder] = submission(a).judges;
    const other = VALIDATORS.find((id) => !submission(a).judges.includes(id))!;
    h.judgeAll((judge, id) => {
      if (id !== a) return {};
      if (submission(a).first === null) return judge === finder ? FRAUD : {};
      return judge === other ? {} : FRAUD;
    });
    h.merge();
    assert.deepEqual(
      [friend, other, finder].map((id) => peer(id).strikes),
      [1, 1, 0],
    );
  });

  test('is remembered of the account: a fresh device of it waits as well, and its next strike counts on', () => {
    const liar = wolf();
    const [fresh, other] = [key(70), key(71)];
    for (const id of [liar, fresh, other]) bindDevice(h.state, id, { owner: key(99), expires_ms: 9e12 });
    for (const id of [fresh, other]) h.joinLongAgo(id);
    h.openNext();
    for (const id of [liar, fresh, other]) assert.ok(!h.run.eligible.includes(id));
    assert.equal(h.run.eligible.length, 9);
    suspend(h.state, h.run, new Set([fresh, other]));
    assert.deepEqual(
      [liar, fresh, other].map((id) => peer(id).strikes),
      [1, 2, 2],
    );
  });

  test('never leaves a run to half of its stake or less: then the devices wait alone, or nobody', () => {
    begin({}, 4);
    const [a, b, c, d] = VALIDATORS;
    const seats = (): string[] => {
      playRound();
      h.openNext();
      return h.run.eligible;
    };
    peer(a).suspended_until = 99;
    assert.deepEqual(seats(), [b, c, d]);
    peer(b).suspended_until = 99;
    assert.deepEqual(seats(), [a, b, c, d]);
    for (const id of [b, c, d]) bindDevice(h.state, id, { owner: key(99), expires_ms: 9e12 });
    peer(a).suspended_until = 0;
    assert.deepEqual(seats(), [a, c, d]);
  });

  test('of everybody leaves the run with its judges', () => {
    begin({}, 2);
    for (const id of VALIDATORS.slice(0, 2)) peer(id).suspended_until = 99;
    playRound();
    h.openNext();
    assert.deepEqual(h.run.eligible, VALIDATORS.slice(0, 2));
  });
});

test('jurors who leave are not waited for, and may come back', () => {
  const [a] = handIn();
  h.draw();
  const [liar] = submission(a).judges;
  const gone = VALIDATORS.find((id) => !submission(a).judges.includes(id))!;
  let left_then = false;
  h.judgeAll((judge, id) => {
    if (id === a && submission(a).first !== null && !left_then) {
      left_then = true;
      h.happen(gone, left(gone));
      assert.ok(!submission(a).judges.includes(gone));
      h.happen(gone, joined('validator', 1));
      assert.ok(submission(a).judges.includes(gone));
    }
    return judge === liar && id === a ? FRAUD : {};
  });
  assert.ok(left_then);
  assert.equal(judgementOf(h.state, h.run, submission(a)), 'accepted');
});
