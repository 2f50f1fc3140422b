// What a fleet needs beside its devices: front ends, logs, and what of it the product as it is would refuse.
import { CORE_LIMITS } from '../../core/limits.ts';
import { DEFAULT_MAX_BLOB_BYTES } from '../../ledger/blob-store.ts';
import type { Fleet } from './fleet.ts';
import type { FleetResult } from './result.ts';

const BITS = 8;
const MEGA = 1e6;
/** A log whose state holds more peers takes more than some seconds for a snapshot of it. */
const PEERS_A_LOG = 100_000;

/** The largest that there was in any hour; but for the hub's bytes, of one run. */
export interface Peaks {
  events_per_s: number;
  hub_in_per_s: number;
  hub_out_per_s: number;
  peers: number;
  /** Tokens that one work claims. */
  work_tokens: number;
  /** All updates of a round, where anybody judges. */
  bundle_bytes: number;
  /** How long a judge downloads what it follows a merge by, in rounds. */
  follow_rounds: number;
}

export function needsOf(
  { hub, runs }: Fleet,
  peaks: Peaks,
): Omit<FleetResult['needs'], 'events_a_round' | 'events_a_work'> {
  const line_bytes = (hub.front_mbps * MEGA) / BITS;
  const sockets = (peaks.peers * runs) / hub.front_sockets;
  const lines = Math.max(peaks.hub_in_per_s, peaks.hub_out_per_s) / line_bytes;
  const of_events = (peaks.events_per_s * runs) / hub.log_events_per_s;
  const of_peers = (peaks.peers * runs) / PEERS_A_LOG;
  return {
    events_per_s: peaks.events_per_s * runs,
    hub_bytes_per_s: peaks.hub_in_per_s + peaks.hub_out_per_s,
    front_ends: hub.design === 'ring' ? 1 : Math.max(1, Math.ceil(sockets), Math.ceil(lines)),
    logs: Math.max(1, Math.ceil(of_events), Math.ceil(of_peers), Math.ceil(runs / CORE_LIMITS.runs)),
    peers_a_run: peaks.peers,
  };
}

/** In words, what the core would refuse. */
export function limitsBroken(
  peaks: Peaks,
  limits: Pick<typeof CORE_LIMITS, 'peers_per_run' | 'amount'> = CORE_LIMITS,
): string[] {
  const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
  return [
    ...(peaks.peers > limits.peers_per_run
      ? [`a run takes ${whole(limits.peers_per_run)} peers, and this one has ${whole(peaks.peers)}`]
      : []),
    ...(peaks.work_tokens > limits.amount
      ? [`a work claims at most ${whole(limits.amount)} tokens, and here it would be ${whole(peaks.work_tokens)}`]
      : []),
    ...(peaks.follow_rounds > 1
      ? [
          `a judge would download what a round merged for ${peaks.follow_rounds.toPrecision(2)} rounds, and never be done`,
        ]
      : []),
    ...(peaks.bundle_bytes > DEFAULT_MAX_BLOB_BYTES
      ? [
          `a blob has at most ${whole(DEFAULT_MAX_BLOB_BYTES)} bytes, and all updates of a round together would have ${whole(peaks.bundle_bytes)}`,
        ]
      : []),
  ];
}
