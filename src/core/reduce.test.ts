// The state machine of a run: what may follow what, who may say it, that deadlines hold, and that a refusal changes nothing.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import type { EventBody, LoggedEvent } from './events.ts';
import { exampleRules, exampleVerdict, sealFor } from './example-events.ts';
import { CORE_LIMITS } from './limits.ts';
import { apply } from './reduce.ts';
import type { RefusalCode } from './refusal.ts';
import { statementOf } from './share-table.ts';
import { initialState, type NetworkState, type RunState } from './state.ts';
import { stateHash } from './state-bytes.ts';

const name = (character: string): string => character.repeat(64);
const HUB = name('0');
const OWNER = name('1');
const ALICE = name('a');
const BOB = name('b');
const VERA = name('e');
const RUN = name('f');
const FIRST_MODEL = name('5');

let state: NetworkState;
let serial = 0;
beforeEach(() => {
  state = initialState(HUB);
  serial = 0;
});

/** An event with an id of its own; real ids are hashes, the core only needs them to differ. */
function event(author: string, body: EventBody, id?: string): LoggedEvent {
  return { id: id ?? (++serial).toString(16).padStart(64, '0'), author, body };
}

function happen(author: string, body: EventBody, id?: string): string {
  const made = event(author, body, id);
  const refusal = apply(state, made);
  assert.equal(refusal, null, JSON.stringify(refusal));
  return made.id;
}

function refused(code: RefusalCode, author: string, body: EventBody, id?: string): void {
  const before = stateHash(state);
  assert.equal(apply(state, event(author, body, id))?.code, code);
  assert.equal(stateHash(state), before, 'a refused event must leave the state as it was');
}

const created = (more: Partial<Extract<EventBody, { type: 'run.created' }>> = {}): EventBody => ({
  type: 'run.created',
  version: 1,
  name: 'test',
  game: 'pretrain',
  params: name('2'),
  model: FIRST_MODEL,
  rounds: 3,
  round_ms: 1000,
  judging_ms: 400,
  min_workers: 2,
  checkpoint_every: 2,
  rules: exampleRules({
    shares_per_round: 1000,
    halving_rounds: 2,
    owner_permille: 180,
    workers_permille: 410,
    validators_permille: 410,
  }),
  created_ms: 0,
  ...more,
});
const joined = (role: 'worker' | 'validator' = 'worker', session = 0): EventBody => ({
  type: 'peer.joined',
  version: 1,
  run: RUN,
  session,
  role,
  name: 'x',
  runtime: 'native-cpu',
});
const left = (peer: string, session = 0, reason: 'goodbye' | 'connection lost' = 'goodbye'): EventBody => ({
  ...{ type: 'peer.left', version: 1, run: RUN, peer, session, reason },
});
const evaluated = (merged_rounds: number, model: string): EventBody => ({
  ...{ type: 'model.evaluated', version: 1, run: RUN, merged_rounds, model, loss_micro: 5, tokens: 1 },
});
const tick = (time_ms: number): EventBody => ({ type: 'tick', version: 1, time_ms });
const opened = (round = 0, attempt = 0): EventBody => ({ type: 'round.opened', version: 1, run: RUN, round, attempt });
const work = (more: Partial<Extract<EventBody, { type: 'work.submitted' }>> = {}): EventBody => ({
  type: 'work.submitted',
  version: 1,
  run: RUN,
  round: 0,
  attempt: 0,
  base: FIRST_MODEL,
  work: name('7'),
  size_bytes: 10,
  steps: 5,
  tokens: 50,
  loss_micro: 1,
  pledge: name('d'),
  ...more,
});
const verdict = (submission: string, accepted = true) => exampleVerdict(RUN, submission, 50, accepted);
/** A verdict and, before it, its seal; it is shown when the run asks for it. */
const seal = (validator: string, submission: string, accepted = true): EventBody =>
  sealFor(validator, verdict(submission, accepted));
