// Shrinks a failing history to the smallest one that still fails: removes the faults, peers and rounds that it does not need.
import type { Bug } from './bugs.ts';
import { History } from './history.ts';
import type { Plan } from './plan.ts';
import type { Outcome } from './world.ts';

/** Plays one history. */
export function play(plan: Plan, bug: Bug | null = null): Promise<Outcome> {
  return new History(plan, bug).play();
}

/** Histories that shrinking may play; the smallest found until then counts. */
const BUDGET = 80;

/** The first smaller plan that fails, again and again (greedy delta debugging). Any failure counts, not only the same. */
export async function shrink(plan: Plan, bug: Bug | null): Promise<{ readonly plan: Plan; readonly outcome: Outcome }> {
  let best = { plan, outcome: await play(plan, bug) };
  let left = BUDGET;
  for (let smaller = true; smaller; ) {
    smaller = false;
    for (const candidate of smallerPlans(best.plan)) {
      if (left-- <= 0) return best;
      const outcome = await play(candidate, bug);
      if (!outcome.violation) continue;
      best = { plan: candidate, outcome };
      smaller = true;
      break;
    }
  }
  return best;
}

function* smallerPlans(plan: Plan): Generator<Plan> {
  if (plan.faults.length > 1) yield { ...plan, faults: [] };
  for (let i = 0; i < plan.faults.length; i++) yield { ...plan, faults: plan.faults.toSpliced(i, 1) };
  for (let i = plan.peers.length - 1; i >= 0; i--) {
    const peers = plan.peers.toSpliced(i, 1);
    const workers = peers.filter(({ role }) => role === 'worker').length;
    if (workers === 0) continue;
    // Faults keep their peers.
    const faults = plan.faults
      .filter(({ peer }) => peer !== i)
      .map((fault) => (fault.peer > i ? { ...fault, peer: fault.peer - 1 } : fault));
    yield { ...plan, peers, faults, run: { ...plan.run, min_workers: Math.min(plan.run.min_workers, workers) } };
  }
  if (plan.run.ended_at_ms !== null) yield { ...plan, run: { ...plan.run, ended_at_ms: null } };
  if (plan.run.rounds > 1) yield { ...plan, run: { ...plan.run, rounds: plan.run.rounds - 1 } };
}
