// Which work is accepted: the decision of more than half of the stake behind the verdicts on it. A tie refuses.
import { accountOf, type Books, type RunBook, type Work } from './books.ts';

/** The stake that the rules give an account; where they name nobody, everybody has 1. */
export function stakeOf(run: RunBook, account: string): number {
  const { validators } = run.rules;
  return validators.length === 0 ? 1 : (validators.find((named) => named.account === account)?.stake ?? 0);
}

/** Stakes are whole numbers of millionths, or of larger units where they would not fit into 63 bits together. */
export function unitOf(whole: bigint): bigint {
  let unit = 1_000_000n;
  while (whole * unit >= 1n << 63n) unit /= 10n;
  return unit;
}

/** The stake of validators if all of them speak: each account's by the rules once, and what is locked behind each device. */
export function together(books: Books, run: RunBook, validators: readonly string[]): bigint {
  const accounts = [...new Set(validators.map((id) => accountOf(books, id)))];
  const byRules = accounts.reduce((sum, account) => sum + BigInt(stakeOf(run, account)), 0n);
  return validators.reduce((sum, id) => sum + BigInt(run.staked.get(id) ?? 0), byRules);
}

/**
 * The stake behind each of these validators' verdicts when they speak together. An account's stake by the rules is divided among its devices
 * that speak, rounded down; shares locked behind a device count for that device.
 */
export function voices(
  books: Books,
  run: RunBook,
  speakers: readonly string[],
  unit: bigint = unitOf(together(books, run, speakers)),
): Map<string, bigint> {
  const accounts = speakers.map((id) => accountOf(books, id));
  return new Map(
    speakers.map((id, i) => {
      const devices = BigInt(accounts.filter((account) => account === accounts[i]).length);
      return [id, (BigInt(stakeOf(run, accounts[i])) * unit) / devices + BigInt(run.staked.get(id) ?? 0) * unit];
    }),
  );
}

export type Decision = 'accepted' | 'refused' | 'fraud' | 'unjudged';

/** So many judge an appeal at most. */
const JURY = 64;

/**
 * More than half of the stake of all who had a seat decides an appeal, and in any case a finding of fraud; more than half of those who spoke
 * decides to accept without an appeal. If half or less speaks in an appeal, nothing is decided. Silence of the worker's own account
 * counts nowhere.
 */
export function decide(books: Books, run: RunBook, { verdicts, first, judges, worker }: Work): Decision {
  if (verdicts.size === 0) return 'unjudged';
  const seats = first && run.eligible.length > JURY ? judges : run.eligible;
  const others = seats.filter((id) => accountOf(books, id) !== accountOf(books, worker));
  const stake = together(books, run, [...new Set([...others, ...verdicts.keys()])]);
  const unit = unitOf(stake);
  const weighed = voices(books, run, [...verdicts.keys()], unit);
  const stakeThat = (says: (judge: string) => boolean): bigint =>
    [...weighed].reduce((sum, [judge, weight]) => (says(judge) ? sum + weight : sum), 0n);
  const all = stake * unit;
  const spoken = stakeThat(() => true);
  if (first && 2n * spoken <= all) return 'unjudged';
  if (2n * stakeThat((judge) => verdicts.get(judge)!.accepted) > (first ? all : spoken)) return 'accepted';
  return 2n * stakeThat((judge) => verdicts.get(judge)!.fraud) > all ? 'fraud' : 'refused';
}

/**
 * What the merge takes, in order of id, and which of it is credited. In a round without any verdict nothing is credited, and the work of
 * workers with a record is merged; where the rules name nobody, or nobody of them is present, all work is.
 */
export function acceptedWork(books: Books, run: RunBook): { readonly merged: Work[]; readonly credited: Work[] } {
  const works = [...run.works.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const credited = works.filter((work) => decide(books, run, work) === 'accepted');
  const silent = works.every(({ verdicts }) => verdicts.size === 0);
  const guarded = run.rules.validators.length > 0 && run.eligible.length > 0;
  const known = works.filter(({ worker }) => !guarded || run.peers.get(worker)!.valid > 0);
  return { merged: silent ? known : credited, credited };
}
