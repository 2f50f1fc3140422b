// The network between peers and the hub: ordered channels that stall and break, and requests that may be lost on either way.
import type { Channel, ChannelListener } from '../protocol/channel.ts';
import type { Random } from '../protocol/random.ts';
import type { Process, VirtualTime } from './virtual-time.ts';

/** The present properties of a peer's connection. */
export interface Link {
  /** One way. */
  latency_ms: number;
  jitter_ms: number;
  bytes_per_ms: number;
  /** Nothing passes before. */
  blocked_until_ms: number;
  /** How many of a thousand HTTP requests are lost on each way. */
  lost_permille: number;
}

/** After this time an end of a broken connection notices it at the latest. */
const UNNOTICED_MS = 60_000;
const DIAL_TIMEOUT_MS = 10_000;
/** TCP gives up a line that is blocked for longer. */
const STALL_LIMIT_MS = 20_000;

/** How often a caller checks for the answer. */
const POLL_MS = 5;

type Phase = 'connecting' | 'open' | 'closing' | 'closed';

/** One end of a connection. The real hub and the real peer each hold one and know nothing of the other. */
export class End implements Channel {
  phase: Phase = 'connecting';
  queued_bytes = 0;
  /** null after the connection has broken: nothing that is sent arrives. */
  other: End | null = null;
  readonly process: Process;
  readonly #link: Link;
  readonly #random: Random;
  readonly #time: VirtualTime;
  #listener: ChannelListener | null = null;
  #left_ms = 0;
  #arrives_ms = 0;
  /** The largest that `queued_bytes` ever was. */
  most_queued_bytes = 0;

  constructor(process: Process, link: Link, random: Random) {
    this.process = process;
    this.#link = link;
    this.#random = random;
    this.#time = process.time;
  }

  get open(): boolean {
    return this.phase === 'open';
  }
  get closed(): boolean {
    return this.phase === 'closed';
  }
  listen(listener: ChannelListener): void {
    this.#listener = listener;
  }
  send(frame: Uint8Array): void {
    if (this.phase !== 'open') return;
    const copy = frame.slice();
    this.queued_bytes += copy.length;
    this.most_queued_bytes = Math.max(this.most_queued_bytes, this.queued_bytes);
    this.#transmit(copy.length, () => this.other?.arrive((listener) => listener.onMessage(copy)));
  }
  ping(): void {
    if (this.phase !== 'open') return;
    this.#transmit(2, () => {
      const { other } = this;
      other?.arrive((listener) => listener.onAlive());
      if (other?.phase === 'open' && other.process.alive) {
        other.#transmit(2, () => other.other?.arrive((listener) => listener.onAlive()));
      }
    });
  }
  close(_code?: number, reason = ''): void {
    if (this.phase === 'connecting') this.terminate();
    if (this.phase !== 'open') return;
    this.phase = 'closing';
    this.#transmit(4, () => {
      const { other } = this;
      if (!other?.process.alive || other.phase === 'closed') return;
      other.#transmit(4, () => other.other?.vanish(reason));
      other.vanish(reason);
    });
  }
  terminate(): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.process.after(0, () => this.#listener?.onClose(''));
    this.#transmit(0, () => this.other?.vanish(''));
  }

  /** Becomes open, as a handshake that succeeded. */
  established(): void {
    if (this.phase !== 'connecting') return;
    this.phase = 'open';
    this.#listener?.onOpen?.();
  }

  /** A message arrived. */
  arrive(tell: (listener: ChannelListener) => void): void {
    if (this.process.alive && (this.phase === 'open' || this.phase === 'closing') && this.#listener)
      tell(this.#listener);
  }

  /** The connection is gone and this end learns of it. */
  vanish(reason: string): void {
    if (this.phase === 'closed' || !this.process.alive) return;
    this.phase = 'closed';
    this.#listener?.onClose(reason);
  }

  #transmit(size_bytes: number, arrived: () => void): void {
    const link = this.#link;
    const { now_ms } = this.#time;
    this.#left_ms = Math.max(this.#left_ms, now_ms, link.blocked_until_ms) + size_bytes / link.bytes_per_ms;
    const travel_ms = link.latency_ms + this.#random.below(link.jitter_ms + 1);
    // In order, whatever the jitter.
    this.#arrives_ms = Math.max(this.#arrives_ms, this.#left_ms + travel_ms);
    this.#time.after(this.#left_ms - now_ms, () => {
      this.queued_bytes -= Math.min(this.queued_bytes, size_bytes);
    });
    this.#time.after(this.#arrives_ms - now_ms, arrived);
  }
}

