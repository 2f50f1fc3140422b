// A bus among objects of one process, on any clock: for tests and the simulator, which delay and lose messages, and part those who talk.
import type { Clock } from '../../protocol/clock.ts';
import type { Random } from '../../protocol/random.ts';
import type { Bus, Subscription } from './bus.ts';
import { checkPattern, checkSize, checkSubject, fits, unanswered, unheard } from './bus-subjects.ts';

/** How messages travel; it may be changed at any time. */
export interface BusWeather {
  /** One way. */
  delay_ms: number;
  /** Up to so much more; messages of one sender to one receiver stay in order. */
  jitter_ms: number;
  /** How many of a thousand messages are lost, a request and its answer being two. */
  lost_permille: number;
}

export const CALM_WEATHER: Readonly<BusWeather> = { delay_ms: 1, jitter_ms: 0, lost_permille: 0 };

export interface MemoryEngine {
  readonly weather: BusWeather;
  /**
   * The bus as one process sees it.
   * @param clock of that process: what is sent to it arrives only while this clock runs
   */
  open(name: string, clock: Clock, onError: (error: unknown) => void): Bus;
  /** A process has ended: nobody hears its subscriptions any more. */
  gone(name: string): void;
  /** Whether a process reaches the engine. It notices, at once. */
  reach(name: string, reaches: boolean): void;
  /** The engine's servers part: processes of different groups do not hear each other, and do not notice. Those in no group are one group. */
  part(groups: readonly (readonly string[])[]): void;
  /** The engine stops and starts. */
  run(running: boolean): void;
}

export function openMemoryEngine(random: Random, weather: Readonly<BusWeather> = CALM_WEATHER): MemoryEngine {
  return new Engine(random, weather);
}

/** What a process listens to. */
interface Listener {
  readonly pattern: string;
  /** null: no server, but a subscription. */
  readonly group: string | null;
  take(bytes: Uint8Array, subject: string, reply: (answer: Uint8Array) => void): void;
}

interface Addressee {
  readonly end: End;
  readonly listener: Listener;
}

class Engine implements MemoryEngine {
  readonly weather: BusWeather;
  readonly random: Random;
  running = true;
  readonly #ends = new Map<string, End>();
  #sides = new Map<string, number>();

  constructor(random: Random, weather: Readonly<BusWeather>) {
    this.random = random;
    this.weather = { ...weather };
  }

  open(name: string, clock: Clock, onError: (error: unknown) => void): Bus {
    this.gone(name); // a process that starts again under its name
    const end = new End(this, name, clock, onError);
    this.#ends.set(name, end);
    return end;
  }

  gone(name: string): void {
    const end = this.#ends.get(name);
    this.#ends.delete(name);
    if (end) end.ended = true;
  }

  reach(name: string, reaches: boolean): void {
    this.#ends.get(name)?.reach(reaches);
  }

  part(groups: readonly (readonly string[])[]): void {
    this.#sides = new Map(groups.flatMap((names, side) => names.map((name) => [name, side] as const)));
  }

