// What the entries of a transcript come to: a worker tells it, and judges count it again.
import type { Told } from '../game.ts';
import { amountOf, type PipelineParams, type StagePlan } from './params.ts';
import type { Entry } from './work.ts';

export class Tally {
  readonly #params: PipelineParams;
  readonly #plan: StagePlan;
  steps = 0;
  /** Micro-batches that went forward and back. */
  micro_batches = 0;
  /** Micro-batches that were taken forward and have not come back. */
  #forward = 0;
  readonly #losses = { sum_micro: 0, count: 0 };

  constructor(params: PipelineParams, plan: StagePlan) {
    this.#params = params;
    this.#plan = plan;
  }

  add(entry: Entry): void {
    if (entry.kind === 'step') this.steps++;
    else if (entry.kind === 'forward') this.#forward++;
    else this.micro_batches++;
    if (entry.kind === 'backward') this.#forward--;
    if (entry.kind !== 'learn') return;
    this.#losses.sum_micro += entry.loss_micro;
    this.#losses.count++;
  }

  told(): Told {
    const { micro_batches, steps } = this;
    const { sum_micro, count } = this.#losses;
    const numbers: Record<string, number> = { micro_batches, steps };
    if (count > 0) numbers.loss_micro = Math.round(sum_micro / count);
    return { amount: amountOf(this.#params, this.#plan, { finished: micro_batches, forward: this.#forward }), numbers };
  }
}
