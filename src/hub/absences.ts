// Peers whose connection is gone: after a while in which they might have come back, the log says that they have left.
import type { EventBody } from '../core/events.ts';
import { sessionOf } from '../core/rounds/presence.ts';
import type { NetworkState } from '../core/state.ts';
import type { Clock, Timer } from '../protocol/clock.ts';

export interface AbsencesOptions {
  readonly state: NetworkState;
  readonly clock: Clock;
  /** How long a peer may be gone before the log says so. */
  readonly after_ms: number;
  isHere(run: string, peer: string): boolean;
  write(body: EventBody): Promise<unknown>;
  /** The log says of a peer that it has left, and it is connected: it came back while that was written, and was told that it is here. */
  onCrossed(run: string, peer: string): void;
}

export interface Absences {
  /** Whose last connection has ended. */
  gone(run: string, peer: string): void;
  /** Whoever has come back in time. */
  back(run: string, peer: string): void;
  /** Everybody of whom the log says that they are here, after a time in which nobody could be. */
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
      // A leave that crosses with the peer's own goodbye is refused by the core: nothing to do then.
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
