// What a session does next, and how it handles failures: decided here from what is known; session.ts acts on it.
import { CodedError, isSystemError } from '../errors.ts';
import type { RunView } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';

/** What a session knows between two actions of its role. */
export interface SessionKnows<V extends RunView = RunView> {
  /** The newest view; null where there is none, or another device has this one's place. */
  readonly newest: V | null;
  /** The view that the role acted on last; null when it must act again. */
  readonly acted: V | null;
  /** The run is finished, and the role has acted on that. */
  readonly finished: boolean;
  /** The owner wants the device back. */
  readonly leaving: boolean;
  readonly failure: CodedError | null;
}

export type SessionAction<V extends RunView = RunView> =
  | { readonly do: 'act'; readonly view: V }
  | { readonly do: 'wait' }
  | { readonly do: 'leave' }
  | { readonly do: 'fail'; readonly error: CodedError };

export function planSession<V extends RunView>(known: SessionKnows<V>): SessionAction<V> {
  const { newest, acted, finished, leaving, failure } = known;
  if (finished) return { do: 'leave' };
  if (failure) return { do: 'fail', error: failure };
  if (leaving) return { do: 'leave' };
  if (!newest || newest === acted) return { do: 'wait' };
  return { do: 'act', view: newest };
}

/** Refusals that keep a device from being bound for now, and not because of its owner. */
const NOT_FINAL: readonly string[] = ['disconnected', 'key-in-use', 'bad-receipt'];

/**
 * What to do when a device could not be bound to its owner. Work for another account is not work for the owner, so then it does none.
 * @returns 'throw': an unforeseen error; 'ignore': the connection reports the error itself
 */
export function planAfterBinding(error: unknown): 'throw' | 'tell' | 'end' | 'ignore' {
  if (!(error instanceof CodedError)) return isSystemError(error) ? 'tell' : 'throw';
  if (!NOT_FINAL.includes(error.code)) return 'end';
  return error.code === 'bad-receipt' ? 'tell' : 'ignore';
}

/**
 * What to do when the hub refused this peer's join.
 * @param outdated another connection has been welcomed since
 */
export function planAfterJoining(error: unknown, outdated: boolean): 'end' | 'ignore' {
  if (outdated || !(error instanceof PeerError && error.is('refused'))) return 'ignore';
  // Two connections may cross: if the log knows this peer, or a later join of it, already, the goal is reached.
  return error.details.refusal === 'already-present' ? 'ignore' : 'end';
}

/** What to do when the role failed: 'again' after a while for a cause that may pass, such as a full disk or a blob that the hub failed to serve. */
export function planAfterActing(error: unknown): 'throw' | 'tell' | 'again' {
  if (isSystemError(error)) return 'again';
  if (!(error instanceof CodedError)) return 'throw';
  return error instanceof PeerError && Number(error.details.status) >= 500 ? 'again' : 'tell';
}
