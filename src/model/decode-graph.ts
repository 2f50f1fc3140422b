// Generation as one ONNX graph: chunks of new tokens of one or several sequences attend to themselves and to what their caches hold.
// Batch, chunk and held part are free. The caches are inputs and only the new rows leave the graph, so no run rewrites a cache.
import { axes, type Building, int, real, startBuilding } from '../tensor/onnx-building.ts';
import { encodeOnnxBeside, type FileValue, MICROSOFT } from '../tensor/onnx-file.ts';
import type { CompiledGraph } from '../tensor/runtime.ts';
import { checkWeights } from './check-weights.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from './config.ts';
import { joinValues } from './join-values.ts';
import { BLOCK, bitsOf, type NarrowMatrix, type NarrowType, narrowMatrix } from './narrow-matrix.ts';

/** A layer's part of a cache: keys [batch, kv_heads, head_dim, held], values [batch, kv_heads, held, head_dim]. */
export const cacheNames = (layer: number) => ({ keys: `cache/${layer}/keys`, values: `cache/${layer}/values` });

/** Products of 8 and 4 bits use activations of 8 bits, as llama.cpp's do. */
const ACCURACY_OF_BYTES = 4;

export interface DecodeModel {
  readonly graph: CompiledGraph;
  /** What the states of the graph hold. */
  readonly states: Weights;
  /** The embedding's rows; they are looked up outside of the graph. */
  readonly embedding: Float32Array | NarrowMatrix;
}

export interface DecodeOptions {
  /** How matrices are stored; vectors are always float32. */
  readonly stored: 'f32' | NarrowType;
  /**
   * Whether a head that is the embedding too is a state: then both can share their memory. A head beside the graph is faster, but the
   * runtime keeps its own copy of it.
   */
  readonly head_shared: boolean;
}

/** What all layers share. */
interface Shared {
  readonly building: Building;
  readonly config: LlamaConfig;
  readonly weights: Weights;
  readonly stored: DecodeOptions['stored'];
  /** Shapes of int64: rows as heads of queries and of keys; the lengths of the chunk and the held part. */
  readonly shapes: { readonly heads: string; readonly kv_heads: string; readonly parts: string };
  /** [batch, 1, group · chunk, chunk + held]. */
  readonly mask: string;
  readonly rotateKey: Rotation;
  readonly rotateQuery: Rotation;
}

/** Cosines and signed sines, [batch, chunk, 1, head_dim]. */
type Rotation = readonly [cosine: string, sine: string];

/**
 * Inputs: `embedded` [batch, chunk, hidden_size]; `rotation` [2, batch · chunk, head_dim], rows of rotaryTable; `mask` [batch, 1, chunk,
 * chunk + held], added to the scores; `wanted` int32 [answers], rows of batch · chunk whose next token is asked for; the caches.
 * Outputs: `logits` [answers, vocab_size]; `hidden` [batch · chunk, hidden_size] after the final norm; `fresh` [batch, chunk, 2 · layers ·
 * kv_heads, head_dim], for each layer the rotated keys and the values of the new tokens.
 * What is masked should lie at the end of the held part. Throws ModelError `wrong-weights`.
 */
export function decodeModel(config: LlamaConfig, weights: Weights, options: DecodeOptions): DecodeModel {
  checkWeights(parameterSpecs(config), weights);
  const { stored, head_shared } = options;
  const building = startBuilding();
  const { op, ints } = building;
  const shared: Shared = { building, config, weights, stored, ...placement(building, config) };
  let x = op('Reshape', ['embedded', ints([-1, config.hidden_size])]);
  const fresh: string[] = [];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    const { attended, keys, values } = attention(shared, norm(shared, x, `${at}.input_layernorm`), layer);
    fresh.push(keys, values);
    x = op('Add', [x, attended]);
    x = op('Add', [x, mlp(shared, norm(shared, x, `${at}.post_attention_layernorm`), `${at}.mlp`)]);
  }
  const hidden = norm(shared, x, 'model.norm', 'hidden');
  const answers = op('Gather', [hidden, 'wanted'], { axis: int(0) });
  op('Concat', fresh, { axis: int(2) }, 'fresh');
  const embedding = weights.get('model.embed_tokens.weight')!;
  const tied = config.tie_word_embeddings;
  const narrow = stored === 'f32' ? null : stored;
  const { vocab_size, hidden_size } = config;
  const rows = narrow ? narrowMatrix(narrow, embedding, vocab_size, hidden_size) : embedding;
  const head = tied ? 'model.embed_tokens.weight' : 'lm_head.weight';
  const isState = tied && head_shared && !narrow;
  if (isState) {
    // This way round ONNX Runtime reads the matrix as it is, and does not arrange all of it anew in each run.
    op('Transpose', [op('Gemm', [head, answers], { transB: int(1) })], { perm: axes(1, 0) }, 'logits');
  } else {
    linear(shared, answers, 'lm_head', vocab_size, hidden_size, {
      matrix: head,
      narrow: tied && narrow ? rows : null,
      output: 'logits',
    });
  }
  const states = isState ? [{ name: head, next: null, shape: [vocab_size, hidden_size] }] : [];
  const { inputs, outputs } = interfaceOf(config);
  const stateInputs: FileValue[] = states.map(({ name, shape }) => ({ name, dtype: 'float32', dimensions: shape }));
  const model = {
    nodes: building.nodes,
    tensors: [...building.tensors.values()],
    inputs: [...inputs, ...stateInputs],
    outputs,
  };
  const graph = {
    ...encodeOnnxBeside(model),
    inputs: inputs.map(({ name }) => name),
    outputs: outputs.map(({ name }) => name),
    states,
  };
  return { graph, states: new Map(isState ? [[head, embedding]] : []), embedding: rows };
}

