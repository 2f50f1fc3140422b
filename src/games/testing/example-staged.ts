// A game in stages for tests: three tensors, each in a part of its own because the middle one fills one; a round adds what was handed in to the last.
import { z } from 'zod';
import { ModelError } from '../../model/errors.ts';
import { PART_BYTES, type TensorSpec } from '../../model/tensor-manifest.ts';
import { sizeOf } from '../../tensor/shape.ts';
import type { AcceptedWork, AnyGame, CutTensors } from '../game.ts';

export const STAGED_SPECS: readonly TensorSpec[] = [
  { name: 'first', dtype: 'f32', shape: [4] },
  { name: 'large', dtype: 'f32', shape: [PART_BYTES / 4] },
  { name: 'learned', dtype: 'f32', shape: [3] },
];

export const stagedWeights = () =>
  new Map(STAGED_SPECS.map(({ name, shape }, i) => [name, new Float32Array(sizeOf(shape)).fill(i + 0.5)]));

const added = (accepted: readonly AcceptedWork[]): number =>
  accepted.reduce((sum, { work, weight }) => {
    if (work.length !== 1) throw new ModelError('wrong-weights', `expected one byte of work, got ${work.length}`);
    return sum + work[0] * weight;
  }, 0);

const more = ({ name }: TensorSpec, before: Float32Array, by: number): Float32Array =>
  name === 'learned' ? before.map((value) => value + by) : before.slice();

/** @param steps whether its merges are steps, each of which leaves a quarter out until the next */
export const stagedGame = (steps = false): AnyGame =>
  ({
    ...{ name: 'staged', unit: 'bytes', metrics: [], params: z.strictObject({}) },
    stages: () => 2,
    tensors: () => STAGED_SPECS,
    sizes: () => ({ max_bytes: 8, dense_bytes: 8 }),
    checkForm: (_params: unknown, work: Uint8Array) => void added([{ work, weight: 1 }]),
    openMerge(_params: unknown, accepted: readonly AcceptedWork[]) {
      const by = added(accepted);
      return (spec: TensorSpec, before: Float32Array) => more(spec, before, by);
    },
    ...(steps && {
      openCut(_params: unknown, accepted: readonly AcceptedWork[]): CutTensors {
        const by = added(accepted);
        let all = 0;
        return {
          tensor(spec, rest) {
            const left = rest ?? new Float32Array(sizeOf(spec.shape));
            if (spec.name !== 'learned') return left.slice();
            all = by + left[0];
            return left.map(() => all / 4);
          },
          step: () => new Uint8Array(Float32Array.of((all * 3) / 4).buffer),
        };
      },
      openFollow(_params: unknown, step: Uint8Array) {
        const [by] = new Float32Array(step.slice().buffer);
        return (spec: TensorSpec, before: Float32Array) => more(spec, before, by);
      },
    }),
  }) as unknown as AnyGame;
