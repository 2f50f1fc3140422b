// Pre-training as a game: learn from the text that the round assigns, hand in a sparse update, be judged by what it does to the loss.
import { bytesToHex } from '@noble/hashes/utils.js';
import { modelTensors } from '../model/checkpoint.ts';
import { parameterSpecs, type Weights } from '../model/config.ts';
import { batchFrom } from '../training/assignment.ts';
import { type Batch, trainSteps } from '../training/inner.ts';
import { openMerge, type WeightedUpdate } from '../training/outer.ts';
import { compressUpdate, decodeUpdate, encodeUpdate, maxUpdateBytes } from '../training/sparse.ts';
import { mean } from '../training/statistics.ts';
import { openCut, openFollow } from '../training/steps.ts';
import { meanLoss } from '../training/trainer.ts';
import { GameError } from './errors.ts';
import { firstSteps, stepsAllowed } from './first-work.ts';
import type { AcceptedWork, Claim, Device, TensorGame } from './game.ts';
import { gameOf } from './parts.ts';
import { AFRESH, keepCarried, startOf } from './pretrain/carried.ts';
import { checkWork } from './pretrain/check.ts';
import { evaluatorOf, manifestOf, stepsOf, trainerOf, validationWindows } from './pretrain/device.ts';
import {
  leastMemory,
  type PretrainParams,
  PretrainParamsSchema,
  type PretrainTask,
  parameterCount,
} from './pretrain/params.ts';
import { writeSample } from './pretrain/sample.ts';
import { textModel } from './pretrain/text-model.ts';
import { decodeWork, encodeWork, toldMicro, workOverhead } from './pretrain/work.ts';

export const game = gameOf<TensorGame<PretrainParams, PretrainTask>>({
  name: 'pretrain',
  needs: ['compute'],
  rules: {
    params: PretrainParamsSchema,
    unit: 'tokens',
    task: (params, round, peer, weights) => ({ params, round, peer, weights }),
    firstAmount: ({ inner_steps, batch, context }) => firstSteps(inner_steps) * batch * context,
    tensors: ({ model, sparse }) => modelTensors(model, sparse.weights),
    openMerge: (params, accepted) =>
      openMerge(parameterSpecs(params.model), updatesOf(params, accepted), params.sparse),
    openCut(params, accepted) {
      const specs = parameterSpecs(params.model);
      if (params.sparse.step === null) return null;
      const cut = openCut(specs, updatesOf(params, accepted), params.sparse);
      const known = new Map(specs.map((spec) => [spec.name, spec]));
      return { tensor: ({ name }, rest, before) => cut.tensor(known.get(name)!, rest, before), step: cut.step };
    },
    openFollow: (params, step) => openFollow(parameterSpecs(params.model), step, params.sparse),
    checkForm(params, work) {
      const { losses, update } = decodeWork(work);
      if (losses.length > params.inner_steps) {
        throw new GameError('bad-work', `work: at most ${params.inner_steps} steps, got ${losses.length}`);
      }
      decodeUpdate(parameterSpecs(params.model), update, params.sparse);
    },
    goesOn: (work) => bytesToHex(decodeWork(work).start) !== bytesToHex(AFRESH),
    sizes(params) {
      const specs = parameterSpecs(params.model);
      const max_bytes = maxUpdateBytes(specs, params.sparse) + workOverhead(params.inner_steps);
      const dense_bytes = 4 * parameterCount(specs);
      return { max_bytes, dense_bytes, memory_bytes: leastMemory(params, dense_bytes) };
    },
  },
  work: {
    async prepare(params, device) {
      await Promise.all([trainerOf(device, params), manifestOf(device, params)]);
    },
    perform,
    check: checkWork,
  },
  shows: {
    metrics: [{ name: 'loss_micro', words: 'validation loss', unit: 'nats', better: 'lower' }],
    numbers: {
      work: [
        { name: 'steps', words: 'steps', unit: 'steps' },
        { name: 'loss_micro', words: 'training loss', unit: 'nats' },
      ],
      verdict: [
        { name: 'loss_before_micro', words: 'loss before', unit: 'nats' },
        { name: 'loss_after_micro', words: 'loss after', unit: 'nats' },
      ],
    },
    evaluate,
    sample: writeSample,
    textModel,
  },
});

function updatesOf({ model, sparse }: PretrainParams, accepted: readonly AcceptedWork[]): WeightedUpdate[] {
  const specs = parameterSpecs(model);
  return accepted.map(({ work, weight }) => ({ update: decodeUpdate(specs, decodeWork(work).update, sparse), weight }));
}

async function perform(task: PretrainTask, device: Device, signal: AbortSignal): Promise<Claim | null> {
  const { params, round } = task;
  const specs = parameterSpecs(params.model);
  const trainer = await trainerOf(device, params);
  const { hash, carried } = await startOf(specs, device, round);
  await trainer.setOptimiserState(carried.moments);
  const most = stepsAllowed(params.inner_steps, params.batch * params.context, round);
  const plan = await stepsOf(task, device, most, () => !signal.aborted);
  const trained = await trainSteps(trainer, task.weights, plan);
  if (trained === null) {
    const message = `training left the finite numbers in round ${round.number}, so there is nothing to hand in: the run's learning rate of ${params.learning_rate} may be too high`;
    throw new GameError('diverged', message, { round: round.number });
  }
  if (trained.losses.length === 0) return null;
  // An owner who has said stop waits for this: what runs beside this thread, reading the runtime and hashing, does so meanwhile.
  const error = new Map(carried.error);
  const compress = async () => compressUpdate(specs, trained.delta, error, params.sparse);
  const [moments, sparse] = await Promise.all([trainer.optimiserState(), compress()]);
  const encode = async () => encodeUpdate(specs, sparse, params.sparse);
  const [end, update] = await Promise.all([keepCarried(specs, device, round.number, { moments, error }), encode()]);
  const work = encodeWork({ start: hash, end, losses: trained.losses, update });
  const steps = trained.losses.length;
  const numbers = { steps, loss_micro: toldMicro(mean(trained.losses)) };
  return { work, amount: steps * params.batch * params.context, numbers };
}

async function evaluate(params: PretrainParams, weights: Weights, device: Device) {
  const manifest = await manifestOf(device, params);
  const evaluator = await evaluatorOf(device, params);
  const batches = Math.max(1, Math.ceil(params.evaluation_sequences / params.batch));
  const windows = await validationWindows(device, manifest, params, batches * params.batch);
  const held_out: { batch: Batch }[] = [];
  for (let start = 0; start < windows.length; start += params.batch) {
    held_out.push({ batch: batchFrom(windows.slice(start, start + params.batch), params.context) });
  }
  const loss = await meanLoss(evaluator, weights, held_out);
  return { loss_micro: toldMicro(loss) };
}

export { type PretrainParams, PretrainParamsSchema } from './pretrain/params.ts';
