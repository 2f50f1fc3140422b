// The hub's only writer: asks the core whether an event may follow, appends it durably, and only then tells anybody. In a hub of several
// processes one of them leads; the others hand it what they get, and take in what it has written.
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
  /** The process that leads, for one that begins as its follower. Without it this one leads. */
  readonly leader?: Leader;
}

/** The process of this hub that writes the log. Both calls resolve to the index of the event, which is durable, and reject as `submit` does. */
export interface Leader {
  submit(bytes: Uint8Array): Promise<number>;
  /** Signs a body as the hub. */
  write(body: EventBody): Promise<number>;
  /** How many events the log has. Throws HubError `no-leader`. */
  size(): Promise<number>;
  /** Brings this process up to what the log has now. Throws as the journal does. */
  catchUp(): Promise<void>;
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
  /** The hub's event with this body, which is the same bytes each time. */
  signed(body: EventBody): Promise<Uint8Array>;
  readonly standing: Standing;
  /** Called when a full disk, or a failed log, changes `standing`; with the log's error. */
  onStanding(listener: (standing: Standing, error: unknown) => void): void;
  onEvent(listener: EventListener): void;
  /** The index of one of the last REMEMBERED events, or of one that is being written, when it is durable. Rejects where it never will be. */
  indexOf(id: string): Promise<number | undefined>;
  /** Resolves when the state has so many events. Throws HubError `closing`, `log-failed`. */
  reached(size: number): Promise<void>;
  /** Resolves when the state has what the log had at the call. Throws as `reached` does, and HubError `no-leader`. */
  caughtUp(): Promise<void>;
  /**
   * Resolves when what this process refuses follows from the log: who leads has written what it has taken, or has seen that nobody else has written.
   * Throws as `reached` and the journal do; `fenced` where this process leads no more.
   */
  settled(): Promise<void>;
  /** Whether this process writes the log. */
  readonly leads: boolean;
  /** From now on this process writes the log; it must have taken in everything that is there. */
  lead(): void;
  /** Takes in entries that the leader has written, and the log has. Throws HubError `log-failed`, for good, where one cannot follow. */
  takeIn(entries: readonly Uint8Array[]): void;
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
  const { machine = core, snapshots, leader } = options;
  const state = snapshots?.restore() ?? initialState(identity.id);
  const known = openKnown();
  forEachEntry(log, Math.max(0, state.events - REMEMBERED), state.events, (bytes, index) => {
    known.durable(eventId(bytes), index);
  });
  replay(state, log, machine, known.durable);
  const broken = brokenState(state);
  if (broken) throw new HubError('bad-folder', `the state that follows from the log cannot be: ${broken}`);
  const listeners: EventListener[] = [];
  let leads = leader === undefined;
  const taken = openTaken(state.events);
  const tell = (event: LoggedEvent, index: number): void => {
    // If this does not hold, the writer gives up, so that nobody gets a receipt for another event.
    assert(index === taken.size, 'events become durable in the order in which the state took them in');
    known.durable(event.id, index);
    taken.add();
    for (const listener of listeners) listener(event, index);
  };
  const writer = openWriter(log, options.clock ?? systemClock, ({ event, snapshot }, index) => {
    tell(event, index);
    if (snapshot) snapshots?.keep(snapshot);
  });
  const fail = (error: HubError): void => {
    writer.giveUp(error);
    taken.end(error);
  };
  writer.onStanding((standing) => taken.endIf(standing === 'log-failed'));
  const snapshotNow = () => (snapshots?.isDue(state.events) ? snapshots.take(state) : null);

  // Events are applied at once and appended in the same order; the answers wait until they are durable.
  const submit = async (bytes: Uint8Array, decoded?: LoggedEvent): Promise<Written> => {
    writer.mustTake();
    assert(!decoded || decoded.id === eventId(bytes), 'the bytes for the log are those whose signature was verified');
    const event = decoded ?? decodeEvent(bytes);
    if (!leads) return { event, index: await taken.has(await leader!.submit(bytes)) };
    const same = known.writing.get(event.id);
    if (same) return { event, index: await same };
    mustApply(state, machine, event, fail);
    const written = writer.append({ bytes, event, snapshot: snapshotNow() });
    known.writing.set(event.id, written); // where it fails, the state is ahead of the log for good, and nothing is taken any more
    return { event, index: await written };
  };
  const writeThere = async (body: EventBody): Promise<Written> => {
    const index = await taken.has(await leader!.write(body));
    return { event: readEvent(log.read(index, index + 1)[0], index), index };
  };

