// What a run and its peers are doing, in words.
import type { PeerView, RunOverview } from '../../protocol/messages.ts';
import { PHASE_WORDS } from '../../protocol/phase-words.ts';
import { nameOf } from '../shell/format.ts';

/** What a device is doing; one that left a finished run has done its part. */
export function doing(peer: PeerView, run: RunOverview): string {
  const paused = peer.progress?.state === 'paused' ? ', since it has paused' : '';
  if (!peer.present) return run.phase === 'finished' ? 'done' : `away${paused}`;
  return peer.progress?.state ?? 'waiting';
}

/** A run's phase in a word; a run that its owner ended early did not finish. */
export const phaseWord = ({ phase, round, rounds }: RunOverview): string =>
  phase === 'finished' && round < rounds ? 'ended' : PHASE_WORDS[phase];

/** The name of a device. Strangers choose their names, so the beginning of the key is shown beside it elsewhere. */
export const peerName = (peer: PeerView): string => nameOf(peer.name);