/** Vera seals and shows what she says of all that is handed in. */
function judge(ids: readonly string[]): void {
  for (const id of ids) happen(VERA, seal(VERA, id));
  for (const id of ids) happen(VERA, verdict(id));
}
const merged = (accepted: string[], more: Partial<Extract<EventBody, { type: 'round.merged' }>> = {}): EventBody => ({
  type: 'round.merged',
  version: 1,
  run: RUN,
  round: 0,
  attempt: 0,
  accepted,
  model: accepted.length > 0 ? name('6') : FIRST_MODEL,
  bundle: accepted.length > 0 ? name('8') : null,
  checkpoint: false,
  ...more,
});

const run = (): RunState => state.runs.get(RUN)!;

/** A run with two workers and, if wanted, a validator, its first round open at 1000. */
function openRound(validator = true): void {
  happen(OWNER, created(), RUN);
  happen(ALICE, joined());
  happen(BOB, joined());
  if (validator) happen(VERA, joined('validator'));
  happen(HUB, tick(1000));
  happen(HUB, opened());
}

describe('a round', () => {
  test('opens when enough workers are here, and not before', () => {
    happen(OWNER, created(), RUN);
    happen(ALICE, joined());
    refused('wrong-phase', HUB, opened());
    happen(BOB, joined());
    happen(HUB, opened());
    assert.equal(run().phase, 'working');
    assert.match(run().seed, /^[0-9a-f]{64}$/);
  });

  test('goes to judging as soon as everybody has handed in, and to merging when all is judged', () => {
    openRound();
    const a = happen(ALICE, work());
    assert.equal(run().phase, 'working');
    const b = happen(BOB, work({ work: name('9') }));
    assert.equal(run().phase, 'judging');
    happen(VERA, seal(VERA, a));
    happen(VERA, seal(VERA, b));
    assert.equal(run().phase, 'revealing');
    happen(VERA, verdict(a));
    happen(VERA, verdict(b));
    assert.equal(run().phase, 'merging');
    happen(HUB, merged([a, b].sort()));
    assert.deepEqual([run().phase, run().round, run().model], ['gathering', 1, name('6')]);
    assert.equal(run().peers.get(ALICE)!.credit_tokens, 50);
  });

  test('gives validators the whole judging time, however old the last tick was when the work came', () => {
    openRound();
    happen(ALICE, work());
    happen(BOB, work({ work: name('9') }));
    assert.equal(run().phase, 'judging');
    happen(HUB, tick(1900)); // the work came at some time after the tick at 1000
    assert.deepEqual([run().phase, run().judging_deadline_ms], ['judging', 2300]);
    happen(HUB, tick(2299));
    assert.equal(run().phase, 'judging');
    happen(HUB, tick(2300));
    assert.equal(run().phase, 'merging');
  });

  test('waits for nobody: at the deadline it is judged, after the grace it is merged without the missing', () => {
    openRound();
    const a = happen(ALICE, work());
    happen(VERA, seal(VERA, a));
    happen(HUB, tick(1999));
    assert.equal(run().phase, 'working');
    happen(HUB, tick(2000));
    assert.equal(run().phase, 'judging');
    happen(HUB, tick(2100));
    assert.equal(run().phase, 'revealing');
    happen(VERA, verdict(a));
    assert.equal(run().phase, 'merging');
    happen(HUB, merged([a]));
    assert.equal(run().round, 1);
  });

  test('takes work that is late but within the grace, and refuses what comes after', () => {
    openRound();
    const a = happen(ALICE, work());
    happen(VERA, seal(VERA, a));
    happen(HUB, tick(2000));
    const b = happen(BOB, work());
    assert.equal(run().phase, 'judging');
    happen(HUB, tick(2400));
    assert.equal(run().phase, 'revealing');
    happen(VERA, verdict(a));
    assert.equal(run().phase, 'merging', 'a validator that does not answer is not waited for either');
    happen(HUB, merged([a]));
    refused('wrong-phase', BOB, work({ round: 1 }));
    assert.ok(a !== b);
    assert.equal(run().peers.get(BOB)!.refused_submissions, 1);
    assert.equal(run().peers.get(BOB)!.credit_tokens, 0);
  });

  test('does not wait for a worker that has left', () => {
    openRound(false);
    happen(ALICE, work());
    happen(HUB, left(BOB, 0, 'connection lost'));
    assert.equal(run().phase, 'merging');
  });

  test('that brought no work is opened again with another seed, and does not count', () => {
    openRound();
    const { seed } = run();
    happen(HUB, tick(2000));
    happen(HUB, tick(2100));
    happen(HUB, merged([]));
    assert.deepEqual([run().round, run().attempt, run().model], [0, 1, FIRST_MODEL]);
    refused('wrong-round', HUB, opened(0, 0));
    happen(HUB, opened(0, 1));
    assert.notEqual(run().seed, seed);
  });

  test('merges unjudged work without credit where no validator is here', () => {
    openRound(false);
    const a = happen(ALICE, work());
    const b = happen(BOB, work());
    happen(HUB, merged([a, b].sort()));
    assert.equal(run().merged_tokens, 100);
    assert.equal(run().peers.get(ALICE)!.credit_tokens, 0);
  });

  test('merges what a silent validator did not judge, without credit: silence delays a run, it does not stop it', () => {
    openRound();
    const ids = [happen(ALICE, work()), happen(BOB, work())].sort();
    happen(HUB, tick(1001));
    assert.equal(run().phase, 'judging');
    refused('wrong-phase', HUB, merged(ids));
    happen(HUB, tick(1500));
    happen(HUB, merged(ids));
    assert.equal(run().round, 1);
    assert.equal(run().peers.get(ALICE)!.credit_tokens, 0);
    assert.equal(run().shares.has(VERA), false);
  });

  test('moves its deadline by the time that the hub was away', () => {
    openRound();
    const away_ms = CORE_LIMITS.tick_gap_ms + 1;
    happen(HUB, tick(1000 + away_ms));
    assert.equal(run().phase, 'working');
    assert.equal(run().deadline_ms, 2000 + away_ms);
  });
});

