// Where a device of a pipeline hears the others: it passes what is said of the round under way to whoever works on it, lets messages of the next
// round wait, and answers for rounds that it has finished. There is one for each device, for as long as the device is there.
import type { Device, DeviceChannel } from '../game.ts';
import { decodeMessage, encodeMessage, type HandedOn, type PipelineMessage } from './messages.ts';

/** A micro-batch as it came in, kept to be shown to judges. */
export interface Shown {
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** Who works on a round. */
export interface AtWork {
  /** Resolves when this device has done with it. Rejects with a CodedError for a message that cannot be. */
  handed(from: string, message: HandedOn): Promise<void>;
  /** The other device takes no more of this round. */
  finished(from: string): void;
}

/** What came in during a round, by the index of its transcript entry. */
export type Kept = ReadonlyMap<number, Shown>;

export interface Desk {
  /** This device works on a round from now on; messages of any other round that wait are dropped. */
  begin(seed: string, atWork: AtWork): void;
  /** It has finished the round; what came in is kept until it has finished the one after the next. */
  end(seed: string, kept: Kept): void;
  /** Tells all of these devices. Who is not there does not hear it. */
  tell(devices: Iterable<string>, message: PipelineMessage): void;
}

/** A judge asks about the round before while the next one is under way. */
const ROUNDS_KEPT = 2;

const desks = new WeakMap<DeviceChannel, Desk>();

/** The desk of a device with a channel. */
export function deskOf(device: Pick<Device, 'channel'>): Desk {
  const channel = device.channel!; // the game names it among its needs
  const known = desks.get(channel);
  if (known) return known;
  const opened = new OpenDesk(channel);
  desks.set(channel, opened);
  return opened;
}

interface Waiting {
  readonly from: string;
  readonly message: PipelineMessage;
  readonly resolve: (done: Promise<void>) => void;
}

class OpenDesk implements Desk {
  readonly #channel: DeviceChannel;
  #now: { readonly seed: string; readonly atWork: AtWork } | null = null;
  readonly #waiting: Waiting[] = [];
  /** Finished rounds by their seed, newest last. */
  readonly #kept = new Map<string, Kept>();

  constructor(channel: DeviceChannel) {
    this.#channel = channel;
    channel.listen((from, message) => this.#hear(from, decodeMessage(message)));
  }

  begin(seed: string, atWork: AtWork): void {
    this.#now = { seed, atWork };
    for (const { from, message, resolve } of this.#waiting.splice(0)) resolve(this.#hear(from, message));
  }

  end(seed: string, kept: Kept): void {
    if (this.#now?.seed === seed) this.#now = null;
    this.#kept.delete(seed);
    this.#kept.set(seed, kept);
    if (this.#kept.size > ROUNDS_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
  }

  tell(devices: Iterable<string>, message: PipelineMessage): void {
    const encoded = encodeMessage(message);
    for (const to of devices) this.#channel.send(to, encoded).catch(() => {});
  }

  async #hear(from: string, message: PipelineMessage): Promise<void> {
    const { seed, kind } = message;
    if (kind === 'show') return this.#show(from, seed, message.entries);
    if (kind === 'shown') return; // to who asks, and this device has not asked
    const finished = this.#kept.has(seed);
    if (this.#now === null && !finished) {
      return new Promise((resolve) => this.#waiting.push({ from, message, resolve }));
    }
    if (kind === 'here') {
      if (finished) this.tell([from], { kind: 'finished', seed });
    } else if (this.#now?.seed === seed) {
      if (kind === 'finished') this.#now.atWork.finished(from);
      else await this.#now.atWork.handed(from, message);
    }
  }

  #show(from: string, seed: string, entries: readonly number[]): void {
    const kept = this.#kept.get(seed);
    for (const entry of entries) {
      const was = kept?.get(entry);
      this.tell([from], { kind: 'shown', seed, entry, ...(was && { was }) });
    }
  }
}
