// What answers have cost and brought one account: replays the log, checks every signature, and lists each movement.
import type { LoggedEvent } from '../core/events.ts';
import { creditLeft, earnedBy } from '../core/serving/credit.ts';
import { accountOf, type NetworkState } from '../core/state.ts';
import type { PublicLog } from './public-log.ts';
import type { ReplayOptions } from './replay.ts';
import { replayWithPool } from './shares.ts';

/** How many of an account's movements are kept: the newest. */
const MOVEMENTS = 1000;

/** One event that changed what an account has or is owed, in micro-credits. */
export interface Movement {
  /** The event's index in the log. */
  readonly entry: number;
  readonly time_ms: number;
  readonly type: 'credit.granted' | 'answers.settled' | 'earnings.paid';
  /** What its credit has become larger (granted) or smaller (charged) by. */
  readonly credit_micro: number;
  /** What it is owed has become larger (earned) or smaller (paid out) by. */
  readonly earned_micro: number;
  /** The batch's number, where answers were settled. */
  readonly batch: number | null;
  /** In the hub's words, where credit was granted or earnings were paid. */
  readonly reference: string | null;
}

export interface Money {
  readonly account: string;
  readonly left_micro: number;
  readonly owed_micro: number;
  /** All that it was ever granted, charged, has earned and was paid. */
  readonly granted_micro: number;
  readonly charged_micro: number;
  readonly earned_micro: number;
  readonly paid_micro: number;
  /** Of what its devices have answered, as the hub counted it: parts that judges have accepted, and refused. */
  readonly accepted_parts: number;
  readonly refused_parts: number;
  /** The newest last; only the last thousand. */
  readonly movements: readonly Movement[];
}

/** Reads what a log says of an account's money. Throws AuditFailure, PublicLogError. */
export async function moneyOf(log: PublicLog, account: string): Promise<Money> {
  const book = new MoneyBook(account);
  const { state } = await replayWithPool(log, book);
  const now = { left_micro: creditLeft(state, account), owed_micro: earnedBy(state, account) };
  return { account, ...now, ...book.sums(), ...judgedOf(state, account) };
}

/** What judges have said of the answers of all devices that earn for an account now. */
function judgedOf(state: NetworkState, account: string): Pick<Money, 'accepted_parts' | 'refused_parts'> {
  let [accepted_parts, refused_parts] = [0, 0];
  for (const [device, { accepted, refused }] of state.judged.devices) {
    if (accountOf(state, device) !== account) continue;
    accepted_parts += accepted;
    refused_parts += refused;
  }
  return { accepted_parts, refused_parts };
}

/** Writes down what changes for one account while a log is replayed. */
export class MoneyBook implements Pick<ReplayOptions, 'before' | 'after'> {
  readonly #account: string;
  readonly #movements: Movement[] = [];
  readonly #sums = { granted_micro: 0, charged_micro: 0, earned_micro: 0, paid_micro: 0 };
  #left_micro = 0;
  #owed_micro = 0;

  constructor(account: string) {
    this.#account = account;
  }

  sums(): Omit<Money, 'account' | 'left_micro' | 'owed_micro' | 'accepted_parts' | 'refused_parts'> {
    return { ...this.#sums, movements: this.#movements };
  }

  readonly before = (_event: LoggedEvent, _index: number, state: NetworkState): void => {
    this.#left_micro = creditLeft(state, this.#account);
    this.#owed_micro = earnedBy(state, this.#account);
  };

  readonly after = ({ body }: LoggedEvent, entry: number, state: NetworkState): void => {
    if (body.type !== 'credit.granted' && body.type !== 'answers.settled' && body.type !== 'earnings.paid') return;
    const credit_micro = creditLeft(state, this.#account) - this.#left_micro;
    const earned_micro = earnedBy(state, this.#account) - this.#owed_micro;
    if (credit_micro === 0 && earned_micro === 0) return;
    const [batch, reference] = body.type === 'answers.settled' ? [body.number, null] : [null, body.reference ?? null];
    const sums = this.#sums;
    sums[credit_micro > 0 ? 'granted_micro' : 'charged_micro'] += Math.abs(credit_micro);
    sums[earned_micro > 0 ? 'earned_micro' : 'paid_micro'] += Math.abs(earned_micro);
    const { time_ms } = state;
    this.#movements.push({ entry, time_ms, type: body.type, credit_micro, earned_micro, batch, reference });
    if (this.#movements.length > MOVEMENTS) this.#movements.shift();
  };
}
