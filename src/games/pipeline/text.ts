// The text of a round's micro-batches: it follows from the round's seed and from who makes them, so everybody can say whether one has its own.
import type { Device, Round } from '../game.ts';
import { openData, WORKER_DATA } from '../pretrain/device.ts';
import { dataOf } from './device.ts';
import type { Windows } from './messages.ts';
import type { PipelineParams } from './params.ts';
import type { MicroBatch } from './work.ts';

export class RoundText {
  readonly #params: PipelineParams;
  readonly #round: Round;
  readonly #device: Device;
  readonly #opened = new Map<string, Promise<(number: number) => Promise<Windows>>>();

  constructor(params: PipelineParams, round: Round, device: Device) {
    this.#params = params;
    this.#round = round;
    this.#device = device;
  }

  /** What the round gives a maker for this micro-batch. Rejects when the text cannot be had. */
  async of({ origin, number }: MicroBatch): Promise<Windows> {
    const batch = await (this.#opened.get(origin) ?? this.#open(origin));
    return batch(number);
  }

  /** Whether a micro-batch has the text that the round gives its maker. Rejects when that cannot be had. */
  async isOf(of: MicroBatch, { tokens, targets }: Windows): Promise<boolean> {
    const given = await this.of(of);
    const isSame = (a: Int32Array, b: Int32Array): boolean => a.length === b.length && a.every((id, i) => id === b[i]);
    return isSame(tokens, given.tokens) && isSame(targets, given.targets);
  }

  #open(origin: string): Promise<(number: number) => Promise<Windows>> {
    const opening = openData(this.#device, dataOf(this.#params), this.#round, origin, WORKER_DATA).then(
      ({ batch }) => batch,
    );
    this.#opened.set(origin, opening);
    opening.catch(() => this.#opened.delete(origin)); // the caller sees the error; the next who asks tries again
    return opening;
  }
}
