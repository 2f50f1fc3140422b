// An engine of `bench compute` as a child process that is idle except while it runs the steps it is told to.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { BenchError } from './errors.ts';

const Ready = z.object({ about: z.string(), idle_bytes: z.number().positive() });
const Measured = z.object({
  times_ms: z.array(z.number().positive()).min(1),
  loss: z.number(),
  peak_bytes: z.number().positive(),
});

export type Measured = z.infer<typeof Measured>;

export class EngineProcess {
  readonly name: string;
  /** What the engine says it is, once it is ready. */
  about = '';
  /** What it had in memory before it had a model. */
  idle_bytes = 0;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<void>;
  #errors = '';

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    child.on('error', (error) => {
      this.#errors += error.message;
    });
    this.#closed = new Promise((resolve) => child.once('close', () => resolve()));
    child.stdin!.on('error', () => {}); // the missing answer shows that the child has ended
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /** Starts the command and waits until it is ready for steps. Throws engine-failed with what it wrote to stderr. */
  static async start(name: string, command: string, args: readonly string[]): Promise<EngineProcess> {
    const engine = new EngineProcess(name, spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] }));
    return Object.assign(engine, await engine.#answer(Ready));
  }

  async run(steps: number): Promise<Measured> {
    this.#child.stdin!.write(`${JSON.stringify({ steps })}\n`);
    return this.#answer(Measured);
  }

  /** Ends the child and waits until it is gone. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return;
    this.#child.kill('SIGKILL'); // its memory is read, nothing of it is kept
    await this.#closed;
  }

  async #answer<T>(schema: z.ZodType<T>): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) {
      await this.#closed; // until then it may still write an error
      const reason = this.#errors.trim().split('\n').at(-1) || 'no message';
      throw new BenchError('engine-failed', `the engine ${this.name} has ended: ${reason}`);
    }
    try {
      return schema.parse(JSON.parse(value));
    } catch {
      throw new BenchError(
        'engine-failed',
        `the engine ${this.name} should answer in JSON, got ${value.slice(0, 100)}`,
      );
    }
  }
}
