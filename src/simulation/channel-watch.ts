// What a channel between devices promises, verified at both ends of every message of a history: what was taken came, in order and once, nobody is
// waited for without an end, and nothing of it is kept by the hub.
import type { DeviceChannel } from '../games/game.ts';
import { decodeMessage, type HandedOn, type PipelineMessage } from '../games/pipeline/messages.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { Process, VirtualTime } from './virtual-time.ts';

/** A device keeps a message of a round that it has not begun for a minute; what is under way besides takes seconds. */
const SETTLED_MS = 120_000;
/** As flights.ts promises: a device that has not taken a micro-batch is passed by after so long, or twice what it usually takes. */
const TAKEN = { least_ms: 3000, times: 2 } as const;
/** Clocks of devices run a little faster or slower. */
const SLACK = 1.05;
const SLACK_MS = 50;
/** Bytes of a signature that are looked for where nothing of a message may be. */
const NEEDLES = 16;
const NEEDLE_BYTES = 24;

interface Sent {
  readonly hash: string;
  readonly at_ms: number;
  readonly process: Process;
  settled: boolean;
}

/** What one device sends to another. The same bytes may be sent again after they were lost. */
interface Lane {
  /** What may still come, in order. */
  readonly sent: Sent[];
  /** By the hash of a message: how often it came, without those that its sender was told were taken. */
  readonly came: Map<string, number>;
}

export interface ChannelWatchOptions {
  readonly time: VirtualTime;
  readonly fail: (message: string) => void;
  readonly nameOf: (id: string) => string;
}

/** Who works behind a channel, as much as is looked at. */
export interface Behind {
  readonly id: string;
  readonly process: Process;
  /** A micro-batch is handed on to this device. */
  handsOn?(to: string, message: HandedOn): void;
  heard?(from: string, message: PipelineMessage): void;
}

export class ChannelWatch {
  readonly #options: ChannelWatchOptions;
  /** By sender and receiver. */
  readonly #lanes = new Map<string, Lane>();
  readonly #open = new Set<Sent & { readonly what: string }>();
  readonly #needles: Uint8Array[] = [];
  /** By sender: the longest that a micro-batch took to be taken. */
  readonly #longest = new Map<string, number>();

  constructor(options: ChannelWatchOptions) {
    this.#options = options;
  }

  /** The same channel, watched. */
  channel(inner: DeviceChannel, behind: Behind): DeviceChannel {
    return {
      clock: inner.clock,
      stages: () => inner.stages(),
      proven: () => inner.proven(),
      held: () => inner.held(),
      sign: (statement) => inner.sign(statement),
      send: (to, message, signal) => this.#send(inner, behind, to, message, signal),
      listen: (listener) =>
        inner.listen(async (from, message) => {
          this.#came(from, behind.id, message);
          behind.heard?.(from, decodeMessage(message));
          await listener(from, message);
        }),
    };
  }

  /** Everything that was sent must be settled in time. */
  look(): void {
    const { time, fail } = this.#options;
    for (const sent of this.#open) {
      if (!sent.process.alive) this.#open.delete(sent);
      else if (time.now_ms - sent.at_ms > SETTLED_MS) fail(`${sent.what} is still under way after ${SETTLED_MS} ms`);
    }
  }

  /** Bytes that must not be found in the hub's log or blobs. */
  get needles(): readonly Uint8Array[] {
    return this.#needles;
  }

  async #send(
    inner: DeviceChannel,
    { id, process, handsOn }: Behind,
    to: string,
    message: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { time, fail, nameOf } = this.#options;
    const decoded = decodeMessage(message);
    const what = `"${decoded.kind}" of ${nameOf(id)} to ${nameOf(to)}`;
    const sent = { hash: sha256Hex(message), at_ms: time.now_ms, process, settled: false, what };
    const lane = this.#laneOf(id, to);
    lane.sent.push(sent);
    this.#open.add(sent);
    if (decoded.kind === 'activations' || decoded.kind === 'gradient') {
      if (this.#needles.length < NEEDLES) this.#needles.push(decoded.signature.slice(0, NEEDLE_BYTES));
      if (decoded.kind === 'activations') {
        handsOn?.(to, decoded);
        this.#wait(sent, id, signal);
      }
    }
    try {
      await inner.send(to, message, signal);
      const came = (lane.came.get(sent.hash) ?? 0) - 1;
      lane.came.set(sent.hash, came);
      if (came < 0) fail(`${what} was taken, and never came`);
      if (decoded.kind === 'activations') {
        this.#longest.set(id, Math.max(this.#longest.get(id) ?? 0, time.now_ms - sent.at_ms));
      }
    } finally {
      sent.settled = true;
      this.#open.delete(sent);
    }
  }

  /** Whoever does not take a micro-batch is passed by in time. */
  #wait(sent: Sent & { readonly what: string }, id: string, signal: AbortSignal | undefined): void {
    const { fail } = this.#options;
    const { least_ms, times } = TAKEN;
    const patience_ms = SLACK * Math.max(least_ms, times * (this.#longest.get(id) ?? 0)) + SLACK_MS;
    sent.process.after(patience_ms, () => {
      if (!sent.settled && signal?.aborted !== true) fail(`${sent.what} is awaited for ${Math.round(patience_ms)} ms`);
    });
  }

  #came(from: string, to: string, message: Uint8Array): void {
    const { fail, nameOf } = this.#options;
    const { sent, came } = this.#laneOf(from, to);
    const hash = sha256Hex(message);
    const at = sent.findIndex((one) => one.hash === hash);
    if (at < 0)
      fail(`"${decodeMessage(message).kind}" of ${nameOf(from)} to ${nameOf(to)} came again, or after a later one`);
    // What was sent before it does not come any more.
    sent.splice(0, at + 1);
    came.set(hash, (came.get(hash) ?? 0) + 1);
  }

  #laneOf(from: string, to: string): Lane {
    const lane = this.#lanes.get(`${from} ${to}`) ?? { sent: [], came: new Map() };
    this.#lanes.set(`${from} ${to}`, lane);
    return lane;
  }
}
