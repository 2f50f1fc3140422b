// Peers whose connection is lost: if they do not come back within a while, the hub writes into the log that they have left.
import type { EventBody } from '../core/events.ts';
import { sessionOf } from '../core/rounds/presence.ts';
import type { NetworkState } from '../core/state.ts';
import type { Clock, Timer } from '../protocol/clock.ts';

export interface AbsencesOptions {
  readonly state: NetworkState;
  readonly clock: Clock;
  /** How long a connection may be lost before the hub writes a leave. */
  readonly after_ms: number;
  isHere(run: string, peer: string): boolean;
  write(body: EventBody): Promise<unknown>;
  /** The log says that a peer has left, but it is connected: it came back while the leave was written, and was told that it is present. */
  onCrossed(run: string, peer: string): void;
}

export interface Absences {
  /** A peer's last connection has ended. */
  gone(run: string, peer: string): void;
  /** A peer has come back in time. */
  back(run: string, peer: string): void;
  /** Starts the wait for every peer that is present by the log, after a time in which nobody could be connected. */
  allGone(): void;
  close(): void;
}

export function openAbsences({ state, clock, after_ms, isHere, write, onCrossed }: AbsencesOptions): Absences {
  const timers = new Map<string, Timer>();
  let closed = false;

  const writeLeft = (run: string, peer: string, reason: 'connection lost' | 'hub restarted'): void => {
    timers.delete(`${run}:${peer}`);
    const known = state.runs.get(run);
    if (closed || !known || isHere(run, peer)) return;
    const { present, session } = sessionOf(known, peer);
    if (!present) return;
    write({ type: 'peer.left', version: 1, run, peer, session, reason }).then(
      () => {
        if (!closed && isHere(run, peer) && !sessionOf(known, peer).present) onCrossed(run, peer);
      },
      // The core refuses a leave that crosses with the peer's own goodbye; nothing is to be done then.
      () => {},
    );
  };
  const soon = (run: string, peer: string, reason: 'connection lost' | 'hub restarted'): void => {
    const key = `${run}:${peer}`;
    clock.clearTimeout(timers.get(key));
    timers.set(
      key,
      clock.setTimeout(() => writeLeft(run, peer, reason), after_ms),
    );
  };

  return {
    gone: (run, peer) => soon(run, peer, 'connection lost'),
    back(run, peer) {
      clock.clearTimeout(timers.get(`${run}:${peer}`));
      timers.delete(`${run}:${peer}`);
    },
    allGone() {
      for (const run of state.runs.values()) {
        for (const peer of run.peers.values()) if (peer.present) soon(run.id, peer.id, 'hub restarted');
      }
    },
    close() {
      closed = true;
      for (const timer of timers.values()) clock.clearTimeout(timer);
    },
  };
}
