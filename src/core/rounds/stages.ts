// Who holds which stage of a model that is cut into stages: every worker holds one, by count and by lot, from the log alone.
//
// A round in which nobody holds a stage trains nothing, so no stage stays empty while another has two workers; when a round opens, no stage
// has two workers more than another. Between openings workers stay where they are, because a stage has to be fetched.
import { type Random, seededRandom } from '../../protocol/random.ts';
import type { NetworkState, PeerState, RunState } from '../state.ts';

/** A run's workers by stage, before anybody comes; empty where the model is not cut. */
export const emptyStages = (stages = 0): number[] => Array.from({ length: stages }, () => 0);

/**
 * The lot of one event: its place in the log decides, which nobody knows who signs it. A key has no part in it: keys are free, so whoever
 * wants a stage would pick the key that gets it.
 */
const lotOf = ({ events }: NetworkState, { id }: RunState): Random => seededRandom('stage', id, events);

/** A peer is present from now on: a worker gets one of the stages that the fewest hold, its own of before if that is among them. */
export function takeStage(state: NetworkState, run: RunState, peer: PeerState): void {
  const workers = run.stage_workers;
  if (workers.length === 0) return;
  if (peer.role !== 'worker') {
    peer.stage = null;
    return;
  }
  const fewest = Math.min(...workers);
  if (peer.stage === null || workers[peer.stage] > fewest) {
    const free = [...workers.keys()].filter((stage) => workers[stage] === fewest);
    peer.stage = free[lotOf(state, run).below(free.length)];
  }
  workers[peer.stage]++;
}

/** A peer is absent from now on: if nobody holds its stage any more, another worker is moved there at once, unless each has a stage to itself. */
export function leaveStage(state: NetworkState, run: RunState, peer: PeerState): void {
  const workers = run.stage_workers;
  if (workers.length === 0 || peer.role !== 'worker') return;
  const left = peer.stage!;
  workers[left]--;
  if (workers[left] === 0 && Math.max(...workers) > 1) moveOne(run, left, lotOf(state, run));
}

/** A round opens: workers are moved until no stage has two more than another. */
export function evenStages(state: NetworkState, run: RunState): void {
  const workers = run.stage_workers;
  if (workers.length === 0) return;
  const lot = lotOf(state, run);
  for (;;) {
    const fewest = Math.min(...workers);
    if (Math.max(...workers) - fewest < 2) return;
    moveOne(run, workers.indexOf(fewest), lot);
  }
}

/** Moves the worker that is needed least: of those whose stages the most hold, one with the least verified work. */
function moveOne(run: RunState, to: number, lot: Random): void {
  const workers = run.stage_workers;
  const most = Math.max(...workers);
  let least_amount = Number.POSITIVE_INFINITY;
  let spare: PeerState[] = [];
  for (const peer of run.peers.values()) {
    if (!peer.present || peer.role !== 'worker' || workers[peer.stage!] < most) continue;
    if (peer.credit_amount > least_amount) continue;
    if (peer.credit_amount < least_amount) spare = [];
    least_amount = peer.credit_amount;
    spare.push(peer);
  }
  const moved = spare[lot.below(spare.length)];
  workers[moved.stage!]--;
  moved.stage = to;
  workers[to]++;
}
