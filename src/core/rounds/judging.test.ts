// What judges may say, and what comes of it: stake decides, plants convict, rules change with notice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bindDevice } from '../devices.ts';
import type { EventBody } from '../events.ts';
import { initialState, type NetworkState } from '../state.ts';
import { apply } from '../testing/checked-apply.ts';
import { drawnBy, EXAMPLE_HUB } from '../testing/example-draw.ts';
import { EXAMPLE_WORDS, exampleRules, exampleVerdict, sealFor } from '../testing/example-events.ts';
import { judgementOf, pledgeOf } from './judging.ts';
import { mergedList } from './merged-list.ts';

const name = (character: string): string => character.repeat(64);
const [OWNER, RUN, MODEL] = ['1', 'f', '5'].map(name);
const HUB = EXAMPLE_HUB.id;
const EMISSION = {
  ...{ shares_per_round: 1000, halving_rounds: 0, owner_permille: 0 },
  ...{ workers_permille: 500, validators_permille: 500 },
};

let serial = 0;
const say = (state: NetworkState, author: string, body: EventBody) => {
  const id = (++serial).toString(16).padStart(64, '0');
  return { id, refusal: apply(state, { id, author, body }) };
};
const happen = (state: NetworkState, author: string, body: EventBody): string => {
  const { id, refusal } = say(state, author, body);
  assert.equal(refusal, null, JSON.stringify(refusal));
  return id;
};

/** A run whose first round is open, with workers and validators of these names. */
function opened(
  workers: readonly string[],
  validators: readonly string[],
  rules = {},
  state = initialState(HUB),
): NetworkState {
  const times = { rounds: 9, round_ms: 1000, judging_ms: 400, min_workers: 1, checkpoint_every: 9, created_ms: 0 };
  const created = { name: 'x', game: 'pretrain', params: MODEL, model: MODEL, ...times };
  const body: EventBody = {
    ...{ type: 'run.created', version: 3, ...EXAMPLE_WORDS, ...created },
    rules: exampleRules(EMISSION, { withheld_rounds: 10, ...rules }),
  };
  assert.equal(apply(state, { id: RUN, author: OWNER, body }), null);
  const join = (role: 'worker' | 'validator') => (id: string) =>
    happen(state, id, { type: 'peer.joined', version: 1, run: RUN, session: 0, role, name: 'x', runtime: 'y' });
  workers.forEach(join('worker'));
  validators.forEach(join('validator'));
  happen(state, HUB, { type: 'tick', version: 1, time_ms: 1 });
  happen(state, HUB, { type: 'round.opened', version: 1, run: RUN, round: 0, attempt: 0 });
  return state;
}

const work = (state: NetworkState, author: string, pledge = name('d')): string =>
  happen(state, author, {
    ...{ type: 'work.submitted', version: 2, run: RUN, round: state.runs.get(RUN)!.round, attempt: 0 },
    ...{
      base: state.runs.get(RUN)!.model,
      work: name('7'),
      size_bytes: 1,
      amount: 10,
      numbers: {},
      pledge,
    },
  });

/** The list of work is closed. */
const draw = (state: NetworkState): string => happen(state, HUB, drawnBy(EXAMPLE_HUB, state.runs.get(RUN)!));

const merge = (state: NetworkState, accepted: readonly string[]): string => {
  const { round, model } = state.runs.get(RUN)!;
  const empty = accepted.length === 0;
  return happen(state, HUB, {
    ...{
      type: 'round.merged',
      version: 2,
      run: RUN,
      round,
      attempt: 0,
      ...mergedList([...accepted].sort()),
      checkpoint: false,
    },
    ...{ model: empty ? model : name(String(6 + round)), bundle: empty ? null : name('3') },
  });
};

test('judges are as many as the rules say, the same for everybody, and replaced when they leave before they seal', () => {
  const validators = ['6', '7', '8', '9', 'a', 'b'].map(name);
  const state = opened([name('c')], validators, { judges: 2 });
  const id = work(state, name('c'));
  draw(state);
  const { submissions } = state.runs.get(RUN)!;
  const [first, second] = submissions.get(id)!.judges;
  const other = validators.find((validator) => validator !== first && validator !== second)!;
  assert.equal(say(state, other, sealFor(other, exampleVerdict(RUN, id, 10))).refusal?.code, 'not-assigned');
  happen(state, first, sealFor(first, exampleVerdict(RUN, id, 10)));
  happen(state, second, { type: 'peer.left', version: 1, run: RUN, peer: second, session: 0, reason: 'goodbye' });
  const { judges } = submissions.get(id)!;
  assert.equal(judges.length, 2);
  assert.ok(judges.includes(first) && !judges.includes(second));
});

