// The end of a round: which work the merge must take, and how it changes the model, the records of peers and their pay.

import type { RoundMerged } from '../events/round-merged.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { enactRules } from '../rule-changes.ts';
import { applyPayout, forfeit } from '../shares/payout.ts';
import { freeStakes } from '../shares/stake.ts';
import { accountOf, type NetworkState, type PeerState, type RunState, type Submission } from '../state.ts';
import { settleAppeals } from './appeal.ts';
import { clearSubmissions } from './attendance.ts';
import { forgetDecided, rememberAccepted, rememberFraud, settleContests } from './contest.ts';
import { settleSilence } from './eligible.ts';
import { passRound } from './held-stages.ts';
import { noteIdle, notIdle } from './idle-rounds.ts';
import { acceptedIds, acceptedSubmissions, judgementOf, rememberVerdicts } from './judging.ts';
import { mergedList } from './merged-list.ts';
import { closeRound } from './run-life.ts';
import { fillStages } from './stages.ts';

/** Whether this is the only merge that follows from the log. */
export function refusalOfMerge(state: NetworkState, run: RunState, body: RoundMerged): Refusal | null {
  if (run.phase !== 'merging') return refuse('wrong-phase', `a merge follows judging, the run is ${run.phase}`);
  if (body.round !== run.round || body.attempt !== run.attempt) {
    return refuse('wrong-round', `expected the merge of round ${run.round} attempt ${run.attempt}`);
  }
  const { accepted_count, accepted_root } = mergedList(acceptedIds(state, run));
  if (accepted_count !== body.accepted_count || accepted_root !== body.accepted_root) {
    return refuse(
      'wrong-merge',
      `expected the ${accepted_count} submissions that the verdicts accept, in order of id, with root ${accepted_root}`,
    );
  }
  const empty = accepted_count === 0;
  if (empty !== (body.bundle === null) || (empty && body.model !== run.model)) {
    return refuse('wrong-merge', 'a bundle is named exactly when work was accepted; without work the model stays');
  }
  if (body.checkpoint !== isCheckpoint(run, body)) {
    return refuse(
      'wrong-merge',
      `a checkpoint is kept after every ${run.spec.checkpoint_every} merged rounds and the last`,
    );
  }
  if (
    (empty && body.step !== undefined) ||
    (body.rest !== undefined) !== (body.checkpoint && body.step !== undefined)
  ) {
    return refuse(
      'wrong-merge',
      'a step needs accepted work, and a checkpoint of a step must name what steps left out',
    );
  }
  if (!empty && body.step === undefined && hasSteps(run)) {
    return refuse('wrong-merge', 'a run that has merged by steps must go on so: expected a step');
  }
  return null;
}

/** Whether the last merge was a step; every later one must then be a step too. */
const hasSteps = ({ recent }: RunState): boolean => (recent.at(-1)?.step ?? null) !== null;

/** Whether this merge's model must be stored as a whole blob. */
export function isCheckpoint(run: RunState, merge: Pick<RoundMerged, 'bundle'>): boolean {
  if (merge.bundle === null) return false;
  const merged = run.round + 1;
  return merged % run.spec.checkpoint_every === 0 || merged === run.spec.rounds;
}

/** Merges the open round; call it only after `refusalOfMerge` returned null. */
export function applyMerge(state: NetworkState, run: RunState, body: RoundMerged): void {
  const taken = acceptedSubmissions(state, run);
  const accepted = new Map(taken.map((entry) => [entry.submission.id, entry.verified]));
  if (body.bundle !== null) applyPayout(state, run, taken);
  // Before the records change, because they decided who had to re-execute what.
  settleAppeals(state, run);
  settleSilence(state, run);
  for (const submission of run.submissions.values()) {
    const peer = run.peers.get(submission.worker)!;
    const verified = accepted.get(submission.id);
    if (verified === undefined) {
      countRefused(state, run, submission, peer);
      continue;
    }
    peer.merged_submissions++;
    peer.merged_round = run.round;
    run.merged_amount += submission.body.amount;
    if (!verified) continue;
    const account = accountOf(state, submission.worker);
    rememberAccepted(run, submission, account);
    peer.consecutive_valid++;
    peer.credit_amount += submission.body.amount;
    run.amounts.set(account, (run.amounts.get(account) ?? 0) + submission.body.amount);
  }
  if (body.bundle === null) noteIdle(run, state.time_ms);
  else settleContests(state, run);
  rememberVerdicts(run);
  clearSubmissions(run);
  if (body.bundle === null) {
    run.attempt++;
    run.phase = 'gathering';
    closeRound(run);
    return;
  }
  run.idle = notIdle();
  const { bundle, step = null, model } = body;
  run.recent.push({ round: run.round, parent: run.model, bundle, step, model });
  run.round++;
  run.attempt = 0;
  run.model = model;
  passRound(run);
  fillStages(state, run);
  if (body.checkpoint) {
    const { merged_rounds } = run.checkpoint;
    run.recent = run.recent.filter((merged) => merged.round >= merged_rounds);
    run.checkpoint = { merged_rounds: run.round, model, rest: body.rest ?? null };
  }
  enactRules(run);
  run.phase = run.round === run.spec.rounds ? 'finished' : 'gathering';
  closeRound(run);
  freeStakes(run);
  forgetDecided(run);
}

/** Work without a verdict says nothing about its worker. Refused work ends the worker's record; fraud costs what is withheld. */
function countRefused(state: NetworkState, run: RunState, submission: Submission, peer: PeerState): void {
  peer.refused_submissions++;
  const judgement = judgementOf(state, run, submission);
  const record = peer.consecutive_valid;
  if (judgement === 'refused' || judgement === 'fraud') peer.consecutive_valid = 0;
  if (judgement === 'fraud') rememberFraud(state, run, submission, record, forfeit(run, peer));
}