function interfaceOf(config: LlamaConfig): { inputs: FileValue[]; outputs: FileValue[] } {
  const { hidden_size, head_dim, num_key_value_heads: kv_heads, num_hidden_layers: layers, vocab_size } = config;
  const value = (name: string, ...dimensions: (number | string)[]): FileValue => ({
    name,
    dtype: 'float32',
    dimensions,
  });
  const caches = Array.from({ length: layers }, (_, layer) => {
    const { keys, values } = cacheNames(layer);
    return [value(keys, 'batch', kv_heads, head_dim, 'held'), value(values, 'batch', kv_heads, 'held', head_dim)];
  });
  return {
    inputs: [
      value('embedded', 'batch', 'chunk', hidden_size),
      value('rotation', 2, 'rows', head_dim),
      value('mask', 'batch', 1, 'chunk', 'seen'),
      { name: 'wanted', dtype: 'int32', dimensions: ['answers'] },
      ...caches.flat(),
    ],
    outputs: [
      value('logits', 'answers', vocab_size),
      value('hidden', 'rows', hidden_size),
      value('fresh', 'batch', 'chunk', 2 * layers * kv_heads, head_dim),
    ],
  };
}

/** The shapes, the mask of all heads of a group, and the rotations: what follows from the inputs alone. */
function placement({ op, ints, float, split }: Building, config: LlamaConfig) {
  const { num_attention_heads: heads, num_key_value_heads: kv_heads, head_dim } = config;
  const dimensions = op('Shape', ['embedded'], { start: int(0), end: int(2) });
  const joined = (...parts: string[]): string => op('Concat', parts, { axis: int(0) });
  const chunk = op('Shape', ['embedded'], { start: int(1), end: int(2) });
  const held = op('Shape', [cacheNames(0).values], { start: int(2), end: int(3) });
  const shapes = {
    heads: joined(dimensions, ints([heads, head_dim])),
    kv_heads: joined(dimensions, ints([kv_heads, head_dim])),
    parts: joined(chunk, held),
  };
  const group = heads / kv_heads;
  // The queries of a group are stacked, so that they share one product with their keys.
  const mask = group === 1 ? 'mask' : op('Concat', Array<string>(group).fill('mask'), { axis: int(2) });
  const each = joined(dimensions, ints([1, head_dim]));
  const [cosine, sine] = split('rotation', ints([1, 1]), 0, 2).map((part) => op('Reshape', [part, each]));
  // The scale of the scores is folded into the rotation of the queries.
  const scale = float(Math.fround(1 / Math.sqrt(head_dim)));
  const rotateQuery: Rotation = [op('Mul', [cosine, scale]), op('Mul', [sine, scale])];
  const rotateKey: Rotation = [cosine, sine];
  return { shapes, mask, rotateKey, rotateQuery };
}

interface LinearNames {
  /** The matrix, where it is not named like the projection; `narrow` where it is quantised already. */
  readonly matrix?: string;
  readonly narrow?: NarrowMatrix | Float32Array | null;
  readonly output?: string;
}

/** x · Wᵀ, with the bias where the model has one. */
function linear(
  { building, weights, stored }: Shared,
  x: string,
  name: string,
  rows: number,
  columns: number,
  { matrix = `${name}.weight`, narrow = null, output }: LinearNames = {},
): string {
  const { op, tensor } = building;
  const bias = weights.get(`${name}.bias`);
  const added = bias ? [tensor(`${name}.bias`, 'float32', [rows], bias)] : [];
  if (stored === 'f32') {
    const weight = tensor(matrix, 'float32', [rows, columns], weights.get(matrix)!);
    return op('Gemm', [x, weight, ...added], { transB: int(1) }, output);
  }
  const { levels, scales, blocks } =
    (narrow as NarrowMatrix) ?? narrowMatrix(stored, weights.get(matrix)!, rows, columns);
  const bits = bitsOf(stored);
  const inputs = [
    x,
    tensor(`${matrix}/levels`, 'uint8', [rows, blocks, (BLOCK * bits) / 8], levels),
    tensor(`${matrix}/scales`, 'float32', [rows * blocks], scales),
  ];
  const attributes = {
    ...{ K: int(columns), N: int(rows), bits: int(bits), block_size: int(BLOCK) },
    accuracy_level: int(ACCURACY_OF_BYTES),
  };
  if (!bias) return op('MatMulNBits', inputs, attributes, output, MICROSOFT);
  return op('Add', [op('MatMulNBits', inputs, attributes, undefined, MICROSOFT), ...added], {}, output);
}

