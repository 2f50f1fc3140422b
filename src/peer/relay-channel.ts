// Talks to other devices of a run by way of the hub: messages of any length up to a bound, in frames that only the other device can open.
//
// A message that was sent is one that the other device has done with. Whoever loses its connection, does not answer, or whose words do not
// fit is no partner any more until the next message: nothing is sent again by itself, the game knows better who gets it now.
import type { DeviceChannel } from '../games/game.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { orNull } from '../protocol/errors.ts';
import { gameStatement } from '../protocol/game-statement.ts';
import type { Identity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { type FromRelayingPeer, RELAY_FRAME, RELAY_LIMITS, type ToRelayingPeer } from '../protocol/relay-messages.ts';
import {
  answerRelaySession,
  type Opening,
  openRelaySession,
  SEAL_BYTES,
  type Sealing,
} from '../protocol/relay-seal.ts';
import { InMessages } from './relay-incoming.ts';

const CONTENT_BYTES = RELAY_LIMITS.sealed_bytes - SEAL_BYTES - 1;

export interface RelayChannel extends DeviceChannel {
  hear(message: ToRelayingPeer): void;
  /** The connection to the hub is lost, and with it all that was under way. */
  away(): void;
}

export interface RelayChannelOptions {
  readonly run: string;
  readonly identity: Identity;
  readonly clock: Clock;
  /** Uniform in [0, 1): where the numbers of frames begin. */
  random(): number;
  /** The stages of the workers that are here (DeviceChannel). */
  stages(): ReadonlyMap<string, number>;
  proven(): ReadonlySet<string>;
  held(): ReturnType<DeviceChannel['held']>;
  /** Whether the message left: false while there is no connection. */
  send(message: FromRelayingPeer): boolean;
  /** A listener threw, or a device said what cannot be. */
  onProblem(code: string, message: string): void;
}

export function openRelayChannel(options: RelayChannelOptions): RelayChannel {
  return new Relaying(options);
}

/** A message to a partner, and how much of it is sealed. */
interface Outgoing {
  readonly message: Uint8Array;
  sent_bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: PeerError) => void;
}

/** What is under way to another device. */
interface Partner {
  readonly id: string;
  /** Of the last frame, and of the last one that the partner has done with. */
  last: number;
  taken: number;
  /** Frames that go before any message: answers to what the partner sends. */
  readonly first: Uint8Array[];
  readonly waiting: Outgoing[];
  /** By the number of its last frame: messages that the partner has not done with. */
  readonly unread: Map<number, Outgoing>;
  session: 'none' | 'opening' | Opening | { readonly seal: Sealing };
  timer: Timer;
}

class Relaying implements RelayChannel {
  readonly clock: Clock;
  readonly #options: RelayChannelOptions;
  readonly #partners = new Map<string, Partner>();
  readonly #incoming: InMessages;

