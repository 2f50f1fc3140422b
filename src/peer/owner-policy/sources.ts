// What a probe is made of: sources that are asked again and again, each in its own time, and what becomes of one that hangs or fails.
import { execFile } from 'node:child_process';
import type { Clock } from '../../protocol/clock.ts';
import { nothingSeen, type Signal, type SignalName, type Signals } from './signals.ts';

export interface Source {
  /** What it tells; where it does not answer, these are unknown. */
  readonly tells: readonly SignalName[];
  /** A function where it depends on what is set. */
  readonly every_ms: number | (() => number);
  read(): Promise<Partial<Signals>>;
}

export interface Probe {
  /** Resolves when every source has answered once or has had its time. */
  readonly ready: Promise<void>;
  now(): Signals;
  close(): void;
}

/** Sources are asked at the same moments: to wake up costs more than most of what is then read. */
const TICK_MS = 500;

/** The last tick that comes at most so long after a moment. Timers may come a little early. */
export function tickAt(begun_ms: number, every_ms: number): number {
  const tick_ms = Math.min(TICK_MS, every_ms);
  return Math.floor((begun_ms + every_ms + TICK_MS / 10) / tick_ms) * tick_ms;
}

const everyMs = ({ every_ms }: Source): number => (typeof every_ms === 'number' ? every_ms : every_ms());

/** A source that needs longer hangs; its signals are unknown until it answers. */
const ANSWER_MS = 3000;

/** Asks all sources for as long as it is open; `onNews` hears of each answer. A signal that no source tells is absent. */
export function openProbe(sources: readonly Source[], clock: Clock, onNews: () => void = () => {}): Probe {
  const signals = nothingSeen('this system does not tell');
  const timers = new Map<Source, unknown>();
  let closed = false;

  const ask = async (source: Source): Promise<void> => {
    const begun_ms = clock.elapsed_ms();
    const put = (told: Partial<Signals>): void => {
      if (closed) return;
      for (const name of source.tells) {
        const one = told[name] ?? { unknown: 'the system gave no answer' };
        Object.assign(signals, { [name]: one });
      }
      onNews();
    };
    const unknown = (why: string): Partial<Signals> =>
      Object.fromEntries(source.tells.map((name) => [name, { unknown: why }])) as Partial<Signals>;
    let late: unknown;
    const inTime = new Promise<void>((resolve) => {
      late = clock.setTimeout(() => {
        put(unknown(`no answer within ${ANSWER_MS / 1000} s`));
        resolve();
      }, ANSWER_MS);
    });
    // One that hangs is not asked again before it has answered: there would be more and more of it.
    const answered = source
      .read()
      .then(put, (error: unknown) => put(unknown(error instanceof Error ? error.message : String(error))))
      .finally(() => {
        clock.clearTimeout(late);
        if (closed) return;
        const wait_ms = Math.max(0, tickAt(begun_ms, everyMs(source)) - clock.elapsed_ms());
        timers.set(
          source,
          clock.setTimeout(() => void ask(source), wait_ms),
        );
      });
    await Promise.race([answered, inTime]);
  };

  for (const { tells } of sources) {
    for (const name of tells) Object.assign(signals, { [name]: { unknown: 'not asked yet' } });
  }
  return {
    ready: Promise.all(sources.map(ask)).then(() => {}),
    now: () => ({ ...signals }),
    close() {
      closed = true;
      for (const timer of timers.values()) clock.clearTimeout(timer);
    },
  };
}

/** What a command said, or why it said nothing. `missing`: there is no such command here. */
export type Said = { readonly text: string } | { readonly missing: true } | { readonly failed: string };

export type Run = (command: string, ...args: string[]) => Promise<Said>;

const COMMAND_LIMITS = {
  time_ms: ANSWER_MS - 500, // so that what is said is the command's name
  output_bytes: 1 << 20,
  missing_ms: 600_000, // one that is not here is hardly installed meanwhile, and asking costs
} as const;

/** Commands that are not here, and until when that is believed. */
const missing = new Map<string, number>();

/** Runs a command of the system, for at most 2.5 s. Its words are always English. */
export const runCommand: Run = (command, ...args) =>
  new Promise((resolve) => {
    if (performance.now() < (missing.get(command) ?? 0)) return resolve({ missing: true });
    const { time_ms: timeout, output_bytes: maxBuffer } = COMMAND_LIMITS;
    const env = { ...process.env, LC_ALL: 'C' };
    execFile(
      command,
      args,
      { timeout, maxBuffer, env, killSignal: 'SIGKILL', windowsHide: true },
      (error, stdout, stderr) => {
        if (!error) return resolve({ text: stdout });
        if (error.code === 'ENOENT') {
          missing.set(command, performance.now() + COMMAND_LIMITS.missing_ms);
          return resolve({ missing: true });
        }
        const [line] = stderr.trim().split('\n');
        resolve({
          failed: error.killed
            ? `${command} did not answer within ${timeout / 1000} s`
            : `${command}: ${line || error.message.split('\n')[0]}`,
        });
      },
    );
  });

/** A number within bounds, or unknown: what no device can have says that whoever measured it is wrong. */
export function within(value: number, least: number, most: number, what: string): Signal<number> {
  return value >= least && value <= most
    ? { known: value }
    : { unknown: `${what}: expected ${least} to ${most}, got ${value}` };
}
