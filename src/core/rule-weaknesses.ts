// Warnings about weak rules, before their owner signs them: the arithmetic of docs/security.md, "The arithmetic of repeating work".
import { repeatersPermille } from './rounds/re-execution.ts';
import type { Rules } from './rules.ts';

/** With such a record a worker is not new, whatever the rules. */
const BEST_RECORD = 1000;
/** If more than this part of the work, in thousandths, is re-executed, that alone costs more than all checks are meant to. */
const DEAR_PERMILLE = 150;

/** The warnings as plain sentences; none where lying never pays and checks cost what they usually do. */
export function weaknessesOf({ probation, reexecute_permille, withheld_rounds, judges }: Rules): string[] {
  const best = { consecutive_valid: BEST_RECORD, bond_permille: 1000 * withheld_rounds };
  const repeated = repeatersPermille(best, { probation, reexecute_permille }) ?? 1000 * judges;
  return [
    repeated > DEAR_PERMILLE &&
      `also the best device's work is repeated in ${repeated} of 1000 cases, since it can lose only what ${withheld_rounds} rounds earned it: checking is dear; raise withheld_rounds or lower reexecute_permille`,
    judges < 3 && `with ${judges === 1 ? 'one judge' : 'two judges'} nobody outvotes a judge that lies`,
  ].filter((line) => line !== false);
}
