// Forged updates for pre-training, in the form that its game reads.
import type { AnyGame, Claim } from '../../games/game.ts';
import type { PretrainParams } from '../../games/pretrain/params.ts';
import { decodeWork, encodeWork } from '../../games/pretrain/work.ts';
import { type ParameterSpec, parameterSpecs } from '../../model/config.ts';
import type { Random } from '../../protocol/random.ts';
import {
  compressUpdate,
  decodeUpdate,
  encodeUpdate,
  type SparseTensor,
  type SparseUpdate,
} from '../../training/sparse.ts';
import type { AdversaryContext } from './adversary.ts';
import { withDeeds } from './task.ts';

/** How far invented losses fall and scatter, in nats: like those of real steps. */
const INVENTED = { fall: 0.002, scatter: 0.05 } as const;

/** A claim of so many steps: the losses of the missing steps are invented after the last real one, with so much scatter. */
export function claimOf(
  steps: number,
  { batch, context }: PretrainParams,
  claim: Claim,
  random: Random,
  most: number = INVENTED.scatter,
): Claim {
  const honest = decodeWork(claim.work);
  const all = Array.from(honest.losses);
  while (all.length < steps) {
    const scatter = (random.uint32() / 2 ** 31 - 1) * most;
    all.push(Math.max(0, all.at(-1)! - INVENTED.fall + scatter));
  }
  const work = encodeWork({ ...honest, losses: all });
  const mean = decodeWork(work).losses.reduce((sum, loss) => sum + loss, 0) / all.length;
  const numbers = { steps: all.length, loss_micro: Math.round(mean * 1e6) };
  return { work, amount: all.length * batch * context, numbers };
}

/** The same claim with another update and the same losses. */
export function editUpdate(
  { model, sparse }: PretrainParams,
  claim: Claim,
  edit: (update: SparseUpdate, specs: readonly ParameterSpec[]) => SparseUpdate,
): Claim {
  const specs = parameterSpecs(model);
  const honest = decodeWork(claim.work);
  const update = encodeUpdate(specs, edit(decodeUpdate(specs, honest.update, sparse), specs), sparse);
  return { ...claim, work: encodeWork({ ...honest, update }) };
}

/** A worker that trains honestly and submits something else than what it learned. */
export const trainedThen = (
  game: AnyGame,
  { params }: AdversaryContext,
  edit: (update: SparseUpdate) => SparseUpdate,
): AnyGame =>
  withDeeds(game, {
    async perform(task, device, signal) {
      const claim = await game.perform(task.inner, device, signal);
      return claim && editUpdate(params as PretrainParams, claim, edit);
    },
  });

/** Another code table for every weight. */
export function mapTables(update: SparseUpdate, change: (value: number) => number): SparseUpdate {
  return new Map(
    [...update].map(([name, tensor]) => [name, { ...tensor, table: tensor.table.map((value) => change(value)) }]),
  );
}

/** A random difference of the size that real steps would make. */
const USUAL_CHANGE = 1e-3;

export function randomUpdate(params: PretrainParams, claim: Claim, random: Random): Claim {
  return editUpdate(params, claim, (_, specs) => {
    const delta = specs.map(({ name, shape }) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, Float32Array.from({ length: size }, () => (random.uint32() / 2 ** 31 - 1) * USUAL_CHANGE)] as const;
    });
    return compressUpdate(specs, new Map(delta), new Map(), params.sparse);
  });
}

/** The smallest values that the form has, because an update of exact zeros has no codes. */
export function emptyUpdate(params: PretrainParams, claim: Claim): Claim {
  return editUpdate(params, claim, (_, specs) => {
    const nothing = specs.map(({ name, shape }) => [name, new Float32Array(shape.reduce((a, b) => a * b, 1))] as const);
    return compressUpdate(specs, new Map(nothing), new Map(), params.sparse);
  });
}

/** Flips the sign of one kept value in so many. */
const BLURRED_ONE_IN = 10;

export function blurUpdate(params: PretrainParams, claim: Claim, random: Random): Claim {
  return editUpdate(params, claim, (update) => flipSome(update, () => random.below(BLURRED_ONE_IN) === 0));
}

/** Changes the codes of chosen values to their opposite, where the table has one. */
export function flipSome(update: SparseUpdate, chosen: () => boolean): SparseUpdate {
  return new Map(
    [...update].map(([name, tensor]): [string, SparseTensor] => {
      const opposite = tensor.table.map((value) => tensor.table.findIndex((other) => other === -value && other !== 0));
      const codes = tensor.codes.map((code) => (opposite[code] >= 0 && chosen() ? opposite[code] : code));
      // The form allows no table entry that no value uses.
      const table = tensor.table.map((value, code) => (codes.includes(code) ? value : 0));
      return [name, { ...tensor, codes, table }];
    }),
  );
}
