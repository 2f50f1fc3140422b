// A channel between devices of one process, for arenas and benches: messages go from hand to hand, and nothing is sealed.
import { systemClock } from '../protocol/clock.ts';
import { gameStatement } from '../protocol/game-statement.ts';
import type { Identity } from '../protocol/identity.ts';
import type { DeviceChannel } from './game.ts';

type Listener = (from: string, message: Uint8Array) => Promise<void>;

/** A network of devices in memory: messages of one to another come in order, one at a time. */
export class Air {
  readonly run: string;
  /** Who is here, with their stages. */
  readonly stages = new Map<string, number>();
  /** Those whose last work was merged. */
  proven: ReadonlySet<string> = new Set();
  /** What judges know of who has held which stage in the round; null: nothing. */
  held: ReadonlyMap<string, ReadonlySet<number>> | null = null;
  /** Validators, who are here as well. */
  readonly validators = new Set<string>();
  /** Called for each message; false: it is lost, and its sender is told. */
  passes: (from: string, to: string, message: Uint8Array) => boolean = () => true;
  readonly #listeners = new Map<string, Listener>();
  #lanes = new Map<string, Promise<unknown>>();

  constructor(run: string) {
    this.run = run;
  }

  /** Nobody is here any more, and nothing is under way: keys may come again. */
  clear(): void {
    this.stages.clear();
    this.#listeners.clear();
    this.dropWaiting();
  }

  /** What has not reached its device yet is lost: each of them might keep the next one waiting for a minute. */
  dropWaiting(): void {
    this.#lanes = new Map();
  }

  channel(identity: Identity): DeviceChannel {
    const from = identity.id;
    return {
      clock: systemClock,
      stages: () => this.stages,
      proven: () => this.proven,
      held: () => this.held,
      sign: (statement) => identity.sign(gameStatement(this.run, statement)),
      listen: (listener) => {
        this.#listeners.set(from, listener);
        return () => this.#listeners.delete(from);
      },
      send: (to, message, signal) => this.#send(from, to, message, signal),
    };
  }

  async #send(from: string, to: string, message: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const lane = `${from} ${to}`;
    const lanes = this.#lanes;
    const heard = (lanes.get(lane) ?? Promise.resolve()).then(async () => {
      signal?.throwIfAborted();
      if (lanes !== this.#lanes) throw new Error('the round is over');
      const listener = this.#listeners.get(to);
      const isHere = this.stages.has(to) || this.validators.has(to);
      if (!listener || !isHere || !this.passes(from, to, message)) throw new Error('not here');
      await listener(from, message);
    });
    lanes.set(
      lane,
      heard.catch(() => {}),
    );
    if (!signal) return heard;
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    return Promise.race([heard, stopped]);
  }
}
