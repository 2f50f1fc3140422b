// Peers whose connection is lost: if they do not come back within a while, the hub writes into the log that they have left.
import type { EventBody } from '../core/events.ts';
import { sessionOf } from '../core/rounds/presence.ts';
import type { NetworkState } from '../core/state.ts';
import type { Clock, Timer } from '../protocol/clock.ts';

/** After a restart thousands come back at once, and each of them takes the hub's time: so much longer all are waited for, for each. */
const EXPECTED_MS = 2.5;
/** How often a hub looks who is back: what counts is time in which it could look, not time in which it stood still. */
const LOOK_MS = 1000;
/** So many times the wait is over in any case: strangers whose hellos never come cannot keep everybody's leave out of the log. */
const AT_MOST = 4;

export interface AbsencesOptions {
  readonly state: NetworkState;
  readonly clock: Clock;
  /** How long a connection may be lost before the hub writes a leave. */
  readonly after_ms: number;
  isHere(run: string, peer: string): boolean;
  /** How many connections have not said yet whose they are. */
  unnamed(): number;
  write(body: EventBody): Promise<unknown>;
  /** The log says that a peer has left, but it is connected: it came back while the leave was written, and was told that it is present. */
  onCrossed(run: string, peer: string): void;
}

export interface Absences {
  /** A peer's last connection has ended. */
  gone(run: string, peer: string): void;
  /** A peer has come back in time. */
  back(run: string, peer: string): void;
  /**
   * Starts the wait for all peers that are present by the log, after a time in which nobody could be connected. None of them is written off while
   * others still come back, or while it is not known yet whose a connection is.
   */
  allGone(): void;
  close(): void;
}

export function openAbsences(options: AbsencesOptions): Absences {
  const { state, clock, after_ms, isHere, write, onCrossed } = options;
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
  const returning = awaitReturn(options, (run, peer) => writeLeft(run, peer, 'hub restarted'));

  return {
    gone(run, peer) {
      const key = `${run}:${peer}`;
      clock.clearTimeout(timers.get(key));
      timers.set(
        key,
        clock.setTimeout(() => writeLeft(run, peer, 'connection lost'), after_ms),
      );
    },
    back(run, peer) {
      clock.clearTimeout(timers.get(`${run}:${peer}`));
      timers.delete(`${run}:${peer}`);
      returning.back(run, peer);
    },
    allGone: returning.begin,
    close() {
      closed = true;
      returning.close();
      for (const timer of timers.values()) clock.clearTimeout(timer);
    },
  };
}

/** Waits for all peers that are present by the log; `onMissing` gets those that do not come. */
function awaitReturn(
  { state, clock, after_ms, unnamed }: AbsencesOptions,
  onMissing: (run: string, peer: string) => void,
): { begin(): void; back(run: string, peer: string): void; close(): void } {
  const awaited = new Map<string, { readonly run: string; readonly peer: string }>();
  const step_ms = Math.min(LOOK_MS, after_ms);
  let timer: Timer;
  let [left_ms, at_most_ms] = [0, 0];
  let came = false;

  const look = (): void => {
    left_ms = Math.max(left_ms - step_ms, came ? after_ms : 0);
    at_most_ms -= step_ms;
    came = false;
    if (at_most_ms > 0 && (left_ms > 0 || unnamed() > 0)) {
      timer = clock.setTimeout(look, step_ms);
      return;
    }
    const missing = [...awaited.values()];
    awaited.clear();
    for (const { run, peer } of missing) onMissing(run, peer);
  };

  return {
    begin() {
      for (const { id: run, peers } of state.runs.values()) {
        for (const { id: peer, present } of peers.values()) if (present) awaited.set(`${run}:${peer}`, { run, peer });
      }
      left_ms = after_ms + awaited.size * EXPECTED_MS;
      at_most_ms = AT_MOST * left_ms;
      clock.clearTimeout(timer);
      if (awaited.size > 0) timer = clock.setTimeout(look, step_ms);
    },
    back(run, peer) {
      if (awaited.delete(`${run}:${peer}`)) came = true;
    },
    close: () => clock.clearTimeout(timer),
  };
}