/**
 * Several projections of the same rows. Narrow ones are one product, which rounds the rows to 8 bits once; to join float32 matrices would take
 * their memory again while the model is loaded.
 */
function linears(
  shared: Shared,
  x: string,
  names: readonly string[],
  rows: readonly number[],
  columns: number,
): string[] {
  const { building, weights, stored } = shared;
  if (stored === 'f32') return names.map((name, i) => linear(shared, x, name, rows[i], columns));
  const total = rows.reduce((sum, count) => sum + count, 0);
  const together = new Map<string, Float32Array>();
  for (const kind of ['weight', 'bias']) {
    const parts = names.flatMap((name) => weights.get(`${name}.${kind}`) ?? []);
    if (parts.length > 0) together.set(`${names[0]}.all.${kind}`, joinValues(parts));
  }
  const all = linear({ ...shared, weights: together }, x, `${names[0]}.all`, total, columns);
  return building.split(all, building.ints(rows), 1, rows.length);
}

/** RMSNorm as one operator of ONNX Runtime's, whose second output nobody reads: on WebGPU that one is wrong. */
function norm({ building, config, weights }: Shared, x: string, name: string, output?: string): string {
  const weight = building.tensor(`${name}.weight`, 'float32', [config.hidden_size], weights.get(`${name}.weight`)!);
  const attributes = { axis: int(-1), epsilon: real(config.rms_norm_eps) };
  return building.op('SimplifiedLayerNormalization', [x, weight], attributes, output);
}

/** RoPE: the halves of each head are the pairs. */
function rotary({ op, ints, split }: Building, x: string, head_dim: number, [cosine, sine]: Rotation): string {
  const [low, high] = split(x, ints([head_dim / 2, head_dim / 2]), 3, 2);
  const turned = op('Concat', [high, low], { axis: int(3) });
  return op('Add', [op('Mul', [x, cosine]), op('Mul', [turned, sine])]);
}

/** softmax(q · kᵀ + mask) · v over the chunk and the held part, which are multiplied apart, because joining them would copy the cache. */
function attention({ building, config, ...shared }: Shared, x: string, layer: number) {
  const { op, ints, split } = building;
  const { num_attention_heads: heads, num_key_value_heads: kv_heads, head_dim, hidden_size } = config;
  const { shapes, mask, rotateKey, rotateQuery } = shared;
  const at = `model.layers.${layer}.self_attn`;
  const all = { building, config, ...shared };
  const counts = [heads, kv_heads, kv_heads].map((count) => count * head_dim);
  const names = ['q_proj', 'k_proj', 'v_proj'].map((name) => `${at}.${name}`);
  const [q, k, v] = linears(all, x, names, counts, hidden_size);
  const keys = rotary(building, op('Reshape', [k, shapes.kv_heads]), head_dim, rotateKey);
  const values = op('Reshape', [v, shapes.kv_heads]);
  const turned = rotary(building, op('Reshape', [q, shapes.heads]), head_dim, rotateQuery);
  const queries = op('Reshape', [
    op('Transpose', [turned], { perm: axes(0, 2, 1, 3) }),
    ints([0, kv_heads, -1, head_dim]),
  ]);
  const held = cacheNames(layer);
  const scores = op(
    'Concat',
    [op('MatMul', [queries, op('Transpose', [keys], { perm: axes(0, 2, 3, 1) })]), op('MatMul', [queries, held.keys])],
    { axis: int(3) },
  );
  const p = op('Softmax', [op('Add', [scores, mask])], { axis: int(3) });
  const [ofChunk, ofHeld] = split(p, shapes.parts, 3, 2);
  const mixed = op('Add', [
    op('MatMul', [ofChunk, op('Transpose', [values], { perm: axes(0, 2, 1, 3) })]),
    op('MatMul', [ofHeld, held.values]),
  ]);
  const byToken = op('Transpose', [op('Reshape', [mixed, ints([0, heads, -1, head_dim])])], { perm: axes(0, 2, 1, 3) });
  const rows = op('Reshape', [byToken, ints([-1, heads * head_dim])]);
  return { attended: linear(all, rows, `${at}.o_proj`, hidden_size, heads * head_dim), keys, values };
}

/** SwiGLU: silu(x · gate) · (x · up), projected down. */
function mlp(shared: Shared, x: string, at: string): string {
  const { op } = shared.building;
  const { hidden_size: d, intermediate_size: ff } = shared.config;
  const [gate, up] = linears(shared, x, [`${at}.gate_proj`, `${at}.up_proj`], [ff, ff], d);
  const silu = op('Mul', [gate, op('Sigmoid', [gate])]);
  return linear(shared, op('Mul', [silu, up]), `${at}.down_proj`, d, ff);
}
