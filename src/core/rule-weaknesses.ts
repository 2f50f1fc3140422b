// What rules leave open, said before their owner signs them: the arithmetic of docs/security.md, "The arithmetic of repeating work".
import { reexecutionPermille } from './reexecution.ts';
import type { Rules } from './rules.ts';

/** The record from which on a device is repeated as rarely as it ever is, whatever the rules. */
const BEST_RECORD = 1000;
/** What BOINC asks for before it trusts anybody, and the design of this network with it. */
const USUAL_PROBATION = 10;

/** In plain sentences; none where lying never pays. */
export function weaknessesOf({ probation, reexecute_permille, withheld_rounds, judges }: Rules): string[] {
  const repeated = reexecutionPermille({ consecutive_valid: BEST_RECORD }, reexecute_permille, probation) / 1000;
  const gain = 1 - repeated;
  const loss = repeated * withheld_rounds;
  return [
    probation < USUAL_PROBATION &&
      `only the first ${Math.max(1, probation)} of a newcomer's submissions are always repeated (usual: ${USUAL_PROBATION})`,
    gain > loss &&
      `a device with a record that lies gains ${gain.toFixed(2)} and loses ${loss.toFixed(2)} of a submission's pay in expectation: lying pays; raise reexecute_permille or withheld_rounds`,
    judges < 3 && `with ${judges === 1 ? 'one judge' : 'two judges'} nobody outvotes a judge that lies`,
  ].filter((line) => line !== false);
}
