// The hub's end of one connection: its identity, its messages, its timeouts, and its end.
import type { PeerRole } from '../core/events/peer-joined.ts';
import type { CodedError } from '../errors.ts';
import type { Channel, ChannelListener } from '../protocol/channel.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import type { FromHub } from '../protocol/from-hub.ts';
import { answerTo } from './answers.ts';
import { HubError } from './errors.ts';

/** The limits of one connection and of all together. */
export const CONNECTION_LIMITS = {
  connections: 20_000, // twice what a hub on two cores is designed for
  hello_ms: 10_000, // a connection that has not said hello by then is closed
  queued_bytes: 8 << 20, // a peer that does not read is disconnected before it fills the hub's memory
  waiting_messages: 64, // unanswered messages of one connection; more of them are a flood
  ping_every_ms: 10_000, // a connection without an answer for a whole interval is lost
  status_every_ms: 400, // people do not read faster
  lost_after_ms: 5000, // how long a peer may be disconnected before the hub writes a leave; reconnecting is quicker
  news_ms: 200, // validators get news that can wait together, because each verdict is news for all of them
  goodbye_ms: 1000, // how long a connection that is being closed has to read the reason
  silence_ms: 60_000, // an HTTP request without a byte for this long is ended; its total time is not limited
};
export type ConnectionLimits = typeof CONNECTION_LIMITS;

/** RFC 6455, section 7.4, and IANA's register of its codes. A reason has 123 bytes at most. */
const CLOSE = { going_away: 1001, policy: 1008, failed: 1011, try_again_later: 1013 } as const;
const CLOSE_REASON_BYTES = 123;

export interface ConnectionOptions {
  readonly channel: Channel;
  /** The key under which its messages are counted. */
  readonly number: string;
  /** The address that its messages are counted under, beside its key; null for none. */
  readonly address: string | null;
  /** The nonce that its hello must sign. */
  readonly nonce: Uint8Array;
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  /** Gets the code of every refusal. */
  onRefused(code: string): void;
}

/** The owner of connections: one for all, because thousands of functions would take megabytes. */
export interface ConnectionListener {
  /** Messages of a connection come one at a time, each after the one before has been handled. */
  onMessage(connection: Connection, frame: Uint8Array | null): Promise<void>;
  /** Handling a message failed, and the connection ends. */
  onFailure(error: unknown): void;
  /** The last call for this connection. */
  onGone(connection: Connection): void;
}

/** The nonce of a connection that has said hello. */
const USED = new Uint8Array();

export class Connection implements ChannelListener {
  readonly number: string;
  readonly channel: Channel;
  readonly address: string | null;
  /** What its hello must sign. */
  nonce: Uint8Array;
  /** The role that it stated; null before its hello. */
  role: PeerRole | 'observer' | null = null;
  peer: string | null = null;
  run: string | null = null;
  /** A worker of whose submission it is told although it does not judge it. */
  watches: string | null = null;
  /** Whether it is an observer that gets changes instead of everything. */
  follows = false;

  readonly #options: ConnectionOptions;
  #listener: ConnectionListener | null = null;
  #alive = true;
  #waiting_messages = 0;
  #handled: Promise<void> = Promise.resolve();
  /** Fires when it has not said hello in time, and when it has not gone in time after it was closed. */
  #deadline: Timer;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.number = options.number;
    this.channel = options.channel;
    this.address = options.address;
    this.nonce = options.nonce;
  }

  /** Starts listening; a connection that does not say hello within `hello_ms` is closed. Call it once. */
  listen(listener: ConnectionListener): void {
    const { clock, limits } = this.#options;
    this.#listener = listener;
    this.#deadline = clock.setTimeout(() => {
      this.sendAway(new HubError('no-hello', `expected hello within ${limits.hello_ms} ms, got none`));
    }, limits.hello_ms);
    this.channel.listen(this);
  }

  /** It has said hello: what it signed is of no use to anybody any more. */
  greeted(role: PeerRole | 'observer'): void {
    this.role = role;
    this.nonce = USED;
    if (!this.channel.open) return; // what ends it soon goes on
    this.#options.clock.clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  onAlive(): void {
    this.#alive = true;
  }

  onMessage(frame: Uint8Array | null): void {
    if (!this.channel.open) return; // it is being closed already
    this.#alive = true;
    if (++this.#waiting_messages > this.#options.limits.waiting_messages) this.#flooded();
    else this.#handled = this.#handled.then(() => this.#handle(frame));
  }

  async #handle(frame: Uint8Array | null): Promise<void> {
    try {
      await this.#listener!.onMessage(this, frame);
    } catch (error) {
      this.#listener!.onFailure(error);
      this.channel.close(CLOSE.failed, 'the hub failed at this message');
    } finally {
      this.#waiting_messages--;
    }
  }

  /** An invalid frame: PeerSocket has reported why, and is closing. */
  onError(): void {
    this.#endSoon();
  }

  onClose(): void {
    this.#options.clock.clearTimeout(this.#deadline);
    this.#listener!.onGone(this);
  }

  tell(message: FromHub): void {
    this.send(encodeMessage(message));
  }

  /** Sends a frame, unless so much waits for the other end already that it does not seem to read. */
  send(frame: Uint8Array): void {
    if (!this.channel.open) return;
    if (this.channel.queued_bytes > this.#options.limits.queued_bytes) this.channel.terminate();
    else this.channel.send(frame);
  }

  /** Sends what is sent meanwhile in one piece. */
  together(work: () => void): void {
    if (this.channel.together) this.channel.together(work);
    else work();
  }

  /** Pings the other end; ends the connection when it has not answered the last ping. */
  ping(): void {
    if (!this.#alive) this.channel.terminate();
    this.#alive = false;
    if (this.channel.open) this.channel.ping();
  }

  /** @param event the hash of the refused event; null where something else is refused */
  refuse(error: CodedError, event: string | null): void {
    const refusal = error.details.refusal ?? error.details.reason;
    const code = typeof refusal === 'string' ? refusal : error.code;
    this.#options.onRefused(code);
    this.tell({ type: 'refused', event, code, message: answerTo(error).message.slice(0, 2000) });
  }

  /** Sends the reason, then closes; a peer that does not take part in closing is cut off. */
  sendAway(error: CodedError, event: string | null = null): void {
    if (!this.channel.open) return;
    this.refuse(error, event);
    this.#close(CLOSE.policy, error.code);
  }

  /** Closes without a refusal, because a refused peer does not come again. */
  tryLater(reason: string): void {
    this.#close(CLOSE.try_again_later, reason.slice(0, CLOSE_REASON_BYTES));
  }

  /** Says goodbye when the hub shuts down. */
  leave(): void {
    this.#close(CLOSE.going_away, 'the hub is going down');
  }

  /** Stops reading. */
  deafen(): void {
    this.channel.deafen?.();
  }

  #flooded(): void {
    this.deafen();
    const most = this.#options.limits.waiting_messages;
    this.sendAway(new HubError('too-many-messages', `at most ${most} messages may wait for their answer, got more`));
  }

  #close(code: number, reason: string): void {
    this.channel.close(code, reason);
    this.#endSoon();
  }

  #endSoon(): void {
    if (this.channel.closed) return;
    const { clock, limits } = this.#options;
    clock.clearTimeout(this.#deadline);
    this.#deadline = clock.setTimeout(() => this.channel.terminate(), limits.goodbye_ms);
  }
}
