// The hub's only writer: asks the core whether an event may follow, appends it durably, and only then tells anybody.
import { decodeEvent } from '../core/codec.ts';
import type { EventBody, LoggedEvent } from '../core/events.ts';
import { brokenState, brokenStep, stepOf } from '../core/invariants.ts';
import { core, type StateMachine } from '../core/reduce.ts';
import { initialState, type NetworkState } from '../core/state.ts';
import { assert } from '../errors.ts';
import { type Clock, systemClock } from '../protocol/clock.ts';
import { eventId, signEvent } from '../protocol/envelope.ts';
import { ProtocolError } from '../protocol/errors.ts';
import type { Identity } from '../protocol/identity.ts';
import { HubError } from './errors.ts';
import { type EventLog, openWriter, type Standing, type Written } from './log-writer.ts';
import type { Snapshots } from './snapshots.ts';

export interface SequencerOptions {
  /** When a write that found a full disk is tried again. */
  readonly clock?: Clock;
  /** The core with a planted fault, for the simulator. */
  readonly machine?: StateMachine;
  /** Without them every start replays the whole log. */
  readonly snapshots?: Snapshots;
}

/** What listeners get: each event once, in log order, after it is durable. */
export type EventListener = (event: LoggedEvent, index: number) => void;

export interface Sequencer {
  /** The state after all events accepted so far. Only the sequencer changes it. */
  readonly state: NetworkState;
  /**
   * Accepts a signed event from anybody. Resolves when it is durable.
   * Throws ProtocolError for malformed bytes, HubError `refused` when the core refuses, and where `standing` is not `taking` a HubError with
   * its code or `overloaded`; the state is then unchanged. Throws `log-failed`, for good, where the core has a bug.
   * @param decoded the decoded event, where the caller has verified its signature already
   */
  submit(bytes: Uint8Array, decoded?: LoggedEvent): Promise<Written>;
  /** Signs a body as the hub and submits it; while the disk is full it waits. A body given as a function is built after the wait. */
  write(body: EventBody | (() => EventBody)): Promise<Written>;
  readonly standing: Standing;
  /** Called when a full disk, or a failed log, changes `standing`; with the log's error. */
  onStanding(listener: (standing: Standing, error: unknown) => void): void;
  onEvent(listener: EventListener): void;
  /** The index of one of the last REMEMBERED events, when it is durable. */
  indexOf(id: string): number | undefined;
  /** Resolves when everything accepted is durable. Later events are refused with HubError `closing`. */
  close(): Promise<void>;
}

const REPLAY_CHUNK = 4096;
/** A client without an answer asks again within seconds, so a few rounds of a large run are remembered. */
const REMEMBERED = 16_384;

/**
 * Replays the log, from the newest valid snapshot, and opens it for writing. Throws HubError `bad-folder` when the log contains an event
 * that the core refuses, or leads to a state that breaks an invariant (core/invariants.ts).
 */
export function openSequencer(log: EventLog, identity: Identity, options: SequencerOptions = {}): Sequencer {
  const { machine = core, snapshots } = options;
  const state = snapshots?.restore() ?? initialState(identity.id);
  const indices = new Map<string, number>();
  const remember = (id: string, index: number): void => {
    indices.set(id, index);
    if (indices.size > REMEMBERED) indices.delete(indices.keys().next().value!);
  };
  forEachEntry(log, Math.max(0, state.events - REMEMBERED), state.events, (bytes, index) => {
    remember(eventId(bytes), index);
  });
  replay(state, log, machine, remember);
  const broken = brokenState(state);
  if (broken) throw new HubError('bad-folder', `the state that follows from the log cannot be: ${broken}`);
  const listeners: EventListener[] = [];
  let durable = state.events;
  const writer = openWriter(log, options.clock ?? systemClock, ({ event, snapshot }, index) => {
    // If this does not hold, the writer gives up, so that nobody gets a receipt for another event.
    assert(index === durable, 'events become durable in the order in which the state took them in');
    durable++;
    remember(event.id, index);
    for (const listener of listeners) listener(event, index);
    if (snapshot) snapshots?.keep(snapshot);
  });

  // Events are applied at once and appended in the same order; the answers wait until they are durable.
  const submit = async (bytes: Uint8Array, decoded?: LoggedEvent): Promise<Written> => {
    writer.mustTake();
    assert(!decoded || decoded.id === eventId(bytes), 'the bytes for the log are those whose signature was verified');
    const event = decoded ?? decodeEvent(bytes);
    const before = stepOf(state, event);
    const refusal = machine.apply(state, event);
    if (refusal) throw new HubError('refused', refusal.message, { refusal: refusal.code });
    const broken = brokenStep(before, state, event);
    if (broken) {
      // A bug in the core. The hub answers nobody and writes nothing, so the log stays as it was.
      const message = `this hub made a mistake at event ${before.events} and ends before it is kept: ${broken}`;
      const error = new HubError('log-failed', message, { index: before.events });
      writer.giveUp(error);
      throw error;
    }
    const snapshot = snapshots?.isDue(state.events) ? snapshots.take(state) : null;
    return { event, index: await writer.append({ bytes, event, snapshot }) };
  };

  return {
    state,
    submit,
    get standing() {
      return writer.standing;
    },
    onStanding: writer.onStanding,
    async write(body) {
      while (writer.standing === 'disk-full') await writer.changed();
      return submit(await signEvent(identity, typeof body === 'function' ? body() : body));
    },
    onEvent: (listener) => void listeners.push(listener),
    indexOf: (id) => indices.get(id),
    async close() {
      await writer.close();
      // A state that is ahead of a failed log is invalid.
      if (state.events === log.size) snapshots?.keep(snapshots.take(state));
      await snapshots?.written();
    },
  };
}

function replay(
  state: NetworkState,
  log: EventLog,
  machine: StateMachine,
  seen: (id: string, index: number) => void,
): void {
  forEachEntry(log, state.events, log.size, (bytes, index) => {
    const event = readEvent(bytes, index);
    const refusal = machine.apply(state, event);
    if (refusal) {
      throw new HubError('bad-folder', `event ${index} of the log cannot follow: ${refusal.message}`, {
        refusal: refusal.code,
        index,
      });
    }
    seen(event.id, index);
  });
}

function forEachEntry(
  log: EventLog,
  start: number,
  end: number,
  see: (bytes: Uint8Array, index: number) => void,
): void {
  for (let from = start; from < end; from += REPLAY_CHUNK) {
    const entries = log.read(from, Math.min(end, from + REPLAY_CHUNK));
    for (const [offset, bytes] of entries.entries()) see(bytes, from + offset);
  }
}

function readEvent(bytes: Uint8Array, index: number): LoggedEvent {
  try {
    // The hub verified every signature before it wrote the event; an audit verifies them again.
    return decodeEvent(bytes, { verify_signature: false });
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const what =
      error.code === 'unknown-version'
        ? `cannot be read: ${error.message}; start the one that wrote this log, or begin in another folder`
        : `is damaged: ${error.message}`;
    throw new HubError('bad-folder', `event ${index} of the log ${what}`, { index });
  }
}
