// Who is present in a run and who has left. Joins are counted, so that every join and every leave in the log can be used once.

import type { PeerJoined } from '../events/peer-joined.ts';
import type { PeerLeft } from '../events/peer-left.ts';
import { CORE_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { isLockedBehind } from '../shares/stake.ts';
import { accountOf, type NetworkState, type PeerState, type RunState } from '../state.ts';
import { countOwed, countPeer } from './attendance.ts';
import { countLasting, firstSessions, noteLeave } from './forgetting.ts';
import { reseatJudges } from './panel.ts';
import { leaveStage, takeStage } from './stages.ts';
import { stakeOf } from './verdict-stakes.ts';

/** Whether a peer is present, and the session that it is in or that its next join will open. */
export function sessionOf(run: RunState, peer: string): { readonly present: boolean; readonly session: number } {
  const known = run.peers.get(peer);
  if (!known) return { present: false, session: firstSessions(run, peer).most };
  return { present: known.present, session: known.present ? known.joins - 1 : known.joins };
}

export function refusalOfJoin(state: NetworkState, run: RunState, author: string, body: PeerJoined): Refusal | null {
  const { present, session } = sessionOf(run, author);
  if (present) return refuse('already-present', `peer ${author} is already here`);
  const isNew = !run.peers.has(author);
  const most = CORE_LIMITS.peers_per_run;
  if (isNew && run.peers.size >= most && countLasting(run) >= most) {
    return refuse('too-many-peers', `a run has at most ${most} peers that are here or have done something`);
  }
  if (body.role === 'worker' && run.spec.stages && run.attendance.workers >= CORE_LIMITS.staged_workers) {
    return refuse('too-many-peers', `a run in stages has at most ${CORE_LIMITS.staged_workers} workers at a time`);
  }
  if (body.role === 'validator' && stakeOf(run, accountOf(state, author)) === 0 && !isLockedBehind(run, author)) {
    const account = accountOf(state, author);
    return refuse(
      'no-stake',
      `the rules of this run name its validators, and ${account} is not among them; shares that it earns by work and locks behind this device give it a seat`,
    );
  }
  if (isNew && body.session >= firstSessions(run, author).least && body.session <= session) return null;
  return refusalOfSession(session, body.session);
}

export function refusalOfLeave(run: RunState, hub: string, author: string, body: PeerLeft): Refusal | null {
  if (author !== body.peer && author !== hub) {
    return refuse('not-the-hub', `a leave is signed by the peer itself or by the hub, got ${author}`);
  }
  const { present, session } = sessionOf(run, body.peer);
  if (!present) return refuse('not-present', `peer ${body.peer} is not here`);
  return refusalOfSession(session, body.session);
}

function refusalOfSession(expected: number, session: number): Refusal | null {
  return session === expected ? null : refuse('wrong-session', `expected session ${expected}, got ${session}`);
}

export function applyJoin(state: NetworkState, run: RunState, id: string, body: PeerJoined): void {
  const { role, name, runtime, session } = body;
  const peer = run.peers.get(id) ?? newPeer(id);
  Object.assign(peer, { role, name, runtime, present: true, joins: session + 1 });
  run.peers.set(id, peer);
  // A missing peer may be the one that joins now.
  run.idle.opens_ms = 0;
  run.empty_since_ms = 0;
  arriveOrLeave(state, run, peer, 1);
}

export function applyLeave(state: NetworkState, run: RunState, id: string): void {
  const peer = run.peers.get(id)!;
  peer.present = false;
  arriveOrLeave(state, run, peer, -1);
  noteLeave(run, peer);
}

/** A leaving judge without a verdict is replaced; a returning one takes a free place; a new validator may judge from a later round on. */
function arriveOrLeave(state: NetworkState, run: RunState, peer: PeerState, change: 1 | -1): void {
  countPeer(run, peer, change);
  if (change === 1) takeStage(state, run, peer);
  else leaveStage(state, run, peer);
  if (peer.role !== 'validator') return;
  if (change === -1) peer.openings = 0;
  reseatJudges(state, run, false);
  countOwed(run);
}

const newPeer = (id: string): PeerState => ({
  ...{ id, role: 'worker', name: '', runtime: '', present: false, joins: 0 },
  ...{ handed_in: false, evaluated_rounds: null, credit_amount: 0, merged_submissions: 0, refused_submissions: 0 },
  ...{ merged_round: null, stage: null, held: new Map() },
  ...{ judged: false, consecutive_valid: 0, plants_right: 0, plants_wrong: 0, forfeited_shares: 0 },
  ...{ openings: 0, strikes: 0, struck_round: 0, suspended_until: 0, warned_until: 0 },
});
