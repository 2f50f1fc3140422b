// A peer's end of the WebSocket: proves its key, comes back by itself when the hub was away, pairs events with their answers.
import { LedgerError } from '../ledger/errors.ts';
import { type Receipt, verifyReceipt } from '../ledger/receipt.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { eventId } from '../protocol/envelope.ts';
import { ProtocolError } from '../protocol/errors.ts';
import type { Identity } from '../protocol/identity.ts';
import {
  decodeFromHub,
  encodeMessage,
  type FromPeer,
  helloChallenge,
  otherVersion,
  PROTOCOL_VERSION,
  type RunView,
  type Sample,
  type Welcome,
} from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';

const LIMITS = {
  first_wait_ms: 200, // a hub that is killed and started again is back within a second or two
  longest_wait_ms: 10_000, // and one that stays away is not hammered
  silence_ms: 30_000, // the hub pings every ten seconds
  too_fast_ms: 1000, // the first wait before an event that came too fast is sent again; each next one is twice as long
  yield_ms: 120_000, // before asking whether another device with this key has gone; each next wait is twice as long
  longest_yield_ms: 600_000,
  ask_every_ms: 10_000, // as often as the hub pings
  goodbye_ms: 1000, // what a hub gets to answer the goodbye, so that one that does not cannot hold up the end of a program
} as const;

/** A proxy that does not pass WebSockets on is told from a hub that is away after so many tries. */
const BLOCKED_AFTER = 3;
/** What ws says of a hub that lets nobody else in for now. */
const TOO_MANY = /: (429|503)$/;

export interface HubConnection {
  /**
   * Sends a signed event and waits for the hub's answer, over reconnections too; resolves with the receipt, checked.
   * Throws PeerError refused, bad-receipt, disconnected (after close).
   */
  submit(event: Uint8Array): Promise<Receipt>;
  /** Tells what this peer is doing; lost when the hub is away. */
  progress(message: Omit<Extract<FromPeer, { type: 'progress' }>, 'type'>): void;
  /** Tells what a model writes; lost as well. */
  sample(message: Omit<Sample, 'type'>): void;
  close(): void;
}

/** Where a connection comes from. */
export interface Transport {
  /** Opens a channel to the hub; one that cannot be had closes. */
  dial(): Channel;
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads out who comes back when. */
  random(): number;
  /** Whether the hub answers over HTTP, for a device whose connections do not open; where it is missing, nobody knows. */
  readonly answersHttp?: () => Promise<boolean>;
  /** A browser answers the hub's pings without a word to the page: there the peer has to ask whether the hub is there. */
  readonly asks?: boolean;
}

export interface ConnectionOptions {
  readonly transport: Transport;
  /** The hub's id: receipts must be signed by it. */
  readonly hub: string;
  readonly run: string;
  readonly role: 'worker' | 'validator';
  readonly identity: Identity;
  /** After every (re)connection; it says whether the log knows that this peer is here. */
  readonly onWelcome: (welcome: Welcome) => void;
  readonly onRun: (view: RunView) => void;
  /** The connection is gone for now; it is being tried again. */
  readonly onAway: (reason: string) => void;
  /** The hub answers over HTTP, and yet no connection opens, time and again. */
  readonly onBlocked?: (reason: string) => void;
  /** Another device has come with the same key and has this one's place; whether it is free again is asked after a while. */
  readonly onYield?: (wait_ms: number) => void;
  /** The hub sends this peer away for good. */
  readonly onFatal: (error: PeerError) => void;
}

interface Waiting {
  readonly event: Uint8Array;
  /** How often the hub said that it came too fast, and when it is sent again. */
  too_fast: number;
  again: Timer;
  resolve(receipt: Receipt): void;
  reject(error: PeerError): void;
}

