// How often work is repeated, and by how many judges: as often as it takes that a lie costs its worker more than it brings.
import { withheldTokens } from '../shares/balances.ts';
import type { RunState } from '../state.ts';
import { lacksRecord } from './first-work.ts';

/** What stands between a worker and a lie. */
export interface Standing {
  /** Its merged submissions since the last one that was refused. */
  readonly consecutive_valid: number;
  /** What it has earned and may still lose, in thousandths of a submission like the one that is judged. */
  readonly bond_permille: number;
}

/** What a run's rules say about repeating. */
export interface RepeatRules {
  readonly probation: number;
  readonly reexecute_permille: number;
}

/** A bond beyond this changes nothing. */
const MOST_BOND_PERMILLE = 1_000_000;

/** A worker's bond beside a claim of so many tokens: its merged tokens whose pay is withheld, whatever the pay of their rounds was. */
export function bondPermille(run: RunState, worker: string, tokens: number): number {
  const permille = (BigInt(withheldTokens(run, worker)) * 1000n) / BigInt(Math.max(1, tokens));
  return permille < MOST_BOND_PERMILLE ? Number(permille) : MOST_BOND_PERMILLE;
}

/**
 * With a third of the stake lying, a judge that repeats finds a lie with two thirds, a second one two thirds of what is left, and so on.
 * In 27,000ths, so that everything is whole: what each further judge adds.
 */
const CERTAIN = 27_000;
const FOUND_BY = [18_000, 6_000, 2_000];

/**
 * How many judges are to repeat a submission, in thousandths: 1400 is one for certain and a second in four of ten cases. Everybody
 * (null) while a worker has no record, or no bond to speak of; otherwise so many that a lie, which gains one submission, loses as much
 * in expectation: found with at least 1 / (1 + bond). Never less than the rules say.
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
