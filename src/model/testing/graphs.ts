// Graphs that only tests run, to see what others only use: a model's logits, and all of its gradients.
import { reshape } from '../../tensor/ops-shape.ts';
import type { CompiledGraph } from '../../tensor/runtime.ts';
import type { LlamaConfig } from '../config.ts';
import { hiddenStates, linear, parameter } from '../llama.ts';
import { type BatchShape, type GradientOptions, inWeightShape, lossAndGradients, startGraph } from '../train-graph.ts';

/** tokens → logits [batch, context, vocab_size]. */
export function logitsGraph(config: LlamaConfig, shape: BatchShape): CompiledGraph {
  const { graph, tokens, parameters } = startGraph(config, shape);
  const logits = linear(hiddenStates(config, parameters, tokens), parameter(parameters, 'lm_head'));
  graph.output('logits', reshape(logits, [shape.batch, shape.context, config.vocab_size]));
  return graph.compile();
}

/** tokens, targets → `loss`, and `gradient/NAME` of every parameter. */
export function gradientGraph(config: LlamaConfig, options: BatchShape & GradientOptions): CompiledGraph {
  const { graph, tokens, parameters } = startGraph(config, options);
  const targets = graph.input('targets', 'int32', [options.batch, options.context]);
  const { loss, gradient: found } = lossAndGradients(config, parameters, tokens, targets, options);
  const names = [...parameters.keys()];
  graph.output('loss', loss);
  for (const [i, name] of names.entries()) graph.output(`gradient/${name}`, inWeightShape(found[i]));
  return graph.compile();
}
