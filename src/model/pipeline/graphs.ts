// The graphs of one stage of a model: forward, backward with the forward pass computed again, the last stage's loss, and the optimiser's step.
import { gradientsFrom } from '../../tensor/gradient.ts';
import { Graph, type Value } from '../../tensor/graph.ts';
import { add, mul, sqrt } from '../../tensor/ops.ts';
import { beforeTransposed } from '../../tensor/ops-matrix.ts';
import { reduceMean, reshape } from '../../tensor/ops-shape.ts';
import type { CompiledGraph } from '../../tensor/runtime.ts';
import { type AdamwOptions, adamw, sumOfAllSquares } from '../adamw.ts';
import type { LlamaConfig, ParameterSpec } from '../config.ts';
import { ModelError } from '../errors.ts';
import { decoderLayers, embedded, finalNorm, type Parameters, parameter, parameterStates } from '../llama.ts';
import { meanLoss, tokenLosses } from '../llama-loss.ts';
import { type BatchShape, inWeightShape, lossRows } from '../train-graph.ts';
import { zerosAfter } from '../train-stages.ts';
import { BoundarySchema, isWhole, layoutOf } from './boundary.ts';
import { type Boundaries, boundarySpecs, narrowed, readsTokens, received, sent, widened } from './boundary-graph.ts';
import { type StageRange, stageSpecs } from './split.ts';

/** One stage, the shape of its micro-batches, its boundaries, by default of float32, and its optimiser. */
export interface StageOptions extends BatchShape, Boundaries {
  readonly range: StageRange;
  readonly adamw: AdamwOptions;
}

/** A parameter of a stage with the state that sums up its gradient, which may be transposed. */
export interface GradientSum {
  readonly spec: ParameterSpec;
  readonly name: string;
  readonly shape: readonly number[];
  readonly transposed: boolean;
}

/** A stage's graphs. Their states of the same name are one. The last stage has `losses` and no `forward`; its `backward` computes the loss too. */
export interface StageGraphs {
  readonly forward: CompiledGraph | null;
  readonly losses: CompiledGraph | null;
  readonly backward: CompiledGraph;
  readonly step: CompiledGraph;
  readonly sums: readonly GradientSum[];
  /** States that no graph changes. */
  readonly frozen: readonly ParameterSpec[];
}

/** The layouts of what a stage receives and sends; null where it has no neighbour. */
export function layoutsOf(config: LlamaConfig, options: StageOptions) {
  const plain = BoundarySchema.parse({});
  const { range, incoming = plain, outgoing = plain } = options;
  return {
    activations_in: range.embedding ? null : layoutOf(config, options, incoming, 'activations'),
    gradients_out: range.embedding ? null : layoutOf(config, options, incoming, 'gradients'),
    activations_out: range.head ? null : layoutOf(config, options, outgoing, 'activations'),
    gradients_in: range.head ? null : layoutOf(config, options, outgoing, 'gradients'),
  };
}

/** What a stage trains, and what it only holds. Throws ModelError `bad-config` where its boundaries are at odds, or it has no neighbour there. */
function specsOf(config: LlamaConfig, { range, incoming, outgoing }: StageOptions) {
  const own = stageSpecs(config, range);
  if (incoming && outgoing && incoming.tokens !== outgoing.tokens) {
    const fact = `expected tokens of one kind on both sides of a stage, got ${incoming.tokens} and ${outgoing.tokens}`;
    throw new ModelError('bad-config', fact);
  }
  if ((incoming && range.embedding) || (outgoing && range.head)) {
    throw new ModelError('bad-config', 'the first stage has nothing before it, the last nothing after it');
  }
  const { trained, frozen } = boundarySpecs(config, range, { incoming, outgoing });
  return { trained: [...own, ...trained], frozen };
}

/**
 * All graphs of a stage. Inputs: `tokens` int32 [batch, context] where it reads them, after the first stage `activations`, coded as its
 * boundary says; backward also `gradient` of what was sent, or in the last stage `targets`, and where gradients are coded `gradient/noise` and `noise`, with which those that come and go are rounded; step those
 * of AdamW, and `share`, one over the micro-batches. Outputs: forward `sent`; backward `returned`, the gradient of what was received, and in
 * the last stage `loss`; `losses` of each sequence; step `gradient_norm`. Throws as stageSpecs and layoutOf do.
 */
