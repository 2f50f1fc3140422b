// Changes of a run's rules: the owner proposes them in the log, and they take effect after the notice period, never for a round under way.
import type { RulesProposed } from './events/rules-proposed.ts';
import { CORE_LIMITS } from './limits.ts';
import { type Refusal, refuse } from './refusal.ts';
import type { RunState } from './state.ts';

/** Whether the owner may propose these rules now. */
export function refusalOfProposal(run: RunState, author: string, body: RulesProposed): Refusal | null {
  if (author !== run.owner) return refuse('not-the-owner', `only the owner ${run.owner} may do this, got ${author}`);
  if (run.phase === 'finished') return refuse('wrong-phase', 'the run is finished');
  if (body.proposal !== run.proposals) {
    return refuse('wrong-proposal', `expected proposal ${run.proposals} of this run, got ${body.proposal}`);
  }
  if (run.proposals >= CORE_LIMITS.rule_proposals) {
    return refuse('wrong-proposal', `the rules of a run are changed at most ${CORE_LIMITS.rule_proposals} times`);
  }
  const earliest = run.round + run.rules.notice_rounds;
  if (body.from_round >= earliest) return null;
  return refuse('too-soon', `expected rules from round ${earliest} or later (notice), got ${body.from_round}`);
}

/** Records proposed rules; a later proposal replaces one that is not in force yet. */
export function propose(run: RunState, { from_round, rules }: RulesProposed): void {
  run.proposals++;
  run.pending_rules = { from_round, rules };
}

/** Puts proposed rules in force when their round has come: between rounds, when no work is under way. */
export function enactRules(run: RunState): void {
  if (!run.pending_rules || run.round < run.pending_rules.from_round) return;
  run.rules = run.pending_rules.rules;
  run.pending_rules = null;
}
