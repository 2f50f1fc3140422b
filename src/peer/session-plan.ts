// What a session does next, and what it makes of failures: decided here from what is known, done by session.ts.
import { CodedError, isSystemError } from '../errors.ts';
import type { RunView } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';

/** What a session knows between two actions of its role. */
export interface SessionKnows {
  /** The newest view; null while there is none, or another device has this one's place. */
  readonly newest: RunView | null;
  /** The view that the role acted on last; null when it is to act again. */
  readonly acted: RunView | null;
  /** The run is finished, and the role has acted on that. */
  readonly finished: boolean;
  /** The owner wants the device back. */
  readonly leaving: boolean;
  readonly failure: CodedError | null;
}

export type SessionAction =
  | { readonly do: 'act'; readonly view: RunView }
  | { readonly do: 'wait' }
  | { readonly do: 'leave' }
  | { readonly do: 'fail'; readonly error: CodedError };

export function planSession({ newest, acted, finished, leaving, failure }: SessionKnows): SessionAction {
  if (finished) return { do: 'leave' };
  if (failure) return { do: 'fail', error: failure };
  if (leaving) return { do: 'leave' };
  if (!newest || newest === acted) return { do: 'wait' };
  return { do: 'act', view: newest };
}

/** What keeps a device from being bound for now, and not because of whom it works for. */
const NOT_FINAL: readonly string[] = ['disconnected', 'key-in-use', 'bad-receipt'];

/**
 * What follows when a device could not be bound to its owner. Work for another account than the owner's is no work for the owner: rather none.
 * @returns 'throw': nobody has foreseen this error; 'ignore': the connection tells of it itself
 */
export function planAfterBinding(error: unknown): 'throw' | 'tell' | 'end' | 'ignore' {
  if (!(error instanceof CodedError)) return isSystemError(error) ? 'tell' : 'throw';
  if (!NOT_FINAL.includes(error.code)) return 'end';
  return error.code === 'bad-receipt' ? 'tell' : 'ignore';
}

/**
 * What follows when the hub did not take this peer's word that it is here.
 * @param outdated another connection has been welcomed since
 */
export function planAfterJoining(error: unknown, outdated: boolean): 'end' | 'ignore' {
  if (outdated || !(error instanceof PeerError && error.is('refused'))) return 'ignore';
  // Two connections may cross: that the log already knows this peer, or a later join of it, is what was wanted.
  return error.details.refusal === 'already-present' ? 'ignore' : 'end';
}

/** What follows when the role failed to act: 'again' after a while for what may pass, a disk that was full, or a hub that failed at a blob. */
export function planAfterActing(error: unknown): 'throw' | 'tell' | 'again' {
  if (isSystemError(error)) return 'again';
  if (!(error instanceof CodedError)) return 'throw';
  return error instanceof PeerError && Number(error.details.status) >= 500 ? 'again' : 'tell';
}
