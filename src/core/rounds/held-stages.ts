// Which stages of a model accounts have held lately, and whether one may be given another: a run may say that no account gets them all.
import { CORE_LIMITS } from '../limits.ts';
import { accountOf, type NetworkState, type PeerState, type RunState } from '../state.ts';

/** For how many merged rounds a run in stages remembers who held a stage. */
export const rememberedRounds = ({ spec }: RunState): number => spec.apart_rounds ?? CORE_LIMITS.held_rounds;

/** From now on a worker holds its stage. */
export function noteHeld(run: RunState, peer: PeerState): void {
  peer.held.set(peer.stage!, run.round);
}

/** A round was merged: whoever is here still holds its stage, and what was held too long ago is forgotten. */
export function passRound(run: RunState): void {
  if (run.stage_workers.length === 0) return;
  for (const peer of run.peers.values()) {
    if (peer.present && peer.role === 'worker') noteHeld(run, peer);
    for (const [stage, round] of peer.held) if (run.round - round >= rememberedRounds(run)) peer.held.delete(stage);
  }
}

/** By account, the stages that its devices hold or have held as far as the run remembers: what they did for another account before counts too. */
export function heldByAccount(state: NetworkState, run: RunState): Map<string, Set<number>> {
  const held = new Map<string, Set<number>>();
  for (const peer of run.peers.values()) {
    if (peer.held.size === 0) continue;
    const account = accountOf(state, peer.id);
    held.set(account, new Set([...(held.get(account) ?? []), ...peer.held.keys()]));
  }
  return held;
}

/** Whether a worker may be given a stage. */
export type MayHold = (peer: PeerState, stage: number) => boolean;

/**
 * Where the run keeps its stages apart, nobody but its owner gets the last one that its account lacks; elsewhere everybody may hold each.
 * The answer is for now: who is given a stage may not be given others afterwards.
 */
export function mayHoldNow(state: NetworkState, run: RunState): MayHold {
  const { apart_rounds, stages } = run.spec;
  if (apart_rounds === undefined) return () => true;
  const owner = accountOf(state, run.owner);
  const held = heldByAccount(state, run);
  return ({ id }, stage) => {
    const account = accountOf(state, id);
    const own = held.get(account);
    return account === owner || own === undefined || own.has(stage) || own.size + 1 < stages!;
  };
}
