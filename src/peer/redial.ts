// When a peer whose connection is lost dials again, and what it makes of the failures: decided here, done by connection.ts.

const LIMITS = {
  first_wait_ms: 200, // a hub that is killed and started again is back within a second or two
  longest_wait_ms: 10_000, // and one that stays away is not hammered
  yield_ms: 120_000, // before asking whether another device with this key has gone; each next wait is twice as long
  longest_yield_ms: 600_000,
} as const;

/** A proxy that does not pass WebSockets on is told from a hub that is away after so many tries. */
const BLOCKED_AFTER = 3;
/** What ws says of a hub that lets nobody else in for now. */
const TOO_MANY = /: (429|503)$/;

/** What a peer knows of its tries to reach the hub. */
export interface Tries {
  /** Connections in a row on which nothing was heard. */
  readonly unopened: number;
  /** The hub has answered over HTTP since the last of them. */
  readonly answersHttp: boolean;
  /** Before the next try. */
  readonly wait_ms: number;
  /** How long this peer gives way to another device with its key; 0: it does not. */
  readonly yield_ms: number;
}

export const FIRST_TRY: Tries = { unopened: 0, answersHttp: false, wait_ms: LIMITS.first_wait_ms, yield_ms: 0 };

/** The hub has said something, whatever it was. */
export const onHeard = (tries: Tries): Tries => ({ ...tries, unopened: 0, answersHttp: false });

/** The hub has let this peer in. */
export const onWelcome = (tries: Tries): Tries => ({ ...tries, wait_ms: LIMITS.first_wait_ms, yield_ms: 0 });

/** Another device has this peer's place. */
export function onGiveWay(tries: Tries): Tries {
  const yield_ms = Math.min(LIMITS.longest_yield_ms, tries.yield_ms * 2 || LIMITS.yield_ms);
  return { ...tries, yield_ms };
}

/** The hub has answered over HTTP, or not, while no connection opened. */
export const onHttp = (tries: Tries, answers: boolean): Tries => ({
  ...tries,
  answersHttp: answers && tries.unopened > 0,
});

export interface Redial {
  /** What is known from then on. */
  readonly tries: Tries;
  /** Until the next try, before jitter. */
  readonly wait_ms: number;
  /** The hub is to be called away; one that another device has been let in by is not. */
  readonly away: boolean;
  /** The hub answers over HTTP, and yet one more connection has failed: something between is in the way. */
  readonly blocked: boolean;
  /** Whether to ask the hub over HTTP before the next try. */
  readonly asksHttp: boolean;
}

/** A connection is lost, or did not open. @param reason what the transport says, '' where it says nothing */
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
