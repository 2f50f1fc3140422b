// What may follow: for every kind of event who may say it, and when. In words why not; null: it may.

import type { AccountAddress } from '../../core/events/account-address.ts';
import { DeviceCertificateSchema } from '../../core/events/device-certificate.ts';
import type { RoundMerged } from '../../core/events/round-merged.ts';
import type { RunCreated } from '../../core/events/run-created.ts';
import type { SharesStated } from '../../core/events/shares-stated.ts';
import type { EventBody, LoggedEvent } from '../../core/events.ts';
import { CompactTree, leafHash } from '../../ledger/merkle.ts';
import { openEvent } from '../../protocol/envelope.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { encodeStrict } from '../../protocol/strict-cbor-encode.ts';
import { accountOf, type Books, present, type RunBook } from './books.ts';
import { type AboutMoney, mayNotCount, mayNotPay } from './what-answers-pay.ts';
import { balance, isBacked, mayNotLock, mayNotRelease, payable } from './what-is-at-stake.ts';
import { mayNotList, mayNotSee, type People } from './what-the-registry-says.ts';
import { comingOf, mayNotBring, tooManyRuns } from './who-comes-from-elsewhere.ts';
import { fill, holders } from './who-holds-which-stage.ts';
import { acceptedWork, stakeOf } from './who-is-accepted.ts';
import { mayNotContest, mayNotSealContest, mayNotShowContest } from './who-is-contested.ts';
import { mayClaim, mayNotDraw, mayNotSeal, mayNotShow, strangeName } from './who-judges.ts';

const RULE_PROPOSALS = 1000;
const LIMITS_PUBLISHED = 1000;
/** With more than this a sum of amounts might not be exact. */
const MOST_COUNTED = 2 ** 52;
/** So many models in a row, each worse by more than a quarter than the best before. */
const WORSE_MODELS = 4;

/** Rules as pairs of what must not be and why; the first that is counts. */
const firstOf = (...rules: readonly Rule[]): string | null => rules.find(([broken]) => broken)?.[1] ?? null;

export function mayNotFollow(books: Books, event: LoggedEvent): string | null {
  const { author, body } = event;
  const device = books.devices.get(author);
  if (device?.revoked) return 'its owner has revoked the key';
  if (device && books.time_ms >= device.expires_ms && body.type !== 'device.bound') return 'its certificate has ended';
  switch (body.type) {
    case 'tick':
      return firstOf([author !== books.hub, 'not the hub'], [body.time_ms < books.time_ms, 'time goes back']);
    case 'device.bound':
    case 'device.revoked':
    case 'account.address':
      return books.registry ? 'the registry names devices and addresses' : mayNotName(books, author, body);
    case 'registry.seen':
      return mayNotSee(books, author, body, PEOPLE);
    case 'run.listed':
      return mayNotList(books, author, body);
    case 'run.created':
      return mayNotCreate(books, event, body);
    case 'run.arrived': {
      const coming = comingOf(books, author, body);
      return typeof coming === 'string' ? coming : null;
    }
    case 'run.part':
      return mayNotBring(books, author, body);
    case 'answers.judged':
      return mayNotCount(books, author, body);
    case 'credit.granted':
    case 'answers.settled':
    case 'earnings.paid':
      return mayNotPay(books, author, body);
  }
  const run = books.runs.get(body.run);
  if (!run) return 'no such run';
  if (run.gone && body.type !== 'peer.left' && body.type !== 'shares.stated') return 'it is elsewhere';
  return mayNotFollowInRun(books, run, author, body);
}

/** Whether somebody may say so of a device, or of an address. */
function mayNotName(books: Books, author: string, body: EventBody): string | null {
  switch (body.type) {
    case 'device.bound':
      return mayNotBind(books, author, body);
    case 'device.revoked': {
      const known = books.devices.get(body.device);
      return firstOf([known?.owner !== author, 'not its owner'], [known?.revoked === true, 'revoked already']);
    }
    case 'account.address':
      return mayNotMove(books, author, body);
    default:
      return 'of neither';
  }
}

/** What becomes of devices and addresses. */
export function name(books: Books, author: string, body: EventBody): void {
  switch (body.type) {
    case 'device.bound': {
      const { owner, expires_ms } = certificateIn(body.certificate)!;
      books.devices.set(author, { owner, expires_ms, revoked: false });
      for (const run of books.runs.values()) fill(books, run);
      return;
    }
    case 'device.revoked':
      books.devices.get(body.device)!.revoked = true;
      return;
    case 'account.address':
      books.addresses.set(author, { address: body.address, changes: body.change + 1 });
      for (const run of books.runs.values()) if (run.shares.has(author)) run.balances_since = books.events;
  }
}

