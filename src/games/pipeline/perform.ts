// A worker's round in a run in stages: its stage as the log names it, micro-batches from others, and the sparse update of its tensors.
import type { Stage } from '../../model/pipeline/stage.ts';
import { compressTensor, encodeUpdate, type SparseTensor } from '../../training/sparse.ts';
import { GameError } from '../errors.ts';
import type { Claim, Device } from '../game.ts';
import { type EndOf, keepCarriedTensors, keptPieces, takeStart } from '../pretrain/carried.ts';
import { type Begun, beginRound, changesOf, momentsOf, stageOn } from './device.ts';
import { type PipelineTask, type StagePlan, stagePlans } from './params.ts';
import { workRound } from './round.ts';
import { RoundText } from './text.ts';
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
  const { specs } = plan;
  const stage = await stageOn(device, params, plan);
  const begun = await beginRound(stage, plan, task.state, (take) =>
    takeStart(specs, device, round, endAt(plan.stage), take),
  );
  const text = new RoundText(params, round, device);
  const began = keptPieces(device, round.number + 1);
  const done = await workRound({ task, plan, stage, device, text, began, signal });
  if (done.amount === 0) return null;
  const learned = new Map<string, SparseTensor>();
  const left = leftAfter({ task, plan, stage, begun, learned });
  const end = await keepCarriedTensors(specs, device, round.number, left);
  const update = encodeUpdate(specs, learned, params.sparse);
  const { transcript, amount, numbers } = done;
  return { work: encodeStageWork({ stage: plan.stage, start: begun.hash, end, transcript, update }), amount, numbers };
}

interface Leaving {
  readonly task: PipelineTask;
  readonly plan: StagePlan;
  readonly stage: Stage;
  readonly begun: Begun;
  /** Gets the update. */
  readonly learned: Map<string, SparseTensor>;
}

/**
 * What a worker carries into its next round, in the order in which it is kept, read from the runtime and the round's state a few tensors at a time:
 * with all of it at once a device would need twice what training takes. Throws GameError `diverged`.
 */
async function* leftAfter({ task, plan, stage, begun, learned }: Leaving): AsyncGenerator<Float32Array> {
  yield* momentsOf(stage, plan);
  for await (const changed of changesOf(stage, plan, task.state, begun)) {
    if (changed === null) {
      const { number } = task.round;
      const message = `training left the finite numbers in round ${number}, so there is nothing to hand in`;
      throw new GameError('diverged', message, { round: number });
    }
    const { spec, change, error } = changed;
    const { tensor, rest } = compressTensor(spec, change, error, task.params.sparse);
    learned.set(spec.name, tensor);
    yield rest;
  }
}
