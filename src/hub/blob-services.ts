// What serving and receiving blobs needs from a hub.
import type { BlobStore } from '../ledger/blob-store.ts';
import type { Clock } from '../protocol/clock.ts';
import type { Metrics } from './metrics.ts';
import type { RateLimits } from './rate-limits.ts';
import type { Turns } from './turns.ts';
import type { UnnamedBlobs } from './unnamed-blobs.ts';
import type { PeerTelemetry } from './views.ts';

export interface BlobTurns {
  readonly turns: { readonly pieces: Turns; readonly syncs: Turns };
}

export interface BlobServices {
  readonly id: string;
  readonly clock: Clock;
  readonly blobs: BlobStore;
  readonly unnamed: UnnamedBlobs;
  readonly telemetry: Map<string, PeerTelemetry>;
  readonly rates: RateLimits;
  readonly metrics: Metrics;
  /** Whether a key takes part in a run or owns one. */
  isKnown(peer: string): boolean;
  /** Throws HubError `disk-full` where an upload of this size would not leave enough free space. */
  mustHaveRoom(size_bytes: number, whose: 'known' | 'stranger'): Promise<void>;
  /** Gets errors of the hub itself, for its operator. */
  onError(error: unknown, where: string): void;
}
