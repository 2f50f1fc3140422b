// The settings of a run whose model is cut into stages, as its owner writes them, and the stages that follow from them.
import { z } from 'zod';
import type { ParameterSpec } from '../../model/config.ts';
import { type Boundary, BoundarySchema, boundaryBytes, layoutOf } from '../../model/pipeline/boundary.ts';
import { boundarySpecs } from '../../model/pipeline/boundary-graph.ts';
import type { StageOptions } from '../../model/pipeline/graphs.ts';
import { estimatedLoads, type StageRange, splitModel, stageClip, stageSpecs } from '../../model/pipeline/split.ts';
import type { TensorSpec } from '../../model/tensor-manifest.ts';
import type { Round, TensorSource } from '../game.ts';
import { PretrainParamsSchema, parameterCount } from '../pretrain/params.ts';

/** The core's own limits (core/limits.ts): a model of a hundred layers on devices of two layers each. */
const MOST_STAGES = 64;
/** More micro-batches in a step than that are one batch that nobody needs. */
const MOST_MICRO_BATCHES = 1024;

/** `inner_steps`: the most optimiser steps for which a worker of the first stage makes micro-batches in one round. */
export const PipelineParamsSchema = PretrainParamsSchema.omit({ distil: true }).extend({
  stages: z.int().min(2).max(MOST_STAGES),
  /** Of so many micro-batches a worker takes the mean gradient, and steps. */
  micro_batches: z.int().min(1).max(MOST_MICRO_BATCHES).default(4),
  boundary: BoundarySchema.prefault({}),
});
export type PipelineParams = z.infer<typeof PipelineParamsSchema>;

export interface PipelineTask {
  readonly params: PipelineParams;
  readonly round: Round;
  readonly peer: string;
  readonly state: TensorSource;
}

/** One stage of a run. */
export interface StagePlan {
  readonly stage: number;
  readonly range: StageRange;
  readonly incoming?: Boundary;
  readonly outgoing?: Boundary;
  /** What its workers train, by the names of the run's state. */
  readonly specs: readonly ParameterSpec[];
  /** What they hold besides. */
  readonly frozen: readonly ParameterSpec[];
  /** How much of a micro-batch's work it is, in thousandths. */
  readonly cost_permille: number;
}

/** Names of the tensors of boundaries begin so: each stage has its own. */
const BOUNDARY = 'boundary.';
const prefixOf = (stage: number): string => `stages.${stage}.`;

/** The name in the run's state of what a stage calls so, and back. */
export const inState = (stage: number, name: string): string =>
  name.startsWith(BOUNDARY) ? prefixOf(stage) + name : name;
export const inStage = (stage: number, name: string): string =>
  name.startsWith(prefixOf(stage)) ? name.slice(prefixOf(stage).length) : name;

type Cut = Pick<PipelineParams, 'model' | 'batch' | 'context' | 'stages' | 'boundary'>;
const plans = new WeakMap<object, readonly StagePlan[]>();

/** The stages of a run, first to last. Throws ModelError `bad-input`, `unsupported` as splitModel and stageSpecs do. */
export function stagePlans(params: Cut): readonly StagePlan[] {
  const known = plans.get(params);
  if (known) return known;
  const { model, stages, boundary } = params;
  const loads = estimatedLoads(model, params);
  const ranges = splitModel(loads, stages);
  const costs = ranges.map(({ embedding, first, end, head }) =>
    [...(embedding ? [loads.embedding] : []), ...loads.layers.slice(first, end), ...(head ? [loads.head] : [])].reduce(
      (sum, { cost }) => sum + cost,
      0,
    ),
  );
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const made = ranges.map((range, stage): StagePlan => {
    const sides = { ...(!range.embedding && { incoming: boundary }), ...(!range.head && { outgoing: boundary }) };
    const { trained, frozen } = boundarySpecs(model, range, sides);
    const named = (specs: readonly ParameterSpec[]) =>
      specs.map((spec) => ({ ...spec, name: inState(stage, spec.name) }));
    return {
      ...{ stage, range, ...sides },
      specs: named([...stageSpecs(model, range), ...trained]),
      frozen: named(frozen),
      cost_permille: Math.max(1, Math.round((1000 * costs[stage]) / total)),
    };
  });
  plans.set(params, made);
  return made;
}

/** How a stage's graphs are built. */
export function stageOptions(params: PipelineParams, { range, incoming, outgoing }: StagePlan): StageOptions {
  const { batch, context, adamw, stages } = params;
  return {
    ...{ range, batch, context, adamw: { ...adamw, clip: stageClip(adamw.clip, stages) } },
    ...(incoming && { incoming }),
    ...(outgoing && { outgoing }),
  };
}

/** What a token takes at a boundary in both directions, without what messages have besides. */
export function bytesOfToken({ model, batch, context, boundary }: Cut): number {
  const bytes = (what: 'activations' | 'gradients') =>
    boundaryBytes(layoutOf(model, { batch, context }, boundary, what));
  return (bytes('activations') + bytes('gradients')) / (batch * context);
}

/** The tensors of a run's state, stage after stage. */
export const stateTensors = (params: PipelineParams): TensorSpec[] =>
  stagePlans(params).flatMap(({ specs, frozen }) =>
    [...specs, ...frozen].map(({ name, shape }) => ({ name, dtype: params.sparse.weights, shape })),
  );

/** Workers of the first stage whose micro-batches come through one worker, or whose part one of them takes over when they leave. */
const MOST_MAKERS = 16;
/** How many micro-batches one worker has to do with in a round at the most. */
export const mostMade = ({ inner_steps, micro_batches }: PipelineParams): number =>
  inner_steps * micro_batches * MOST_MAKERS;

/** Of a micro-batch's work, what the forward pass is: backward is that again, and twice as much for the gradients. */
const FORWARD_PART = 1 / 4;

/**
 * What a worker of a stage has done, in the run's tokens: those of its micro-batches, by the stage's part of the work. `forward` counts those that
 * never came back, which is not the fault of who took them forward.
 */
export function amountOf(
  { batch, context }: PipelineParams,
  { cost_permille }: StagePlan,
  { finished, forward }: { readonly finished: number; readonly forward: number },
): number {
  const whole = Math.max(1, Math.round((batch * context * cost_permille) / 1000));
  return finished * whole + forward * Math.floor(whole * FORWARD_PART);
}

/** Weights before the round, weights, gradients, two moments, error feedback, and the change of the round. */
const KEPT_OF_WEIGHTS = 7;

/** The memory that a stage takes of a device at the least: as pretrain's leastMemory. */
export function stageMemory(params: PipelineParams, { range, specs, frozen }: StagePlan): number {
  const { model, batch, context } = params;
  const { hidden_size, intermediate_size, num_attention_heads, vocab_size } = model;
  const of_a_layer = 4 * hidden_size + 2 * intermediate_size + num_attention_heads * context;
  const activations = (range.end - range.first) * of_a_layer + (range.head ? vocab_size : 0);
  const kept = KEPT_OF_WEIGHTS * parameterCount(specs) + parameterCount(frozen);
  return 4 * (kept + batch * context * activations);
}
