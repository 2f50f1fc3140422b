// Sequences of llama.cpp that append at the same time, as one batch after the other. All calls that touch the cache are made here, one by one:
// llama.cpp computes in a thread of its own, and must not be told of a rewind meanwhile.
import { ServingError } from './errors.ts';
import type { LlamaContext, LlamaSampler } from './llama-package.ts';

/** Tokens to be appended by one call. */
interface Job {
  readonly place: number;
  readonly tokens: Uint32Array;
  /** Of the first token in the sequence. */
  readonly position: number;
  /** Whether the logits after every token are asked for, or those after the last one. */
  readonly all: boolean;
  readonly logits: Float32Array;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (logits: Float32Array) => void;
  readonly reject: (reason: unknown) => void;
  done: number;
}

interface Part {
  readonly job: Job;
  readonly tokens: Uint32Array;
  /** Where the logits of the part stand in the job's, and in the batch. */
  readonly rows: readonly number[];
  places: Uint32Array;
}

export class LlamaBatches {
  readonly #context: LlamaContext;
  readonly #sampler: LlamaSampler;
  readonly #vocab_size: number;
  readonly #batch_tokens: number;
  #jobs: Job[] = [];
  /** Work on the cache that waits for the batch that is being computed. */
  #between: (() => void)[] = [];
  #running: Promise<void> | null = null;
  /** The context will be gone: nothing may touch it any more. */
  #stopped: { readonly reason: unknown } | null = null;

  constructor(context: LlamaContext, sampler: LlamaSampler, vocab_size: number, batch_tokens: number) {
    this.#context = context;
    this.#sampler = sampler;
    this.#vocab_size = vocab_size;
    this.#batch_tokens = batch_tokens;
  }

  /** The logits after the last token, or after each. Rejects with the signal's reason within a batch; then the cache ends at `position` again. */
  append(
    place: number,
    position: number,
    tokens: Uint32Array,
    all: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    if (this.#stopped) return Promise.reject(this.#stopped.reason);
    const logits = new Float32Array((all ? tokens.length : 1) * this.#vocab_size);
    return new Promise((resolve, reject) => {
      this.#jobs.push({ place, tokens, position, all, logits, signal, resolve, reject, done: 0 });
      this.#go();
    });
  }

  /** Forgets what a sequence holds from `length` on, before its next batch. */
  truncate(place: number, length: number): void {
    if (this.#stopped) return;
    this.#between.push(() => this.#remove(place, length));
    this.#go();
  }

  /** Resolves once nothing is being computed, nor ever will be; what is not done is rejected with `reason`. */
  async stop(reason: unknown): Promise<void> {
    this.#stopped ??= { reason };
    for (const { reject } of this.#jobs.splice(0)) reject(reason);
    this.#between = [];
    await this.#running;
  }

  #remove(place: number, length: number): void {
    if (!this.#context.removeTokenCellsFromSequence(place, length, -1)) {
      throw new Error(`llama.cpp did not give back what follows token ${length}`);
    }
  }

  #go(): void {
    // Whoever appends in this turn of the event loop shares the batch.
    this.#running ??= Promise.resolve()
      .then(() => this.#run())
      .finally(() => {
        this.#running = null;
        if (this.#jobs.length > 0 || this.#between.length > 0) this.#go();
      });
  }

  async #run(): Promise<void> {
    while (this.#jobs.length > 0 || this.#between.length > 0) {
      for (const work of this.#between.splice(0)) work();
      this.#dropAborted();
      const parts = this.#nextParts();
      if (parts.length === 0) continue;
      try {
        await this.#compute(parts);
      } catch (error) {
        this.#fail(parts, error);
        continue;
      }
      for (const { job, tokens } of parts) {
        job.done += tokens.length;
        if (job.done < job.tokens.length || this.#stopped) continue;
        this.#jobs.splice(this.#jobs.indexOf(job), 1);
        job.resolve(job.logits);
      }
    }
  }

  #dropAborted(): void {
    for (const job of this.#jobs.filter(({ signal }) => signal?.aborted)) this.#end(job, job.signal!.reason);
  }

  #fail(parts: readonly Part[], error: unknown): void {
    const fact = error instanceof Error ? error.message : String(error);
    for (const { job } of parts) this.#end(job, new ServingError('engine-ended', `llama.cpp: ${fact}`));
  }

  #end(job: Job, reason: unknown): void {
    if (this.#stopped) return;
    this.#jobs.splice(this.#jobs.indexOf(job), 1);
    this.#remove(job.place, job.position);
    job.reject(reason);
  }

  /** An equal share of the batch for each sequence; what one does not need goes to the next. */
  #nextParts(): Part[] {
    let left = this.#batch_tokens;
    return this.#jobs.slice(0, left).map((job, i, jobs) => {
      const share = Math.ceil(left / (jobs.length - i));
      const tokens = job.tokens.subarray(job.done, job.done + share);
      left -= tokens.length;
      const isLast = job.done + tokens.length === job.tokens.length;
      const rows = job.all ? Array.from(tokens.keys(), (at) => job.done + at) : isLast ? [0] : [];
      return { job, tokens, rows, places: new Uint32Array() };
    });
  }

  async #compute(parts: readonly Part[]): Promise<void> {
    this.#context.initBatch(parts.reduce((sum, { tokens }) => sum + tokens.length, 0));
    for (const part of parts) {
      const { job, tokens, rows } = part;
      const wanted = job.all ? Uint32Array.from(tokens.keys()) : Uint32Array.from(rows, () => tokens.length - 1);
      part.places = this.#context.addToBatch(job.place, job.position + job.done, tokens, wanted);
    }
    await this.#context.decodeBatch();
    for (const { job, rows, places } of parts) {
      for (const [i, row] of rows.entries()) {
        const into = job.logits.subarray(row * this.#vocab_size, (row + 1) * this.#vocab_size);
        const [, , , pairs] = await this.#context.sampleToken(places[i], this.#sampler, false, false, true);
        if (pairs?.length !== 2 * into.length) {
          throw new Error(`expected ${into.length} logits, got ${(pairs?.length ?? 0) / 2}`);
        }
        for (let at = 0; at < pairs.length; at += 2) into[pairs[at]] = pairs[at + 1];
      }
    }
  }
}
