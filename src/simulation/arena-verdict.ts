// What a judge in the arena knows before it looks, and the event that its finding becomes: as a validator makes them.
import type { VerdictGiven } from '../core/events.ts';
import { firstJudge } from '../core/judging.ts';
import { CORE_LIMITS } from '../core/limits.ts';
import { reexecutionPermille } from '../core/reexecution.ts';
import type { RunState, Submission } from '../core/state.ts';
import type { Verdict } from '../games/game.ts';
import { drawFor, saltFor } from '../peer/judging-draw.ts';
import type { Identity } from '../protocol/identity.ts';

/** A first judge's draw and what it decides, as src/peer/judging-alarm.ts has it; null where nobody draws or somebody else does. */
export async function drawOfFirst(run: RunState, { id, worker, judges }: Submission, judge: Identity) {
  const isFirst = firstJudge(run.seed, worker, judges) === judge.id;
  return isFirst && rateOf(run, worker) < 1000 ? drawFor(judge, id) : null;
}

/** Whether a judge with this draw, or none of its own, repeats a piece of work. */
export function isRepeated(
  run: RunState,
  { worker, draw_permille, alarm }: Submission,
  draw: Awaited<ReturnType<typeof drawOfFirst>>,
): boolean {
  const rate = rateOf(run, worker);
  if (draw) return draw.permille < rate;
  return rate >= 1000 || draw_permille === null || alarm;
}

function rateOf({ peers, rules }: RunState, worker: string): number {
  return reexecutionPermille(peers.get(worker)!, rules.reexecute_permille, rules.probation);
}

/** A finding as the event that is sealed, and shown later. `evidence` names its blob. */
export async function verdictEvent(
  run: RunState,
  { id, body }: Submission,
  judge: Identity,
  { evidence: _measurements, ...found }: Verdict,
  evidence: string,
): Promise<VerdictGiven> {
  return {
    ...{ type: 'verdict.given', version: 1, run: run.id, submission: id, ...found, evidence },
    score_micro: bounded(found.score_micro),
    loss_before_micro: bounded(found.loss_before_micro),
    loss_after_micro: bounded(found.loss_after_micro),
    weight: Math.min(found.weight, body.tokens),
    salt: Buffer.from(await saltFor(judge, id)).toString('hex'),
  };
}

/** As the log can hold it. */
export const bounded = (micro: number): number =>
  Math.max(-CORE_LIMITS.score_micro, Math.min(CORE_LIMITS.score_micro, Math.round(micro)));