/** What answers at the hub's address. */
export interface Doorman {
  readonly process: Process;
  accept(end: Channel): void;
}

export interface Wire {
  readonly peer: End;
  readonly hub: End;
  readonly since_ms: number;
}

/** The line between one peer's machine and the hub. */
export class Line {
  readonly link: Link;
  readonly wires = new Set<Wire>();
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #door: () => Doorman | null;

  constructor(time: VirtualTime, random: Random, link: Link, door: () => Doorman | null) {
    this.#time = time;
    this.#random = random;
    this.link = link;
    this.#door = door;
  }

  /** A channel from a peer's process to whatever hub answers. */
  dial(process: Process): End {
    const peer = new End(process, this.link, this.#random);
    const way_ms = this.#way();
    const wait_ms = Math.max(0, this.link.blocked_until_ms - this.#time.now_ms) + 2 * way_ms;
    if (wait_ms > DIAL_TIMEOUT_MS) {
      process.after(DIAL_TIMEOUT_MS, () => peer.vanish(''));
      return peer;
    }
    this.#time.after(wait_ms, () => {
      const door = this.#door();
      if (!process.alive || peer.phase !== 'connecting') return;
      if (!door) {
        peer.vanish('');
        return;
      }
      const hub = new End(door.process, this.link, this.#random);
      peer.other = hub;
      hub.other = peer;
      hub.phase = 'open';
      this.wires.add({ peer, hub, since_ms: this.#time.now_ms });
      peer.established();
      door.accept(hub);
    });
    return peer;
  }

  /** Breaks every connection. Each end learns of it soon or only when nothing comes any more. */
  cut(): void {
    for (const { peer, hub } of this.wires) {
      for (const end of [peer, hub]) {
        const soon = this.#random.below(4) > 0;
        end.other = null;
        this.#time.after(soon ? this.#random.below(200) : UNNOTICED_MS, () => end.vanish(''));
      }
    }
    this.wires.clear();
  }

  /** After a process has ended, its machine closes its connections, unless the machine is gone too. */
  ended(process: Process, machineGone: boolean): void {
    for (const wire of this.wires) {
      if (wire.peer.process !== process && wire.hub.process !== process) continue;
      const left = wire.peer.process === process ? wire.hub : wire.peer;
      this.#time.after(machineGone ? UNNOTICED_MS : this.#way(), () => left.vanish(''));
      this.wires.delete(wire);
    }
  }

  /** Nothing passes for a time; messages under way arrive later, or never if it takes too long. */
  block(duration_ms: number): void {
    this.link.blocked_until_ms = Math.max(this.link.blocked_until_ms, this.#time.now_ms + duration_ms);
    if (duration_ms > STALL_LIMIT_MS) this.#time.after(STALL_LIMIT_MS, () => this.cut());
  }

  /** A request over HTTP: resolves with the answer, rejects if the request, the answer or the hub is lost. */
  async request<T>(process: Process, size_bytes: number, answer: () => Promise<T>): Promise<T> {
    const lost = (): boolean => this.#random.below(1000) < this.link.lost_permille;
    const stall_ms = (): number => Math.max(0, this.link.blocked_until_ms - this.#time.now_ms);
    await process.wait(stall_ms() + this.#way() + size_bytes / this.link.bytes_per_ms);
    const door = this.#door();
    if (!door || lost()) {
      await process.wait(this.#way());
      throw new Error('no answer');
    }
    let answered: { value: T } | { error: unknown } | undefined;
    answer().then(
      (value) => {
        answered = { value };
      },
      (error) => {
        answered = { error };
      },
    );
    // A hub that dies in the middle answers nothing.
    while (!answered && door.process.alive) await process.wait(POLL_MS);
    await process.wait(stall_ms() + this.#way());
    if (!answered || lost()) throw new Error('the connection broke');
    if ('error' in answered) throw answered.error;
    return answered.value;
  }

  #way(): number {
    return this.link.latency_ms + this.#random.below(this.link.jitter_ms + 1);
  }
}
