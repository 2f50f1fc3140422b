// Who is accepted and who is paid, case by case: judges who disagree, say too much, show nothing, leave, or lose their say.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { bindDevice } from '../devices.ts';
import type { VerdictGiven } from '../events/verdict-given.ts';
import { CORE_LIMITS } from '../limits.ts';
import { judgementOf } from '../rounds/judging.ts';
import type { Rules } from '../rules.ts';
import { exampleRules, exampleVerdict, sealFor } from '../testing/example-events.ts';
import {
  ALICE,
  BOB,
  History,
  HUB,
  left,
  merged,
  name,
  OWNER,
  RUN,
  TOKENS,
  tick,
  VERA,
  work,
} from '../testing/example-history.ts';
import { weightsOf } from './payout.ts';

const [WIM, XENA] = [name('d'), name('c')];
const EMISSION = { shares_per_round: 1000, halving_rounds: 0, owner_permille: 180 };
const rules = (more: Partial<Rules> = {}): Rules =>
  exampleRules({ ...EMISSION, workers_permille: 410, validators_permille: 410 }, more);

const accepts = (id: string, weight = TOKENS) => exampleVerdict(RUN, id, TOKENS, true, { weight });
const refuses = (id: string) => exampleVerdict(RUN, id, TOKENS, false);
const accuses = (id: string) => exampleVerdict(RUN, id, TOKENS, false, { fraud: true });
type Says = Readonly<Record<string, readonly VerdictGiven[]>>;

let h: History;
beforeEach(() => {
  h = new History();
});

/** A run with alice and bob and these validators; its first round is open. */
function begin(validators: readonly string[], more: Partial<Rules> = {}): void {
  h.openWith(validators, { rounds: 9, checkpoint_every: 9, rules: rules(more) });
}
const handIn = (worker: string): string => h.happen(worker, work({ round: h.run.round, base: h.run.model }));
function seal(says: Says): void {
  h.draw();
  for (const [judge, verdicts] of Object.entries(says)) {
    for (const verdict of verdicts) h.happen(judge, sealFor(judge, verdict));
  }
}
function judge(says: Says): void {
  seal(says);
  for (const [judge, verdicts] of Object.entries(says)) for (const verdict of verdicts) h.happen(judge, verdict);
}
function merge(accepted: readonly string[]): void {
  const { round } = h.run;
  h.happen(HUB, merged([...accepted].sort(), { round, model: (round + 6).toString(16).padStart(64, '0') }));
}

/** A round in which both hand in, and all of these judges accept everything. */
function agree(judges: readonly string[]): void {
  const ids = [handIn(ALICE), handIn(BOB)];
  judge(Object.fromEntries(judges.map((id) => [id, ids.map((work) => accepts(work))])));
  merge(ids);
}

describe('two judges who disagree', () => {
  test('refuse: half of the stake is not enough, and refused work is paid nothing', () => {
    begin([VERA, WIM]);
    const [a, b] = [handIn(ALICE), handIn(BOB)];
    judge({ [VERA]: [accepts(a), accepts(b)], [WIM]: [accepts(a), refuses(b)] });
    merge([a]);
    assert.deepEqual([h.run.shares.get(ALICE), h.run.shares.get(BOB)], [410, undefined]);
  });

  test('about whether refused work is made up convict nobody: half of the stake is not enough for that either', () => {
    begin([VERA, WIM], { withheld_rounds: 10 });
    agree([VERA, WIM]);
    h.openNext();
    const [a, b] = [handIn(ALICE), handIn(BOB)];
    judge({ [VERA]: [accuses(a), accepts(b)], [WIM]: [refuses(a), accepts(b)] });
    assert.equal(judgementOf(h.state, h.run, h.run.submissions.get(a)!), 'refused');
    merge([b]);
    assert.deepEqual([h.run.peers.get(ALICE)!.forfeited_shares, h.run.shares.get(ALICE)], [0, 205]);
    assert.deepEqual([h.run.peers.get(ALICE)!.consecutive_valid, h.run.peers.get(BOB)!.consecutive_valid], [0, 2]);
  });
});

