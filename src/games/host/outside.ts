// The program's side of a host: a game that runs elsewhere, called as if it were here. Where it loops or dies only its own calls fail, and it begins afresh.
import { GameError } from '../errors.ts';
import type { AnyGame, Device, Judging } from '../game.ts';
import { type Capability, checkNeeds, HOST_LENDS } from '../needs.ts';
import type { GameWords } from '../parts.ts';
import type { DeviceOverThere } from './inside.ts';
import { type Lent, lendTo } from './lend.ts';
import {
  type Called,
  errorOf,
  type FromGame,
  FromGameSchema,
  failureOf,
  type GamePort,
  PARTS,
  type Part,
} from './wire.ts';

/**
 * How long a game may hold up its thread in one piece. A peer whose connection is gone counts as away after seconds, so nobody waits
 * this long for an answer; a merge or a check in one piece that takes some seconds is not ended.
 */
export const BLOCKED_MS = 30_000;
/** How often the thread is asked whether it still turns, in that time. */
const LOOKS = 4;
/** At the least it takes so long to be loaded before it is given up: a thread begins slowly on a busy machine. */
const LOADING_MS = 5000;
/** What a game may ask at once: one that asks without waiting for answers would fill the host's memory. */
const ASKS_AT_ONCE = 256;

/** The number of the call that a thread begins with. */
const LOADING = 0;

