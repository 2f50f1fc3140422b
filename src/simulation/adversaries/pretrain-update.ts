// Forged updates for pre-training, in the form that its game reads.
import type { Claim } from '../../games/game.ts';
import type { PretrainParams } from '../../games/pretrain.ts';
import { decodeWork, encodeWork } from '../../games/pretrain-work.ts';
import { type ParameterSpec, parameterSpecs } from '../../model/config.ts';
import type { Random } from '../../protocol/random.ts';
import {
  compressUpdate,
  decodeUpdate,
  encodeUpdate,
  type SparseTensor,
  type SparseUpdate,
} from '../../training/sparse.ts';

/** A claim with the steps, the tokens and as many losses as a whole round has: those that were done, again and again. */
export function fullClaim({ inner_steps, batch, context }: PretrainParams, claim: Claim): Claim {
  const { state, losses, update } = decodeWork(claim.work);
  const all = Array.from({ length: inner_steps }, (_, i) => losses[i % losses.length]);
  const loss_micro = Math.round((all.reduce((a, b) => a + b, 0) / inner_steps) * 1e6);
  const work = encodeWork(state, all, update);
  return { work, steps: inner_steps, tokens: inner_steps * batch * context, loss_micro };
}

/** Work whose update is another one; what else it says stays. */
export function editUpdate(
  { model, sparse }: PretrainParams,
  { work }: Claim,
  edit: (update: SparseUpdate, specs: readonly ParameterSpec[]) => SparseUpdate,
): Uint8Array {
  const specs = parameterSpecs(model);
  const { state, losses, update } = decodeWork(work);
  return encodeWork(state, [...losses], encodeUpdate(specs, edit(decodeUpdate(specs, update, sparse), specs), sparse));
}

/** Another table for every weight. */
export function mapTables(update: SparseUpdate, change: (value: number) => number): SparseUpdate {
  return new Map(
    [...update].map(([name, tensor]) => [name, { ...tensor, table: tensor.table.map((value) => change(value)) }]),
  );
}

/** What steps of the usual size would have changed, were they steps. */
const USUAL_CHANGE = 1e-3;

export function randomUpdate(params: PretrainParams, claim: Claim, random: Random): Uint8Array {
  return editUpdate(params, claim, (_, specs) => {
    const delta = specs.map(({ name, shape }) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, Float32Array.from({ length: size }, () => (random.uint32() / 2 ** 31 - 1) * USUAL_CHANGE)] as const;
    });
    return compressUpdate(specs, new Map(delta), new Map(), params.sparse);
  });
}

/** The smallest values that the form has: an update of exact zeros has no codes. */
export function emptyUpdate(params: PretrainParams, claim: Claim): Uint8Array {
  return editUpdate(params, claim, (_, specs) => {
    const nothing = specs.map(({ name, shape }) => [name, new Float32Array(shape.reduce((a, b) => a * b, 1))] as const);
    return compressUpdate(specs, new Map(nothing), new Map(), params.sparse);
  });
}

/** One kept value in so many points the other way. */
const BLURRED_ONE_IN = 10;

export function blurUpdate(params: PretrainParams, claim: Claim, random: Random): Uint8Array {
  return editUpdate(params, claim, (update) => flipSome(update, () => random.below(BLURRED_ONE_IN) === 0));
}

/** Turns the codes of chosen values to their opposite where the table has one. */
export function flipSome(update: SparseUpdate, chosen: () => boolean): SparseUpdate {
  return new Map(
    [...update].map(([name, tensor]): [string, SparseTensor] => {
      const opposite = tensor.table.map((value) => tensor.table.findIndex((other) => other === -value && other !== 0));
      const codes = tensor.codes.map((code) => (opposite[code] >= 0 && chosen() ? opposite[code] : code));
      return [name, { ...tensor, codes }];
    }),
  );
}