describe('what must not happen', () => {
  test('only the hub moves the clock, opens and merges rounds', () => {
    openRound();
    refused('not-the-hub', ALICE, tick(5000));
    refused('clock-went-back', HUB, tick(999));
    refused('not-the-hub', ALICE, merged([]));
    refused('wrong-phase', HUB, merged([]));
    refused('wrong-phase', HUB, opened());
  });

  test('work by strangers, twice, of another round or on another model', () => {
    openRound();
    refused('not-a-worker', name('c'), work());
    refused('not-a-worker', VERA, work());
    refused('wrong-round', ALICE, work({ round: 1 }));
    refused('wrong-round', ALICE, work({ attempt: 1 }));
    refused('wrong-model', ALICE, work({ base: name('6') }));
    happen(ALICE, work());
    refused('already-submitted', ALICE, work({ work: name('9') }));
  });

  test('verdicts by workers, twice, or of nothing', () => {
    openRound();
    const a = happen(ALICE, work());
    refused('not-a-validator', BOB, verdict(a));
    refused('unknown-submission', VERA, verdict(name('9')));
    refused('not-a-validator', BOB, seal(BOB, a));
    refused('wrong-phase', VERA, verdict(a, false));
    happen(VERA, seal(VERA, a, false));
    refused('already-judged', VERA, seal(VERA, a, true));
    happen(BOB, left(BOB));
    assert.equal(run().phase, 'revealing');
    refused('wrong-seal', VERA, verdict(a, true));
    happen(VERA, verdict(a, false));
    refused('already-judged', VERA, verdict(a, true));
  });

  test('a draw by somebody who is not the first judge, or that is no signature', () => {
    openRound();
    const a = happen(ALICE, work());
    const draw = (submission: string, signature = 'a'.repeat(128)): EventBody => ({
      ...{ type: 'draw.announced', version: 1, run: RUN, submission, signature, alarm: false },
    });
    refused('not-a-validator', BOB, draw(a));
    refused('unknown-submission', VERA, draw(name('9')));
    refused('bad-verdict', VERA, draw(a));
  });

  test('a merge that leaves out accepted work, adds refused work, changes the order or names no bundle', () => {
    openRound();
    const ids = [happen(ALICE, work()), happen(BOB, work())].sort();
    judge(ids);
    refused('wrong-merge', HUB, merged([]));
    refused('wrong-merge', HUB, merged([ids[0]]));
    refused('wrong-merge', HUB, merged([ids[1], ids[0]]));
    refused('wrong-merge', HUB, merged([...ids, name('9')]));
    refused('wrong-merge', HUB, merged(ids, { bundle: null }));
    refused('wrong-merge', HUB, merged(ids, { checkpoint: true }));
    happen(HUB, merged(ids));
  });

  test('events of unknown runs, second joins, leaves of the absent or by others, pauses by strangers', () => {
    refused('unknown-run', ALICE, joined());
    openRound();
    refused('already-present', ALICE, joined());
    const leave = left(BOB);
    refused('not-the-hub', ALICE, leave);
    happen(BOB, leave);
    refused('not-present', BOB, leave);
    refused('not-the-owner', ALICE, { type: 'run.paused', version: 1, run: RUN, round: 0, attempt: 0 });
    refused('wrong-phase', OWNER, { type: 'run.resumed', version: 1, run: RUN, round: 0, attempt: 0 });
    refused('run-exists', OWNER, created(), RUN);
  });

  test('a pause or its end that was said before: whoever reads the log cannot say it again', () => {
    openRound();
    const say = (type: 'run.paused' | 'run.resumed', attempt: number): EventBody => ({
      ...{ type, version: 1, run: RUN, round: 0, attempt },
    });
    happen(OWNER, say('run.paused', 0));
    happen(OWNER, say('run.resumed', 1));
    refused('wrong-round', OWNER, say('run.paused', 0));
    happen(OWNER, say('run.paused', 1));
    refused('wrong-round', OWNER, say('run.resumed', 1));
    happen(OWNER, say('run.resumed', 2));
  });

  test('a join or a leave that was said before, or that skips a number', () => {
    openRound();
    refused('wrong-session', BOB, left(BOB, 1));
    happen(BOB, left(BOB, 0));
    refused('wrong-session', BOB, joined('worker', 0));
    refused('wrong-session', BOB, joined('worker', 2));
    happen(BOB, joined('worker', 1));
    refused('wrong-session', BOB, left(BOB, 0));
    refused('wrong-session', HUB, left(BOB, 0, 'connection lost'));
    assert.equal(run().peers.get(BOB)!.present, true);
    happen(HUB, left(BOB, 1, 'connection lost'));
    refused('wrong-session', name('c'), joined('worker', 1));
  });

  test('an evaluation said again, of a model that is no longer or not yet, or by somebody else', () => {
    openRound();
    happen(VERA, evaluated(0, FIRST_MODEL));
    refused('already-evaluated', VERA, evaluated(0, FIRST_MODEL));
    refused('wrong-model', VERA, evaluated(1, FIRST_MODEL));
    refused('wrong-model', VERA, evaluated(0, name('6')));
    refused('not-a-validator', ALICE, evaluated(0, FIRST_MODEL));
    const ids = [happen(ALICE, work()), happen(BOB, work())].sort();
    judge(ids);
    happen(HUB, merged(ids));
    refused('wrong-model', VERA, evaluated(0, FIRST_MODEL));
    happen(VERA, evaluated(1, name('6')));
    refused('already-evaluated', VERA, evaluated(1, name('6')));
    assert.equal(run().evaluation?.merged_rounds, 1);
  });

  test('more runs than a hub keeps', () => {
    const owner = (i: number): string => name('c').slice(0, 60) + String(1000 + i);
    const { runs, unfinished_runs_per_owner: each } = CORE_LIMITS;
    for (let i = 0; i < runs; i++) happen(owner(Math.floor(i / each)), created());
    refused('too-many-runs', OWNER, created());
  });

  test('more unfinished runs of one owner, also in the name of its devices', () => {
    for (let i = 0; i < CORE_LIMITS.unfinished_runs_per_owner; i++) happen(OWNER, created(), i === 0 ? RUN : undefined);
    refused('too-many-runs', OWNER, created());
    state.devices.set(ALICE, { owner: OWNER, expires_ms: 99, revoked: false });
    refused('too-many-runs', ALICE, created());
    happen(BOB, created());
    run().phase = 'finished';
    happen(OWNER, created());
  });

  test('a round after a model that is kept whole, before its shares are stated', () => {
    openRound(true);
    for (const round of [0, 1]) {
      if (round > 0) happen(HUB, opened(round));
      const ids = [ALICE, BOB].map((author) => happen(author, work({ round, base: run().model }))).sort();
      judge(ids);
      happen(HUB, merged(ids, { round, model: name(String(6 + round)), checkpoint: round > 0 }));
    }
    refused('statement-due', HUB, opened(2));
    happen(HUB, statementOf(run()));
    refused('wrong-statement', HUB, statementOf(run()));
    happen(HUB, opened(2));
  });
});