/** The same for what a registry says. */
export const PEOPLE: People = {
  mayNot: (books, { author, body }) => mayNotName(books, author, body),
  follow: (books, { author, body }) => name(books, author, body),
};

/** What an owner has signed for a device. Throws nothing; null: it is no certificate. */
export function certificateIn(certificate: Uint8Array): { owner: string; device: string; expires_ms: number } | null {
  try {
    const { author, body } = openEvent(certificate);
    const { success, data } = DeviceCertificateSchema.safeParse(body);
    return success ? { owner: author, device: data.device, expires_ms: data.expires_ms } : null;
  } catch {
    return null;
  }
}

function mayNotBind(books: Books, author: string, body: Extract<EventBody, { type: 'device.bound' }>): string | null {
  const signed = certificateIn(body.certificate);
  if (!signed || signed.device !== author) return 'no certificate for it';
  const known = books.devices.get(author);
  return firstOf(
    [books.time_ms >= signed.expires_ms, 'a certificate that has ended'],
    [known !== undefined && known.owner !== signed.owner, 'it is somebody else’s'],
    [known !== undefined && known.expires_ms >= signed.expires_ms, 'it is bound as long already'],
    [books.devices.has(signed.owner) || signed.owner === author, 'its owner is a device'],
    [[...books.devices.values()].some(({ owner }) => owner === author), 'it owns devices'],
  );
}

const mayNotMove = (books: Books, author: string, body: AccountAddress): string | null =>
  firstOf(
    [books.devices.has(author), 'a device'],
    [body.hub !== books.hub, 'for another hub'],
    [body.change !== (books.addresses.get(author)?.changes ?? 0), 'not its next address'],
  );

function mayNotCreate(books: Books, { id, author }: LoggedEvent, body: RunCreated): string | null {
  const { ancestor, model, stages, checkpoint_every, apart_rounds } = body;
  const stated = ancestor && books.runs.get(ancestor.run)?.stated;
  const from = stated && [stated.model, stated.merged_rounds, stated.model].join();
  const full = tooManyRuns(books, author);
  return firstOf(
    [books.runs.has(id) || books.arriving.has(id), 'it is there, or comes'],
    [body.hub !== undefined && body.hub !== books.hub, 'for another log'],
    [full !== null, full ?? ''],
    [
      ancestor !== undefined && from !== [ancestor.model, ancestor.merged_rounds, model].join(),
      'not from a stated model',
    ],
    [stages !== undefined && checkpoint_every > 1, 'in stages, and not every model is kept whole'],
    [stages === undefined && apart_rounds !== undefined, 'no stages to keep apart'],
  );
}

/** The hub must state who holds what of a model that is kept whole, and of the last one. */
const statementIsDue = (run: RunBook): boolean =>
  (run.whole_rounds === run.round || run.phase === 'finished') && run.stated_rounds < run.round;

/** Whether all who measured one of the last models saw them get worse for long. */
export function modelsGetWorse(run: RunBook): boolean {
  const late = [...run.watches.values()].filter(({ round }) => round >= run.round - WORSE_MODELS);
  return run.phase === 'gathering' && late.length > 0 && late.every(({ worse }) => worse >= WORSE_MODELS);
}

/** What belongs to a run that is there. */
export type InRun = Exclude<
  EventBody,
  | AboutMoney
  | { type: 'tick' | 'device.bound' | 'device.revoked' | 'account.address' | 'answers.judged' | 'registry.seen' }
  | { type: 'run.created' | 'run.arrived' | 'run.part' | 'run.listed' }
>;

type Rule = readonly [broken: boolean, why: string];

/** Where an event asks to follow. */
interface At {
  readonly books: Books;
  readonly run: RunBook;
  readonly author: string;
  /** The author, where it has ever taken part. */
  readonly peer: ReturnType<RunBook['peers']['get']>;
  readonly notTheHub: Rule;
  readonly notTheOwner: Rule;
}

function mayNotFollowInRun(books: Books, run: RunBook, author: string, body: InRun): string | null {
  const why = IN_RUN[body.type] as (at: At, body: InRun) => string | null;
  const notTheHub = [author !== books.hub, 'not the hub'] as const;
  const notTheOwner = [author !== run.owner, 'not the owner'] as const;
  return why({ books, run, author, peer: run.peers.get(author), notTheHub, notTheOwner }, body);
}

const another = (run: RunBook, { round, attempt }: { readonly round: number; readonly attempt: number }): Rule => [
  round !== run.round || attempt !== run.attempt,
  'another round',
];

