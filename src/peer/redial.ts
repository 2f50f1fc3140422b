// When a peer reconnects after a lost connection, and how it interprets failures: decided here; connection.ts acts on it.

const LIMITS = {
  first_wait_ms: 200, // a killed hub is back within a second or two
  longest_wait_ms: 10_000, // so that a hub that stays unreachable is not flooded
  yield_ms: 120_000, // before asking whether another device with this key has gone; each further wait is twice as long
  longest_yield_ms: 600_000,
} as const;

/** After so many failures, a proxy that does not pass WebSockets on is told apart from an unreachable hub. */
const BLOCKED_AFTER = 3;
/** The message of ws when the hub refuses new connections for now. */
const TOO_MANY = /: (429|503)$/;

/** What a peer knows about its attempts to reach the hub. */
export interface Tries {
  /** Connections in a row on which nothing was received. */
  readonly unopened: number;
  /** The hub has answered over HTTP since the last of them. */
  readonly answersHttp: boolean;
  /** The wait before the next attempt. */
  readonly wait_ms: number;
  /** How long this peer gives way to another device with its key; 0 where it does not. */
  readonly yield_ms: number;
}

export const FIRST_TRY: Tries = { unopened: 0, answersHttp: false, wait_ms: LIMITS.first_wait_ms, yield_ms: 0 };

/** The hub has sent something, whatever it was. */
export const onHeard = (tries: Tries): Tries => ({ ...tries, unopened: 0, answersHttp: false });

/** The hub has welcomed this peer. */
export const onWelcome = (tries: Tries): Tries => ({ ...tries, wait_ms: LIMITS.first_wait_ms, yield_ms: 0 });

/** Another device has this peer's place. */
export function onGiveWay(tries: Tries): Tries {
  const yield_ms = Math.min(LIMITS.longest_yield_ms, tries.yield_ms * 2 || LIMITS.yield_ms);
  return { ...tries, yield_ms };
}

/** Whether the hub answers over HTTP while no connection opens. */
export const onHttp = (tries: Tries, answers: boolean): Tries => ({
  ...tries,
  answersHttp: answers && tries.unopened > 0,
});

export interface Redial {
  /** The new knowledge. */
  readonly tries: Tries;
  /** The wait before the next attempt, without jitter. */
  readonly wait_ms: number;
  /** The hub is to be reported as unreachable; it is not while another device has this peer's place. */
  readonly away: boolean;
  /** The hub answers over HTTP, but one more connection has failed: something in between blocks WebSockets. */
  readonly blocked: boolean;
  /** Whether to ask the hub over HTTP before the next attempt. */
  readonly asksHttp: boolean;
}

/** A connection is lost, or did not open. @param reason the transport's message, '' where it gives none */
export function planRedial(tries: Tries, reason: string): Redial {
  const unopened = tries.unopened + 1;
  const wait_ms = Math.min(LIMITS.longest_wait_ms, tries.wait_ms * 2);
  return {
    tries: { ...tries, unopened, answersHttp: false, wait_ms },
    wait_ms: tries.yield_ms || tries.wait_ms,
    away: tries.yield_ms === 0,
    blocked: tries.answersHttp,
    asksHttp: unopened === BLOCKED_AFTER && !TOO_MANY.test(reason),
  };
}
