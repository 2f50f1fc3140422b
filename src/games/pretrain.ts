// Pre-training as a game: learn from the text that the round assigns, hand in a sparse update, be judged by what it does to the loss.
import { decodeModel, encodeModel } from '../model/checkpoint.ts';
import { parameterSpecs, type Weights } from '../model/config.ts';
import { sha256 } from '../protocol/hash.ts';
import { batchFrom } from '../training/assignment.ts';
import { type Trained, type Trainer, trainSteps } from '../training/inner.ts';
import { mergeUpdates } from '../training/outer.ts';
import { compressUpdate, decodeUpdate, encodeUpdate, maxUpdateBytes } from '../training/sparse.ts';
import { GameError } from './errors.ts';
import type { Claim, Device, Game } from './game.ts';
import { checkWork } from './pretrain-check.ts';
import { evaluatorOf, loadedOf, manifestOf, stepsOf, trainerOf, validationWindows } from './pretrain-device.ts';
import { decodeErrorFeedback, encodeErrorFeedback, encodeOptimiser } from './pretrain-drawer.ts';
import { type PretrainParams, PretrainParamsSchema, type PretrainTask, parameterCount } from './pretrain-params.ts';
import { decodeWork, encodeWork, workOverhead } from './pretrain-work.ts';

export const game: Game<PretrainParams, PretrainTask, Weights> = {
  name: 'pretrain',
  params: PretrainParamsSchema,
  task: (params, round, peer, weights) => ({ params, round, peer, weights }),
  perform,
  check: checkWork,
  evaluate,
  merge(params, weights, accepted) {
    const specs = parameterSpecs(params.model);
    const updates = accepted.map(({ work, weight }) => ({
      update: decodeUpdate(specs, decodeWork(work).update, params.sparse),
      weight,
    }));
    return mergeUpdates(specs, weights, updates, params.sparse);
  },
  encodeState: (params, weights) => encodeModel(params.model, weights),
  decodeState: (params, bytes) => decodeModel(params.model, bytes),
  checkForm(params, work) {
    const { losses, update } = decodeWork(work);
    if (losses.length > params.inner_steps) {
      throw new GameError('bad-work', `work: at most ${params.inner_steps} steps, got ${losses.length}`);
    }
    decodeUpdate(parameterSpecs(params.model), update, params.sparse);
  },
  sizes(params) {
    const specs = parameterSpecs(params.model);
    const max_bytes = maxUpdateBytes(specs, params.sparse) + workOverhead(params.inner_steps);
    return { max_bytes, dense_bytes: 4 * parameterCount(specs) };
  },
};

async function perform(task: PretrainTask, device: Device, signal: AbortSignal): Promise<Claim | null> {
  const { params } = task;
  const trainer = await trainerOf(device, params);
  const plan = await stepsOf(task, device, params.inner_steps, () => !signal.aborted);
  const trained = await trainSteps(trainer, task.weights, plan);
  if (trained === null) return startAfresh(device, trainer);
  const steps = trained.losses.length;
  if (steps === 0) return null;
  const work = await packWork(task, device, trainer, trained);
  return {
    work,
    steps,
    tokens: steps * params.batch * params.context,
    loss_micro: Math.round(mean([...decodeWork(work).losses]) * 1e6),
  };
}

/** Training that left the finite numbers has nothing to hand in, and its moments would spoil every later round. */
async function startAfresh(device: Device, trainer: Trainer): Promise<null> {
  loadedOf(device).trainer = undefined;
  await device.drawer.delete('optimiser');
  await trainer.close();
  return null;
}

/** Turns what the trainer learned into bytes, and puts what was left out, and AdamW's state, into the drawer. */
async function packWork(task: PretrainTask, device: Device, trainer: Trainer, { losses, delta }: Trained) {
  const { params, round } = task;
  const specs = parameterSpecs(params.model);
  // What a worker left out two rounds ago belongs to a model that no longer is: only the last round's rest counts.
  const kept = await device.drawer.get('error-feedback');
  const error = decodeErrorFeedback(specs, kept, round.number - 1);
  const update = compressUpdate(specs, delta, error, params.sparse);
  const rest = encodeErrorFeedback(specs, error, round.number);
  const moments = encodeOptimiser(specs, await trainer.optimiserState());
  await device.drawer.put('error-feedback', rest);
  await device.drawer.put('optimiser', moments);
  return encodeWork(sha256(moments, rest), losses, encodeUpdate(specs, update, params.sparse));
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

async function evaluate(params: PretrainParams, weights: Weights, device: Device) {
  const manifest = await manifestOf(device, params);
  const evaluator = await evaluatorOf(device, params);
  const batches = Math.max(1, Math.ceil(params.evaluation_sequences / params.batch));
  const windows = await validationWindows(device, manifest, params, batches * params.batch);
  const losses: number[] = [];
  await evaluator.setWeights(weights);
  for (let start = 0; start + params.batch <= windows.length; start += params.batch) {
    const batch = batchFrom(windows.slice(start, start + params.batch), params.context);
    losses.push(...(await evaluator.losses(batch)));
  }
  return { loss_micro: Math.round(mean(losses) * 1e6), tokens: losses.length * params.context };
}

export { type PretrainParams, PretrainParamsSchema } from './pretrain-params.ts';
