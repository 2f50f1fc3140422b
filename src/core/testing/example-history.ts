// A handmade history for tests of the core: events of one run with a few named participants. Each event must be accepted, or be refused.
import assert from 'node:assert/strict';
import type { VerdictGiven } from '../events/verdict-given.ts';
import type { EventBody, LoggedEvent } from '../events.ts';
import type { RefusalCode } from '../refusal.ts';
import { acceptedIds } from '../rounds/judging.ts';
import { mergedList } from '../rounds/merged-list.ts';
import { isCheckpoint } from '../rounds/merging.ts';
import { awaitsDraw } from '../rounds/panel.ts';
import { mayStateShares, statementOf } from '../shares/share-table.ts';
import { initialState, type NetworkState, type Phase, type RunState } from '../state.ts';
import { stateHash } from '../state-bytes.ts';
import { apply } from './checked-apply.ts';
import { drawnBy, EXAMPLE_HUB } from './example-draw.ts';
import { EXAMPLE_RUN, exampleRules, exampleVerdict, sealFor } from './example-events.ts';

export const name = (character: string): string => character.repeat(64);
export const HUB = EXAMPLE_HUB.id;
export const OWNER = name('1');
export const ALICE = name('a');
export const BOB = name('b');
export const VERA = name('e');
export const RUN = name('f');
export const FIRST_MODEL = name('5');
/** The amount that alice and bob claim. */
export const TOKENS = 50;

type Body<T extends EventBody['type']> = Extract<EventBody, { type: T }>;

/** Three rounds of 1000 ms with two workers. Of 1000 shares a round the owner gets 180, workers 410, validators 410. */
export const created = (more: Partial<Body<'run.created'>> = {}): EventBody => ({
  ...{
    ...EXAMPLE_RUN,
    params: name('2'),
    model: FIRST_MODEL,
  },
  ...{ rounds: 3, round_ms: 1000, judging_ms: 400, min_workers: 2, checkpoint_every: 2, created_ms: 0 },
  rules: exampleRules({
    ...{ shares_per_round: 1000, halving_rounds: 2 },
    ...{ owner_permille: 180, workers_permille: 410, validators_permille: 410 },
  }),
  ...more,
});
export const joined = (role: 'worker' | 'validator' = 'worker', session = 0): EventBody => ({
  ...{ type: 'peer.joined', version: 1, run: RUN, session, role, name: 'x', runtime: 'native-cpu' },
});
export const left = (
  peer: string,
  session = 0,
  reason: 'goodbye' | 'connection lost' | 'hub restarted' = 'goodbye',
): EventBody => ({ ...{ type: 'peer.left', version: 1, run: RUN, peer, session, reason } });
export const evaluated = (merged_rounds: number, model: string): EventBody => ({
  ...{ type: 'model.evaluated', version: 2, run: RUN, merged_rounds, model, measured: { loss_micro: 5 } },
});
export const tick = (time_ms: number): EventBody => ({ type: 'tick', version: 1, time_ms });
export const opened = (round = 0, attempt = 0): EventBody => ({
  ...{ type: 'round.opened', version: 1, run: RUN, round, attempt },
});
export const work = (more: Partial<Body<'work.submitted'>> = {}): EventBody => ({
  ...{ type: 'work.submitted', version: 2, run: RUN, round: 0, attempt: 0, base: FIRST_MODEL, work: name('7') },
  ...{ size_bytes: 10, amount: TOKENS, numbers: { steps: 5, loss_micro: 1 }, pledge: name('d') },
  ...more,
});
export const verdict = (submission: string, accepted = true) => exampleVerdict(RUN, submission, TOKENS, accepted);
/** Commits to (seals) a verdict; the verdict is revealed when the run asks for it. */
export const seal = (validator: string, submission: string, accepted = true): EventBody =>
  sealFor(validator, verdict(submission, accepted));
export const merged = (accepted: string[], more: Partial<Body<'round.merged'>> = {}): EventBody => ({
  ...{ type: 'round.merged', version: 2, run: RUN, round: 0, attempt: 0, ...mergedList(accepted), checkpoint: false },
  model: accepted.length > 0 ? name('6') : FIRST_MODEL,
  bundle: accepted.length > 0 ? name('8') : null,
  ...more,
});

/** An empty log. */
export class History {
  readonly state: NetworkState = initialState(HUB);
  #serial = 0;

  get run(): RunState {
    return this.state.runs.get(RUN)!;
  }

