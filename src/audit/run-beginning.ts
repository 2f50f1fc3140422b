// How a run begins in a log: it is created there, or comes from another hub's log, and then its first event is inside its arrival.
import { decodeEvent } from '../core/codec.ts';
import type { RunCreated } from '../core/events/run-created.ts';
import type { LoggedEvent } from '../core/events.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { ProtocolError } from '../protocol/errors.ts';

export interface RunBeginning {
  readonly run: string;
  readonly owner: string;
  readonly created: RunCreated;
}

/** What an event says of how a run began; null for every other event, and for an arrival with another first event than the run's. */
export function beginningOf({ id, author, body }: LoggedEvent): RunBeginning | null {
  if (body.type === 'run.created') return { run: id, owner: author, created: body };
  if (body.type !== 'run.arrived') return null;
  const first = firstEvent(body.created);
  // The run's name is the hash of these bytes, so they prove themselves.
  if (first?.id !== body.run || first.body.type !== 'run.created') return null;
  return { run: first.id, owner: first.author, created: first.body };
}

function firstEvent(bytes: Uint8Array): LoggedEvent | null {
  try {
    return decodeEvent(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

/** The run that is in the log now that its last part has come; null where the event was no last part. `state`: after the event. */
export function arrivedWith({ body }: LoggedEvent, state: NetworkState): RunState | null {
  if (body.type !== 'run.part' || state.arriving.has(body.run)) return null;
  return state.runs.get(body.run) ?? null;
}