/** Why an event may not follow, by its kind. */
const IN_RUN: { readonly [Type in InRun['type']]: (at: At, body: Extract<InRun, { type: Type }>) => string | null } = {
  'run.paused': mayNotStop,
  'run.ended': mayNotStop,
  'run.resumed': mayNotStop,
  'run.leaving'({ books, run, notTheOwner }, body) {
    return firstOf(
      notTheOwner,
      [body.to === books.hub, 'to where it is'],
      [run.phase !== 'paused', 'not paused'],
      another(run, body),
      [run.contests.size > 0, 'something is contested'],
      [run.moves >= 16, 'it has moved too often'],
    );
  },
  'run.moved'({ run, notTheHub }, body) {
    return firstOf(
      notTheHub,
      [run.leaves_for === null, 'its owner wants it here'],
      [[body.to, body.url].join(' ') !== run.leaves_for, 'to somewhere else'],
      [body.owner !== run.owner || body.move !== run.moves, 'of another owner, or another move'],
    );
  },
  'run.halted'({ run, notTheHub }, body) {
    return firstOf(notTheHub, [!modelsGetWorse(run), 'the models do not get worse'], another(run, body));
  },
  'peer.joined'({ books, run, author, peer }, body) {
    const stake = stakeOf(run, accountOf(books, author));
    return firstOf(
      [peer?.present === true, 'here already'],
      [body.role === 'validator' && stake === 0 && !isBacked(run, author), 'the rules give it no stake'],
      [body.session !== (peer?.joins ?? 0), 'not its next session'],
    );
  },
  'peer.left'({ books, run, author }, body) {
    const known = run.peers.get(body.peer);
    return firstOf(
      [author !== body.peer && author !== books.hub, 'by somebody else'],
      [!known?.present, 'not here'],
      [known !== undefined && body.session !== known.joins - 1, 'another session'],
    );
  },
  'round.opened'({ run, notTheHub }, body) {
    const begun = run.round > 0 || run.attempt > 0;
    const needed = Math.max(begun ? 1 : run.spec.min_workers, run.spec.stages ?? 1);
    return firstOf(
      notTheHub,
      [run.phase !== 'gathering', 'not between rounds'],
      another(run, body),
      [statementIsDue(run), 'shares must be stated first'],
      [present(run, 'worker').length < needed, 'too few workers'],
      [holders(run).some(({ length }) => length === 0), 'a stage that nobody holds'],
    );
  },
  'work.submitted'({ run, author, peer }, body) {
    return firstOf(
      [peer?.role !== 'worker', 'no worker'],
      [run.phase !== 'working' && !(run.phase === 'judging' && run.draw === null), `work while ${run.phase}`],
      another(run, body),
      [body.base !== run.model, 'on another model'],
      [[...run.works.values()].some(({ worker }) => worker === author), 'handed in already'],
      [
        run.first_amount !== null && body.amount > (mayClaim(run, author, run.first_amount) ?? body.amount),
        'too much for so little to lose',
      ],
      [(body.stage ?? null) !== (peer?.stage ?? null), 'of another stage'],
      [run.merged_amount > MOST_COUNTED, 'more than can be counted'],
      strangeName(body.numbers, run.spec.numbers.work),
    );
  },
  'round.drawn'({ books, run, notTheHub }, body) {
    return firstOf(notTheHub, another(run, body)) ?? mayNotDraw(books, run, body);
  },
  'verdict.sealed'({ run, author }, body) {
    return body.contest === undefined ? mayNotSeal(run, author, body) : mayNotSealContest(run, author, body);
  },
  'verdict.given'({ run, author }, body) {
    return body.contest === undefined ? mayNotShow(run, author, body) : mayNotShowContest(run, author, body);
  },
  'verdict.contested'({ run, author }, body) {
    return mayNotContest(run, author, body);
  },
  'plant.revealed'({ run, author, notTheOwner }, body) {
    const pledge = sha256Hex(encodeStrict(['potluck-plant-v1', author, body.salt, body.accepted]));
    return firstOf(notTheOwner, [run.last.get(body.submission)?.pledge !== pledge, 'not what was pledged']);
  },
  'rules.proposed'({ run, notTheOwner }, body) {
    return firstOf(
      notTheOwner,
      [run.phase === 'finished', 'the run is finished'],
      [body.proposal !== run.proposals || run.proposals >= RULE_PROPOSALS, 'not the next proposal'],
      [body.from_round < run.round + run.rules.notice_rounds, 'too soon'],
    );
  },
  'limits.published'({ run, notTheOwner }, { number }) {
    return firstOf(notTheOwner, [number !== run.published || number >= LIMITS_PUBLISHED, 'not the next limits']);
  },
  'model.evaluated'({ run, peer }, body) {
    return firstOf(
      [peer?.role !== 'validator', 'no validator'],
      [body.model !== run.model || body.merged_rounds !== run.round, 'another model'],
      [!sameNames(run, body.measured), 'not by its metrics'],
      [peer?.measured === run.round, 'measured already'],
    );
  },
  'round.merged'({ books, run, notTheHub }, body) {
    return firstOf(notTheHub, another(run, body), ...mergeRules(books, run, body));
  },
  'shares.stated'({ run, notTheHub }, body) {
    return firstOf(notTheHub, [!statementIsDue(run), 'no statement is due'], [!isTrue(run, body), 'not the truth']);
  },
  'stake.locked'({ books, run, author }, body) {
    return mayNotLock(books, run, author, body);
  },
  'stake.released'({ run, author }, body) {
    return mayNotRelease(run, author, body);
  },
  'payout.settled'({ books, run, notTheOwner }, body) {
    const total = [...payable(books, run).values()].reduce((sum, shares) => sum + shares, 0);
    return firstOf(
      notTheOwner,
      [body.settlement !== run.settlements, 'not the next settlement'],
      [body.log_size < run.balances_since || body.log_size > books.events, 'of another log'],
      [total === 0 || body.total !== total, 'not what is free'],
    );
  },
};