  /** An event with a new id; real ids are hashes, but the core only needs them to differ. */
  event(author: string, body: EventBody, id?: string): LoggedEvent {
    return { id: id ?? (++this.#serial).toString(16).padStart(64, '0'), author, body };
  }

  /** The event must be accepted; returns its id. */
  happen(author: string, body: EventBody, id?: string): string {
    const made = this.event(author, body, id);
    const refusal = apply(this.state, made);
    assert.equal(refusal, null, JSON.stringify(refusal));
    return made.id;
  }

  /** The event must be refused with this code, and change nothing. */
  refused(code: RefusalCode, author: string, body: EventBody, id?: string): void {
    const before = stateHash(this.state);
    assert.equal(apply(this.state, this.event(author, body, id))?.code, code);
    assert.equal(stateHash(this.state), before, 'a refused event must leave the state as it was');
  }

  /** A run with two workers and, if wanted, a validator; its first round opens at 1000. */
  openRound(validator = true, more: Partial<Body<'run.created'>> = {}): void {
    this.openWith(validator ? [VERA] : [], more);
  }

  /** The same with these validators. */
  openWith(validators: readonly string[], more: Partial<Body<'run.created'>> = {}): void {
    this.happen(OWNER, created(more), RUN);
    this.happen(ALICE, joined());
    this.happen(BOB, joined());
    for (const id of validators) this.happen(id, joined('validator'));
    this.happen(HUB, tick(1000));
    this.happen(HUB, opened());
  }

  /** The hub closes the list of work, where it must. */
  draw(): void {
    if (awaitsDraw(this.run, this.state.time_ms)) this.happen(HUB, drawnBy(EXAMPLE_HUB, this.run));
  }

  /** A validator joins, and counts as present for long enough to judge. */
  joinLongAgo(id: string): void {
    this.happen(id, joined('validator'));
    this.run.peers.get(id)!.openings = 100;
  }

  /** Vera, or the named validators, seal and reveal their verdicts on all submissions. */
  judge(ids: readonly string[], judges: readonly string[] = [VERA]): void {
    this.draw();
    for (const judge of judges) for (const id of ids) this.happen(judge, seal(judge, id));
    for (const judge of judges) for (const id of ids) this.happen(judge, verdict(id));
  }

  /** Plays the open round to its merge: alice and bob submit, vera accepts. The next round is not opened. */
  playRound(judges?: readonly string[]): void {
    const { round, model, spec } = this.run;
    const more = { round, attempt: this.run.attempt, base: model };
    const ids = [ALICE, BOB].map((author) => this.happen(author, work(more))).sort();
    this.judge(ids, judges);
    const last = round + 1 === spec.rounds;
    const checkpoint = last || (round + 1) % spec.checkpoint_every === 0;
    const next = (round + 6).toString(16).padStart(2, '0').repeat(32);
    this.happen(HUB, merged(ids, { round, attempt: this.run.attempt, model: next, checkpoint }));
    if (checkpoint) this.happen(HUB, statementOf(this.run));
  }

  /** Every judge that owes a verdict on a submission gives it, until there is nothing more to judge. */
  judgeAll(
    says: (judge: string, submission: string) => Partial<VerdictGiven> | null = () => ({ accepted: true }),
  ): void {
    this.draw();
    const is = (phase: Phase): boolean => this.run.phase === phase;
    while (is('judging')) {
      const said: [string, VerdictGiven][] = [];
      for (const { id, judges, first, seals } of this.run.submissions.values()) {
        for (const judge of judges.filter((by) => !seals.has(by))) {
          const words = says(judge, id);
          if (!words) continue;
          const accepted = words.accepted ?? true;
          const appeal = first ? ({ appeal: true } as const) : {};
          said.push([judge, exampleVerdict(RUN, id, TOKENS, accepted, { ...words, ...appeal })]);
        }
      }
      for (const [judge, one] of said) this.happen(judge, sealFor(judge, one));
      for (let i = 0; i < 3 && is('judging'); i++) this.happen(HUB, tick(this.state.time_ms + 5000));
      for (const [judge, one] of said) this.happen(judge, one);
      if (is('revealing')) this.happen(HUB, tick(this.state.time_ms + 5000));
      if (is('revealing')) this.happen(HUB, tick(this.state.time_ms + 5000));
    }
  }

  /** Merges the open round as the verdicts demand. */
  merge(): void {
    const ids = acceptedIds(this.state, this.run);
    const { round, attempt, model } = this.run;
    const bundle = ids.length > 0 ? name('8') : null;
    const next = bundle ? (round + 6).toString(16).padStart(2, '0').repeat(32) : model;
    const checkpoint = isCheckpoint(this.run, { bundle });
    this.happen(HUB, merged(ids, { round, attempt, model: next, bundle, checkpoint }));
    if (mayStateShares(this.run)) this.happen(HUB, statementOf(this.run));
  }

  /** Opens the next round. */
  openNext(): void {
    this.happen(HUB, opened(this.run.round, this.run.attempt));
  }
}
