// Who holds which stage of a model that is cut into stages: every worker holds one, by count and by lot, from the log alone.
//
// A round in which nobody holds a stage trains nothing, so no stage stays empty while another has two workers; when a round opens, no stage
// has two workers more than another. Between openings workers stay where they are, because a stage has to be fetched. Who may not hold a stage
// (held-stages.ts) is left out of all this.
import { type Random, seededRandom } from '../../protocol/random.ts';
import type { NetworkState, PeerState, RunState } from '../state.ts';
import { mayHoldNow, noteHeld } from './held-stages.ts';

/** A run's workers by stage, before anybody comes; empty where the model is not cut. */
export const emptyStages = (stages = 0): number[] => Array.from({ length: stages }, () => 0);

/**
 * The lot of one event: its place in the log decides, which nobody knows who signs it. A key has no part in it: keys are free, so whoever
 * wants a stage would pick the key that gets it.
 */
const lotOf = ({ events }: NetworkState, { id }: RunState): Random => seededRandom('stage', id, events);

/** A peer is present from now on: a worker gets one of the stages that the fewest hold and it may hold, its own of before if that is among them. */
export function takeStage(state: NetworkState, run: RunState, peer: PeerState): void {
  const workers = run.stage_workers;
  if (workers.length === 0) return;
  if (peer.role !== 'worker') {
    peer.stage = null;
    return;
  }
  const mayHold = mayHoldNow(state, run);
  const open = [...workers.keys()].filter((stage) => mayHold(peer, stage)); // whoever lacks one may have the others
  const fewest = Math.min(...open.map((stage) => workers[stage]));
  const free = open.filter((stage) => workers[stage] === fewest);
  if (peer.stage === null || !free.includes(peer.stage)) {
    peer.stage = free[lotOf(state, run).below(free.length)];
  }
  workers[peer.stage]++;
  noteHeld(run, peer);
  fillStages(state, run);
}

/** A peer is absent from now on: if nobody holds its stage any more, another worker is moved there at once, unless each has a stage to itself. */
export function leaveStage(state: NetworkState, run: RunState, peer: PeerState): void {
  if (run.stage_workers.length === 0 || peer.role !== 'worker') return;
  run.stage_workers[peer.stage!]--;
  fillStages(state, run);
}

/** A stage that nobody holds gets a worker, if one can be spared that may hold it. */
export function fillStages(state: NetworkState, run: RunState): void {
  const workers = run.stage_workers;
  if (!workers.includes(0) || Math.max(...workers) < 2) return;
  const lot = lotOf(state, run);
  for (const stage of workers.keys()) if (workers[stage] === 0) moveOne(state, run, stage, lot);
}

/** A round opens: workers are moved until no stage has two more than another that one of its workers may hold. */
export function evenStages(state: NetworkState, run: RunState): void {
  const workers = run.stage_workers;
  const lot = lotOf(state, run);
  const byNeed = () => [...workers.keys()].sort((a, b) => workers[a] - workers[b]);
  while (byNeed().some((stage) => moveOne(state, run, stage, lot)));
}

/**
 * Moves the worker that is needed least, if a stage has two more than the one that it is to hold: of those that may hold it, from the stages
 * that the most hold, one with the least verified work.
 */
function moveOne(state: NetworkState, run: RunState, to: number, lot: Random): boolean {
  const workers = run.stage_workers;
  let most = workers[to] + 2;
  if (Math.max(...workers) < most) return false;
  const mayHold = mayHoldNow(state, run);
  let least_amount = Number.POSITIVE_INFINITY;
  let spare: PeerState[] = [];
  for (const peer of run.peers.values()) {
    if (!peer.present || peer.role !== 'worker' || workers[peer.stage!] < most || !mayHold(peer, to)) continue;
    if (workers[peer.stage!] > most) [most, least_amount] = [workers[peer.stage!], Number.POSITIVE_INFINITY];
    if (peer.credit_amount > least_amount) continue;
    if (peer.credit_amount < least_amount) spare = [];
    least_amount = peer.credit_amount;
    spare.push(peer);
  }
  if (spare.length === 0) return false;
  const moved = spare[lot.below(spare.length)];
  workers[moved.stage!]--;
  moved.stage = to;
  workers[to]++;
  noteHeld(run, moved);
  return true;
}