  run(running: boolean): void {
    this.running = running;
    for (const end of [...this.#ends.values()]) end.notice();
  }

  /** Whether a message leaves one end for another. */
  joins(from: End, to: End): boolean {
    return from.connected && to.connected && this.#sides.get(from.name) === this.#sides.get(to.name);
  }

  /** Who listens to a subject, of the ends that `from` reaches: all subscriptions, and one server of each group. */
  addressees(from: End, subject: string): Addressee[] {
    const chosen: Addressee[] = [];
    const groups = new Map<string, Addressee[]>();
    for (const end of this.#ends.values()) {
      if (!this.joins(from, end)) continue;
      for (const listener of end.listeners) {
        if (!fits(listener.pattern, subject)) continue;
        const { group } = listener;
        if (group === null) chosen.push({ end, listener });
        else groups.set(group, [...(groups.get(group) ?? []), { end, listener }]);
      }
    }
    for (const members of groups.values()) chosen.push(members[this.random.below(members.length)]);
    return chosen;
  }
}

class End implements Bus {
  readonly name: string;
  readonly listeners = new Set<Listener>();
  readonly queued_bytes = 0;
  ended = false;
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #onConnected: ((connected: boolean) => void)[] = [];
  #reaches = true;
  #told: boolean;
  /** When the last message of each sender arrives, by its name. */
  readonly #arrives_ms = new Map<string, number>();

  constructor(engine: Engine, name: string, clock: Clock, onError: (error: unknown) => void) {
    this.#engine = engine;
    this.name = name;
    this.#clock = clock;
    this.#onError = onError;
    this.#told = this.connected;
  }

  get connected(): boolean {
    return !this.ended && this.#reaches && this.#engine.running;
  }

  reach(reaches: boolean): void {
    this.#reaches = reaches;
    this.notice();
  }

  notice(): void {
    if (this.ended || this.connected === this.#told) return;
    this.#told = this.connected;
    for (const listener of this.#onConnected) listener(this.#told);
  }

  onConnected(listener: (connected: boolean) => void): void {
    this.#onConnected.push(listener);
  }

  publish(subject: string, bytes: Uint8Array): void {
    checkSubject(subject);
    checkSize(subject, bytes);
    if (!this.connected) return;
    for (const { end, listener } of this.#engine.addressees(this, subject)) {
      this.#bring(end, () => end.listeners.has(listener) && listener.take(bytes.slice(), subject, () => {}));
    }
  }

  subscribe(pattern: string, onMessage: (bytes: Uint8Array, subject: string) => void): Subscription {
    checkPattern(pattern);
    return this.#listen({ pattern, group: null, take: onMessage });
  }

  serve(subject: string, group: string, answer: (bytes: Uint8Array) => Promise<Uint8Array>): Subscription {
    checkSubject(subject);
    const take: Listener['take'] = (bytes, _, reply) => void answer(bytes).then(reply).catch(this.#onError);
    return this.#listen({ pattern: subject, group, take });
  }

  request(subject: string, bytes: Uint8Array, timeout_ms: number): Promise<Uint8Array> {
    checkSubject(subject);
    return new Promise((resolve, reject) => {
      checkSize(subject, bytes);
      if (!this.connected) throw unheard(subject, 'but the bus cannot be reached');
      const servers = this.#engine.addressees(this, subject).filter(({ listener }) => listener.group !== null);
      if (servers.length === 0) throw unheard(subject, 'but nobody serves it');
      const timer = this.#clock.setTimeout(() => reject(unanswered(subject, timeout_ms)), timeout_ms);
      for (const { end, listener } of servers) {
        const reply = (answer: Uint8Array): void => {
          checkSize(subject, answer);
          if (!this.#engine.joins(end, this)) return;
          end.#bring(this, () => {
            this.#clock.clearTimeout(timer);
            resolve(answer.slice());
          });
        };
        this.#bring(end, () => {
          if (end.listeners.has(listener)) listener.take(bytes.slice(), subject, reply);
        });
      }
    });
  }

  async flushed(): Promise<void> {
    if (!this.connected) throw unheard('the bus', 'but it cannot be reached');
  }

  async close(): Promise<void> {
    if (!this.ended) this.#engine.gone(this.name);
  }

  #listen(listener: Listener): Subscription {
    this.listeners.add(listener);
    return { close: () => void this.listeners.delete(listener) };
  }

  /** Has something happen at another end when a message from here arrives there, unless it is lost on the way. */
  #bring(to: End, arrived: () => void): void {
    const { weather, random } = this.#engine;
    if (random.below(1000) < weather.lost_permille) return;
    const now_ms = to.#clock.elapsed_ms();
    const travelled_ms = now_ms + weather.delay_ms + random.below(weather.jitter_ms + 1);
    const arrives_ms = Math.max(travelled_ms, to.#arrives_ms.get(this.name) ?? 0);
    to.#arrives_ms.set(this.name, arrives_ms);
    to.#clock.setTimeout(() => {
      if (!to.connected) return;
      try {
        arrived();
      } catch (error) {
        to.#onError(error);
      }
    }, arrives_ms - now_ms);
  }
}