describe('a judge', () => {
  test('of the worker’s own account comes last', () => {
    for (const device of [ALICE, VERA]) bindDevice(h.state, device, { owner: XENA, expires_ms: 1e9 });
    begin([VERA, WIM], { judges: 1 });
    const [a] = [handIn(ALICE), handIn(BOB)];
    h.draw();
    assert.deepEqual(h.run.submissions.get(a)!.judges, [WIM]);
  });

  test('vouches for no more than was claimed', () => {
    begin([VERA]);
    const [a, b] = [handIn(ALICE), handIn(BOB)];
    seal({ [VERA]: [accepts(a, TOKENS + 1), accepts(b)] });
    h.refused('bad-verdict', VERA, accepts(a, TOKENS + 1));
    h.happen(VERA, accepts(b));
  });

  test('whom the rules do not name any more has the say of what is locked behind it', () => {
    const named = (...accounts: string[]) => accounts.map((account) => ({ account, stake: 1 }));
    begin([VERA, WIM], { validators: named(VERA, WIM) });
    agree([VERA, WIM]);
    h.happen(VERA, { type: 'stake.locked', version: 1, run: RUN, behind: VERA, shares: 100, change: 0 });
    const proposal = { type: 'rules.proposed', version: 1, run: RUN, proposal: 0, from_round: 2 } as const;
    h.happen(OWNER, { ...proposal, rules: rules({ validators: named(WIM) }) });
    h.openNext();
    agree([VERA, WIM]);
    h.openNext();
    assert.equal(h.run.staked.get(VERA), 100);
    const [a, b] = [handIn(ALICE), handIn(BOB)];
    judge({ [VERA]: [accepts(a), accepts(b)], [WIM]: [refuses(a), accepts(b)] });
    assert.equal(judgementOf(h.state, h.run, h.run.submissions.get(a)!), 'accepted');
  });

  test('that shows only some of what it has sealed is paid nothing, and its words count for nobody’s pay', () => {
    begin([VERA, WIM]);
    const [a, b] = [handIn(ALICE), handIn(BOB)];
    seal({ [VERA]: [accepts(a), accepts(b)], [WIM]: [accepts(a), refuses(b)] });
    h.happen(VERA, accepts(a));
    h.happen(VERA, accepts(b));
    h.happen(WIM, accepts(a));
    h.happen(HUB, tick(1100));
    h.happen(HUB, tick(1299));
    assert.equal(h.run.phase, 'revealing');
    h.happen(HUB, tick(1300));
    assert.equal(h.run.phase, 'merging', 'half of the judging time is for showing, and nobody is waited for beyond it');
    merge([a, b]);
    assert.deepEqual([h.run.shares.get(VERA), h.run.shares.get(WIM)], [410, undefined]);
    assert.deepEqual([h.run.shares.get(ALICE), h.run.shares.get(BOB)], [205, 205]);
  });

  test('that was not drawn is as if it had said what half of the stake of those who were says at least', () => {
    begin([VERA, WIM, XENA], { judges: 2 });
    const ids = [handIn(ALICE), handIn(BOB)];
    h.draw();
    const words = new Map(ids.map((id) => [id, h.run.submissions.get(id)!.judges]));
    // Of two judges the first vouches for all, the other for half.
    for (const [id, [first, other]] of words) seal({ [first]: [accepts(id)], [other]: [accepts(id, TOKENS / 2)] });
    for (const [id, [first, other]] of words) {
      h.happen(first, accepts(id));
      h.happen(other, accepts(id, TOKENS / 2));
    }
    const { scores } = weightsOf(h.state, h.run);
    const notDrawn = [...scores].flatMap(([id, row]) =>
      [...h.run.submissions.values()].filter(({ judges }) => !judges.includes(id)).map(({ worker }) => row.get(worker)),
    );
    assert.ok(notDrawn.length > 0);
    assert.ok(
      notDrawn.every((weight) => weight === TOKENS),
      `not drawn counts as ${notDrawn}`,
    );
  });
});

describe('who leaves', () => {
  test('as a judge owes nothing any more, and nobody waits for it', () => {
    begin([VERA, WIM]);
    const [a, b] = [handIn(ALICE), handIn(BOB)];
    seal({ [VERA]: [accepts(a), accepts(b)] });
    assert.equal(h.run.phase, 'judging');
    h.happen(HUB, left(WIM));
    assert.equal(h.run.phase, 'revealing');
  });

  test('as a worker and hands in all the same does not stand for one who is here', () => {
    begin([VERA]);
    h.happen(HUB, left(BOB));
    handIn(BOB);
    assert.deepEqual([h.run.phase, h.run.attendance.handed_in], ['working', 0]);
    handIn(ALICE);
    assert.equal(h.run.phase, 'judging');
  });
});

test('a hub that was away while late work was waited for gives the time back', () => {
  begin([VERA]);
  handIn(ALICE);
  h.happen(HUB, tick(2000));
  const { grace_deadline_ms } = h.run;
  const away_ms = CORE_LIMITS.tick_gap_ms + 1;
  h.happen(HUB, tick(2000 + away_ms));
  assert.equal(h.run.grace_deadline_ms, grace_deadline_ms + away_ms);
  handIn(BOB);
  h.draw();
  h.happen(HUB, tick(2001 + away_ms));
  const { judging_deadline_ms } = h.run;
  h.happen(HUB, tick(2001 + 2 * away_ms));
  assert.equal(h.run.judging_deadline_ms, judging_deadline_ms + away_ms);
});
