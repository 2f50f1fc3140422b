// An engine in a child process that is started again when it dies: after a pause that grows, and not for ever.
import { type Clock, systemClock, type Timer } from '../protocol/clock.ts';
import type { JudgingServer } from './answer-server.ts';
import { type EngineProcess, openEngineProcess } from './engine-process.ts';
import type { EngineSettings } from './engine-process-messages.ts';
import { ServingError } from './errors.ts';
import { checkHash } from './open-gguf.ts';

export const KEPT_LIMITS = {
  first_pause_ms: 500, // doubled with each death in the window: memory that was short has a moment to come back
  most_deaths: 5, // in the window: what ends an engine so often ends it again
  window_ms: 600_000,
} as const;

export interface KeptEngineOptions {
  /** See EngineProcessOptions. */
  readonly memory_bytes?: number;
  readonly clock?: Clock;
  readonly open?: typeof openEngineProcess;
  /** Hears of each death and what comes next, and that a child is there again. */
  onNews?(message: string): void;
  /** Hears whether there is a child, when that has changed. */
  onUp?(isUp: boolean): void;
}

/** One model that a child serves, whichever child it is now. */
export interface KeptEngine extends JudgingServer, Pick<EngineProcess, 'model' | 'class' | 'cache_tokens' | 'places'> {
  /** The child's; null: there is none now. */
  readonly pid: number | null;
  /** Also of children that come later. */
  setThreads(threads: number): void;
}

/**
 * Starts a child and has it load the model; throws what `openEngineProcess` throws. Answers that a child was writing when it died end with
 * ServingError `engine-ended`; so does what is asked until the next one has loaded the model, with the time after which to ask again.
 */
export async function keepEngine(settings: EngineSettings, options: KeptEngineOptions = {}): Promise<KeptEngine> {
  const open = options.open ?? openEngineProcess;
  return new Kept(settings, options, await open(settings, options));
}

class Kept implements KeptEngine {
  readonly model: EngineProcess['model'];
  readonly class: string;
  readonly cache_tokens: number;
  readonly places: number;
  readonly #options: KeptEngineOptions;
  readonly #clock: Clock;
  #settings: EngineSettings;
  #child: EngineProcess | null = null;
  /** Why there is no child, and when there will be one; null: never again. */
  #down: { readonly why: string; readonly until_ms: number | null } | null = null;
  /** When children have died, within the window. */
  #deaths_ms: number[] = [];
  #timer: Timer;
  #starting: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  constructor(settings: EngineSettings, options: KeptEngineOptions, first: EngineProcess) {
    this.#settings = settings;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    ({ model: this.model, class: this.class, cache_tokens: this.cache_tokens, places: this.places } = first);
    this.#has(first);
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  models = () => [this.model];

  answer: KeptEngine['answer'] = (request, signal) => this.#up().answer(request, signal);

  embed: KeptEngine['embed'] = async (request, signal) => this.#up().embed(request, signal);

  judge: KeptEngine['judge'] = async (task, signal) => this.#up().judge(task, signal);

  setThreads(threads: number): void {
    this.#settings = { ...this.#settings, threads };
    this.#child?.setThreads(threads);
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#clock.clearTimeout(this.#timer);
      await this.#starting;
      await this.#child?.close();
    })();
    return this.#closing;
  }

  #up(): EngineProcess {
    if (this.#child) return this.#child;
    if (this.#closing) throw new ServingError('interrupted', 'this server is going down');
    const { why, until_ms } = this.#down!;
    if (until_ms === null) throw new ServingError('engine-ended', why);
    const retry_after_ms = Math.max(KEPT_LIMITS.first_pause_ms, until_ms - this.#clock.elapsed_ms());
    throw new ServingError('engine-ended', why, { retry_after_ms });
  }

  #has(child: EngineProcess): void {
    this.#child = child;
    this.#down = null;
    void child.ended.then((why) => {
      this.#child = null;
      if (!this.#closing) this.#died(why);
    });
  }

  #died(why: string): void {
    const { first_pause_ms, most_deaths, window_ms } = KEPT_LIMITS;
    const now_ms = this.#clock.elapsed_ms();
    this.#deaths_ms = [...this.#deaths_ms.filter((then_ms) => now_ms - then_ms < window_ms), now_ms];
    const deaths = this.#deaths_ms.length;
    const what = `the engine of ${this.model.name} has ended: ${why}`;
    if (deaths >= most_deaths) {
      const often = `it has ended ${deaths} times in ${window_ms / 60_000} minutes and stays down until this server is started again`;
      this.#down = { why: `${what}; ${often}`, until_ms: null };
    } else {
      const pause_ms = first_pause_ms * 2 ** (deaths - 1);
      this.#down = { why: `${what}; it starts again in ${pause_ms / 1000} s`, until_ms: now_ms + pause_ms };
      this.#timer = this.#clock.setTimeout(() => this.#start(), pause_ms);
    }
    this.#options.onUp?.(false);
    this.#options.onNews?.(this.#down.why);
  }

  async #open(): Promise<EngineProcess> {
    const { model } = this.#settings;
    // Under its hash callers were promised the file that it was.
    if (model.kind === 'gguf') await checkHash(model.path, model.hash);
    return (this.#options.open ?? openEngineProcess)(this.#settings, this.#options);
  }

  #start(): void {
    this.#starting = this.#open().then(
      (child) => {
        this.#has(child);
        this.#options.onUp?.(true);
        this.#options.onNews?.(`the engine of ${this.model.name} has started again`);
      },
      (error: Error) => {
        if (!this.#closing) this.#died(error.message);
      },
    );
  }
}
