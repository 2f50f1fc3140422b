// A sample of a fleet before the core itself: some accounts work and judge for some rounds, every event goes through the core's rules, and what
// they are paid, how often they are repeated and who is caught is the product's own. Only signatures are left out, which change none of it.

import type { VerdictGiven } from '../../core/events/verdict-given.ts';
import type { EventBody } from '../../core/events.ts';
import { core } from '../../core/reduce.ts';
import { silentFrom_ms } from '../../core/rounds/deadlines.ts';
import { mostAmount } from '../../core/rounds/first-work.ts';
import { acceptedIds, sealOf } from '../../core/rounds/judging.ts';
import { mergedList } from '../../core/rounds/merged-list.ts';
import { awaitsDraw, dutyOf, repeatableOf, roundDrawn } from '../../core/rounds/panel.ts';
import { sessionOf } from '../../core/rounds/presence.ts';
import { mayStateShares, statementOf } from '../../core/shares/share-table.ts';
import { initialState, type NetworkState, type RunState, type Submission } from '../../core/state.ts';
import { firstSteps, stepsAllowed } from '../../games/first-work.ts';
import { wordsOfGame } from '../../games/parts.ts';
import { sha256, sha256Hex, utf8 } from '../../protocol/hash.ts';
import { identityFromSecret } from '../../protocol/identity.ts';
import { type Random, seededRandom } from '../../protocol/random.ts';
import { SimulationError } from '../errors.ts';
import { tally } from '../tally-game.ts';
import type { Fleet } from './fleet.ts';

/** One of the sample's workers, who stands for many. */
export interface Seat {
  /** The class that it is of, by its place in the fleet. */
  readonly of: number;
  /** Whole steps that it does in a round, and the chance that it leaves before it hands in. */
  readonly steps: number;
  readonly leaves: number;
  readonly lies: boolean;
}

export interface CommitteeOptions {
  readonly rules: Fleet['rules'];
  readonly does: number;
  readonly from_record: number;
  readonly inner_steps: number;
  readonly batch_tokens: number;
  readonly judges: number;
  readonly rounds: number;
  /** The first rounds, which are not counted. */
  readonly skip: number;
  /** The chance that somebody is replaced by a newcomer, from round to round. */
  readonly turnover: number;
  readonly seed: string;
  readonly shares_per_round: number;
}

/** What the core made of a seat. */
export interface Earned {
  readonly of: number;
  readonly lies: boolean;
  readonly shares: number;
  /** Tokens that it claimed, that were merged, and those that it really learned from. */
  readonly claimed: number;
  readonly merged: number;
  /** Tokens that it had time for. */
  readonly could: number;
  readonly submitted: number;
  readonly refused: number;
  /** Works that were lies, and those of them that were refused. */
  readonly lied: number;
  readonly caught: number;
}

export interface Judged {
  readonly earned: readonly Earned[];
  /** Parts of all shares that were promised, from 0 to 1; together 1. */
  readonly parts: {
    readonly workers: number;
    readonly validators: number;
    readonly owner: number;
    readonly unearned: number;
  };
  readonly submissions: number;
  readonly merged: number;
  /** For a work, how often all of its steps were computed again, how many looked at it, and how many works came to an appeal. */
  readonly repeats: number;
  readonly looks: number;
  readonly appeals: number;
  /** Verdicts that were sealed, of the first judging and of appeals. */
  readonly seals: number;
  readonly appeal_seals: number;
  readonly events: number;
}

const ROUND_MS = 10_000;
const SHARES_STATED_EVERY = 1000;
const NONE = sha256Hex(utf8('nothing'));

interface Member extends Seat {
  readonly id: string;
  /** What it held when counting began. */
  before: number;
  claimed: number;
  could: number;
  merged: number;
  submitted: number;
  refused: number;
  lied: number;
  caught: number;
}

const NOTHING = { claimed: 0, could: 0, merged: 0, submitted: 0, refused: 0, lied: 0, caught: 0 };
const NOTHING_FOUND = { submissions: 0, merged: 0, repeats: 0, looks: 0, appeals: 0, seals: 0, appeal_seals: 0 };

/** Plays the sample. Throws SimulationError `violated` if the core refuses an event that its rules demand. */
export function playCommittee(seats: readonly Seat[], options: CommitteeOptions): Judged {
  return new Committee(seats, options).play();
}

class Committee {
  readonly #options: CommitteeOptions;
  readonly #random: Random;
  readonly #hub;
  readonly #owner: string;
  readonly #state: NetworkState;
  readonly #run: RunState;
  readonly #judges: readonly string[];
  /** Who sits where; and everybody who ever sat. */
  readonly #sitting: Member[];
  readonly #all = new Map<string, Member>();
  /** Whose work of the open round is a lie. */
  readonly #lying = new Set<string>();
  #events = 0;
  #people = 0;
  readonly #found = { ...NOTHING_FOUND };
  /** What everybody but the workers held when counting began, and what had been emitted. */
  #before = { validators: 0, owner: 0, unearned: 0, emitted: 0, events: 0 };

