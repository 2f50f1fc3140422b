// Reads a public log to its signed head and replays it: every signature, every transition and the root are checked on the way.

import { openPublicLog } from '#public-log-open';
import { decodeEvent } from '../core/codec.ts';
import type { LoggedEvent } from '../core/events.ts';
import { apply } from '../core/reduce.ts';
import { initialState, type NetworkState, type RunState } from '../core/state.ts';
import { LedgerError } from '../ledger/errors.ts';
import { equalHashes, leafHash, type NodeReader, nodesOfLeaves, rootAt } from '../ledger/merkle.ts';
import { decodeEntryBundle } from '../ledger/tiles.ts';
import { clockAhead } from '../protocol/clock.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { bareCheckpoint } from './certificate-event.ts';
import { OwnershipError } from './ownership-errors.ts';
import { loggedRun } from './shares.ts';

/** Called with every event after it was applied. */
export type ReplayListener = (event: LoggedEvent, index: number, bytes: Uint8Array, state: NetworkState) => void;

export interface ReplayedLog {
  readonly hub: string;
  /** The checkpoint with the hub's signature only. */
  readonly checkpoint: string;
  readonly size: number;
  readonly state: NetworkState;
  /** A warning that the hub's clock is ahead of this machine's; null where it is not. */
  readonly warning: string | null;
  /** Nodes of the tree, for proofs. */
  readonly node: NodeReader;
}

/**
 * Reads the log of a hub (an address, or its folder) up to its signed head.
 * @param before called with every event before it is applied
 * Throws OwnershipError `bad-log`, PublicLogError, AuditFailure.
 */
export async function replayLog(
  where: string,
  onEvent: ReplayListener = () => {},
  before: (event: LoggedEvent, state: NetworkState) => void = () => {},
): Promise<ReplayedLog> {
  const log = await openPublicLog(where);
  try {
    const { head, hub } = log;
    if (!head) throw new OwnershipError('bad-log', `${where} holds a log whose hub has signed no checkpoint yet`);
    const state = initialState(hub);
    const leaves: Uint8Array[] = [];
    for await (const { first, count, bundle } of log.pages()) {
      for (const [offset, bytes] of bundleEntries(bundle, count).entries()) {
        const index = first + offset;
        if (index >= head.size) break;
        leaves.push(leafHash(bytes));
        onEvent(applyBytes(state, bytes, index, before), index, bytes, state);
      }
    }
    const node = nodesOfLeaves(leaves);
    if (leaves.length !== head.size || !equalHashes(rootAt(head.size, node), head.root)) {
      throw new OwnershipError(
        'bad-log',
        `the ${leaves.length} entries are not the ${head.size} that the hub has signed`,
      );
    }
    return {
      hub,
      checkpoint: bareCheckpoint(head.note, hub),
      size: head.size,
      state,
      node,
      warning: clockAhead(state.time_ms, Date.now()),
    };
  } finally {
    log.close();
  }
}

/** The run that a name or the beginning of an id means; without one, the only one that goes on. Throws OwnershipError `unknown-run`. */
export function chooseLoggedRun(state: NetworkState, wanted: string | undefined): RunState {
  const found = loggedRun(state, wanted);
  if (typeof found === 'string') throw new OwnershipError('unknown-run', found);
  return found;
}

function bundleEntries(bundle: Uint8Array, count: number): Uint8Array[] {
  try {
    return decodeEntryBundle(bundle, count);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw new OwnershipError('bad-log', error.message);
  }
}

function applyBytes(
  state: NetworkState,
  bytes: Uint8Array,
  index: number,
  before: (event: LoggedEvent, state: NetworkState) => void,
): LoggedEvent {
  let reason: string;
  try {
    const event = decodeEvent(bytes);
    before(event, state);
    const refusal = apply(state, event);
    if (!refusal) return event;
    reason = refusal.message;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    reason = error.message;
  }
  throw new OwnershipError('bad-log', `event ${index} of the log is untrue (potluck audit says more): ${reason}`, {
    index,
  });
}
