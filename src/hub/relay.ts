// Passes frames between devices of a run, in memory alone: to who is connected, no more at once than its connection takes, and nothing is kept.
import { Counter, type Registry } from 'prom-client';
import { ProtocolError } from '../protocol/errors.ts';
import type { FromHub } from '../protocol/from-hub.ts';
import { type FromRelayingPeer, RELAY_LIMITS } from '../protocol/relay-messages.ts';

/** A device's connection, as much as the relay needs of it. */
export interface RelayConnection {
  readonly number: string;
  readonly peer: string | null;
  readonly run: string | null;
  readonly channel: { readonly open: boolean; readonly queued_bytes: number };
  tell(message: FromHub): void;
}

export interface RelayCounts {
  passed(size_bytes: number): void;
  lost(code: LostCode): void;
}

/** Not connected; more waits for it than it reads; its connection ended; the sender has too many partners, or has just been taken for gone. */
export type LostCode = 'not-here' | 'busy' | 'gone' | 'too-many-partners' | 'not-in-run';

export interface Relay {
  /** What a device says to another one, or of what another one has said. Throws ProtocolError `malformed`. */
  hear(from: RelayConnection, message: FromRelayingPeer): void;
  gone(connection: RelayConnection): void;
}

export interface RelayOptions {
  /** The connections of a key in a run. */
  withKey(run: string, peer: string): Iterable<RelayConnection>;
  /** Whether a key takes part in a run, by the log: others have nothing to say to its devices. */
  takesPart(run: string, peer: string): boolean;
  /** Whether a key has ever taken part. */
  isKnown(run: string, peer: string): boolean;
  readonly counts: RelayCounts;
}

/** What one device sends to another: the numbers of the last frame, and of the last one that was taken. */
interface Lane {
  readonly from: RelayConnection;
  readonly to: RelayConnection;
  last: number;
  taken: number;
}

export function openRelay(options: RelayOptions): Relay {
  return new PassingRelay(options);
}

class PassingRelay implements Relay {
  readonly #options: RelayOptions;
  /** By the number of the sending connection and the key that it sends to. */
  readonly #lanes = new Map<string, Map<string, Lane>>();
  /** By the number of the receiving connection and the key that sends. */
  readonly #towards = new Map<string, Map<string, Lane>>();

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  hear(from: RelayConnection, message: FromRelayingPeer): void {
    const { run, peer } = from;
    if (run === null || peer === null) throw new ProtocolError('malformed', `${message.type}: expected it of a key`);
    if (message.type === 'relay-taken') this.#taken(from, message);
    else this.#pass(from, run, peer, message);
  }

  gone(connection: RelayConnection): void {
    for (const lane of this.#lanes.get(connection.number)?.values() ?? []) this.#end(lane);
    for (const lane of this.#towards.get(connection.number)?.values() ?? [])
      this.#lose(lane.from, connection.peer!, 'gone');
  }

  #pass(
    from: RelayConnection,
    run: string,
    peer: string,
    { to, number, sealed }: Extract<FromRelayingPeer, { type: 'relay' }>,
  ): void {
    const { withKey, takesPart, isKnown, counts } = this.#options;
    if (to === peer) throw new ProtocolError('malformed', `relay: expected another device, got this one`);
    if (!takesPart(run, peer)) {
      if (!isKnown(run, peer)) throw new ProtocolError('malformed', 'relay: expected a device that takes part');
      // Its connection was lost for a while: it joins again, and does not know yet that it has to.
      this.#lose(from, to, 'not-in-run');
      return;
    }
    const receiver = takesPart(run, to) ? [...withKey(run, to)].find(({ channel }) => channel.open) : undefined;
    if (!receiver) {
      this.#lose(from, to, 'not-here');
      return;
    }
    if (receiver.channel.queued_bytes + sealed.length > RELAY_LIMITS.queued_bytes) {
      this.#lose(from, to, 'busy');
      return;
    }
    const lane = this.#laneOf(from, receiver, number);
    if (!lane) {
      this.#lose(from, to, 'too-many-partners');
      return;
    }
    mustFollow(lane, number, to);
    lane.last = number;
    counts.passed(sealed.length);
    receiver.tell({ type: 'relay', from: peer, number, sealed });
  }

  /** A late word about frames of a connection that has ended concerns nobody. */
  #taken(by: RelayConnection, { from, number, opened }: Extract<FromRelayingPeer, { type: 'relay-taken' }>): void {
    const lane = this.#towards.get(by.number)?.get(from);
    if (!lane || number <= lane.taken || number > lane.last) return;
    lane.taken = number;
    lane.from.tell({ type: 'relay-taken', by: by.peer!, number, opened });
  }