  constructor(options: RelayChannelOptions) {
    this.clock = options.clock;
    this.#options = options;
    this.#incoming = new InMessages(
      (from, number, opened) => void options.send({ type: 'relay-taken', from, number, opened }),
      options,
    );
  }

  async send(to: string, message: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (message.length > RELAY_LIMITS.message_bytes) {
      const most_bytes = RELAY_LIMITS.message_bytes;
      throw new PeerError(
        'too-large',
        `expected at most ${most_bytes} bytes for another device, got ${message.length}`,
      );
    }
    signal?.throwIfAborted();
    const partner = this.#partner(to);
    if (partner.waiting.length >= RELAY_LIMITS.waiting_messages) {
      throw new PeerError('peer-busy', `${short(to)} has not taken the ${partner.waiting.length} messages before`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const outgoing: Outgoing = { message, sent_bytes: 0, resolve, reject };
    const leave = (): void => {
      const at = partner.waiting.indexOf(outgoing);
      if (at >= 0 && outgoing.sent_bytes === 0) partner.waiting.splice(at, 1);
      reject(signal!.reason);
    };
    signal?.addEventListener('abort', leave, { once: true });
    partner.waiting.push(outgoing);
    this.#pump(partner);
    await promise.finally(() => signal?.removeEventListener('abort', leave));
  }

  listen(listener: (from: string, message: Uint8Array) => Promise<void>): () => void {
    return this.#incoming.listen(listener);
  }

  stages(): ReadonlyMap<string, number> {
    return this.#options.stages();
  }

  proven(): ReadonlySet<string> {
    return this.#options.proven();
  }

  held(): ReturnType<DeviceChannel['held']> {
    return this.#options.held();
  }

  sign(statement: Uint8Array): Promise<Uint8Array> {
    const { identity, run } = this.#options;
    return identity.sign(gameStatement(run, statement));
  }

  hear(message: ToRelayingPeer): void {
    if (message.type === 'relay') this.#hearFrame(message.from, message.number, message.sealed);
    else if (message.type === 'relay-taken') this.#taken(message);
    else this.#lose(message.to, LOST[message.code] ?? 'channel-broken', `the hub says: ${message.code}`);
  }

  away(): void {
    for (const id of [...this.#partners.keys()]) this.#lose(id, 'disconnected', 'the connection to the hub is lost');
    this.#incoming.forget();
  }

  #partner(id: string): Partner {
    const known = this.#partners.get(id);
    if (known) return known;
    const start = Math.floor(this.#options.random() * 2 ** 32);
    const partner: Partner = {
      ...{ id, last: start, taken: start, first: [], waiting: [], unread: new Map() },
      ...{ session: 'none', timer: undefined },
    };
    this.#partners.set(id, partner);
    return partner;
  }

  /** Sends what the window allows. */
  #pump(partner: Partner): void {
    while (partner.last - partner.taken < RELAY_LIMITS.window_frames) {
      const frame = partner.first.shift() ?? this.#nextOf(partner);
      if (!frame) return;
      if (this.#options.send({ type: 'relay', to: partner.id, number: partner.last + 1, sealed: frame }))
        partner.last++;
      else this.#lose(partner.id, 'disconnected', 'there is no connection to the hub');
    }
  }

  /** The next frame of a message; null where there is none, or the session is not open. */
  #nextOf(partner: Partner): Uint8Array | null {
    const { waiting, session, unread } = partner;
    if (waiting.length === 0) return null;
    if (session === 'none') void this.#open(partner);
    if (typeof session === 'string' || !('seal' in session)) return null;
    const outgoing = waiting[0];
    const from = outgoing.sent_bytes;
    outgoing.sent_bytes = Math.min(outgoing.message.length, from + CONTENT_BYTES);
    const isLast = outgoing.sent_bytes === outgoing.message.length;
    if (isLast) unread.set(partner.last + 1, waiting.shift()!);
    return framed(
      isLast ? RELAY_FRAME.last : RELAY_FRAME.more,
      session.seal(outgoing.message.subarray(from, outgoing.sent_bytes)),
    );
  }

  async #open(partner: Partner): Promise<void> {
    const { run, identity, clock } = this.#options;
    partner.session = 'opening';
    const late = `it has not answered within ${RELAY_LIMITS.open_ms / 1000} s`;
    partner.timer = clock.setTimeout(() => this.#lose(partner.id, 'channel-broken', late), RELAY_LIMITS.open_ms);
    const opening = await openRelaySession(identity, { run, from: identity.id, to: partner.id });
    if (partner.session !== 'opening' || this.#partners.get(partner.id) !== partner) return;
    partner.session = opening;
    partner.first.push(framed(RELAY_FRAME.hello, opening.hello));
    this.#pump(partner);
  }

  #hearFrame(from: string, number: number, frame: Uint8Array): void {
    this.#incoming.arrived(from, number);
    const body = frame.subarray(1);
    switch (frame[0]) {
      case RELAY_FRAME.hello:
        void this.#answer(from, number, body);
        break;
      case RELAY_FRAME.reply:
        this.#opened(from, body);
        this.#incoming.done(from, number, true);
        break;
      default:
        this.#incoming.hear(from, number, frame);
    }
  }

  async #answer(from: string, number: number, hello: Uint8Array): Promise<void> {
    const { run, identity, onProblem } = this.#options;
    try {
      const { reply, open } = await answerRelaySession(identity, { run, from, to: identity.id }, hello);
      this.#incoming.begin(from, open);
      this.#tell(from, framed(RELAY_FRAME.reply, reply));
    } catch (error) {
      onProblem('channel-broken', `${short(from)}: ${(error as Error).message}`);
    }
    this.#incoming.done(from, number, true);
  }

  #opened(from: string, reply: Uint8Array): void {
    const partner = this.#partners.get(from);
    if (!partner || typeof partner.session === 'string' || !('accept' in partner.session)) return;
    const { accept } = partner.session;
    // An answer to an earlier beginning comes late, and one that nobody signed is none: the right one has its time.
    const seal = orNull(() => accept(reply));
    if (!seal) return;
    this.#options.clock.clearTimeout(partner.timer);
    partner.session = { seal };
    this.#pump(partner);
  }

  #tell(to: string, frame: Uint8Array): void {
    const partner = this.#partner(to);
    // A device that asks again and again without taking the answers gets no more of them.
    if (partner.first.length >= RELAY_LIMITS.window_frames) return;
    partner.first.push(frame);
    this.#pump(partner);
  }

  #taken({ by, number, opened }: Extract<ToRelayingPeer, { type: 'relay-taken' }>): void {
    const partner = this.#partners.get(by);
    if (!partner || number <= partner.taken || number > partner.last) return;
    if (!opened) {
      this.#lose(by, 'channel-broken', 'it cannot open what it was sent');
      return;
    }
    partner.taken = number;
    for (const [at, { resolve }] of partner.unread) {
      if (at > number) break;
      partner.unread.delete(at);
      resolve();
    }
    this.#pump(partner);
  }

  /** What was under way to a device does not come to an end; numbers go on, so that no late word is about what comes next. */
  #lose(id: string, code: LossCode, why: string): void {
    const partner = this.#partners.get(id);
    if (!partner) return;
    this.#options.clock.clearTimeout(partner.timer);
    const error = new PeerError(code, `${short(id)}: ${why}`, { peer: id });
    const lost = [...partner.unread.values(), ...partner.waiting];
    Object.assign(partner, { session: 'none', taken: partner.last });
    partner.unread.clear();
    partner.waiting.length = 0;
    partner.first.length = 0;
    for (const { reject } of lost) reject(error);
  }
}

type LossCode = 'peer-not-here' | 'peer-busy' | 'channel-broken' | 'disconnected';

const LOST: Readonly<Record<string, LossCode>> = {
  'not-here': 'peer-not-here',
  gone: 'peer-not-here',
  'not-in-run': 'disconnected',
  busy: 'peer-busy',
  'too-many-partners': 'peer-busy',
};

const short = (id: string): string => id.slice(0, 12);

function framed(kind: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + body.length);
  frame[0] = kind;
  frame.set(body, 1);
  return frame;
}