  constructor(seats: readonly Seat[], options: CommitteeOptions) {
    const { seed, judges } = options;
    this.#options = options;
    this.#random = seededRandom('fleet committee', seed);
    this.#hub = identityFromSecret(sha256(utf8(`fleet hub ${seed}`)));
    this.#owner = sha256Hex(utf8(`fleet owner ${seed}`));
    this.#state = initialState(this.#hub.id);
    this.#tick(1);
    this.#run = this.#create();
    this.#judges = Array.from({ length: judges }, () => this.#newcomer('validator'));
    this.#sitting = seats.map((seat) => this.#sit(seat));
  }

  play(): Judged {
    const { rounds, skip, turnover } = this.#options;
    for (let round = 0; round < rounds; round++) {
      if (round === skip) this.#beginCounting();
      for (const [i, member] of this.#sitting.entries()) {
        if (round === 0 || !this.#happens(turnover)) continue;
        this.#leave(member.id);
        this.#sitting[i] = this.#sit(member);
      }
      this.#playRound();
    }
    return this.#result();
  }

  #beginCounting(): void {
    for (const member of this.#all.values()) Object.assign(member, { ...NOTHING, before: this.#shares(member.id) });
    Object.assign(this.#found, NOTHING_FOUND);
    this.#before = this.#now();
  }

  #shares(id: string): number {
    return this.#run.shares.get(id) ?? 0;
  }

  #now() {
    const run = this.#run;
    const validators = this.#judges.reduce((sum, id) => sum + this.#shares(id), 0);
    return {
      ...{ validators, owner: this.#shares(this.#owner), unearned: run.unearned_shares },
      ...{ emitted: run.emitted_shares, events: this.#state.events },
    };
  }

  #happens(chance: number): boolean {
    return this.#random.uint32() / 2 ** 32 < chance;
  }

  #send(author: string, body: EventBody): string {
    const id = sha256Hex(utf8(`${this.#options.seed} ${this.#events++}`));
    const refusal = core.apply(this.#state, { id, author, body });
    if (refusal) {
      throw new SimulationError(
        'violated',
        `the fleet's ${body.type}: the core refuses it: ${refusal.code}: ${refusal.message}`,
      );
    }
    return id;
  }

  #tick(time_ms: number): void {
    this.#send(this.#hub.id, { type: 'tick', version: 1, time_ms });
  }

