// What a run and its peers are doing, in words.
import type { PeerView, RunOverview } from '../../protocol/messages.ts';
import { nameOf } from '../shell/format.ts';

/** What a device does now; one that left a finished run has done its part. */
export function doing(peer: PeerView, run: RunOverview): string {
  if (!peer.present) return run.phase === 'finished' ? 'done' : 'away';
  return peer.progress?.state ?? 'waiting';
}

/** Who is called what: strangers choose their names, so the beginning of the key is shown beside it elsewhere. */
export const peerName = (peer: PeerView): string => nameOf(peer.name);
