// Links between two processes of a hub: messages that come all and in order, or both ends hear that the link has ended.
//
// The bus may lose what it carries, in order of its sender. Each end numbers what it says, and its beats say the last number: whoever misses one
// ends the link, and so does whoever hears nothing. What was under way is then lost, as with a socket; who dialled may dial again.
import { z } from 'zod';
import type { Clock, Timer } from '../../protocol/clock.ts';
import { count } from '../../protocol/schemas.ts';
import { type Bus, MAX_BUS_BYTES } from './bus.ts';
import { putHead, takeHead } from './headed-bytes.ts';

/** Each with its reason. */
export const LINK_LIMITS = {
  beat_ms: 1000, // how often each end says that it is there: as often as processes do (presence.ts)
  silence_ms: 3500, // without a word the other end is gone: three of them may be late
  window_bytes: 8 << 20, // that the other end has not said to have heard, before a sender waits: a request for vectors of two processes
  most_bytes: 32 << 20, // and before a link that nobody reads is ended: its sender could not wait
  heard_bytes: 256 << 10, // after so much its hearing is told at once: far less than a window
  queued_bytes: 24 << 20, // that wait for the bus: beyond it a quarter of what it takes is left for the log
} as const;

/** What every message says: of which link it is, its number (of what is not data: that of the last data), and the last number that was heard. */
const HeadSchema = z.strictObject({
  type: z.enum(['dial', 'beat', 'data', 'end']),
  from: z.string().max(100),
  dialler: z.string().max(100),
  link: count,
  number: count,
  heard: count,
});
type Head = z.infer<typeof HeadSchema>;

export interface Link {
  /** The process at the other end. */
  readonly other: string;
  readonly ended: boolean;
  /** Nothing, once the link has ended. It ends where the bus, or the other end, takes no more. */
  send(bytes: Uint8Array): void;
  /** Resolves when the other end has heard enough for more to be sent, or the link has ended. */
  room(): Promise<void>;
}

export interface LinkListener {
  onMessage(link: Link, bytes: Uint8Array): void;
  /** The last call for a link, and never within one of its `send`. */
  onEnd(link: Link): void;
}

export interface LinksOptions {
  /** The name of this process, which it draws when it starts: no other one has had it. */
  readonly own: string;
  readonly bus: Bus;
  /** Where a process hears. */
  subject(process: string): string;
  readonly clock: Clock;
  onError(error: unknown): void;
}

export interface Links {
  /** Begins a link to another process. Where none is there, it ends. */
  dial(other: string, listener: LinkListener): Link;
  /** Who hears of links that others begin; without it they get no answer. */
  listen(listener: LinkListener & { onOpen(link: Link): void }): void;
  close(): void;
}

export function openLinks(options: LinksOptions): Links {
  return new BusLinks(options);
}

class BusLinks implements Links {
  readonly #options: LinksOptions;
  readonly #links = new Map<string, OneLink>();
  readonly #subscription: { close(): void };
  #dialled = 0;
  #taker: (LinkListener & { onOpen(link: Link): void }) | null = null;
  #timer: Timer;
  #looked_ms: number;

  constructor(options: LinksOptions) {
    const { bus, subject, own, clock, onError } = options;
    this.#options = options;
    this.#looked_ms = clock.elapsed_ms();
    this.#subscription = bus.subscribe(subject(own), (bytes) => {
      try {
        this.#hear(bytes);
      } catch (error) {
        onError(error);
      }
    });
    this.#wait();
  }

  dial(other: string, listener: LinkListener): Link {
    const link = this.#open(other, this.#options.own, ++this.#dialled, listener);
    link.say('dial');
    return link;
  }

  listen(taker: LinkListener & { onOpen(link: Link): void }): void {
    this.#taker = taker;
  }

  close(): void {
    this.#options.clock.clearTimeout(this.#timer);
    for (const link of [...this.#links.values()]) link.end();
    this.#subscription.close();
  }

  #open(other: string, dialler: string, id: number, listener: LinkListener): OneLink {
    const key = keyOf(dialler, id);
    const link = new OneLink({ other, dialler, id }, this.#options, () => {
      this.#links.delete(key);
      // Whoever sends may be in the middle of something.
      this.#options.clock.setTimeout(() => listener.onEnd(link), 0);
    });
    link.onMessage = (bytes) => listener.onMessage(link, bytes);
    this.#links.set(key, link);
    return link;
  }

  #hear(bytes: Uint8Array): void {
    const { head, rest } = takeHead<Head>(bytes, HeadSchema, ({ type }) => (type === 'data' ? MAX_BUS_BYTES : 0));
    const link = this.#links.get(keyOf(head.dialler, head.link));
    if (link) link.hear(head, rest);
    else if (head.type === 'dial') this.#take(head);
    else if (head.type !== 'end') sayEnd(this.#options, head);
  }

  /** Another process dials: what it had before is over. */
  #take({ dialler, link: id, from }: Head): void {
    if (!this.#taker || from !== dialler) return;
    for (const link of [...this.#links.values()]) if (link.dialler === dialler) link.end();
    const link = this.#open(dialler, dialler, id, this.#taker);
    link.say('beat');
    this.#taker.onOpen(link);
  }

  #wait(): void {
    const { clock } = this.#options;
    this.#timer = clock.setTimeout(() => {
      const now_ms = clock.elapsed_ms();
      // A process that stood still itself has heard nobody meanwhile.
      const stood_ms = now_ms - this.#looked_ms - LINK_LIMITS.beat_ms;
      this.#looked_ms = now_ms;
      for (const link of [...this.#links.values()]) link.look(now_ms, Math.max(0, stood_ms));
      this.#wait();
    }, LINK_LIMITS.beat_ms);
  }
}

