// The Llama family in the graph builder, computed as transformers' LlamaForCausalLM, MistralForCausalLM and Qwen2ForCausalLM do
// (arXiv 2302.13971, 2310.06825, 2407.10671).
import type { Graph, Value } from '../tensor/graph.ts';
import { add, mul, reciprocal, sigmoid, sqrt, sub } from '../tensor/ops.ts';
import { gatherRows } from '../tensor/ops-index.ts';
import { gemm } from '../tensor/ops-matrix.ts';
import { concat, reduceMean, reshape, split, sumTo, transpose } from '../tensor/ops-shape.ts';
import type { LlamaConfig } from './config.ts';
import { parameterSpecs } from './config.ts';
import { ModelError } from './errors.ts';
import { causalAttention } from './llama-attention.ts';
import { rotaryTable } from './rotary-table.ts';

/** The model's weights as values of a graph, by their Hugging Face names. */
export type Parameters = ReadonlyMap<string, Value>;

/** Declares parameters, by default all of the model, as states of the graph, in canonical order. */
export function parameterStates(graph: Graph, config: LlamaConfig, specs = parameterSpecs(config)): Parameters {
  return new Map(specs.map(({ name, shape }) => [name, graph.state(name, shape)]));
}

/** One parameter by name; the head is the embedding where the two are tied. */
export function parameter(parameters: Parameters, name: string): Value {
  const found =
    parameters.get(`${name}.weight`) ?? (name === 'lm_head' ? parameters.get('model.embed_tokens.weight') : null);
  if (!found) throw new ModelError('wrong-weights', `the parameters do not contain ${name}.weight`, { name });
  return found;
}

/** RMSNorm (arXiv 1910.07467) over the last axis: x / sqrt(mean(x²) + eps) · weight, with one gradient rule for all of it. */
export function rmsNorm(x: Value, weight: Value, eps: number): Value {
  const { graph } = x;
  const width = x.shape.at(-1)!;
  const { scale, normal, y } = graph.untaped(() => {
    const scale = reciprocal(sqrt(add(reduceMean(mul(x, x), [-1], true), eps)));
    const normal = mul(x, scale);
    return { scale, normal, y: mul(normal, weight) };
  });
  graph.record([x, weight], [y], ([dy]) => {
    if (!dy) return [];
    const product = mul(dy, normal);
    // The mean of dy · weight · normal along each row, as a product of matrix and vector.
    const along = gemm(reshape(product, [-1, width]), reshape(weight, [width, 1]), { alpha: 1 / width });
    const inward = mul(normal, reshape(along, scale.shape));
    return [mul(sub(mul(dy, weight), inward), scale), sumTo(product, weight.shape)];
  });
  return y;
}

/** Cosines and signed sines as constants of the graph, [positions, head_dim]. */
export interface Rotation {
  readonly cosine: Value;
  readonly sine: Value;
}

/** The rotation of positions 0 … context - 1, times `scale`. */
export function rotation(graph: Graph, config: LlamaConfig, context: number, scale = 1): Rotation {
  const { head_dim, rope_theta, rope_scaling } = config;
  const table = rotaryTable(context, { head_dim, rope_theta, rope_scaling }, scale);
  return {
    cosine: graph.constant('float32', [context, head_dim], table.cosine),
    sine: graph.constant('float32', [context, head_dim], table.sine),
  };
}

/** RoPE over the last two axes [positions, head_dim]; the halves of each head are the pairs (rotate_half). */
export function rotary(x: Value, { cosine, sine }: Rotation): Value {
  const { graph } = x;
  const half = x.shape.at(-1)! / 2;
  const turn = (value: Value): Value => {
    const [low, high] = split(value, [half, half], -1);
    return mul(concat([high, low], -1), sine);
  };
  const y = graph.untaped(() => add(mul(x, cosine), turn(x)));
  // The transpose of a rotation is the inverse rotation: the sines change sign.
  graph.record([x], [y], ([dy]) => [dy && sub(mul(dy, cosine), turn(dy))]);
  return y;
}

/** x · Wᵀ for rows of activations, as nn.Linear without bias. */
export function linear(x: Value, weight: Value): Value {
  return gemm(x, weight, { transB: true });
}

/** The projection of this name, with its bias where the model has one. */
export function projection(x: Value, parameters: Parameters, name: string): Value {
  const y = linear(x, parameter(parameters, name));
  const bias = parameters.get(`${name}.bias`);
  return bias ? add(y, bias) : y;
}

/** Rows [batch · context, heads · head_dim] as [batch, heads, context, head_dim]. */
function toHeads(x: Value, batch: number, heads: number): Value {
  const [rows, width] = x.shape;
  return transpose(reshape(x, [batch, rows / batch, heads, width / heads]), [0, 2, 1, 3]);
}

