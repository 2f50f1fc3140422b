// Training a model in stages as a game: each worker holds one stage, hands activations on and gradients back, and hands in the sparse update of
// its stage's tensors. No device ever holds the whole model.
import { bytesToHex } from '@noble/hashes/utils.js';
import { openMerge, type WeightedUpdate } from '../training/outer.ts';
import { decodeUpdate, maxUpdateBytes } from '../training/sparse.ts';
import { GameError } from './errors.ts';
import type { MergeTensor, StagedGame } from './game.ts';
import { gameOf } from './parts.ts';
import { checkWork } from './pipeline/check.ts';
import { deskOf } from './pipeline/desk.ts';
import { dataOf } from './pipeline/device.ts';
import { evaluate } from './pipeline/evaluate.ts';
import {
  mostMade,
  type PipelineParams,
  PipelineParamsSchema,
  type PipelineTask,
  type StagePlan,
  stageMemory,
  stagePlans,
  stateTensors,
} from './pipeline/params.ts';
import { perform } from './pipeline/perform.ts';
import { decodeStageWork, type StageWork, workOverhead } from './pipeline/work.ts';
import { AFRESH } from './pretrain/carried.ts';
import { manifestOf } from './pretrain/device.ts';
import { parameterCount } from './pretrain/params.ts';

/** A worker meets so many others in a round at most: makers of micro-batches, and those that it hands them on to. */
const MOST_PARTNERS = 1024;

export const game = gameOf<StagedGame<PipelineParams, PipelineTask>>({
  name: 'pipeline',
  needs: ['compute', 'channel'],
  rules: {
    params: PipelineParamsSchema,
    unit: 'tokens',
    stages: ({ stages }) => stages,
    task: (params, round, peer, state) => ({ params, round, peer, state }),
    tensors: stateTensors,
    openMerge(params, accepted) {
      const works = accepted.map(({ work, weight }) => ({ work: decodeStageWork(work), weight }));
      const merges = stagePlans(params).map((plan) => mergeOfStage(params, plan, works));
      const stageOf = new Map(
        stagePlans(params).flatMap(({ stage, specs }) => specs.map(({ name }) => [name, stage] as const)),
      );
      return (spec, before) => {
        const merge = merges[stageOf.get(spec.name) ?? -1];
        return merge ? merge(spec, before) : before.slice(); // frozen, or nobody's work of this round
      };
    },
    checkForm(params, bytes) {
      const { stage, transcript, update } = decodeStageWork(bytes);
      decodeUpdate(planAt(params, stage).specs, update, params.sparse);
      const most = mostEntries(params);
      if (transcript.length > most) {
        throw new GameError('bad-work', `work: at most ${most} entries of a transcript, got ${transcript.length}`);
      }
    },
    goesOn: (work) => bytesToHex(decodeStageWork(work).start) !== bytesToHex(AFRESH),
    sizes(params) {
      const plans = stagePlans(params);
      const overhead = workOverhead(mostEntries(params), MOST_PARTNERS);
      return {
        max_bytes: Math.max(...plans.map(({ specs }) => maxUpdateBytes(specs, params.sparse))) + overhead,
        dense_bytes: 4 * Math.max(...plans.map(({ specs }) => parameterCount(specs))),
        memory_bytes: Math.max(...plans.map((plan) => stageMemory(params, plan))),
      };
    },
  },
  work: {
    async prepare(params, device) {
      deskOf(device); // others may speak to it from now on
      await manifestOf(device, dataOf(params));
    },
    perform,
    check: checkWork,
  },
  shows: {
    metrics: [{ name: 'loss_micro', words: 'validation loss', unit: 'nats', better: 'lower' }],
    numbers: {
      work: [
        { name: 'micro_batches', words: 'micro-batches', unit: 'micro-batches' },
        { name: 'steps', words: 'steps', unit: 'steps' },
        { name: 'loss_micro', words: 'training loss', unit: 'nats' },
      ],
    },
    evaluate,
  },
});

/** Micro-batches of all makers of a round may come through one worker: forward, back, and a step each at the most. */
const mostEntries = (params: PipelineParams): number => 3 * mostMade(params);

function planAt(params: PipelineParams, stage: number): StagePlan {
  const plan = stagePlans(params)[stage];
  if (plan) return plan;
  throw new GameError('bad-work', `work: expected a stage below ${params.stages}, got ${stage}`);
}

/** What becomes of a stage's tensors; null: nobody has worked on it. */
function mergeOfStage(
  params: PipelineParams,
  { stage, specs }: StagePlan,
  works: readonly { readonly work: StageWork; readonly weight: number }[],
): MergeTensor | null {
  const updates: WeightedUpdate[] = works
    .filter(({ work }) => work.stage === stage)
    .map(({ work, weight }) => ({ update: decodeUpdate(specs, work.update, params.sparse), weight }));
  return updates.length === 0 ? null : openMerge(specs, updates, params.sparse);
}
