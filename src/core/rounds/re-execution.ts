// How often work is re-executed, and by how many judges: often enough that a lie costs its worker more than it brings.
import { withheldAmount } from '../shares/balances.ts';
import type { RunState } from '../state.ts';
import { lacksRecord } from './first-work.ts';

/** What a worker has to lose by a lie. */
export interface Standing {
  /** Its merged submissions since the last refused one. */
  readonly consecutive_valid: number;
  /** What it has earned and may still lose, in thousandths of a submission as large as the judged one. */
  readonly bond_permille: number;
}

/** What a run's rules say about re-execution. */
export interface RepeatRules {
  readonly probation: number;
  readonly reexecute_permille: number;
}

/** A larger bond changes nothing. */
const MOST_BOND_PERMILLE = 1_000_000;

/** A worker's bond beside a claim of this amount: its merged work whose pay is withheld, however much each round paid. */
export function bondPermille(run: RunState, worker: string, amount: number): number {
  const permille = (BigInt(withheldAmount(run, worker)) * 1000n) / BigInt(Math.max(1, amount));
  return permille < MOST_BOND_PERMILLE ? Number(permille) : MOST_BOND_PERMILLE;
}

/**
 * If a third of the stake lies, one judge finds a lie with probability two thirds, a second one finds two thirds of the rest, and so on.
 * This is what each further judge adds, in 27,000ths, so that all numbers are whole.
 */
const CERTAIN = 27_000;
const FOUND_BY = [18_000, 6_000, 2_000];

/**
 * How many judges are to re-execute a submission, in thousandths: 1400 means one for certain and a second in four of ten cases. null means
 * every judge, while a worker has no record or almost no bond. Otherwise enough judges that a lie, which gains one submission, loses as
 * much in expectation: it is found with a probability of at least 1 / (1 + bond). Never less than the rules demand.
 */
export function repeatersPermille(standing: Standing, { probation, reexecute_permille }: RepeatRules): number | null {
  if (lacksRecord(standing, { probation })) return null;
  let missing = Math.ceil((CERTAIN * 1000) / (1000 + standing.bond_permille));
  let repeaters = 0;
  for (const found of FOUND_BY) {
    if (missing <= found) return Math.max(1, reexecute_permille, repeaters + Math.ceil((1000 * missing) / found));
    missing -= found;
    repeaters += 1000;
  }
  return null;
}
