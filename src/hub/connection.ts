// One connection of the hub, at the hub's end: what it says that it is, what it is told, how long it is waited for, and how it ends.
import type { PeerRole } from '../core/events/peer-joined.ts';
import type { CodedError } from '../errors.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { encodeMessage, type FromHub } from '../protocol/messages.ts';
import { answerTo } from './answers.ts';
import { HubError } from './errors.ts';

/** What one connection, and all together, may take of the hub. */
export const CONNECTION_LIMITS = {
  connections: 20_000, // twice what a hub on two cores is meant for
  hello_ms: 10_000, // a connection that does not say who it is by then is closed
  queued_bytes: 8 << 20, // a peer that does not read is cut off before it fills the hub's memory
  waiting_messages: 64, // unanswered messages of one connection; more is a flood
  ping_every_ms: 10_000, // a connection that misses a whole interval is gone
  status_every_ms: 400, // people do not read faster
  lost_after_ms: 5000, // how long a peer may be gone before the log says so; a reconnect is quicker
  news_ms: 200, // what validators need not act on at once is told together: a verdict is news to all of them
  goodbye_ms: 1000, // what a connection that is being closed gets to read why
  silence_ms: 60_000, // a request over HTTP on which no byte moves for so long is given up; one that moves may take for ever
};
export type ConnectionLimits = typeof CONNECTION_LIMITS;

/** RFC 6455, section 7.4, and IANA's register of its codes. A reason has 123 bytes at most. */
const CLOSE = { going_away: 1001, policy: 1008, failed: 1011, try_again_later: 1013 } as const;
const CLOSE_REASON_BYTES = 123;

export interface ConnectionOptions {
  readonly channel: Channel;
  /** Under which its messages are counted. */
  readonly number: string;
  /** Whom its messages are counted under, beside its key; null: nobody. */
  readonly address: string | null;
  /** What its hello must sign. */
  readonly nonce: Uint8Array;
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  /** Gets the code of every refusal. */
  onRefused(code: string): void;
}

/** Who listens to a connection. */
export interface ConnectionListener {
  /** Messages come one after the other, each when the one before has been dealt with. */
  onMessage(frame: Uint8Array | null): Promise<void>;
  /** Dealing with a message failed, and the connection ends. */
  onFailure(error: unknown): void;
  /** The last call. */
  onGone(): void;
}

export class Connection {
  readonly number: string;
  readonly channel: Channel;
  readonly address: string | null;
  readonly nonce: Uint8Array;
  /** What it says that it is; null: nothing yet. */
  role: PeerRole | 'observer' | null = null;
  peer: string | null = null;
  run: string | null = null;
  /** An observer that gets what changed instead of everything. */
  follows = false;

  readonly #options: ConnectionOptions;
  #alive = true;
  #waiting_messages = 0;
  /** Fires when it has not said who it is, and once it is being closed, when it has not gone. */
  #deadline: Timer;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.number = options.number;
    this.channel = options.channel;
    this.address = options.address;
    this.nonce = options.nonce;
  }

  /** Hears the channel from now on; a connection that does not say who it is within `hello_ms` is sent away. To be called once. */
  listen(listener: ConnectionListener): void {
    const { clock, limits } = this.#options;
    this.#deadline = clock.setTimeout(() => {
      if (this.role) return;
      this.sendAway(new HubError('no-hello', `expected hello within ${limits.hello_ms} ms, got none`));
    }, limits.hello_ms);
    let queue: Promise<void> = Promise.resolve();
    this.channel.listen({
      onAlive: () => {
        this.#alive = true;
      },
      onMessage: (frame) => {
        if (!this.channel.open) return; // already told to go
        this.#alive = true;
        if (++this.#waiting_messages > limits.waiting_messages) return this.#flooded();
        queue = queue
          .then(() => listener.onMessage(frame))
          .catch((error) => {
            listener.onFailure(error);
            this.channel.close(CLOSE.failed, 'the hub failed at this message');
          })
          .finally(() => {
            this.#waiting_messages--;
          });
      },
      // A frame that is none: PeerSocket has told why, and the close is under way.
      onError: () => this.#endSoon(),
      onClose: () => {
        clock.clearTimeout(this.#deadline);
        listener.onGone();
      },
    });
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

  /** Asks whether the other end is there; ends the connection when it has not answered since it was asked last. */
  ping(): void {
    if (!this.#alive) this.channel.terminate();
    this.#alive = false;
    if (this.channel.open) this.channel.ping();
  }

  /** @param event the hash of the event that is refused; null: something else is */
  refuse(error: CodedError, event: string | null): void {
    const refusal = error.details.refusal ?? error.details.reason;
    const code = typeof refusal === 'string' ? refusal : error.code;
    this.#options.onRefused(code);
    this.tell({ type: 'refused', event, code, message: answerTo(error).message.slice(0, 2000) });
  }

  /** Tells why, then closes; who does not take part in closing is cut off. */
  sendAway(error: CodedError, event: string | null = null): void {
    if (!this.channel.open) return;
    this.refuse(error, event);
    this.#close(CLOSE.policy, error.code);
  }

  /** Closes without a refusal: a peer that is refused does not come again. */
  tryLater(reason: string): void {
    this.#close(CLOSE.try_again_later, reason.slice(0, CLOSE_REASON_BYTES));
  }

  /** Says goodbye: the hub is going down. */
  leave(): void {
    this.#close(CLOSE.going_away, 'the hub is going down');
  }

  /** Reads nothing more of it. */
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