/** Plays a whole run of three rounds; returns the state's hash. */
function playRun(): string {
  openRound();
  for (let round = 0; round < 3; round++) {
    if (round === 2) happen(HUB, statementOf(run()));
    if (round > 0) happen(HUB, opened(round));
    const base = run().model;
    const ids = [ALICE, BOB].map((author) => happen(author, work({ round, base }))).sort();
    judge(ids);
    const model = name(String(6 + round));
    happen(HUB, merged(ids, { round, model, checkpoint: round > 0 }));
  }
  return stateHash(state);
}

test('a run ends after its last round, with its history from the checkpoint before the last', () => {
  playRun();
  assert.equal(run().phase, 'finished');
  assert.deepEqual(run().checkpoint, { merged_rounds: 3, model: name('8') });
  assert.deepEqual(
    run().recent.map((entry) => [entry.round, entry.parent]),
    [[2, name('7')]],
  );
  refused('wrong-phase', HUB, opened(3));
});

test('a run pays exactly what it promised, to those who earned it', () => {
  playRun();
  const { shares, unearned_shares } = run();
  const paid = [...shares.values()].reduce((sum, value) => sum + value, 0);
  assert.equal(paid + unearned_shares, 1000 + 1000 + 500);
  assert.equal(unearned_shares, 0);
  assert.equal(shares.get(OWNER), 180 + 180 + 90);
  assert.equal(shares.get(VERA), 410 + 410 + 205);
  assert.ok(Math.abs(shares.get(ALICE)! - shares.get(BOB)!) <= 3);
});