export function stageGraphs(config: LlamaConfig, options: StageOptions): StageGraphs {
  const { backward, sums } = backwardGraph(config, options);
  return {
    forward: options.range.head ? null : forwardGraph(config, options),
    losses: options.range.head ? lossesGraph(config, options) : null,
    backward,
    step: stepGraph(sums, options.adamw),
    sums,
    frozen: specsOf(config, options).frozen,
  };
}

/** A graph with a stage's parameters and its input, up to what it sends, or the final norm. */
function startStage(config: LlamaConfig, options: StageOptions) {
  const { range, batch, context } = options;
  const graph = new Graph();
  const { trained, frozen } = specsOf(config, options);
  const parameters: Parameters = parameterStates(graph, config, [...trained, ...frozen]);
  const tokens = readsTokens(range, options) ? graph.input('tokens', 'int32', [batch, context]) : null;
  const { activations_in } = layoutsOf(config, options);
  const from = activations_in && received(graph, 'activations', activations_in);
  const input = from ? widened(options, parameters, from, tokens) : embedded(parameters, tokens!);
  const x = decoderLayers(config, parameters, input, { ...range, batch });
  const output = range.head ? finalNorm(config, parameters, x) : narrowed(options, parameters, x, tokens);
  return { graph, parameters, trained, received: from, output };
}

function forwardGraph(config: LlamaConfig, options: StageOptions): CompiledGraph {
  const { graph, output } = startStage(config, options);
  sent(graph, 'sent', output, layoutsOf(config, options).activations_out!);
  return graph.compile();
}

const targetsOf = (graph: Graph, { batch, context }: BatchShape): Value =>
  reshape(graph.input('targets', 'int32', [batch, context]), [-1]);

function lossesGraph(config: LlamaConfig, options: StageOptions): CompiledGraph {
  const { graph, parameters, output } = startStage(config, options);
  const head = parameter(parameters, 'lm_head');
  const losses = tokenLosses(output, head, targetsOf(graph, options), lossRows(config, options));
  graph.output('losses', reduceMean(reshape(losses, [options.batch, options.context]), [1]));
  return graph.compile();
}

/** Adds the gradients of a micro-batch to their sums. */
function backwardGraph(config: LlamaConfig, options: StageOptions): { backward: CompiledGraph; sums: GradientSum[] } {
  const { graph, parameters, trained, received: from, output } = startStage(config, options);
  const { gradients_in, gradients_out } = layoutsOf(config, options);
  const seed = (): readonly [Value, Value] => {
    if (gradients_in) {
      const noise = isWhole(gradients_in) ? undefined : graph.input('gradient/noise', 'float32', output.shape);
      return [output, graph.untaped(() => received(graph, 'gradient', gradients_in, noise))];
    }
    const head = parameter(parameters, 'lm_head');
    const loss = meanLoss(output, head, targetsOf(graph, options), lossRows(config, options));
    graph.output('loss', loss);
    return [loss, graph.scalar(1)];
  };
  const wanted = [...trained.map(({ name }) => parameters.get(name)!), ...(from ? [from] : [])];
  const found = gradientsFrom(...seed(), wanted);
  const sums = trained.map((spec, i) => {
    const before = beforeTransposed(found[i]);
    const value = before ?? found[i];
    const name = `${spec.name}/gradient`;
    const sum = graph.state(name, value.shape);
    graph.advance(
      sum,
      graph.untaped(() => add(sum, value)),
    );
    return { spec, name, shape: value.shape, transposed: before !== null };
  });
  if (gradients_out) {
    const noise = isWhole(gradients_out) ? undefined : graph.input('noise', 'float32', from!.shape);
    sent(graph, 'returned', found.at(-1)!, gradients_out, noise);
  }
  return { backward: graph.compile(), sums };
}

/** AdamW with the mean of the summed gradients, clipped by the norm of this stage's own; empties the sums. Once for many micro-batches. */
function stepGraph(sums: readonly GradientSum[], options: AdamwOptions): CompiledGraph {
  const graph = new Graph();
  const share = graph.input('share', 'float32', []);
  const totals = sums.map(({ name, shape }) => graph.state(name, shape));
  const norm = mul(sqrt(sumOfAllSquares(totals)), share);
  const updates = sums.map(({ spec, transposed }, i) => ({
    spec,
    weight: graph.state(spec.name, spec.shape),
    gradient: inWeightShape({ sum: totals[i], transposed }),
  }));
  const next = adamw(graph, updates, norm, options, share);
  totals.forEach((total, i) => {
    graph.advance(total, zerosAfter(next[i], total.shape));
  });
  graph.output('gradient_norm', norm);
  return { ...graph.compile(), seldom: true };
}
