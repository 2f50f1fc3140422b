// The sender's side of frames to devices at other processes: holds devices to their windows, and finds out what became of frames without a word.
import type { Clock } from '../../protocol/clock.ts';
import { type FromRelayingPeer, RELAY_LIMITS } from '../../protocol/relay-messages.ts';
import { type LostCode, mustFollow, type RelayConnection, type RelayCounts } from '../relay.ts';
import type { Bus } from './bus.ts';
import { encodeFar, FAR_LIMITS, type FarMessage, type FarWord } from './far-messages.ts';

export interface FarLanesOptions {
  /** The name of this process. */
  readonly own: string;
  readonly bus: Bus;
  /** Where a process hears frames and words. */
  subject(front: string): string;
  readonly clock: Clock;
  frontOf(run: string, peer: string): string | null;
  readonly counts: RelayCounts;
}

interface FarLane {
  readonly id: number;
  readonly from: RelayConnection;
  readonly to: string;
  readonly front: string;
  /** Numbers of frames: the first, the last that was sent, and the last that was taken. */
  readonly first: number;
  last: number;
  taken: number;
  /** When the process of the receiver said something last, or there was nothing that it could have said. */
  heard_ms: number;
}

type Frame = Extract<FromRelayingPeer, { type: 'relay' }>;

export class FarLanes {
  readonly #options: FarLanesOptions;
  readonly #byId = new Map<number, FarLane>();
  /** By the number of the sending connection and the key that it sends to. */
  readonly #bySender = new Map<string, Map<string, FarLane>>();
  #ids = 0;

  constructor(options: FarLanesOptions) {
    this.#options = options;
  }

  /** Sends a frame to the process where its receiver is. Throws ProtocolError `malformed`. */
  pass(from: RelayConnection, { to, number, sealed }: Frame, front: string): void {
    const { bus, own } = this.#options;
    const known = this.#laneOf(from, to);
    if (known && known.front !== front && this.#replace(known)) return;
    const full = bus.queued_bytes + sealed.length > FAR_LIMITS.queued_bytes;
    if (full || !bus.connected) {
      this.#lose(from, to, full ? 'busy' : 'not-here');
      return;
    }
    const lane = this.#laneOf(from, to) ?? this.#open(from, to, front, number);
    if (!lane) {
      this.#lose(from, to, 'too-many-partners');
      return;
    }
    mustFollow(lane, number, to);
    if (lane.last === lane.taken) lane.heard_ms = this.#options.clock.elapsed_ms();
    lane.last = number;
    const { id, first } = lane;
    const where = { front: own, lane: id, run: from.run!, from: from.peer!, to };
    this.#say(front, { type: 'frame', ...where, first, number, sealed });
  }

  /** The receiver is here now, or nowhere. @returns whether the sender was told that all up to now is lost */
  leave(from: RelayConnection, to: string): boolean {
    const lane = this.#laneOf(from, to);
    return lane !== undefined && this.#replace(lane);
  }

  hear({ lane: id, taken, opened, lost }: FarWord): void {
    const lane = this.#byId.get(id);
    if (!lane) return; // of a lane that has ended
    lane.heard_ms = this.#options.clock.elapsed_ms();
    if (taken > lane.taken && taken <= lane.last) {
      lane.taken = taken;
      lane.from.tell({ type: 'relay-taken', by: lane.to, number: taken, opened });
    }
    if (lost === null) return;
    this.#end(lane);
    this.#tellLost(lane.from, lane.to, lost as LostCode);
  }

  /** A connection of this process has ended. */
  gone({ number }: RelayConnection): void {
    for (const lane of [...(this.#bySender.get(number)?.values() ?? [])]) this.#endBoth(lane);
  }

  /** To be called every FAR_LIMITS.check_ms. */
  look(): void {
    const { clock, own, frontOf } = this.#options;
    const now_ms = clock.elapsed_ms();
    for (const lane of [...this.#byId.values()]) {
      const { id, from, to, front, last, taken } = lane;
      const silent_ms = now_ms - lane.heard_ms;
      if (last === taken) {
        if (silent_ms >= FAR_LIMITS.idle_ms) this.#endBoth(lane);
      } else if (silent_ms >= FAR_LIMITS.silence_ms || frontOf(from.run!, to) !== front) this.#lose(from, to, 'gone');
      else if (silent_ms >= FAR_LIMITS.check_ms)
        this.#say(front, { type: 'check', front: own, lane: id, number: last });
    }
  }

  /** The receiver has come elsewhere. @returns whether something was lost: the sender then counts what it sends now as lost, too */
  #replace(lane: FarLane): boolean {
    const loses = lane.taken < lane.last;
    if (loses) this.#lose(lane.from, lane.to, 'gone');
    else this.#endBoth(lane);
    return loses;
  }

  #laneOf({ number }: RelayConnection, to: string): FarLane | undefined {
    return this.#bySender.get(number)?.get(to);
  }

  #open(from: RelayConnection, to: string, front: string, number: number): FarLane | null {
    const lanes = this.#bySender.get(from.number) ?? new Map<string, FarLane>();
    if (lanes.size >= RELAY_LIMITS.partners) {
      // Partners of earlier rounds make room.
      for (const lane of [...lanes.values()]) if (lane.taken === lane.last) this.#endBoth(lane);
    }
    if (lanes.size >= RELAY_LIMITS.partners) return null;
    const before = { first: number, last: number - 1, taken: number - 1 };
    const lane: FarLane = { id: this.#ids++, from, to, front, ...before, heard_ms: this.#options.clock.elapsed_ms() };
    this.#byId.set(lane.id, lane);
    this.#bySender.set(from.number, lanes.set(to, lane));
    return lane;
  }

  #lose(from: RelayConnection, to: string, code: LostCode): void {
    const lane = this.#laneOf(from, to);
    if (lane) this.#endBoth(lane);
    this.#tellLost(from, to, code);
  }

  #tellLost(from: RelayConnection, to: string, code: LostCode): void {
    this.#options.counts.lost(code);
    from.tell({ type: 'relay-lost', to, code });
  }

  #endBoth(lane: FarLane): void {
    this.#end(lane);
    this.#say(lane.front, { type: 'end', front: this.#options.own, lane: lane.id });
  }

  #end({ id, from, to }: FarLane): void {
    this.#byId.delete(id);
    const lanes = this.#bySender.get(from.number)!;
    lanes.delete(to);
    if (lanes.size === 0) this.#bySender.delete(from.number);
  }

  #say(front: string, message: FarMessage): void {
    const { bus, subject } = this.#options;
    bus.publish(subject(front), encodeFar(message));
  }
}
