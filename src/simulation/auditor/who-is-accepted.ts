// Whose work is accepted: what more than half of the stake says that stands behind the verdicts on it. A tie refuses.
import { accountOf, type Books, present, type RunBook, type Work } from './books.ts';

/** The stake that the rules give an account; where they name nobody everybody has 1. */
export function stakeOf(run: RunBook, account: string): number {
  const { validators } = run.rules;
  return validators.length === 0 ? 1 : (validators.find((named) => named.account === account)?.stake ?? 0);
}

/** Stakes are whole numbers of millionths, of larger units where they would not fit into 63 bits together. */
function unitOf(whole: bigint): bigint {
  let unit = 1_000_000n;
  while (whole * unit >= 1n << 63n) unit /= 10n;
  return unit;
}

/**
 * What each of these validators' words weighs when they speak together. An account's stake by the rules is divided among its devices that
 * speak, rounded down; what is locked behind a device is that device's.
 */
export function voices(books: Books, run: RunBook, speakers: readonly string[]): Map<string, bigint> {
  const accounts = speakers.map((id) => accountOf(books, id));
  const locked = speakers.map((id) => BigInt(run.staked.get(id) ?? 0));
  const byRules = [...new Set(accounts)].reduce((sum, account) => sum + BigInt(stakeOf(run, account)), 0n);
  const unit = unitOf(byRules + locked.reduce((sum, shares) => sum + shares, 0n));
  return new Map(
    speakers.map((id, i) => {
      const devices = BigInt(accounts.filter((account) => account === accounts[i]).length);
      return [id, (BigInt(stakeOf(run, accounts[i])) * unit) / devices + locked[i] * unit];
    }),
  );
}

export type Decision = 'accepted' | 'refused' | 'fraud' | 'unjudged';

/** Nobody is called a cheat by the few first judges alone, unless they are all who may judge and are here. */
export function decide(books: Books, run: RunBook, { verdicts, first }: Work): Decision {
  if (verdicts.size === 0) return 'unjudged';
  const weighed = voices(books, run, [...verdicts.keys()]);
  const stakeThat = (says: (judge: string) => boolean): bigint =>
    [...weighed].reduce((sum, [judge, stake]) => (says(judge) ? sum + stake : sum), 0n);
  const all = stakeThat(() => true);
  if (2n * stakeThat((judge) => verdicts.get(judge)!.accepted) > all) return 'accepted';
  const here = present(run, 'validator');
  const isAll = first !== null || run.eligible.every((id) => verdicts.has(id) || !here.includes(id));
  return isAll && 2n * stakeThat((judge) => verdicts.get(judge)!.fraud) > all ? 'fraud' : 'refused';
}

/**
 * What the merge takes, in order of id; and of it what is credited. In a round without any verdict nothing is credited, and merged is what
 * workers with a record did; where the rules name nobody, or nobody of them is here, what all did.
 */
export function acceptedWork(books: Books, run: RunBook): { readonly merged: Work[]; readonly credited: Work[] } {
  const works = [...run.works.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const credited = works.filter((work) => decide(books, run, work) === 'accepted');
  const silent = works.every(({ verdicts }) => verdicts.size === 0);
  const guarded = run.rules.validators.length > 0 && run.eligible.length > 0;
  const known = works.filter(({ worker }) => !guarded || run.peers.get(worker)!.valid > 0);
  return { merged: silent ? known : credited, credited };
}