const sameNames = ({ spec }: RunBook, measured: object): boolean =>
  Object.keys(measured).length === spec.metrics.length &&
  spec.metrics.every(({ name }) => Object.hasOwn(measured, name));

function mayNotStop(
  { books, run, author, notTheOwner }: At,
  body: Extract<InRun, { type: 'run.paused' | 'run.ended' | 'run.resumed' }>,
): string | null {
  const byTheHub = author === books.hub && body.type === 'run.ended' && isAbandoned(books, run);
  return firstOf(...(byTheHub ? [] : [notTheOwner]), ...wordRules(run, body), another(run, body));
}

/** Nobody was here for an hour, or for three days where something is merged: the hub may end it. */
function isAbandoned(books: Books, { phase, round, empty_ms, peers }: RunBook): boolean {
  if ((phase !== 'gathering' && phase !== 'paused') || [...peers.values()].some((peer) => peer.present)) return false;
  return empty_ms > 0 && books.time_ms - empty_ms >= (round > 0 ? 3 * 24 : 1) * 3_600_000;
}

function wordRules(run: RunBook, body: Extract<EventBody, { type: 'run.paused' | 'run.ended' | 'run.resumed' }>) {
  const said = body.type === 'run.paused' ? run.closing !== null : run.closing === 'ended';
  return [
    [run.phase === 'finished', 'the run is finished'],
    [body.type === 'run.paused' && run.phase === 'paused', 'paused already'],
    [body.type === 'run.resumed' && run.phase !== 'paused', 'not paused'],
    [body.type !== 'run.resumed' && body.version === 2 && said, 'said already'],
  ] as const;
}

function mergeRules(books: Books, run: RunBook, said: RoundMerged) {
  const { bundle, model, checkpoint, step, rest } = said;
  const { merged } = acceptedWork(books, run);
  const list = [merged.length, rootOf(merged.map(({ id }) => Buffer.from(id, 'hex')))];
  const empty = merged.length === 0;
  const kept = (run.round + 1) % run.spec.checkpoint_every === 0 || run.round + 1 === run.spec.rounds;
  return [
    [run.phase !== 'merging', `merged while ${run.phase}`],
    [[said.accepted_count, said.accepted_root].join() !== list.join(), 'not the accepted work'],
    [empty !== (bundle === null), 'a bundle of nothing, or none of something'],
    [empty && model !== run.model, 'another model from nothing'],
    [checkpoint !== (!empty && kept), 'kept whole at another round'],
    [empty && step !== undefined, 'a step from nothing'],
    [!empty && run.step !== null && step === undefined, 'no step after steps'],
    [(rest !== undefined) !== (step !== undefined && checkpoint), 'what is left out, elsewhere than at a kept step'],
  ] as const;
}

function rootOf(entries: readonly Uint8Array[]): string {
  const tree = new CompactTree();
  for (const entry of entries) tree.append(leafHash(entry));
  return Buffer.from(tree.root()).toString('hex');
}

/** Whether a statement says of everybody what the books say, by the root of RFC 6962 over its rows. */
function isTrue(run: RunBook, body: SharesStated): boolean {
  const accounts = [...new Set([...run.shares.keys(), ...run.amounts.keys()])].sort();
  const rows = accounts.map((id) => [id, balance(run, id).held, run.amounts.get(id) ?? 0] as const);
  const sum = (column: 1 | 2): number => rows.reduce((all, row) => all + row[column], 0);
  const truth = [
    run.round,
    run.model,
    rows.length,
    rootOf(rows.map((row) => encodeStrict(row))),
    sum(1),
    run.unearned,
    sum(2),
  ];
  const { merged_rounds, model, root, shares, unearned_shares, amount } = body;
  return truth.join() === [merged_rounds, model, body.accounts, root, shares, unearned_shares, amount].join();
}
