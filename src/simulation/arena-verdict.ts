// The event of a judge's finding in the arena, as a real validator makes it.
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import { CORE_LIMITS } from '../core/limits.ts';
import type { RunState, Submission } from '../core/state.ts';
import type { Verdict } from '../games/game.ts';
import { saltFor } from '../games/judging-draw.ts';
import type { Identity } from '../protocol/identity.ts';

/** A finding as the event that is committed, and revealed later. `evidence` names its blob. */
export async function verdictEvent(
  run: RunState,
  { id, body, first }: Submission,
  judge: Identity,
  { evidence: _measurements, ...found }: Verdict,
  evidence: string,
): Promise<VerdictGiven> {
  return {
    ...{ type: 'verdict.given', version: 2, run: run.id, submission: id, ...found, evidence },
    ...(first && { appeal: true }),
    score_micro: bounded(found.score_micro),
    weight: Math.min(found.weight, body.amount),
    salt: Buffer.from(await saltFor(judge, id, first ? 'appeal' : 'first')).toString('hex'),
  };
}

/** In the form that the log can hold. */
export const bounded = (micro: number): number =>
  Math.max(-CORE_LIMITS.score_micro, Math.min(CORE_LIMITS.score_micro, Math.round(micro)));