  #laneOf(from: RelayConnection, to: RelayConnection, number: number): Lane | null {
    const lanes = this.#lanes.get(from.number) ?? new Map<string, Lane>();
    const known = lanes.get(to.peer!);
    if (known?.to === to) return known;
    if (known && known.taken < known.last) {
      // The device is on a new connection. Its words about frames there must not be taken for words about these.
      this.#lose(from, to.peer!, 'gone');
    } else if (known) this.#end(known);
    if (lanes.size >= RELAY_LIMITS.partners) this.#forgetIdle(lanes);
    if (lanes.size >= RELAY_LIMITS.partners) return null;
    const lane: Lane = { from, to, last: number - 1, taken: number - 1 };
    this.#lanes.set(from.number, lanes.set(to.peer!, lane));
    const towards = this.#towards.get(to.number) ?? new Map<string, Lane>();
    this.#towards.set(to.number, towards.set(from.peer!, lane));
    return lane;
  }

  /** Partners of earlier rounds make room. */
  #forgetIdle(lanes: Map<string, Lane>): void {
    for (const lane of [...lanes.values()]) if (lane.taken === lane.last) this.#end(lane);
  }

  #lose(from: RelayConnection, to: string, code: LostCode): void {
    const lane = this.#lanes.get(from.number)?.get(to);
    if (lane) this.#end(lane);
    this.#options.counts.lost(code);
    from.tell({ type: 'relay-lost', to, code });
  }

  #end(lane: Lane): void {
    const { from, to } = lane;
    const lanes = this.#lanes.get(from.number)!;
    lanes.delete(to.peer!);
    if (lanes.size === 0) this.#lanes.delete(from.number);
    const towards = this.#towards.get(to.number);
    if (towards?.get(from.peer!) !== lane) return; // a newer connection of the sender's key has its place
    towards.delete(from.peer!);
    if (towards.size === 0) this.#towards.delete(to.number);
  }
}

/** Throws ProtocolError `malformed` for a frame that is not the next, or beyond the window. */
export function mustFollow({ last, taken }: Pick<Lane, 'last' | 'taken'>, number: number, to: string): void {
  const { window_frames } = RELAY_LIMITS;
  if (number !== last + 1) throw new ProtocolError('malformed', `relay: expected frame ${last + 1}, got ${number}`);
  if (number - taken <= window_frames) return;
  const fact = `at most ${window_frames} frames that ${to.slice(0, 12)} has not taken`;
  throw new ProtocolError('malformed', `relay: expected ${fact}, got another`);
}

/** Counts nothing: for a hub that nobody watches. */
export const NO_RELAY_COUNTS: RelayCounts = { passed() {}, lost() {} };

/** What a hub has passed on, in Prometheus' text format. */
export function openRelayCounts(registers: Registry[]): RelayCounts {
  const counter = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Counter({ name: `potluck_relay_${name}_total`, help, labelNames, registers });
  const frames = counter('frames', 'Frames that were passed on between devices.');
  const bytes = counter('bytes', 'Bytes of these frames.');
  const losses = counter('losses', 'Times that frames could not be passed on, by reason.', ['code']);
  return {
    passed(size_bytes) {
      frames.inc();
      bytes.inc(size_bytes);
    },
    lost: (code) => losses.inc({ code }),
  };
}
