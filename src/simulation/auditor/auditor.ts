// The auditor: what the rules of docs/security.md make of a log, written down a second time in plain lines, so that the core is not
// asked whether the core is right. It knows events and nothing of the code that judges, pays and merges (auditor.test.ts holds it to that).

import type { RoundMerged } from '../../core/events/round-merged.ts';
import type { RunCreated } from '../../core/events/run-created.ts';
import type { EventBody, LoggedEvent } from '../../core/events.ts';
import { seededRandom } from '../../protocol/random.ts';
import {
  accountOf,
  type Books,
  type Coming,
  newPeer,
  openBooks,
  openRun,
  present,
  type RunBook,
  type Work,
} from './books.ts';
import { countJudged, pay as payForAnswers } from './what-answers-pay.ts';
import { countStakes, earn, forfeit, giveBack, lock, payable, release } from './what-is-at-stake.ts';
import { type InRun, mayNotFollow, name, PEOPLE } from './what-may-follow.ts';
import { list, see } from './what-the-registry-says.ts';
import { endWork, goOn, tick } from './when.ts';
import { bring, comingOf, giveUpLate } from './who-comes-from-elsewhere.ts';
import { fill, give, level, passOn } from './who-holds-which-stage.ts';
import { acceptedWork, decide } from './who-is-accepted.ts';
import { settleAppeals, settleSilence } from './who-is-appealed.ts';
import { contest, forget, noteAccepted, noteFraud, seatJuries, settleContests } from './who-is-contested.ts';
import { claimsOf, paymentsOf, promiseOf } from './who-is-paid.ts';
import { appointAgain, draw, seal, seat } from './who-judges.ts';

/** The second opening of a round that brought nothing comes at once, the next after 2 s, each later wait is twice as long up to five minutes. */
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [2000, 300_000];

export class Auditor {
  readonly books: Books;

  constructor(hub: string) {
    this.books = openBooks(hub);
  }

  /** Why an event may not follow, in words; null: it may. Changes nothing. */
  refuses(event: LoggedEvent): string | null {
    return mayNotFollow(this.books, event);
  }