  return {
    ...{ state, submit, signed: (body: EventBody) => signEvent(identity, body) },
    get standing() {
      return writer.standing;
    },
    onStanding: writer.onStanding,
    async write(body) {
      while (writer.standing === 'disk-full') await writer.changed();
      const now = typeof body === 'function' ? body() : body;
      return leads ? submit(await signEvent(identity, now)) : writeThere(now);
    },
    reached: (size) => taken.upTo(size),
    caughtUp: async () => (leads ? undefined : taken.upTo(await leader!.size())),
    settled: async () => (leads ? settle(writer.standing, state, taken, leader) : undefined),
    get leads() {
      return leads;
    },
    lead() {
      assert(state.events === log.size, 'who leads knows the whole log');
      leads = true;
    },
    takeIn(entries) {
      assert(!leads, 'who leads takes in only what it writes itself');
      for (const bytes of entries) {
        const event = readEvent(bytes, state.events);
        mustFollow(state, machine, event, fail);
        const snapshot = snapshotNow();
        tell(event, state.events - 1);
        if (snapshot) snapshots?.keep(snapshot);
      }
    },
    ...{ onEvent: (listener: EventListener) => void listeners.push(listener), indexOf: known.indexOf },
    async close() {
      await writer.close();
      taken.end(new HubError('closing', 'this hub is going down; send the event again when it is back'));
      // A state that is ahead of a failed log is invalid.
      if (state.events === log.size) snapshots?.keep(snapshots.take(state));
      await snapshots?.written();
    },
  };
}

/** The indices of the last REMEMBERED events. */
function openKnown() {
  // Maps that only grow cost half of one that forgets with each event.
  let indices = new Map<string, number>();
  let older: ReadonlyMap<string, number> = new Map();
  let next = 0;
  /** What is in the state and not durable yet: whoever hands it in again gets the answer of the first, and no refusal. */
  const writing = new Map<string, Promise<number>>();
  return {
    writing,
    durable(id: string, index: number): void {
      writing.delete(id);
      if (indices.size === REMEMBERED) {
        older = indices;
        indices = new Map();
      }
      indices.set(id, index);
      next = index + 1;
    },
    async indexOf(id: string): Promise<number | undefined> {
      const index = indices.get(id) ?? older.get(id);
      return index !== undefined && index >= next - REMEMBERED ? index : writing.get(id);
    },
  };
}

/** Waits, as who leads, until what it has taken is written, or it has seen that nobody else has written. */
async function settle(
  standing: Standing,
  state: NetworkState,
  taken: ReturnType<typeof openTaken>,
  leader: Leader | undefined,
): Promise<void> {
  // A full disk may be full for long, and everybody is told so.
  if (standing === 'disk-full') return;
  // What is written shows that this process leads; one that writes nothing may have been replaced.
  if (state.events > taken.size) await taken.upTo(state.events);
  else await leader?.catchUp();
}

/** Applies an event that came from outside, or that the hub has signed. Throws HubError `refused`, `log-failed`. */
function mustApply(
  state: NetworkState,
  machine: StateMachine,
  event: LoggedEvent,
  fail: (error: HubError) => void,
): void {
  const before = stepOf(state, event);
  const refusal = machine.apply(state, event);
  if (refusal) throw new HubError('refused', refusal.message, { refusal: refusal.code });
  const broken = brokenStep(before, state, event);
  if (!broken) return;
  // A bug in the core. The hub answers nobody and writes nothing, so the log stays as it was.
  const message = `this hub made a mistake at event ${before.events} and ends before it is kept: ${broken}`;
  const error = new HubError('log-failed', message, { index: before.events });
  fail(error);
  throw error;
}

/** Applies an event that is in the log. Throws HubError `log-failed`. */
function mustFollow(
  state: NetworkState,
  machine: StateMachine,
  event: LoggedEvent,
  fail: (error: HubError) => void,
): void {
  const index = state.events;
  const refusal = machine.apply(state, event);
  if (!refusal) return;
  // Other rules, or a journal that another program has written: nothing that this process says can be trusted.
  const message = `event ${index} that the leader wrote cannot follow here: ${refusal.message}`;
  const error = new HubError('log-failed', message, { refusal: refusal.code, index });
  fail(error);
  throw error;
}

/** How many events are durable and in the state, and who waits for one of them. */
function openTaken(size: number) {
  const waiting = new Map<number, { resolve(): void; reject(error: HubError): void }[]>();
  let ended: HubError | null = null;
  return {
    get size() {
      return size;
    },
    add(): void {
      for (const { resolve } of waiting.get(size) ?? []) resolve();
      waiting.delete(size);
      size++;
    },
    /** Resolves to the index when the state has that event. */
    async has(index: number): Promise<number> {
      if (index < size) return index;
      if (ended) throw ended;
      await new Promise<void>((resolve, reject) => {
        waiting.set(index, [...(waiting.get(index) ?? []), { resolve, reject }]);
      });
      return index;
    },
    async upTo(events: number): Promise<void> {
      if (events > 0) await this.has(events - 1);
    },
    /** Whoever waits for a log that has failed does so in vain. */
    endIf(failed: boolean): void {
      if (failed) this.end(new HubError('log-failed', 'this hub can no longer write its log and ends'));
    },
    /** Whoever still waits does so in vain. */
    end(error: HubError): void {
      ended = error;
      for (const waits of waiting.values()) for (const { reject } of waits) reject(error);
      waiting.clear();
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