test('stake decides, fraud costs what is withheld, and the shares go back to the run', () => {
  const [ann, bob] = [name('a'), name('b')];
  const validators = [ann, bob].map((account, i) => ({ account, stake: i === 0 ? 3 : 1 }));
  const state = opened([name('c')], [ann, bob], { validators });
  const run = state.runs.get(RUN)!;
  const round = (annSays: boolean, bobSays: boolean): string => {
    const id = work(state, name('c'));
    draw(state);
    const verdicts = [ann, bob].map((by, i) => {
      const accepted = i === 0 ? annSays : bobSays;
      return { by, verdict: exampleVerdict(RUN, id, 10, accepted, { fraud: !accepted }) };
    });
    for (const { by, verdict } of verdicts) happen(state, by, sealFor(by, verdict));
    for (const { by, verdict } of verdicts) happen(state, by, verdict);
    return id;
  };
  merge(state, [round(true, false)]);
  assert.equal(run.shares.get(name('c')), 500, 'three quarters of the stake say that it is fine');
  happen(state, HUB, { type: 'round.opened', version: 1, run: RUN, round: 1, attempt: 0 });
  round(false, true);
  merge(state, []);
  const worker = run.peers.get(name('c'))!;
  assert.deepEqual([run.shares.get(name('c')), worker.forfeited_shares, worker.consecutive_valid], [0, 500, 0]);
  const held = [...run.shares.values()].reduce((a, b) => a + b, 0);
  assert.equal(held + run.unearned_shares, run.emitted_shares);
});

test('a planted submission takes from who misjudged it what is withheld, once, and only its owner can open it', () => {
  const [ann, bob] = [name('a'), name('b')];
  const state = opened([name('c'), name('e')], [ann, bob]);
  const run = state.runs.get(RUN)!;
  const planted = work(state, name('c'), pledgeOf(OWNER, name('9'), false));
  const honest = work(state, name('e'));
  const verdicts = [ann, bob].flatMap((by) =>
    [planted, honest].map((id) => ({ by, verdict: exampleVerdict(RUN, id, 10, id === honest || by === bob) })),
  );
  draw(state);
  for (const { by, verdict } of verdicts) happen(state, by, sealFor(by, verdict));
  for (const { by, verdict } of verdicts) happen(state, by, verdict);
  merge(state, [honest]);
  const before = run.shares.get(bob)!;
  assert.ok(before > 0);
  const reveal = (accepted: boolean): EventBody => ({
    ...{ type: 'plant.revealed', version: 1, run: RUN, submission: planted, salt: name('9'), accepted },
  });
  assert.equal(say(state, ann, reveal(false)).refusal?.code, 'not-the-owner');
  assert.equal(say(state, OWNER, reveal(true)).refusal?.code, 'wrong-seal');
  happen(state, OWNER, reveal(false));
  assert.equal(say(state, OWNER, reveal(false)).refusal?.code, 'unknown-submission');
  assert.deepEqual([run.shares.get(bob), run.peers.get(bob)!.plants_wrong], [0, 1]);
  assert.deepEqual([run.peers.get(ann)!.plants_right, run.peers.get(ann)!.forfeited_shares], [1, 0]);
});

test('rules change with notice, for later rounds only, each proposal once', () => {
  const state = opened([name('c')], [], { notice_rounds: 1 });
  const run = state.runs.get(RUN)!;
  const rules = exampleRules({ ...EMISSION, shares_per_round: 7 });
  const propose = (proposal: number, from_round: number): EventBody => ({
    ...{ type: 'rules.proposed', version: 1, run: RUN, proposal, from_round, rules },
  });
  assert.equal(say(state, name('c'), propose(0, 5)).refusal?.code, 'not-the-owner');
  assert.equal(say(state, OWNER, propose(0, 0)).refusal?.code, 'too-soon');
  happen(state, OWNER, propose(0, 1));
  assert.equal(say(state, OWNER, propose(0, 1)).refusal?.code, 'wrong-proposal');
  assert.equal(run.rules.emission.shares_per_round, 1000, 'the open round goes on by its own rules');
  merge(state, [work(state, name('c'))]);
  assert.equal(run.rules.emission.shares_per_round, 7);
});

test('an account has the say that the rules give it, however many devices it brings', () => {
  const [ann, bob, cat] = ['2', '3', '4'].map(name);
  const anns = ['6', '7', '8', '9', 'a', 'b'].map(name);
  const validators = [ann, bob, cat].map((account) => ({ account, stake: 1 }));
  const verdictsOf = (judges: number, workers: readonly string[]) => {
    const state = initialState(HUB);
    for (const device of anns) bindDevice(state, device, { owner: ann, expires_ms: 1e9 });
    return { state: opened(workers, [...anns, bob, cat], { validators, judges }, state), workers };
  };
  const many = verdictsOf(
    3,
    Array.from({ length: 20 }, (_, i) => name('c').slice(2) + String(10 + i)),
  );
  const works = many.workers.map((worker) => work(many.state, worker));
  draw(many.state);
  for (const id of works) {
    const { judges } = many.state.runs.get(RUN)!.submissions.get(id)!;
    assert.ok(judges.includes(bob) && judges.includes(cat), 'a second device comes after everybody else');
  }
  // Where all judge, six devices of one account weigh as much as one.
  const { state } = verdictsOf(9, [name('c')]);
  const id = work(state, name('c'));
  draw(state);
  const said = [...anns, bob, cat].map((by) => {
    return { by, verdict: exampleVerdict(RUN, id, 10, anns.includes(by)) };
  });
  for (const { by, verdict } of said) happen(state, by, sealFor(by, verdict));
  for (const { by, verdict } of said) happen(state, by, verdict);
  const run = state.runs.get(RUN)!;
  assert.equal(judgementOf(state, run, run.submissions.get(id)!), 'refused', 'one account against two');
});