export function connectToHub(options: ConnectionOptions): HubConnection {
  const { clock } = options.transport;
  const waiting = new Map<string, Waiting>();
  let channel: Channel | undefined;
  let greeted = false;
  let closed = false;
  /** Connections in a row on which nothing was heard. */
  let unopened = 0;
  let httpAnswers = false;
  let wait_ms: number = LIMITS.first_wait_ms;
  /** How long this peer has given way to another device with its key; 0: it does not. */
  let yield_ms = 0;
  let retry: Timer;
  let silence: Timer;
  let goodbye: Timer;
  let question: Timer;

  const send = (message: FromPeer): void => {
    if (channel?.open) channel.send(encodeMessage(message));
  };

  const fatal = (error: PeerError): void => {
    close();
    options.onFatal(error);
  };

  const heard = (): void => {
    unopened = 0;
    httpAnswers = false;
    clock.clearTimeout(silence);
    silence = clock.setTimeout(() => channel?.terminate(), LIMITS.silence_ms);
  };

  const rejectAll = (error: PeerError): void => {
    for (const { reject, again } of waiting.values()) {
      clock.clearTimeout(again);
      reject(error);
    }
    waiting.clear();
  };

  const ask = (): void => {
    clock.clearTimeout(question);
    if (!options.transport.asks || closed) return;
    send({ type: 'ping' });
    question = clock.setTimeout(ask, LIMITS.ask_every_ms);
  };

  /** An answer counts only with a receipt that proves, signed by the hub, that the event is in its log. */
  const answer = (id: string, receipt: unknown): void => {
    const asked = waiting.get(id);
    if (!asked) return;
    waiting.delete(id);
    clock.clearTimeout(asked.again);
    try {
      verifyReceipt(receipt, asked.event, options.hub);
      asked.resolve(receipt as Receipt);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      asked.reject(new PeerError('bad-receipt', `the hub's receipt for event ${id} is not valid: ${error.message}`));
    }
  };

  /** Too fast is no answer to an event. A hub that says it of a connection closes that, and then it is tried again as any other. */
  const sendAgainLater = (id: string | null): void => {
    const asked = id === null ? undefined : waiting.get(id);
    if (!asked) return;
    const wait_ms = Math.min(LIMITS.longest_wait_ms, LIMITS.too_fast_ms * 2 ** asked.too_fast++);
    clock.clearTimeout(asked.again);
    asked.again = clock.setTimeout(
      () => {
        if (greeted) send({ type: 'event', event: asked.event }); // else it is sent with the next welcome
      },
      wait_ms * (0.5 + options.transport.random()),
    );
  };

  /** Gives way to another device with this key. What this one has sent is not its business any more. */
  const giveWay = (): void => {
    const first = yield_ms === 0;
    yield_ms = first ? LIMITS.yield_ms : Math.min(LIMITS.longest_yield_ms, yield_ms * 2);
    if (first) options.onYield?.(yield_ms);
    rejectAll(new PeerError('key-in-use', 'another device takes part with the key of this one'));
  };

  const onMessage = async (frame: Uint8Array): Promise<void> => {
    const message = decodeFromHub(frame);
    switch (message.type) {
      case 'challenge': {
        if (message.protocol !== PROTOCOL_VERSION) {
          const versions = { hub: message.protocol, peer: PROTOCOL_VERSION };
          fatal(new PeerError('other-protocol', otherVersion(versions), versions));
          return;
        }
        // Signing for another hub would let this one log in there in this peer's name.
        if (message.hub !== options.hub) {
          fatal(new PeerError('other-hub', `expected hub ${options.hub}, the one there now is ${message.hub}`));
          return;
        }
        const signature = await options.identity.sign(helloChallenge(message.hub, message.nonce));
        const { role, run, identity } = options;
        const yields = yield_ms > 0 ? { yields: true } : {};
        send({ type: 'hello', protocol: PROTOCOL_VERSION, role, run, peer: identity.id, signature, ...yields });
        return;
      }
      case 'welcome':
        greeted = true;
        wait_ms = LIMITS.first_wait_ms;
        yield_ms = 0;
        ask();
        options.onWelcome(message);
        // What was not answered before the connection broke is sent again; the core takes nothing twice.
        for (const { event } of waiting.values()) send({ type: 'event', event });
        return;
      case 'run':
        if (message.view.run === options.run) options.onRun(message.view);
        return;
      case 'accepted':
        answer(message.event, message.receipt);
        return;
      case 'refused': {
        const error = new PeerError('refused', message.message, { refusal: message.code });
        if (message.code === 'too-fast') sendAgainLater(message.event);
        else if (message.event) {
          waiting.get(message.event)?.reject(error);
          waiting.delete(message.event);
        } else if (message.code === 'key-in-use') giveWay();
        else if (message.code === 'unknown-version') fatal(new PeerError('other-protocol', message.message));
        else if (message.code === 'unknown-run') fatal(new PeerError('no-such-run', message.message));
        else if (message.code === 'not-understood') fatal(error);
        else if (!greeted && message.code !== 'no-hello') fatal(error);
        return;
      }
    }
  };

  const open = (): void => {
    greeted = false;
    const current = options.transport.dial();
    channel = current;
    current.listen({
      onOpen: heard,
      onAlive: heard,
      onMessage(frame) {
        heard();
        if (!frame) return;
        onMessage(frame).catch((error) => {
          if (!(error instanceof ProtocolError)) throw error;
          current.terminate(); // a hub that talks nonsense is treated as one that is away
        });
      },
      onError() {},
      onClose(reason) {
        clock.clearTimeout(silence);
        clock.clearTimeout(goodbye);
        clock.clearTimeout(question);
        if (closed || channel !== current) return;
        if (yield_ms === 0) options.onAway(reason || 'no answer');
        lookAround(reason);
        // Jitter keeps a thousand peers from coming back in the same instant.
        const jittered_ms = (yield_ms || wait_ms) * (0.5 + options.transport.random());
        wait_ms = Math.min(LIMITS.longest_wait_ms, wait_ms * 2);
        retry = clock.setTimeout(open, jittered_ms);
      },
    });
  };

  /** A hub that answers over HTTP before one more connection fails is not away. */
  const lookAround = (reason: string): void => {
    unopened++;
    if (httpAnswers) options.onBlocked?.(reason);
    const look = unopened === BLOCKED_AFTER && !TOO_MANY.test(reason);
    httpAnswers = false;
    if (!look) return;
    void options.transport.answersHttp?.().then((answers) => {
      httpAnswers = answers && unopened > 0;
    });
  };

  const close = (): void => {
    closed = true;
    clock.clearTimeout(retry);
    clock.clearTimeout(silence);
    clock.clearTimeout(question);
    const last = channel;
    if (last && !last.closed) {
      last.close();
      goodbye = clock.setTimeout(() => last.terminate(), LIMITS.goodbye_ms);
    }
    rejectAll(new PeerError('disconnected', 'closed before the hub answered'));
  };

  open();
  return {
    submit(event) {
      if (closed) return Promise.reject(new PeerError('disconnected', 'this peer has left'));
      if (yield_ms > 0) return Promise.reject(new PeerError('key-in-use', 'another device takes part with this key'));
      return new Promise((resolve, reject) => {
        waiting.set(eventId(event), { event, too_fast: 0, again: undefined, resolve, reject });
        if (greeted) send({ type: 'event', event });
      });
    },
    progress: (message) => {
      if (greeted) send({ type: 'progress', ...message });
    },
    sample: (message) => {
      if (greeted) send({ type: 'sample', ...message });
    },
    close,
  };
}