/** The inverse of `toHeads`. */
export function fromHeads(x: Value): Value {
  const [batch, heads, context, head_dim] = x.shape;
  return reshape(transpose(x, [0, 2, 1, 3]), [batch * context, heads * head_dim]);
}

/** Queries, keys and values of a layer from its normed input, before rotation: [batch, heads, context, head_dim]. */
export function attentionProjection(x: Value, config: LlamaConfig, parameters: Parameters, at: string, batch: number) {
  const heads = config.num_attention_heads;
  const shared = config.num_key_value_heads;
  const project = (name: string, count: number): Value =>
    toHeads(projection(x, parameters, `${at}.self_attn.${name}`), batch, count);
  return { q: project('q_proj', heads), k: project('k_proj', shared), v: project('v_proj', shared) };
}

/** SwiGLU (arXiv 2002.05202): silu(x · gate) · (x · up), projected down. */
export function mlp(x: Value, parameters: Parameters, at: string): Value {
  const project = (input: Value, name: string): Value => projection(input, parameters, `${at}.mlp.${name}`);
  return project(gatedSilu(project(x, 'gate_proj'), project(x, 'up_proj')), 'down_proj');
}

/** gate · sigmoid(gate) · up, with one gradient rule for all of it. */
export function gatedSilu(gate: Value, up: Value): Value {
  const { graph } = gate;
  const { s, silu, y } = graph.untaped(() => {
    const s = sigmoid(gate);
    const silu = mul(gate, s);
    return { s, silu, y: mul(silu, up) };
  });
  graph.record([gate, up], [y], ([dy]) => {
    if (!dy) return [];
    // silu′ = s + silu · (1 - s), and silu · up = y: up · silu′ = y + s · (up - y)
    return [mul(dy, add(y, mul(s, sub(up, y)))), mul(dy, silu)];
  });
  return y;
}

/** How the work of one training graph is divided; null fields follow from the sizes. */
export interface LlamaOptions {
  /** Attention is computed in this many blocks of queries, each seeing only the keys up to its end. Divides the context. */
  readonly query_blocks?: number;
  /** A scalar zero that depends on another computation; it is added to the embedded tokens, so that this computation runs after that one. */
  readonly after?: Value;
}

/** The last hidden states, after the final norm, of int32 tokens [batch, context]: [batch · context, hidden_size]. */
export function hiddenStates(
  config: LlamaConfig,
  parameters: Parameters,
  tokens: Value,
  options: LlamaOptions = {},
): Value {
  const x = embedded(parameters, tokens);
  const { after, query_blocks } = options;
  const layers = { first: 0, end: config.num_hidden_layers, batch: tokens.shape[0], query_blocks };
  return finalNorm(config, parameters, decoderLayers(config, parameters, after ? add(x, after) : x, layers));
}

/** The embedding of int32 tokens [batch, context]: [batch · context, hidden_size]. */
export function embedded(parameters: Parameters, tokens: Value): Value {
  return gatherRows(parameter(parameters, 'model.embed_tokens'), reshape(tokens, [-1]));
}

/** The norm between the last layer and the head. */
export function finalNorm(config: LlamaConfig, parameters: Parameters, x: Value): Value {
  return rmsNorm(x, parameter(parameters, 'model.norm'), config.rms_norm_eps);
}

/** Layers first … end - 1 of the model, on the residual stream [batch · context, hidden_size] of so many sequences. */
export function decoderLayers(
  config: LlamaConfig,
  parameters: Parameters,
  input: Value,
  options: { readonly first: number; readonly end: number; readonly batch: number; readonly query_blocks?: number },
): Value {
  const { graph } = input;
  const { batch } = options;
  const context = input.shape[0] / batch;
  const eps = config.rms_norm_eps;
  // The scale of the scores is folded into the rotation of the queries.
  const rotateQuery = rotation(graph, config, context, 1 / Math.sqrt(config.head_dim));
  const rotateKey = rotation(graph, config, context);
  const norm = (x: Value, name: string): Value => rmsNorm(x, parameter(parameters, name), eps);
  let x = input;
  for (let layer = options.first; layer < options.end; layer++) {
    const at = `model.layers.${layer}`;
    const { q, k, v } = attentionProjection(norm(x, `${at}.input_layernorm`), config, parameters, at, batch);
    const attended = causalAttention(rotary(q, rotateQuery), rotary(k, rotateKey), v, {
      query_blocks: options.query_blocks ?? 1,
      window: config.sliding_window,
    });
    x = add(x, projection(fromHeads(attended), parameters, `${at}.self_attn.o_proj`));
    x = add(x, mlp(norm(x, `${at}.post_attention_layernorm`), parameters, at));
  }
  return x;
}