/** Something that the game's thread keeps: a state or a task. It is gone with the thread. */
class Held {
  readonly #thread: number;
  readonly #number: number;
  constructor(thread: number, number: number) {
    this.#thread = thread;
    this.#number = number;
  }
  /** Its number in this thread. Throws GameError game-ended where another thread had it. */
  in(thread: number, game: string): number {
    if (this.#thread === thread) return this.#number;
    throw new GameError('game-ended', `${game}: its thread was ended, and what it held is gone with it`);
  }
}

interface Call {
  readonly part: Called;
  readonly judging: Judging | null;
  readonly answered: (value: unknown) => void;
  readonly failed: (error: Error) => void;
}

export interface HostOptions {
  /** Begins the game in a new thread. */
  readonly open: () => GamePort;
  /** What the game is called until it has said its name, in errors. */
  readonly word: string;
  readonly blocked_ms?: number;
}

export interface HostedGame {
  readonly game: AnyGame;
  /** Ends its thread. Later calls begin a new one. */
  close(): void;
}

/** Begins a game elsewhere. Throws GameError bad-game-file where it is none, game-late where it is not there in time. */
export async function hostGame(options: HostOptions): Promise<HostedGame> {
  const host = new Host(options);
  const { parts, ...about } = await host.started();
  try {
    checkNeeds(about, HOST_LENDS, 'a game in a thread of its own');
  } catch (error) {
    host.end('it needs what it cannot get');
    throw error;
  }
  const call = (part: Called, values: readonly unknown[]): Promise<never> => host.call(part, values) as Promise<never>;
  const game = {
    ...about,
    params: {
      safeParseAsync: async (value: unknown) => {
        try {
          return { success: true, data: await call('params', [value]) };
        } catch (error) {
          if (!(error instanceof Error) || !('code' in error) || error.code !== 'bad-params') throw error;
          return { success: false, error: { issues: [{ path: [], message: error.message }] } };
        }
      },
    },
    ...Object.fromEntries(parts.map((part) => [part, (...values: unknown[]) => call(part, values)])),
  };
  return { game: game as unknown as AnyGame, close: () => host.end('it was closed') };
}

interface Ready extends GameWords {
  readonly name: string;
  readonly needs: readonly Capability[];
  readonly parts: readonly Part[];
}

/** One thread after the other. */
class Host {
  readonly #options: HostOptions;
  readonly #blocked_ms: number;
  /** What the device objects lend, by the number that the game knows them by; for as long as their users hold them. */
  readonly #lent = new Map<number, Lent>();
  #numbers = new WeakMap<Device, number>();
  readonly #forget = new FinalizationRegistry<{ readonly thread: number; readonly number: number }>((gone) => {
    if (gone.thread === this.#thread) this.#port?.post({ type: 'drop', held: gone.number });
  });
  #count = 0;
  #thread = 0;
  #port: GamePort | null = null;
  #ready: Promise<Ready> | null = null;
  #name: string;
  #calls = new Map<number, Call>();
  #asks = new Map<number, Error | null>();
  #watch: ReturnType<typeof setInterval> | undefined;
  /** Whether the thread has answered since the last look. */
  #answered = true;
  #silent = 0;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#blocked_ms = options.blocked_ms ?? BLOCKED_MS;
    this.#name = options.word;
  }

  started(): Promise<Ready> {
    this.#ready ??= new Promise<Ready>((resolve, reject) => {
      const port = this.#options.open();
      const thread = ++this.#thread;
      this.#port = port;
      this.#under(LOADING, {
        ...{ part: 'params', judging: null, failed: reject },
        answered: (ready) => resolve(ready as Ready),
      });
      port.open(
        (message) => thread === this.#thread && this.#hear(message),
        (why) => thread === this.#thread && this.end(why),
      );
    });
    return this.#ready;
  }

  async call(part: Called, values: readonly unknown[]): Promise<unknown> {
    await this.started();
    const number = ++this.#count;
    const takes: readonly string[] = part === 'params' ? [] : PARTS[part].takes;
    const given = (crossing: string): unknown => values[takes.indexOf(crossing)];
    const signal = given('signal') as AbortSignal | undefined;
    const judging = (given('judging') as Judging | undefined) ?? null;
    const crossing = values.map((value, i) => this.#cross(value, takes[i]));
    const stop = (): void => this.#port?.post({ type: 'stop', call: number });
    try {
      const answer = await new Promise((answered, failed) => {
        this.#under(number, { part, judging, answered, failed });
        this.#port!.post({ type: 'call', call: number, part, values: crossing });
        if (signal?.aborted) stop();
        else signal?.addEventListener('abort', stop, { once: true });
      });
      if (part === 'params' || PARTS[part].gives !== 'held') return answer;
      const held = new Held(this.#thread, number);
      this.#forget.register(held, { thread: this.#thread, number });
      return held;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  #cross(value: unknown, how: string | undefined): unknown {
    if (how === 'held') return (value as Held).in(this.#thread, this.#name);
    if (how === 'signal') return null;
    if (how === 'judging') {
      const { earlier: _, ...rest } = value as Judging;
      return rest;
    }
    return how === 'device' ? this.#overThere(value as Device) : value;
  }

  #overThere(device: Device): DeviceOverThere {
    let number = this.#numbers.get(device);
    if (number === undefined) {
      number = ++this.#count;
      this.#numbers.set(device, number);
      this.#lent.set(number, lendTo(device));
    }
    const [rests, runs] = [device.rested !== undefined, device.run !== undefined];
    return { device: number, runtime: device.runtime.class, rests, runs };
  }

  #under(number: number, call: Call): void {
    this.#calls.set(number, call);
    this.#port!.hold(true);
    this.#watch ??= setInterval(() => this.#look(), this.#blocked_ms / LOOKS);
  }

  #done(number: number): Call | undefined {
    const call = this.#calls.get(number);
    this.#calls.delete(number);
    if (this.#calls.size === 0) {
      this.#port?.hold(false);
      clearInterval(this.#watch);
      this.#watch = undefined;
      this.#answered = true;
      this.#silent = 0;
    }
    return call;
  }

  /** Counts its own looks and not the time, so that a machine that slept ends nothing. */
  #look(): void {
    this.#silent = this.#answered ? 0 : this.#silent + 1;
    const loading = this.#calls.has(LOADING);
    const limit_ms = loading ? Math.max(LOADING_MS, this.#blocked_ms) : this.#blocked_ms;
    const late = this.#silent * (this.#blocked_ms / LOOKS) >= limit_ms;
    this.#answered = false;
    if (late) this.end(`has not given way for ${limit_ms / 1000} s`, 'game-late');
    else if (!loading) this.#port?.post({ type: 'ping' });
  }

  /** Ends the thread, and with it every call that is under way. */
  end(why: string, code: 'game-late' | 'game-threw' = 'game-threw'): void {
    const port = this.#port;
    const calls = [...this.#calls.values()];
    const loading = this.#calls.has(LOADING);
    for (const number of this.#calls.keys()) this.#done(number);
    this.#port = null;
    this.#ready = null;
    this.#thread++;
    this.#asks.clear();
    for (const lent of this.#lent.values()) lent.end();
    this.#lent.clear();
    this.#numbers = new WeakMap();
    port?.end();
    const parts = loading ? 'loading' : [...new Set(calls.map(({ part }) => part))].join(', ');
    const consequence = loading ? '' : '; its thread is ended, and what it was at is not done';
    const at = loading ? this.#options.word : this.#name;
    const error = new GameError(
      loading && code === 'game-threw' ? 'bad-game-file' : code,
      `${at}: ${parts}: ${why}${consequence}`,
    );
    for (const { failed } of calls) failed(error);
  }

  #hear(message: unknown): void {
    const { data: heard } = FromGameSchema.safeParse(message);
    if (!heard) this.end('said something that no game says');
    else if (heard.type === 'pong') this.#answered = true;
    else if (heard.type === 'answer') this.#done(heard.call)?.answered(heard.value);
    else if (heard.type === 'ask') void this.#give(heard);
    else if (heard.type === 'failed') {
      const ours = heard.failure.ask === null ? null : this.#asks.get(heard.failure.ask);
      this.#done(heard.call)?.failed(ours ?? errorOf(heard.failure));
    } else if (heard.type === 'ready') {
      this.#name = heard.name;
      const parts = heard.parts.filter((part): part is Part => Object.hasOwn(PARTS, part));
      const { name, needs, unit, metrics, numbers } = heard;
      this.#done(LOADING)?.answered({ name, needs, unit, metrics, numbers, parts } satisfies Ready);
    } else this.end(heard.message);
  }

  /** Answers a question. What fails here is remembered for a while: the call that it makes fail, fails with it. */
  async #give({ of, ask, what, values }: FromGame & { readonly type: 'ask' }): Promise<void> {
    const thread = this.#thread;
    if ([...this.#asks.values()].filter((error) => error === null).length >= ASKS_AT_ONCE) {
      this.end(`asked ${ASKS_AT_ONCE} things of its device without waiting for an answer`);
      return;
    }
    this.#asks.set(ask, null);
    try {
      const judging = this.#calls.get(of)?.judging;
      const value = await (what === 'earlier' && judging ? judging.earlier() : this.#asked(of, what, values));
      if (thread !== this.#thread) return;
      this.#asks.delete(ask);
      this.#port?.post({ type: 'given', ask, value });
    } catch (error) {
      if (thread !== this.#thread) return;
      this.#asks.set(ask, error as Error);
      while (this.#asks.size > ASKS_AT_ONCE) {
        const oldest = [...this.#asks].find(([, known]) => known !== null);
        if (!oldest) break;
        this.#asks.delete(oldest[0]);
      }
      this.#port?.post({ type: 'not-given', ask, failure: failureOf(error) });
    }
  }

  #asked(of: number, what: string, values: readonly unknown[]): Promise<unknown> {
    const lent = this.#lent.get(of);
    if (!lent) throw new GameError('game-nonsense', `${this.#name} asked a device that it was not given`);
    return lent.answer(what, values);
  }
}
