// A worker's round in a run in stages: its stage as the log names it, micro-batches from others, and the sparse update of its tensors.
import { compressUpdate, encodeUpdate } from '../../training/sparse.ts';
import { GameError } from '../errors.ts';
import type { Claim, Device } from '../game.ts';
import { type Carried, type EndOf, keepCarried, keptPieces, startOf } from '../pretrain/carried.ts';
import { openData, WORKER_DATA } from '../pretrain/device.ts';
import { beginStage, changeOf, dataOf, momentsOf, stageOn, weightsOf } from './device.ts';
import { type PipelineTask, type StagePlan, stagePlans } from './params.ts';
import { workRound } from './round.ts';
import { decodeStageWork, encodeStageWork } from './work.ts';

/** What work leaves for its worker's next round, if that is at the same stage. */
export const endAt =
  (stage: number): EndOf =>
  (work) => {
    const read = decodeStageWork(work);
    return read.stage === stage ? read.end : null;
  };

/** The stage that the log gives the worker of a task. Throws GameError `bad-params` for a run whose event names no stages. */
export function planOf({ params, round }: Pick<PipelineTask, 'params' | 'round'>): StagePlan {
  const plan = round.stage === undefined ? undefined : stagePlans(params)[round.stage];
  if (plan) return plan;
  const fact = `expected a stage below ${params.stages} for each worker, the run gives ${round.stage ?? 'none'}`;
  throw new GameError('bad-params', fact);
}

export async function perform(task: PipelineTask, device: Device, signal: AbortSignal): Promise<Claim | null> {
  const { params, round } = task;
  const plan = planOf(task);
  const stage = await stageOn(device, params, plan);
  const { hash, carried } = await startOf(plan.specs, device, round, endAt(plan.stage));
  const before = await weightsOf(task.state, plan);
  await beginStage(stage, plan, before, carried);
  const data = plan.range.embedding ? await openData(device, dataOf(params), round, task.peer, WORKER_DATA) : null;
  const windows = data && ((number: number) => data.batch(number));
  const done = await workRound({
    task,
    plan,
    stage,
    device,
    windows,
    began: keptPieces(device, round.number + 1),
    signal,
  });
  if (done.amount === 0) return null;
  const delta = await changeOf(stage, plan, before);
  if (delta === null) {
    const message = `training left the finite numbers in round ${round.number}, so there is nothing to hand in`;
    throw new GameError('diverged', message, { round: round.number });
  }
  const error = new Map(carried.error);
  const update = encodeUpdate(plan.specs, compressUpdate(plan.specs, delta, error, params.sparse), params.sparse);
  const left: Carried = { moments: await momentsOf(stage, plan), error };
  const end = await keepCarried(plan.specs, device, round.number, left);
  const { transcript, amount, numbers } = done;
  return { work: encodeStageWork({ stage: plan.stage, start: hash, end, transcript, update }), amount, numbers };
}