test('what nobody earned stays with the run: no validator, no verified work', () => {
  openRound(false);
  const ids = [happen(ALICE, work()), happen(BOB, work())].sort();
  happen(HUB, merged(ids));
  assert.deepEqual([...run().shares], [[OWNER, 180]]);
  assert.equal(run().unearned_shares, 820);
});

test('the same events give the same state hash', () => {
  const first = playRun();
  state = initialState(HUB);
  serial = 0;
  assert.equal(playRun(), first);
});

test('whatever comes in whatever order: no exception, and a refusal changes nothing', () => {
  const authors = fc.constantFrom(HUB, OWNER, ALICE, BOB, VERA);
  const bodies = fc.oneof(
    fc.constantFrom(
      created({ min_workers: 1 }),
      joined(),
      joined('worker', 1),
      joined('validator'),
      left(ALICE),
      left(ALICE, 1),
      evaluated(0, FIRST_MODEL),
      opened(),
      opened(0, 1),
      work(),
      verdict(name('9')),
      seal(VERA, name('9')),
      merged([]),
      { type: 'run.paused', version: 1, run: RUN, round: 0, attempt: 0 } as EventBody,
      { type: 'run.resumed', version: 1, run: RUN, round: 0, attempt: 1 } as EventBody,
    ),
    fc.integer({ min: 0, max: 50_000 }).map(tick),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(authors, bodies), { maxLength: 60 }), (steps) => {
      state = initialState(HUB);
      apply(state, event(OWNER, created({ min_workers: 1 }), RUN));
      for (const [author, body] of steps) {
        const before = stateHash(state);
        const refusal = apply(state, event(author, body));
        if (refusal) assert.equal(stateHash(state), before);
        for (const known of state.runs.values()) {
          assert.ok(Number.isSafeInteger(known.merged_tokens) && known.round <= known.spec.rounds);
        }
      }
    }),
    { numRuns: 60 },
  );
});
