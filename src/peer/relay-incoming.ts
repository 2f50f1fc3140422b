// What other devices send: frames become messages, one at a time for each sender, and a frame is done with when the listener is.
import { concatBytes } from '@noble/hashes/utils.js';
import { orNull } from '../protocol/errors.ts';
import { RELAY_FRAME, RELAY_LIMITS } from '../protocol/relay-messages.ts';
import type { Sealing } from '../protocol/relay-seal.ts';

type Listener = (from: string, message: Uint8Array) => Promise<void>;

/** A session in which a device sends. */
interface Session {
  readonly open: Sealing;
  /** The frames of a message that is not whole. */
  parts: Uint8Array[];
  bytes: number;
}

/** Frames of a device that have come and are not done with. */
interface Arrivals {
  /** The first that is not done, and the last that has come. */
  next: number;
  last: number;
  readonly done: Map<number, boolean>;
}

export class InMessages {
  readonly #tellDone: (from: string, number: number, opened: boolean) => void;
  readonly #onProblem: (code: string, message: string) => void;
  readonly #sessions = new Map<string, Session>();
  readonly #arrivals = new Map<string, Arrivals>();
  /** By sender: resolves when the listener has done with everything before. */
  readonly #turns = new Map<string, Promise<void>>();
  #listener: Listener | null = null;
  #listened = Promise.withResolvers<void>();
  /** Of messages that are not whole, or that the listener has not done with. */
  #held_bytes = 0;

  constructor(
    tellDone: (from: string, number: number, opened: boolean) => void,
    { onProblem }: { onProblem(code: string, message: string): void },
  ) {
    this.#tellDone = tellDone;
    this.#onProblem = onProblem;
  }

  /** Messages wait until somebody listens. @returns stops listening */
  listen(listener: Listener): () => void {
    this.#listener = listener;
    this.#listened.resolve();
    return () => {
      if (this.#listener !== listener) return;
      this.#listener = null;
      this.#listened = Promise.withResolvers();
    };
  }

  /** A frame has come; `done` must follow. */
  arrived(from: string, number: number): void {
    const known = this.#arrivals.get(from);
    // A sender that has begun to count elsewhere is on a new connection: what came before is forgotten at the hub.
    if (known?.last === number - 1) known.last = number;
    else this.#arrivals.set(from, { next: number, last: number, done: new Map() });
  }

  /** The hub is told of all frames up to the first that is not done with. `opened`: whether the frame fitted. */
  done(from: string, number: number, opened: boolean): void {
    const arrivals = this.#arrivals.get(from);
    if (!arrivals || number < arrivals.next || number > arrivals.last) return;
    const { done, next: before } = arrivals;
    done.set(number, opened);
    let fitted = true;
    for (let one = done.get(arrivals.next); one !== undefined; one = done.get(arrivals.next)) {
      fitted &&= one;
      done.delete(arrivals.next++);
    }
    if (arrivals.next > before) this.#tellDone(from, arrivals.next - 1, fitted);
  }

  /** A session in which a device sends from now on. */
  begin(from: string, open: Sealing): void {
    this.#drop(from);
    this.#sessions.set(from, { open, parts: [], bytes: 0 });
  }

  /** Takes a frame of a message. Where it is none of the sender's session, that has to begin anew. */
  hear(from: string, number: number, frame: Uint8Array): void {
    const session = this.#sessions.get(from);
    const isLast = frame[0] === RELAY_FRAME.last;
    const isPart = isLast || frame[0] === RELAY_FRAME.more;
    const content = session && isPart ? orNull(() => session.open(frame.subarray(1))) : null;
    if (!session || !content || !this.#hold(session, content)) {
      this.#drop(from);
      this.done(from, number, false);
    } else if (isLast) void this.#deliver(from, number, session);
    else this.done(from, number, true);
  }

  /** The connection to the hub is lost, with all sessions and all that is not whole. What is whole still reaches the listener. */
  forget(): void {
    for (const from of [...this.#sessions.keys()]) this.#drop(from);
    this.#arrivals.clear();
  }

  /** Keeps a part of a message; false where that would be more than a message, or all messages, may have. */
  #hold(session: Session, part: Uint8Array): boolean {
    const { message_bytes, incoming_bytes } = RELAY_LIMITS;
    const { length } = part;
    if (session.bytes + length > message_bytes || this.#held_bytes + length > incoming_bytes) return false;
    session.parts.push(part);
    session.bytes += length;
    this.#held_bytes += length;
    return true;
  }

  async #deliver(from: string, number: number, session: Session): Promise<void> {
    const message = concatBytes(...session.parts);
    Object.assign(session, { parts: [], bytes: 0 });
    const turn = (this.#turns.get(from) ?? Promise.resolve()).then(() => this.#give(from, message));
    this.#turns.set(from, turn);
    await turn;
    this.#held_bytes -= message.length;
    if (this.#turns.get(from) === turn) this.#turns.delete(from);
    this.done(from, number, true);
  }

  async #give(from: string, message: Uint8Array): Promise<void> {
    while (!this.#listener) await this.#listened.promise;
    try {
      await this.#listener(from, message);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#onProblem('channel-listener', `what ${from.slice(0, 12)} sent could not be used: ${why}`);
    }
  }

  #drop(from: string): void {
    const session = this.#sessions.get(from);
    if (!session) return;
    this.#held_bytes -= session.bytes;
    this.#sessions.delete(from);
  }
}
