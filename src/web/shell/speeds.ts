// How fast devices were when they last trained: a round is trained only for a part of its time, and who waits then is not gone.
import type { PeerView } from '../../protocol/messages.ts';

/** After this long without a measurement a device's speed is no longer known: another program may have taken its cores. */
const REMEMBERED_MS = 10 * 60_000;

export interface Speed {
  readonly tokens_per_second: number;
  readonly heard_ms: number;
}

/** Notes what devices report, and forgets who has left. */
export function noteSpeeds(speeds: Map<string, Speed>, peers: readonly PeerView[], now_ms: number): void {
  for (const { id, present, progress } of peers) {
    if (!present) speeds.delete(id);
    else if (progress?.state === 'training' && progress.tokens_per_second > 0) {
      speeds.set(id, { tokens_per_second: progress.tokens_per_second, heard_ms: now_ms });
    }
  }
}

/** The speeds that still say something. */
export const knownSpeeds = (speeds: ReadonlyMap<string, Speed>, now_ms: number): number[] =>
  [...speeds.values()]
    .filter(({ heard_ms }) => now_ms - heard_ms < REMEMBERED_MS)
    .map(({ tokens_per_second }) => tokens_per_second);