  /** Follows an event that stands in the log. */
  follow(event: LoggedEvent): void {
    const { books } = this;
    const { author, body } = event;
    books.events++;
    switch (body.type) {
      case 'tick':
        tick(books, body.time_ms);
        giveUpLate(books);
        return;
      case 'device.bound':
      case 'device.revoked':
      case 'account.address':
        name(books, author, body);
        return;
      case 'registry.seen':
        see(books, body, PEOPLE);
        return;
      case 'run.listed':
        list(books, body);
        return;
      case 'run.created':
        books.runs.set(event.id, openRun(event.id, author, body, this.#royaltyOf(body), books.events));
        return;
      case 'credit.granted':
      case 'answers.settled':
      case 'earnings.paid':
        payForAnswers(books, body);
        return;
      case 'run.arrived':
        books.arriving.set(body.run, comingOf(books, author, body) as Coming);
        return;
      case 'run.part':
        bring(books, author, body);
        return;
      case 'answers.judged':
        countJudged(books, body);
        return;
      default: {
        const run = books.runs.get(body.run)!;
        followInRun(books, run, event, body);
        if (MOVES_BALANCES.includes(body.type)) run.balances_since = books.events;
        goOn(books, run);
      }
    }
  }

  /** A run owes to those who held shares of the model that it starts from, as they were stated. */
  #royaltyOf({ ancestor }: RunCreated): RunBook['royalty'] {
    const held = ancestor ? this.books.runs.get(ancestor.run)!.stated!.shares : [];
    return { permille: ancestor?.royalty_permille ?? 0, holders: new Map(held) };
  }
}

const MOVES_BALANCES: readonly EventBody['type'][] = [
  ...(['round.merged', 'run.ended', 'run.moved', 'plant.revealed'] as const),
  ...(['stake.locked', 'stake.released', 'payout.settled'] as const),
];

/** Where an event meets the books. */
interface At {
  readonly books: Books;
  readonly run: RunBook;
  readonly id: string;
  readonly author: string;
}

function followInRun(books: Books, run: RunBook, { id, author }: LoggedEvent, body: InRun): void {
  const follow = FOLLOWS[body.type] as (at: At, body: InRun) => void;
  follow({ books, run, id, author }, body);
}

/** What becomes of a run's book with each event. */
const FOLLOWS: { readonly [Type in InRun['type']]: (at: At, body: Extract<InRun, { type: Type }>) => void } = {
  'run.paused': stopRun,
  'run.ended': stopRun,
  'run.resumed'({ run }) {
    Object.assign(run, { phase: 'gathering', leaves_for: null, idle_rounds: 0, opens_ms: 0, watches: new Map() });
  },
  'run.leaving'({ run }, { to, url }) {
    run.leaves_for = `${to} ${url}`;
    run.attempt++;
  },
  'run.moved'({ run }) {
    Object.assign(run, { phase: 'finished', leaves_for: null, gone: true, moves: run.moves + 1 });
    giveBack(run);
    forget(run);
  },
  'run.halted'({ run }) {
    run.phase = 'paused';
    run.attempt++;
  },
  'peer.joined'({ books, run, author }, { role }) {
    const peer = run.peers.get(author) ?? newPeer(author);
    run.peers.set(author, Object.assign(peer, { role, joins: peer.joins + 1 }));
    give(books, run, peer);
    peer.present = true;
    fill(books, run);
    Object.assign(run, { opens_ms: 0, empty_ms: 0 });
    if (role === 'validator') appointAgain(books, run, false);
  },
  'peer.left'({ books, run }, body) {
    const peer = run.peers.get(body.peer)!;
    peer.present = false;
    fill(books, run);
    if (peer.role !== 'validator') return;
    peer.openings = 0;
    appointAgain(books, run, false);
  },
  'round.opened'({ books, run }) {
    const { time_ms } = books;
    Object.assign(run, { phase: 'working', opened_ms: time_ms, deadline_ms: time_ms + run.spec.round_ms });
    const random = seededRandom('round', run.id, run.round, run.attempt, run.model);
    run.seed = Array.from({ length: 8 }, () => random.uint32().toString(16).padStart(8, '0')).join('');
    Object.assign(run, { draw: null, replaced: false, silent: [], appeals: false });
    countStakes(run);
    for (const judge of present(run, 'validator')) run.peers.get(judge)!.openings++;
    seat(books, run);
    run.first_amount = (run.eligible.length > 0 && run.rules.first_amount) || null;
    level(books, run);
  },
  'work.submitted'({ run, id, author }, body) {
    const given = { judges: [], first: null, knew: new Map(), seals: new Map(), verdicts: new Map() };
    run.works.set(id, { id, worker: author, body, ...given });
  },
  'round.drawn'({ books, run }, body) {
    draw(books, run, body);
    seatJuries(books, run);
  },
  'verdict.contested'({ run, author }, body) {
    contest(run, author, body);
  },
  'verdict.sealed'({ run, author }, body) {
    run.peers.get(author)!.judged = true;
    if (body.contest !== undefined) run.contests.get(body.submission)!.seals.set(author, body.seal);
    else seal(run, run.works.get(body.submission)!, author, body.seal);
  },
  'verdict.given'({ run, author }, body) {
    if (body.contest !== undefined) run.contests.get(body.submission)!.verdicts.set(author, body);
    else run.works.get(body.submission)!.verdicts.set(author, body);
  },
  'plant.revealed'({ run }, body) {
    for (const [judge, said] of run.last.get(body.submission)!.said) {
      const peer = run.peers.get(judge)!;
      if (said === body.accepted) peer.plants_right++;
      else {
        peer.plants_wrong++;
        forfeit(run, peer);
      }
    }
    run.last.delete(body.submission);
  },
  'rules.proposed'({ run }, body) {
    run.proposals++;
    run.pending = { from_round: body.from_round, rules: body.rules };
  },
  'limits.published'({ run }, { quantisation, margins }) {
    run.margins.set(quantisation, margins);
    run.published++;
  },
  'model.evaluated'({ run, author }, body) {
    run.peers.get(author)!.measured = body.merged_rounds;
    measured(run, author, body.measured);
  },
  'round.merged'({ books, run }, body) {
    merge(books, run, body);
  },
  'shares.stated'({ run }) {
    run.stated_rounds = run.round;
    const shares = new Map([...run.shares].filter(([, held]) => held > 0));
    if (run.whole_rounds === run.round) run.stated = { merged_rounds: run.round, model: run.model, shares };
  },
  'stake.locked'({ run, author }, body) {
    lock(run, author, body);
  },
  'stake.released'({ run, author }, body) {
    release(run, author, body);
  },
  'payout.settled'({ books, run }) {
    for (const [account, shares] of payable(books, run)) {
      if (shares > 0) run.settled.set(account, (run.settled.get(account) ?? 0) + shares);
    }
    run.settlements++;
  },
};

/** A pause or an end: at once, or when the round that is open has been judged and merged. */
function stopRun({ run }: At, body: Extract<InRun, { type: 'run.paused' | 'run.ended' }>): void {
  run.closing = body.type === 'run.paused' ? 'paused' : 'ended';
  if (body.version === 2 && isOpen(run)) {
    if (run.phase === 'working') endWork(run);
    return;
  }
  run.works.clear();
  run.attempt++;
  closeRound(run);
}

const isOpen = ({ phase }: RunBook): boolean => ['working', 'judging', 'revealing', 'merging'].includes(phase);

/** What the owner has asked for happens when no round is open any more. */
function closeRound(run: RunBook): void {
  if (run.closing && run.phase !== 'finished') run.phase = run.closing === 'paused' ? 'paused' : 'finished';
  run.closing = null;
  if (run.phase !== 'finished') return;
  run.leaves_for = null;
  giveBack(run);
  forget(run);
}

/** What each validator measures by the first metric is compared with the best that it has told itself. */
function measured(run: RunBook, validator: string, numbers: Readonly<Record<string, number>>): void {
  const { name, better } = run.spec.metrics[0];
  const value = numbers[name];
  const before = run.watches.get(validator);
  const best =
    before === undefined ? value : better === 'lower' ? Math.min(value, before.best) : Math.max(value, before.best);
  const far =
    before !== undefined &&
    before.best > 0 &&
    (better === 'lower' ? 4 * value > 5 * before.best : 5 * value < 4 * before.best);
  run.watches.set(validator, { best, worse: far ? before.worse + 1 : 0, round: run.round });
}

function merge(books: Books, run: RunBook, { bundle, model, checkpoint, step, rest }: RoundMerged): void {
  const { merged, credited } = acceptedWork(books, run);
  if (bundle !== null) pay(books, run);
  settleAppeals(books, run);
  settleSilence(books, run);
  for (const work of run.works.values()) {
    const peer = run.peers.get(work.worker)!;
    const { amount } = work.body;
    if (merged.includes(work)) {
      peer.merged++;
      peer.merged_in = run.round;
      run.merged_amount += amount;
      if (!credited.includes(work)) continue;
      const account = accountOf(books, work.worker);
      noteAccepted(books, run, work);
      peer.valid++;
      peer.credit_amount += amount;
      run.amounts.set(account, (run.amounts.get(account) ?? 0) + amount);
      continue;
    }
    // Work that nobody judged says nothing about its worker; what was refused ends its record, and what was made up costs its bond.
    const decision = decide(books, run, work);
    peer.refused++;
    const { valid } = peer;
    if (decision !== 'unjudged') peer.valid = 0;
    if (decision === 'fraud') noteFraud(books, run, work, valid, forfeit(run, peer));
  }
  if (bundle !== null) settleContests(books, run);
  // Whose word can be tried by a plant: not of who was to see the form alone.
  const said = ({ first, knew, verdicts }: Work) =>
    new Map([...verdicts].flatMap(([id, { accepted }]) => (first || knew.get(id) !== 'form' ? [[id, accepted]] : [])));
  run.last = new Map([...run.works.values()].map((work) => [work.id, { pledge: work.body.pledge, said: said(work) }]));
  run.works.clear();
  if (bundle === null) {
    run.idle_rounds++;
    const wait_ms = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (run.idle_rounds - 2));
    run.opens_ms = books.time_ms + (run.idle_rounds < 2 ? 0 : wait_ms);
    run.attempt++;
    run.phase = 'gathering';
    closeRound(run);
    return;
  }
  Object.assign(run, { idle_rounds: 0, opens_ms: 0, round: run.round + 1, attempt: 0, model });
  passOn(run);
  fill(books, run);
  run.step = step ?? null;
  if (checkpoint) Object.assign(run, { whole_rounds: run.round, rest: rest ?? null });
  if (run.pending && run.round >= run.pending.from_round) {
    run.rules = run.pending.rules;
    run.pending = null;
  }
  run.phase = run.round === run.spec.rounds ? 'finished' : 'gathering';
  closeRound(run);
  giveBack(run);
  forget(run);
}

function pay(books: Books, run: RunBook): void {
  const claims = claimsOf(books, run);
  const promise = Number(promiseOf(run.rules.emission, run.round));
  let paid = 0;
  for (const payment of paymentsOf(books, run, claims)) {
    const { device, account, shares } = payment;
    run.shares.set(account, (run.shares.get(account) ?? 0) + shares);
    if (device !== null) earn(run, device, payment);
    paid += shares;
  }
  run.promised += promise;
  run.unearned += promise - paid;
  run.bonds = claims.bonds;
}
