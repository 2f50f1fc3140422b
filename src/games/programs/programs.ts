// Programs one after the other in a thread that is ended where a run takes longer than any device should need.
import { z } from 'zod';
import { firstIssue } from '../../errors.ts';
import { GameError } from '../errors.ts';
import { LEAST_MEMORY_BYTES, type ProgramJob, type ProgramResult, type RunProgram } from './program.ts';

/** An input is what a game asks; a program is what fits into a game's own file. */
const MOST = { program_length: 1 << 18, input_bytes: 1 << 20 } as const;
const LimitsSchema = z.strictObject({
  steps: z.int().min(1).max(1_000_000_000).default(100_000_000),
  memory_bytes: z
    .int()
    .min(LEAST_MEMORY_BYTES)
    .max(1 << 28)
    .default(1 << 25),
  output_bytes: z
    .int()
    .min(1)
    .max(1 << 20)
    .default(1 << 16),
});
/** A hundredth of what a core of 2020 does. A device that is slower than that has no verdict. */
const SLOWEST_STEPS_PER_MS = 2000;
/** For a thread to begin and compile the interpreter on a busy machine. */
const BEGIN_MS = 60_000;

/** A thread that answers each job with a `ProgramAnswer`, one at a time. */
export interface ProgramThread {
  post(job: ProgramJob): void;
  open(onAnswer: (answer: ProgramAnswer) => void, onEnd: (why: string) => void): void;
  /** Whether an answer is awaited: only then it keeps the process alive. */
  hold(waited_for: boolean): void;
  end(): void;
}
export type ProgramAnswer = { readonly result: ProgramResult } | { readonly could_not: string };

/** Answers a job inside a thread. `run` is the interpreter, which may still be loading. */
export async function answerJob(
  run: Promise<(job: ProgramJob) => Promise<ProgramResult>>,
  job: ProgramJob,
): Promise<ProgramAnswer> {
  try {
    return { result: await (await run)(job) };
  } catch (error) {
    return { could_not: error instanceof Error ? error.message : String(error) };
  }
}

/** @param openThread begins a thread, when a program first runs and after one was ended */
export function openPrograms(openThread: () => ProgramThread): { readonly run: RunProgram; close(): void } {
  let thread: ProgramThread | null = null;
  let waiting: { answered(answer: ProgramAnswer): void; failed(why: string): void } | null = null;
  let queue: Promise<unknown> = Promise.resolve();
  const end = (): void => {
    thread?.end();
    thread = null;
  };
  const begun = (): ProgramThread => {
    if (thread) return thread;
    const fresh = openThread();
    fresh.open(
      (answer) => thread === fresh && waiting?.answered(answer),
      (why) => {
        if (thread !== fresh) return;
        end();
        waiting?.failed(why);
      },
    );
    thread = fresh;
    return fresh;
  };

  const runNow = async (job: ProgramJob): Promise<ProgramResult> => {
    const own = begun();
    const limit_ms = BEGIN_MS + job.limits.steps / SLOWEST_STEPS_PER_MS;
    let timer: ReturnType<typeof setTimeout> | undefined;
    own.hold(true);
    const answer = await new Promise<ProgramAnswer>((answered) => {
      const failed = (could_not: string): void => answered({ could_not });
      waiting = { answered, failed };
      timer = setTimeout(() => {
        end();
        failed(`it has taken ${Math.round(limit_ms / 1000)} s`);
      }, limit_ms);
      own.post(job);
    });
    clearTimeout(timer);
    waiting = null;
    own.hold(false);
    if ('result' in answer) return answer.result;
    throw new GameError('could-not-run', `this device could not run a program to its end: ${answer.could_not}`);
  };

  return {
    async run(program, input, limits = {}) {
      const parsed = LimitsSchema.safeParse(limits);
      if (!parsed.success) throw new GameError('game-nonsense', `run: limits: ${firstIssue(parsed.error)}`);
      const text: string | undefined = JSON.stringify(input);
      if (
        typeof program !== 'string' ||
        text === undefined ||
        new TextEncoder().encode(text).length > MOST.input_bytes
      ) {
        throw new GameError(
          'game-nonsense',
          `run: expected the text of a program and a JSON value of at most ${MOST.input_bytes} bytes`,
        );
      }
      if (program.length > MOST.program_length) {
        const message = `expected a program of at most ${MOST.program_length} characters, got ${program.length}`;
        return { kind: 'error', message, steps: 0 };
      }
      const done = queue.then(() => runNow({ program, input: text, limits: parsed.data }));
      queue = done.catch(() => {});
      return done;
    },
    close: end,
  };
}
