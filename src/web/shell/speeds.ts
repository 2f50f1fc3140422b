// The last speed of each device. A round is worked on only for a part of its time, so a waiting device keeps its speed.
import type { PeerView } from '../../protocol/messages.ts';

/** A speed that was not measured for so long is dropped, because another program may use the device's cores by now. */
const REMEMBERED_MS = 10 * 60_000;

export interface Speed {
  readonly amount_per_second: number;
  readonly heard_ms: number;
}

/** Records the devices' reports, and forgets devices that have left. */
export function noteSpeeds(speeds: Map<string, Speed>, peers: readonly PeerView[], now_ms: number): void {
  for (const { id, present, progress } of peers) {
    if (!present) speeds.delete(id);
    else if (progress?.state === 'working' && progress.amount_per_second > 0) {
      speeds.set(id, { amount_per_second: progress.amount_per_second, heard_ms: now_ms });
    }
  }
}

/** The speeds that are still valid. */
export const knownSpeeds = (speeds: ReadonlyMap<string, Speed>, now_ms: number): number[] =>
  [...speeds.values()]
    .filter(({ heard_ms }) => now_ms - heard_ms < REMEMBERED_MS)
    .map(({ amount_per_second }) => amount_per_second);
