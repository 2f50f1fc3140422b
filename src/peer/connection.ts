// A peer's end of the WebSocket: proves its key, reconnects after a failure, and pairs events with their answers.
import type { Receipt } from '../ledger/receipt.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { decodeFromHub } from '../protocol/from-hub.ts';
import type { FromPeer } from '../protocol/from-peer.ts';
import type { Identity } from '../protocol/identity.ts';
import { helloChallenge, PROTOCOL_VERSION, type Sample, type Welcome } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import type { FromRelayingPeer, ToRelayingPeer } from '../protocol/relay-messages.ts';
import type { FromServingPeer } from '../protocol/serving-from-peer.ts';
import type { ToServingPeer } from '../protocol/serving-messages.ts';
import { type HubAction, planAnswer } from './answer-hub.ts';
import { FIRST_TRY, onGiveWay, onHeard, onHttp, onWelcome, planRedial, type Tries } from './redial.ts';
import { RoundWork, type SeenRun } from './round-work.ts';
import { openUnanswered, type Unanswered } from './unanswered.ts';

const LIMITS = {
  silence_ms: 30_000, // the hub pings every ten seconds
  ask_every_ms: 10_000, // as often as the hub pings
  goodbye_ms: 1000, // how long the hub may take to answer the goodbye, so that it cannot hold up the end of a program
} as const;

export interface HubConnection {
  /**
   * Sends a signed event and waits for the hub's answer, across reconnections; resolves to the verified receipt. The hub keeps `enclosed`, a
   * small blob, before it takes the event.
   * Throws PeerError `refused`, `bad-receipt`, `disconnected` (after close).
   */
  submit(event: Uint8Array, enclosed?: Uint8Array | null): Promise<Receipt>;
  /** Reports what this peer is doing; the report is lost while the hub is unreachable. */
  progress(message: Omit<Extract<FromPeer, { type: 'progress' }>, 'type'>): void;
  /** Sends text of a model; lost likewise. */
  sample(message: Omit<Sample, 'type'>): void;
  /** Sends what a device that serves says; lost likewise. */
  serve(message: FromServingPeer): void;
  /** Sends what is for another device. @returns whether it left */
  relay(message: FromRelayingPeer): boolean;
  close(): void;
}

/** How connections are made. */
export interface Transport {
  /** Opens a channel to the hub; if that fails, the channel closes. */
  dial(): Channel;
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads reconnections over time. */
  random(): number;
  /** Whether the hub answers over HTTP, for a device whose connections do not open; where it is missing, this is unknown. */
  readonly answersHttp?: () => Promise<boolean>;
  /** A browser answers the hub's pings without telling the page, so there the peer has to ask whether the hub is alive. */
  readonly asks?: boolean;
  /**
   * How often the hub is pinged, and after how many pings without an answer the connection is given up; null or missing: only the hub pings. Pings are
   * counted, not time: a device that is too busy to read must not think that its hub is dead.
   */
  readonly pings?: () => { readonly every_ms: number; readonly unanswered: number } | null;
}

export interface ConnectionOptions {
  readonly transport: Transport;
  /** The hub's id: receipts must be signed by it. */
  readonly hub: string;
  readonly run: string;
  readonly role: 'worker' | 'validator';
  readonly identity: Identity;
  /** Of a validator: a worker of whose work it is told although it does not judge it. */
  readonly watches?: string;
  /** Called after every (re)connection; it says whether this peer is present by the log. */
  readonly onWelcome: (welcome: Welcome) => void;
  readonly onRun: (view: SeenRun) => void;
  /** The hub asks a device that serves. */
  readonly onServe?: (message: ToServingPeer) => void;
  /** Another device says something, or has heard something. */
  readonly onRelay?: (message: ToRelayingPeer) => void;
  /** The connection is lost for now; the peer is reconnecting. */
  readonly onAway: (reason: string) => void;
  /** The hub answers over HTTP, but no connection opens, again and again. */
  readonly onBlocked?: (reason: string) => void;
  /** Another device with the same key has taken this one's place; after a while this one asks whether it is free again. */
  readonly onYield?: (wait_ms: number) => void;
  /** The hub refuses this peer for good. */
  readonly onFatal: (error: PeerError) => void;
}

