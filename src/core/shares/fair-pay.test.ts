// Whom pay must not punish: who is late within the grace, who was away, who is new, who has a slow device. Three rounds of a run by hand.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { EventBody } from '../events.ts';
import { mergedList } from '../rounds/merged-list.ts';
import { RulesSchema } from '../rules.ts';
import { initialState, type NetworkState, type RunState } from '../state.ts';
import { apply } from '../testing/checked-apply.ts';
import { drawnBy, EXAMPLE_HUB } from '../testing/example-draw.ts';
import { EXAMPLE_WORDS, exampleRules, exampleVerdict, sealFor } from '../testing/example-events.ts';

const name = (character: string): string => character.repeat(64);
const [HUB, OWNER, RUN] = [EXAMPLE_HUB.id, name('1'), name('f')];
const [ALICE, BOB, VERA] = [name('a'), name('b'), name('e')];
const WORKERS_PART = 410_000;

let state: NetworkState;
let serial = 0;
const run = (): RunState => state.runs.get(RUN)!;
function happen(author: string, body: EventBody, id?: string): string {
  const made = { id: id ?? (++serial).toString(16).padStart(64, '0'), author, body };
  const refusal = apply(state, made);
  assert.equal(refusal, null, JSON.stringify(refusal));
  return made.id;
}
const tick = (time_ms: number): string => happen(HUB, { type: 'tick', version: 1, time_ms });
const join = (peer: string, role: 'worker' | 'validator' = 'worker'): string =>
  happen(peer, { type: 'peer.joined', version: 1, run: RUN, session: 0, role, name: 'x', runtime: 'native-cpu' });

beforeEach(() => {
  state = initialState(HUB);
  serial = 0;
  tick(1);
  happen(
    OWNER,
    {
      ...{
        type: 'run.created',
        version: 3,
        ...EXAMPLE_WORDS,
        name: 'test',
        game: 'g',
        params: name('2'),
        model: name('5'),
        rounds: 9,
      },
      ...{ round_ms: 1000, judging_ms: 400, min_workers: 1, checkpoint_every: 9, created_ms: 0 },
      rules: exampleRules(
        {
          ...{ shares_per_round: 1_000_000, halving_rounds: 0 },
          ...{ owner_permille: 180, workers_permille: 410, validators_permille: 410 },
        },
        { withheld_rounds: 40 },
      ),
    },
    RUN,
  );
  join(VERA, 'validator');
});

const submit = (worker: string, amount: number): string => {
  const { round, attempt, model: base } = run();
  return happen(worker, {
    ...{ type: 'work.submitted', version: 2, run: RUN, round, attempt, base, work: name('7'), size_bytes: 10 },
    ...{ amount, numbers: {}, pledge: name('d') },
  });
};

/** A round in which `works` is handed in in time and `late` after the deadline; Vera accepts everything. Returns what each got. */
function playRound(works: Record<string, number>, late: Record<string, number> = {}): Map<string, number> {
  const before = new Map(run().shares);
  const { round, attempt } = run();
  happen(HUB, { type: 'round.opened', version: 1, run: RUN, round, attempt });
  const verdicts = new Map<string, number>();
  for (const [worker, amount] of Object.entries(works)) verdicts.set(submit(worker, amount), amount);
  if (run().phase === 'working') tick(run().deadline_ms);
  assert.equal(run().phase, 'judging');
  for (const [worker, amount] of Object.entries(late)) verdicts.set(submit(worker, amount), amount);
  const shown = [...verdicts].map(([id, amount]) => exampleVerdict(RUN, id, amount));
  if (run().attendance.handed_in < run().attendance.workers) tick(run().grace_deadline_ms);
  happen(HUB, drawnBy(EXAMPLE_HUB, run()));
  for (const verdict of shown) happen(VERA, sealFor(VERA, verdict));
  for (const verdict of shown) happen(VERA, verdict);
  happen(HUB, {
    ...{ type: 'round.merged', version: 2, run: RUN, round, attempt, model: name(String(6 + round)) },
    ...{ ...mergedList([...verdicts.keys()].sort()), bundle: name('8'), checkpoint: false },
  });
  return new Map([...run().shares].map(([account, shares]) => [account, shares - (before.get(account) ?? 0)]));
}

/** To about a share in 2^15: scores become 16-bit weights on their way through the consensus. */
function near(actual: number | undefined, expected: number): void {
  assert.ok(Math.abs(actual! - expected) <= WORKERS_PART / 2 ** 15, `${actual} is not about ${expected}`);
}

describe('pay does not punish', () => {
  test('who is late within the grace: it earns what it would have earned in time', () => {
    join(ALICE);
    join(BOB);
    const got = playRound({ [ALICE]: 50 }, { [BOB]: 50 });
    near(got.get(ALICE), WORKERS_PART / 2);
    near(got.get(BOB), WORKERS_PART / 2);
  });

  test('who was away: nothing is taken, and back again it earns as before', () => {
    join(ALICE);
    join(BOB);
    near(playRound({ [ALICE]: 50, [BOB]: 50 }).get(BOB), WORKERS_PART / 2);
    const held = run().shares.get(BOB);
    playRound({ [ALICE]: 50 });
    playRound({ [ALICE]: 50 });
    assert.equal(run().shares.get(BOB), held);
    const { forfeited_shares, consecutive_valid } = run().peers.get(BOB)!;
    assert.deepEqual([forfeited_shares, consecutive_valid], [0, 1]);
    near(playRound({ [ALICE]: 50, [BOB]: 50 }).get(BOB), WORKERS_PART / 2);
  });

  test('who is new: its first verified work earns what a veteran earns for the same', () => {
    join(ALICE);
    for (let round = 0; round < 3; round++) playRound({ [ALICE]: 50 });
    join(BOB);
    near(playRound({ [ALICE]: 50, [BOB]: 50 }).get(BOB), WORKERS_PART / 2);
  });

  test('who has a tenth of the speed: it earns a tenth for a tenth of the work', () => {
    join(ALICE);
    join(BOB);
    near(playRound({ [ALICE]: 50, [BOB]: 5 }).get(BOB), WORKERS_PART / 11);
  });
});

test('rules may let ratings count, in thousandths; without a word they do not', () => {
  const { rules } = run();
  assert.equal(RulesSchema.parse(rules).rating_permille, undefined);
  assert.equal(RulesSchema.parse({ ...rules, rating_permille: 500 }).rating_permille, 500);
  assert.ok(!RulesSchema.safeParse({ ...rules, rating_permille: 1001 }).success);
});