  #create(): RunState {
    const { rules, shares_per_round, rounds, inner_steps, batch_tokens } = this.#options;
    const { owner_permille, validators_permille, judges, probation, reexecute_permille, withheld_rounds } = rules;
    const id = this.#send(this.#owner, {
      ...{
        type: 'run.created',
        version: 3,
        name: 'fleet',
        game: 'tally',
        ...wordsOfGame(tally),
        params: NONE,
        model: NONE,
      },
      ...{ rounds: rounds + 1, round_ms: ROUND_MS, judging_ms: ROUND_MS, min_workers: 1, created_ms: 0 },
      checkpoint_every: SHARES_STATED_EVERY,
      rules: {
        ...{ judges, probation, reexecute_permille, withheld_rounds, notice_rounds: 1, validators: [] },
        first_amount: firstSteps(inner_steps) * batch_tokens,
        emission: {
          ...{ shares_per_round, halving_rounds: 0, owner_permille, validators_permille },
          workers_permille: 1000 - owner_permille - validators_permille,
        },
      },
    });
    return this.#state.runs.get(id)!;
  }

  #newcomer(role: 'worker' | 'validator'): string {
    const id = sha256Hex(utf8(`${this.#options.seed} person ${this.#people++}`));
    const { session } = sessionOf(this.#run, id);
    this.#send(id, { type: 'peer.joined', version: 1, run: this.#run.id, session, role, name: role, runtime: 'cpu' });
    return id;
  }

  #sit({ of, steps, leaves, lies }: Seat): Member {
    const member: Member = {
      ...{ of, steps, leaves, lies, id: this.#newcomer('worker') },
      ...{ before: 0, ...NOTHING },
    };
    this.#all.set(member.id, member);
    return member;
  }

  #leave(peer: string): void {
    const { session } = sessionOf(this.#run, peer);
    this.#send(peer, { type: 'peer.left', version: 1, run: this.#run.id, peer, session, reason: 'goodbye' });
  }

  #playRound(): void {
    const run = this.#run;
    if (mayStateShares(run)) this.#send(this.#hub.id, statementOf(run));
    this.#tick(this.#state.time_ms + 1);
    const { id, round, attempt } = run;
    this.#send(this.#hub.id, { type: 'round.opened', version: 1, run: id, round, attempt });
    this.#lying.clear();
    for (const member of this.#sitting) if (!this.#happens(member.leaves)) this.#handIn(member);
    if (run.phase === 'working') this.#tick(run.deadline_ms);
    while (run.phase === 'judging' && run.draw === null) {
      if (awaitsDraw(run, this.#state.time_ms)) this.#send(this.#hub.id, roundDrawn(run, this.#hub.prove));
      this.#tick(Math.max(this.#state.time_ms + 1, run.draw === null ? run.grace_deadline_ms : 0));
    }
    while (run.phase === 'judging') this.#judge();
    for (const { worker } of run.submissions.values()) this.#found.submissions += this.#all.has(worker) ? 1 : 0;
    this.#merge();
  }

  #handIn(member: Member): void {
    const run = this.#run;
    const { batch_tokens } = this.#options;
    const most_amount = mostAmount(run, member.id);
    const allowed = { number: run.round, ...(most_amount !== null && { most_amount }) };
    const steps = stepsAllowed(member.steps, batch_tokens, allowed as Parameters<typeof stepsAllowed>[2]);
    if (steps < 1 || member.steps < 1) return;
    const amount = Math.max(1, Math.round(steps * batch_tokens));
    const { id, round, attempt, model: base } = run;
    const work = sha256Hex(utf8(`${member.id} ${round}`));
    member.claimed += amount;
    member.could += Math.round(member.steps * batch_tokens);
    member.submitted++;
    if (member.lies && run.peers.get(member.id)!.consecutive_valid >= this.#options.from_record) {
      this.#lying.add(member.id);
      member.lied++;
    }
    this.#send(member.id, {
      ...{ type: 'work.submitted', version: 2, run: id, round, attempt, base, work, size_bytes: 1 },
      ...{ amount, numbers: { steps, loss_micro: 0 }, pledge: work },
    });
  }

  /** Everybody who was drawn seals; then all show what they sealed. */
  #judge(): void {
    const run = this.#run;
    const verdicts: { judge: string; verdict: VerdictGiven }[] = [];
    for (const submission of [...run.submissions.values()]) {
      if (run.appeals && submission.first === null) continue;
      for (const judge of submission.judges.filter((id) => !submission.seals.has(id))) {
        const verdict = this.#verdictOn(submission, judge);
        verdicts.push({ judge, verdict });
        this.#send(judge, {
          ...{ type: 'verdict.sealed', version: 1, run: run.id, submission: submission.id },
          ...(submission.first && { appeal: true }),
          seal: sealOf(judge, verdict),
        });
      }
    }
    if (verdicts.length === 0) {
      this.#tick(Math.max(this.#state.time_ms + 1, run.replaced ? run.judging_deadline_ms : silentFrom_ms(run)));
    }
    for (const { judge, verdict } of verdicts) this.#send(judge, verdict);
  }

  #verdictOn(submission: Submission, judge: string): VerdictGiven {
    const { id, worker, body, first } = submission;
    const { does } = this.#options;
    const { repeat_permille, looks } = dutyOf(repeatableOf(this.#run, submission), judge);
    const found = this.#found;
    if (first === null) {
      found.repeats += repeat_permille / 1000;
      if (looks) found.looks++;
      found.seals++;
    } else {
      found.repeats++;
      found.appeal_seals++;
    }
    // A repetition finds a lie where it reaches beyond what was done; a look sees that work has learned nothing at all.
    const caught = this.#lying.has(worker) && (repeat_permille / 1000 > does || (looks && does === 0));
    return {
      ...{ type: 'verdict.given', version: 2, run: this.#run.id, submission: id, ...(first && { appeal: true }) },
      ...{ salt: NONE, accepted: !caught, fraud: caught, code: caught ? 'wrong-work' : 'ok' },
      ...{ weight: caught ? 0 : body.amount, score_micro: 0, numbers: {}, evidence: NONE },
    };
  }

  #merge(): void {
    const run = this.#run;
    const { id, round, attempt } = run;
    const accepted = acceptedIds(this.#state, run);
    for (const submission of run.submissions.values()) {
      const member = this.#all.get(submission.worker)!;
      if (submission.first !== null) this.#found.appeals++;
      if (accepted.includes(submission.id)) {
        member.merged += submission.body.amount;
        this.#found.merged++;
        continue;
      }
      member.refused++;
      if (this.#lying.has(member.id)) member.caught++;
    }
    const empty = accepted.length === 0;
    const bundle = sha256Hex(utf8(`bundle ${round} ${attempt}`));
    this.#send(this.#hub.id, {
      ...{ type: 'round.merged', version: 2, run: id, round, attempt, ...mergedList(accepted), checkpoint: false },
      ...{ model: empty ? run.model : sha256Hex(utf8(`model ${round}`)), bundle: empty ? null : bundle },
    });
    if (empty) this.#tick(Math.max(this.#state.time_ms + 1, run.idle.opens_ms));
  }

  #result(): Judged {
    const [before, now] = [this.#before, this.#now()];
    const emitted = Math.max(1, now.emitted - before.emitted);
    const members = [...this.#all.values()];
    const earned = members.map(({ id, before, of, lies, claimed, could, merged, submitted, refused, lied, caught }) => {
      const shares = this.#shares(id) - before;
      return { of, lies, shares, claimed, could, merged, submitted, refused, lied, caught };
    });
    return {
      earned,
      parts: {
        workers: earned.reduce((sum, { shares }) => sum + shares, 0) / emitted,
        validators: (now.validators - before.validators) / emitted,
        owner: (now.owner - before.owner) / emitted,
        unearned: (now.unearned - before.unearned) / emitted,
      },
      ...this.#found,
      events: now.events - before.events,
    };
  }
}
