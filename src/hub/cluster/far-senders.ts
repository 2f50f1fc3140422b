// The receiver's side of frames from devices at other processes: the relay of this process hears them as if their senders were connected here.
import type { Clock } from '../../protocol/clock.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import type { FromHub } from '../../protocol/from-hub.ts';
import type { Relay, RelayConnection } from '../relay.ts';
import type { Bus } from './bus.ts';
import { encodeFar, FAR_LIMITS, type FarFrame, type FarMessage } from './far-messages.ts';

export interface FarSendersOptions {
  readonly bus: Bus;
  subject(front: string): string;
  readonly clock: Clock;
  /** The relay among the connections of this process. */
  readonly near: Relay;
}

/** One lane's sender: what its relay says to it goes back over the bus. */
class FarSender implements RelayConnection {
  readonly number: string;
  readonly peer: string;
  readonly run: string;
  /** The relay of this process never sends frames to it. */
  readonly channel = { open: false, queued_bytes: 0 };
  /** Of the last frame that came, and the last one that was taken. */
  last: number;
  taken: number;
  opened = true;
  ended = false;
  heard_ms = 0;
  readonly tell: (message: FromHub) => void;

  constructor({ front, lane, run, from, first }: FarFrame, tell: (sender: FarSender, message: FromHub) => void) {
    this.number = numberOf(front, lane);
    this.peer = from;
    this.run = run;
    this.last = first - 1;
    this.taken = first - 1;
    this.tell = (message) => tell(this, message);
  }
}

/** No connection of this process has such a number. */
const numberOf = (front: string, lane: number): string => `${front}:${lane}`;

type About = Pick<FarFrame, 'front' | 'lane'>;

export class FarSenders {
  readonly #options: FarSendersOptions;
  readonly #senders = new Map<string, FarSender>();

  constructor(options: FarSendersOptions) {
    this.#options = options;
  }

  hear(message: Exclude<FarMessage, { type: 'word' }>): void {
    const sender = this.#senders.get(numberOf(message.front, message.lane));
    if (sender) sender.heard_ms = this.#options.clock.elapsed_ms();
    if (message.type === 'frame') this.#pass(message, sender);
    else if (message.type === 'end') this.#end(sender);
    else if (sender?.last === message.number) this.#say(message, sender);
    else this.#lose(message, sender, 'gone');
  }

  /** To be called now and then. */
  look(): void {
    const now_ms = this.#options.clock.elapsed_ms();
    for (const sender of [...this.#senders.values()]) {
      if (now_ms - sender.heard_ms >= FAR_LIMITS.forget_ms) this.#end(sender);
    }
  }

  #pass(frame: FarFrame, known: FarSender | undefined): void {
    const { near, clock } = this.#options;
    const { to, number, sealed } = frame;
    const sender = known ?? new FarSender(frame, (one, message) => this.#heard(frame, one, message));
    // The bus keeps their order: whatever lies between is lost. And a lane that is not known, of which this is not the first, has ended.
    if (number !== sender.last + 1) {
      this.#lose(frame, known, 'gone');
      return;
    }
    if (!known) this.#senders.set(sender.number, sender);
    sender.heard_ms = clock.elapsed_ms();
    sender.last = number;
    try {
      near.hear(sender, { type: 'relay', to, number, sealed });
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      // The process of the sender knows it as one that takes part; here the log is not that far.
      this.#lose(frame, sender, 'not-in-run');
    }
    // A receiver that has come on another connection got the frame all the same: the relay must forget this.
    if (sender.ended) near.gone(sender);
  }

  /** What the relay says to a sender. */
  #heard(about: About, sender: FarSender, message: FromHub): void {
    if (sender.ended) return;
    if (message.type === 'relay-taken') {
      Object.assign(sender, { taken: message.number, opened: message.opened });
      this.#say(about, sender);
    } else if (message.type === 'relay-lost') this.#lose(about, sender, message.code);
  }

  #lose(about: About, sender: FarSender | undefined, lost: string): void {
    this.#end(sender);
    this.#say(about, sender, lost);
  }

  #end(sender: FarSender | undefined): void {
    if (!sender || sender.ended) return;
    sender.ended = true;
    this.#senders.delete(sender.number);
    this.#options.near.gone(sender);
  }

  #say({ front, lane }: About, sender: FarSender | undefined, lost: string | null = null): void {
    const { bus, subject } = this.#options;
    const { taken = 0, opened = true } = sender ?? {};
    bus.publish(subject(front), encodeFar({ type: 'word', front, lane, taken, opened, lost }));
  }
}