export function connectToHub(options: ConnectionOptions): HubConnection {
  return new Connection(options);
}

/** Acts on the decisions of answer-hub.ts and redial.ts, on one channel after the other. */
class Connection implements HubConnection {
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #unanswered: Unanswered;
  readonly #work = new RoundWork();
  #channel: Channel | undefined;
  /** The hub has welcomed this peer on the current channel. */
  #greeted = false;
  #closed = false;
  #tries: Tries = FIRST_TRY;
  #retry: Timer;
  #silence: Timer;
  #goodbye: Timer;
  #question: Timer;
  #pulse: Timer;
  /** Pings since something was heard. */
  #pings = 0;

  constructor(options: ConnectionOptions) {
    const { clock, random } = options.transport;
    this.#options = options;
    this.#clock = clock;
    this.#unanswered = openUnanswered({
      hub: options.hub,
      clock,
      random,
      send: (said) => void this.#sendGreeted(said),
    });
    this.#dial();
  }

  async submit(event: Uint8Array, enclosed: Uint8Array | null = null): Promise<Receipt> {
    if (this.#closed) throw new PeerError('disconnected', 'this peer has left');
    if (this.#tries.yield_ms > 0) throw new PeerError('key-in-use', 'another device takes part with this key');
    return this.#unanswered.submit(event, enclosed);
  }

  progress(message: Parameters<HubConnection['progress']>[0]): void {
    this.#sendGreeted({ type: 'progress', ...message });
  }

  sample(message: Parameters<HubConnection['sample']>[0]): void {
    this.#sendGreeted({ type: 'sample', ...message });
  }

  serve(message: FromServingPeer): void {
    this.#sendGreeted(message);
  }

  relay(message: FromRelayingPeer): boolean {
    return this.#sendGreeted(message);
  }

  close(): void {
    this.#closed = true;
    this.#clock.clearTimeout(this.#retry);
    this.#clock.clearTimeout(this.#silence);
    this.#clock.clearTimeout(this.#question);
    this.#clock.clearTimeout(this.#pulse);
    const last = this.#channel;
    if (last && !last.closed) {
      last.close();
      this.#goodbye = this.#clock.setTimeout(() => last.terminate(), LIMITS.goodbye_ms);
    }
    this.#unanswered.rejectAll(new PeerError('disconnected', 'closed before the hub answered'));
  }

  #dial(): void {
    this.#greeted = false;
    const channel = this.#options.transport.dial();
    this.#channel = channel;
    channel.listen({
      onOpen: () => {
        this.#onHeard();
        this.#ping(channel);
      },
      onAlive: () => this.#onHeard(),
      onMessage: (frame) => {
        this.#onHeard();
        if (!frame) return;
        this.#onFrame(frame).catch((error) => {
          if (!(error instanceof ProtocolError)) throw error;
          channel.terminate(); // a hub that sends invalid messages is treated as unreachable
        });
      },
      onError() {},
      onClose: (reason) => this.#onClose(channel, reason),
    });
  }

  #onHeard(): void {
    this.#pings = 0;
    this.#tries = onHeard(this.#tries);
    this.#clock.clearTimeout(this.#silence);
    this.#silence = this.#clock.setTimeout(() => this.#channel?.terminate(), LIMITS.silence_ms);
  }

  async #onFrame(frame: Uint8Array): Promise<void> {
    const { hub, run } = this.#options;
    const action = planAnswer(decodeFromHub(frame), { hub, run, greeted: this.#greeted });
    if (action) await this.#perform(action);
  }

  async #perform(action: HubAction): Promise<void> {
    switch (action.do) {
      case 'prove-key':
        return this.#proveKey(action.nonce);
      case 'go-on':
        return this.#goOn(action.welcome);
      case 'show-run':
        return this.#options.onRun(this.#work.seen(action.view));
      case 'take-work':
        return this.#work.take(action.piece);
      case 'check-receipt':
        return this.#unanswered.accepted(action.event, action.receipt);
      case 'check-receipts':
        return this.#unanswered.acceptedAll(action.receipts);
      case 'send-later':
        return this.#unanswered.sendLater(action.event);
      case 'reject':
        return this.#unanswered.reject(action.event, action.error);
      case 'serve':
        return this.#options.onServe?.(action.message);
      case 'relay':
        return this.#options.onRelay?.(action.message);
      case 'give-way':
        return this.#giveWay();
      case 'end':
        this.close();
        return this.#options.onFatal(action.error);
    }
  }

  async #proveKey(nonce: Uint8Array): Promise<void> {
    const { role, run, identity, hub, watches } = this.#options;
    const signature = await identity.sign(helloChallenge(hub, nonce));
    const yields = this.#tries.yield_ms > 0 ? { yields: true } : {};
    const said = { role, run, peer: identity.id, signature, ...yields, ...(watches !== undefined && { watches }) };
    this.#send({ type: 'hello', protocol: PROTOCOL_VERSION, ...said });
  }

  #goOn(welcome: Welcome): void {
    this.#greeted = true;
    this.#tries = onWelcome(this.#tries);
    this.#ask();
    this.#options.onWelcome(welcome);
    this.#unanswered.sendAll();
  }

  /** Gives way to another device with this key, and drops all unanswered events. */
  #giveWay(): void {
    const first = this.#tries.yield_ms === 0;
    this.#tries = onGiveWay(this.#tries);
    if (first) this.#options.onYield?.(this.#tries.yield_ms);
    this.#unanswered.rejectAll(new PeerError('key-in-use', 'another device takes part with the key of this one'));
  }

  /** Asks the hub regularly whether it is alive, where this peer does not see the hub's pings. */
  #ask(): void {
    this.#clock.clearTimeout(this.#question);
    if (!this.#options.transport.asks || this.#closed) return;
    this.#send({ type: 'ping' });
    this.#question = this.#clock.setTimeout(() => this.#ask(), LIMITS.ask_every_ms);
  }

  /** Pings the hub regularly, where there is another process to go to when this one does not answer. */
  #ping(channel: Channel): void {
    const pings = this.#options.transport.pings?.();
    if (!pings) return;
    this.#pulse = this.#clock.setTimeout(() => {
      if (this.#closed || channel !== this.#channel || channel.closed) return;
      if (this.#pings >= pings.unanswered) {
        channel.terminate();
        return;
      }
      this.#pings++;
      channel.ping();
      this.#ping(channel);
    }, pings.every_ms);
  }

  #onClose(channel: Channel, reason: string): void {
    for (const timer of [this.#silence, this.#goodbye, this.#question, this.#pulse]) this.#clock.clearTimeout(timer);
    if (this.#closed || channel !== this.#channel) return;
    const { transport, onAway, onBlocked } = this.#options;
    const { tries, wait_ms, away, blocked, asksHttp } = planRedial(this.#tries, reason);
    this.#tries = tries;
    if (away) onAway(reason || 'no answer');
    if (blocked) onBlocked?.(reason);
    if (asksHttp) {
      void transport.answersHttp?.().then((answers) => {
        this.#tries = onHttp(this.#tries, answers);
      });
    }
    // Jitter keeps a thousand peers from reconnecting at the same moment.
    this.#retry = this.#clock.setTimeout(() => this.#dial(), wait_ms * (0.5 + transport.random()));
  }

  /** @returns whether it left */
  #sendGreeted(message: FromPeer): boolean {
    return this.#greeted && this.#send(message);
  }

  #send(message: FromPeer): boolean {
    if (!this.#channel?.open) return false;
    this.#channel.send(encodeMessage(message));
    return true;
  }
}