const keyOf = (dialler: string, id: number): string => `${dialler} ${id}`;

/** Of a link that is not known here. */
function sayEnd({ own, bus, subject }: LinksOptions, { from, dialler, link }: Head): void {
  bus.publish(subject(from), putHead({ type: 'end', from: own, dialler, link, number: 0, heard: 0 }, null));
}

class OneLink implements Link {
  readonly other: string;
  readonly dialler: string;
  readonly id: number;
  ended = false;
  onMessage: (bytes: Uint8Array) => void = () => {};
  readonly #options: LinksOptions;
  readonly #onEnd: () => void;
  /** The other end has answered. */
  #answered: boolean;
  #sent = 0;
  /** What the other end has not said to have heard: numbers and sizes, oldest first. */
  readonly #unheard: { readonly number: number; readonly size_bytes: number }[] = [];
  #unheard_bytes = 0;
  #heard = 0;
  /** How much came since its hearing was told. */
  #untold_bytes = 0;
  #heard_ms: number;
  #waiting: (() => void)[] = [];

  constructor(
    { other, dialler, id }: { readonly other: string; readonly dialler: string; readonly id: number },
    options: LinksOptions,
    onEnd: () => void,
  ) {
    this.other = other;
    this.dialler = dialler;
    this.id = id;
    this.#options = options;
    this.#onEnd = onEnd;
    this.#answered = dialler !== options.own;
    this.#heard_ms = options.clock.elapsed_ms();
  }

  send(bytes: Uint8Array): void {
    const { bus } = this.#options;
    if (this.ended) return;
    const size_bytes = bytes.length;
    const full = bus.queued_bytes + size_bytes > LINK_LIMITS.queued_bytes;
    if (full || !bus.connected || this.#unheard_bytes + size_bytes > LINK_LIMITS.most_bytes) {
      this.end();
      return;
    }
    this.#unheard.push({ number: ++this.#sent, size_bytes });
    this.#unheard_bytes += size_bytes;
    this.say('data', bytes);
  }

  async room(): Promise<void> {
    while (!this.ended && this.#unheard_bytes > LINK_LIMITS.window_bytes) {
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    }
  }

  say(type: Head['type'], rest: Uint8Array | null = null): void {
    const { own, bus, subject } = this.#options;
    this.#untold_bytes = 0;
    const head = { type, from: own, dialler: this.dialler, link: this.id, number: this.#sent, heard: this.#heard };
    bus.publish(subject(this.other), putHead(head, rest));
  }

  hear({ type, number, heard }: Head, bytes: Uint8Array): void {
    this.#heard_ms = this.#options.clock.elapsed_ms();
    this.#answered = true;
    this.#wasHeard(heard);
    if (type === 'end') this.end(false);
    // The bus keeps their order: whatever lies between is lost.
    else if (number !== this.#heard + Number(type === 'data')) this.end();
    else if (type === 'dial') this.say('beat');
    else if (type === 'data') {
      this.#heard = number;
      this.#untold_bytes += bytes.length;
      if (this.#untold_bytes >= LINK_LIMITS.heard_bytes) this.say('beat');
      this.onMessage(bytes);
    }
  }

  /** To be called every beat. @param stood_ms for so long this process has not listened */
  look(now_ms: number, stood_ms: number): void {
    this.#heard_ms = Math.min(now_ms, this.#heard_ms + stood_ms);
    if (now_ms - this.#heard_ms >= LINK_LIMITS.silence_ms) this.end();
    else this.say(this.#answered ? 'beat' : 'dial');
  }

  end(tell = true): void {
    if (this.ended) return;
    this.ended = true;
    if (tell) this.say('end');
    this.#wake();
    this.#onEnd();
  }

  #wasHeard(upTo: number): void {
    while (this.#unheard.length > 0 && this.#unheard[0].number <= upTo) {
      this.#unheard_bytes -= this.#unheard.shift()!.size_bytes;
    }
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }
}
