// The journal of a simulated hub of several processes: objects that are created once, over lines that lose, delay and refuse; and the moments of
// a write at which the writer is killed.
import type { CreateOnlyObjects } from '../../ledger/object-journal.ts';
import type { Random } from '../../protocol/random.ts';
import type { VirtualTime } from '../virtual-time.ts';
import type { StoppableProcess } from './stopped-process.ts';

/** When a writer dies: before its request arrives, when the batch is there and no answer is, or with the answer, before it tells anybody. */
export const KILL_POINTS = ['before-put', 'after-put', 'after-answer'] as const;
export type KillPoint = (typeof KILL_POINTS)[number];

export interface JournalWeather {
  /** Of a hundred creations so many are refused, so many take effect without an answer, so many take effect later. */
  refused_percent: number;
  lost_percent: number;
  late_percent: number;
  /** Each way takes so much longer. */
  slow_ms: number;
}
export const CALM_JOURNAL: Readonly<JournalWeather> = {
  refused_percent: 0,
  lost_percent: 0,
  late_percent: 0,
  slow_ms: 0,
};

const WAY_MS = 8;
/** A request without an answer is given up after so long. */
const NO_ANSWER_MS = 3000;
const LATEST_MS = 12_000;
/** A writer that is killed with the answer still runs so many turns of its promises at most: some before it has told anybody, some after. */
const MOST_TURNS = 60;

export class SharedJournal {
  readonly objects = new Map<string, Uint8Array>();
  /** Which process has created an object. */
  readonly writers = new Map<string, StoppableProcess>();
  readonly weather: JournalWeather = { ...CALM_JOURNAL };
  /** The machines that do not reach it. */
  readonly cut = new Set<string>();
  /** Kills the next writer that comes to this point. */
  armed: KillPoint | null = null;
  /** Called with each object when it is created. */
  onCreated: (name: string, bytes: Uint8Array) => void = () => {};
  onKill: (process: StoppableProcess, point: KillPoint) => void = () => {};
  readonly #time: VirtualTime;
  readonly #random: Random;

  constructor(time: VirtualTime, random: Random) {
    this.#time = time;
    this.#random = random;
  }

  /** The objects as a process on one machine sees them. What it has sent arrives also when it dies meanwhile. */
  at(machine: string, process: StoppableProcess): CreateOnlyObjects {
    return {
      create: (name, bytes) => this.#create(machine, process, name, bytes.slice()),
      get: (name) =>
        new Promise((resolve, reject) => {
          this.#time.after(this.#way(), () => {
            if (this.cut.has(machine)) process.after(NO_ANSWER_MS, () => reject(new Error('planted: no answer')));
            else if (this.#draws(this.weather.refused_percent))
              this.#answer(process, () => reject(new Error('planted: 503')));
            else this.#answer(process, () => resolve(this.objects.get(name)?.slice() ?? null));
          });
        }),
    };
  }

  #create(machine: string, process: StoppableProcess, name: string, sent: Uint8Array): Promise<'created' | 'exists'> {
    return new Promise((resolve, reject) => {
      if (this.#kills(process, 'before-put')) return;
      this.#time.after(this.#way(), () => {
        const { weather } = this;
        const unanswered = (): void => void process.after(NO_ANSWER_MS, () => reject(new Error('planted: no answer')));
        if (this.cut.has(machine)) return unanswered();
        if (this.#draws(weather.refused_percent)) return this.#answer(process, () => reject(new Error('planted: 503')));
        if (this.#draws(weather.late_percent)) {
          this.#time.after(this.#random.below(LATEST_MS), () => this.#put(process, name, sent));
          return unanswered();
        }
        const answer = this.#put(process, name, sent);
        if (this.#kills(process, 'after-put')) return;
        if (this.#draws(weather.lost_percent)) return unanswered();
        this.#answer(process, () => {
          resolve(answer);
          if (this.armed === 'after-answer') this.#killIn(process, this.#random.below(MOST_TURNS));
        });
      });
    });
  }

  #put(process: StoppableProcess, name: string, bytes: Uint8Array): 'created' | 'exists' {
    if (this.objects.has(name)) return 'exists';
    this.objects.set(name, bytes);
    this.writers.set(name, process);
    this.onCreated(name, bytes);
    return 'created';
  }

  #kills(process: StoppableProcess, point: KillPoint): boolean {
    if (this.armed !== point || !process.alive) return false;
    this.armed = null;
    this.onKill(process, point);
    return true;
  }

  #killIn(process: StoppableProcess, turns: number): void {
    if (turns === 0) this.#kills(process, 'after-answer');
    else queueMicrotask(() => this.#killIn(process, turns - 1));
  }

  #answer(process: StoppableProcess, give: () => void): void {
    process.after(this.#way(), give);
  }

  #draws(percent: number): boolean {
    return this.#random.below(100) < percent;
  }

  #way(): number {
    return 1 + this.#random.below(WAY_MS) + this.weather.slow_ms / 2;
  }
}
