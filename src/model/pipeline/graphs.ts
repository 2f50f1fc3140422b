// The graphs of one stage of a model: forward, backward with the forward pass computed again, the last stage's loss, and the optimiser's step.
import { gradientsFrom } from '../../tensor/gradient.ts';
import { Graph, type Value } from '../../tensor/graph.ts';
import { add, mul, sqrt } from '../../tensor/ops.ts';
import { beforeTransposed } from '../../tensor/ops-matrix.ts';
import { reduceMean, reshape } from '../../tensor/ops-shape.ts';
import type { CompiledGraph } from '../../tensor/runtime.ts';
import { type AdamwOptions, adamw, sumOfAllSquares } from '../adamw.ts';
import type { LlamaConfig, ParameterSpec } from '../config.ts';
import { decoderLayers, embedded, finalNorm, type Parameters, parameter, parameterStates } from '../llama.ts';
import { meanLoss, tokenLosses } from '../llama-loss.ts';
import { type BatchShape, inWeightShape, lossRows } from '../train-graph.ts';
import { zerosAfter } from '../train-stages.ts';
import { type StageRange, stageSpecs } from './split.ts';

/** One stage, the shape of its micro-batches, and its optimiser. */
export interface StageOptions extends BatchShape {
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
}

/**
 * All graphs of a stage. Inputs: `tokens` int32 [batch, context] in the first stage, otherwise `activations` [batch · context, hidden_size];
 * backward also `gradient` of its output, or in the last stage `targets`; step those of AdamW, and `share`, one over the micro-batches.
 * Outputs: forward `activations`; backward `gradient` of the input, in the last stage `loss`; `losses` of each sequence; step `gradient_norm`.
 * Throws as stageSpecs does.
 */
export function stageGraphs(config: LlamaConfig, options: StageOptions): StageGraphs {
  const { backward, sums } = backwardGraph(config, options);
  return {
    forward: options.range.head ? null : forwardGraph(config, options),
    losses: options.range.head ? lossesGraph(config, options) : null,
    backward,
    step: stepGraph(sums, options.adamw),
    sums,
  };
}

/** A graph with a stage's parameters and its input, up to the end of its layers. */
function startStage(config: LlamaConfig, { range, batch, context }: StageOptions) {
  const graph = new Graph();
  const parameters: Parameters = parameterStates(graph, config, stageSpecs(config, range));
  const received = range.embedding
    ? null
    : graph.input('activations', 'float32', [batch * context, config.hidden_size]);
  const input = received ?? embedded(parameters, graph.input('tokens', 'int32', [batch, context]));
  const output = decoderLayers(config, parameters, input, { ...range, batch });
  return { graph, parameters, received, output: range.head ? finalNorm(config, parameters, output) : output };
}

function forwardGraph(config: LlamaConfig, options: StageOptions): CompiledGraph {
  const { graph, output } = startStage(config, options);
  graph.output('activations/out', output);
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
  const { graph, parameters, received, output } = startStage(config, options);
  const seed = (): readonly [Value, Value] => {
    if (!options.range.head) return [output, graph.input('gradient', 'float32', output.shape)];
    const head = parameter(parameters, 'lm_head');
    const loss = meanLoss(output, head, targetsOf(graph, options), lossRows(config, options));
    graph.output('loss', loss);
    return [loss, graph.scalar(1)];
  };
  const wanted = [...parameters.values(), ...(received ? [received] : [])];
  const found = gradientsFrom([seed()], wanted);
  const sums = stageSpecs(config, options.range).map((spec, i) => {
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
  if (received) graph.output('gradient/in', found.at(-1)!);
  return { backward: graph.compile(), sums };
}

/** AdamW with the mean of the summed gradients, clipped by the norm of this stage's own; empties the sums. */
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
  return graph.compile();
}
