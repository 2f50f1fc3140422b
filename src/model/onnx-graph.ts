// A model of the Llama family as the ONNX graph that transformers.js and ONNX Runtime's examples expect: free batch and lengths, the cache
// as inputs and outputs. The names are those of Hugging Face's exporter (optimum), the mathematics is that of llama.ts.
import { axes, type Building, int, startBuilding } from '../tensor/onnx-building.ts';
import { type FileValue, MICROSOFT, type OnnxModel } from '../tensor/onnx-file.ts';
import { checkWeights } from './check-weights.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from './config.ts';
import { BLOCK, type ByteBlocks, byteBlocks } from './onnx-blocks.ts';
import { rotaryTable } from './rotary-table.ts';

/** How the matrices are stored: float32, or a byte for each weight and a scale for each 32. */
export type OnnxWeights = 'f32' | 'q8';

/** Added to the scores of what a query may not see. exp of it is 0 in float32; a row of nothing else stays finite, as -Infinity would not. */
const MASKED = -1e30;
/** The end of a slice that goes to the end. */
const TO_THE_END = 2 ** 53 - 1;

/** The names of the free dimensions. transformers.js makes an empty cache from them: every name but batch_size is 0 there. */
const BATCH = 'batch_size';
const NEW = 'sequence_length';
const PAST = 'past_sequence_length';
const TOTAL = 'total_sequence_length';

/** What all layers share. */
interface Shared {
  readonly building: Building;
  readonly config: LlamaConfig;
  readonly weights: Weights;
  readonly stored: OnnxWeights;
  /** Shapes of int64: rows as heads, as heads of keys, and scores as groups of heads and back. */
  readonly shapes: {
    readonly heads: string;
    readonly kv_heads: string;
    readonly grouped: string;
    readonly flat: string;
  };
  /** [batch, 1, 1, new, total]: 0 where a query may see a key, otherwise MASKED. */
  readonly bias: string;
  /** Cosines and sines for each new position, [batch, 1, new, head_dim / 2]; those of queries are scaled. */
  readonly rotateKey: readonly [cosine: string, sine: string];
  readonly rotateQuery: readonly [cosine: string, sine: string];
}

/**
 * Inputs: input_ids, attention_mask, position_ids, past_key_values.N.key and .value; outputs: logits [batch, new, vocabulary],
 * present.N.key and .value. Padding, on the left, is what attention_mask says 0 of. The tensors share the memory of the weights where they
 * are stored in float32. Throws ModelError `wrong-weights`.
 */
export function onnxGraph(config: LlamaConfig, weights: Weights, stored: OnnxWeights): OnnxModel {
  checkWeights(parameterSpecs(config), weights);
  const building = startBuilding();
  const shared: Shared = { building, config, weights, stored, ...positions(building, config) };
  const { op, ints } = building;
  let x = embedded(shared);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) x = layerOf(shared, x, layer);
  const head = config.tie_word_embeddings ? 'model.embed_tokens' : 'lm_head';
  const logits = linear(shared, norm(shared, x, 'model.norm'), head, config.vocab_size, config.hidden_size);
  const dimensions = [op('Shape', ['input_ids']), ints([config.vocab_size])];
  op('Reshape', [logits, op('Concat', dimensions, { axis: int(0) })], {}, 'logits');
  return { nodes: building.nodes, tensors: [...building.tensors.values()], ...interfaceOf(config) };
}

function interfaceOf(config: LlamaConfig): { inputs: FileValue[]; outputs: FileValue[] } {
  const cache = (prefix: string, length: string): FileValue[] =>
    Array.from({ length: config.num_hidden_layers }, (_, layer) =>
      ['key', 'value'].map((which) => ({
        name: `${prefix}.${layer}.${which}`,
        dtype: 'float32' as const,
        dimensions: [BATCH, config.num_key_value_heads, length, config.head_dim],
      })),
    ).flat();
  const inputs: FileValue[] = [
    { name: 'input_ids', dtype: 'int64', dimensions: [BATCH, NEW] },
    { name: 'attention_mask', dtype: 'int64', dimensions: [BATCH, TOTAL] },
    { name: 'position_ids', dtype: 'int64', dimensions: [BATCH, NEW] },
    ...cache('past_key_values', PAST),
  ];
  const logits: FileValue = { name: 'logits', dtype: 'float32', dimensions: [BATCH, NEW, config.vocab_size] };
  return { inputs, outputs: [logits, ...cache('present', TOTAL)] };
}

/** The shapes, the mask and the rotations, which follow from the inputs alone. */
function positions(building: Building, config: LlamaConfig) {
  const { op, ints, float } = building;
  const { num_attention_heads: heads, num_key_value_heads: kv_heads, head_dim } = config;
  const dimension = (of: string, at: number): string => op('Shape', [of], { start: int(at), end: int(at + 1) });
  const batch = dimension('input_ids', 0);
  const added = dimension('input_ids', 1);
  const total = dimension('attention_mask', 1);
  const joined = (...parts: string[]): string => op('Concat', parts, { axis: int(0) });
  const shapes = {
    heads: joined(batch, added, ints([heads, head_dim])),
    kv_heads: joined(batch, added, ints([kv_heads, head_dim])),
    grouped: joined(ints([0, kv_heads, heads / kv_heads, -1]), total),
    flat: joined(ints([0, kv_heads, -1]), total),
  };
  // The new tokens are the last columns of the mask; each sees the columns up to its own.
  const scalar = (vector: string): string => op('Squeeze', [vector]);
  const end = scalar(total);
  const columns = op('Range', [ints(0), end, ints(1)]);
  const own = op('Range', [scalar(op('Sub', [total, added])), end, ints(1)]);
  const rows = op('Unsqueeze', [own, ints([1])]);
  let seen = op('LessOrEqual', [columns, rows]);
  if (config.sliding_window !== null) {
    seen = op('And', [seen, op('Greater', [columns, op('Sub', [rows, ints(config.sliding_window)])])]);
  }
  const real = op('Unsqueeze', [op('Cast', ['attention_mask'], { to: int(9) }), ints([1, 2, 3])]); // 9: bool
  const bias = op('Where', [op('And', [seen, real]), float(0), float(MASKED)]);
  const [cosine, sine] = rotation(building, config);
  const scale = float(Math.fround(1 / Math.sqrt(head_dim)));
  const rotateQuery = [op('Mul', [cosine, scale]), op('Mul', [sine, scale])] as const;
  return { shapes, bias, rotateKey: [cosine, sine] as const, rotateQuery };
}

/** The rows of the rotation's table for position_ids, a head's first half only: the second has the same angles. */
function rotation({ op, ints, tensor }: Building, config: LlamaConfig): readonly [string, string] {
  const { max_position_embeddings: count, head_dim } = config;
  const half = head_dim / 2;
  const table = rotaryTable(count, config);
  const halves = { cosine: new Float32Array(count * half), sine: new Float32Array(count * half) };
  for (let row = 0; row < count; row++) {
    // The table's sines are negative in the first half, so they are taken from the second.
    halves.cosine.set(table.cosine.subarray(row * head_dim + half, (row + 1) * head_dim), row * half);
    halves.sine.set(table.sine.subarray(row * head_dim + half, (row + 1) * head_dim), row * half);
  }
  const rows = (name: 'cosine' | 'sine'): string => {
    const at = tensor(`rotary.${name}`, 'float32', [count, half], halves[name]);
    return op('Unsqueeze', [op('Gather', [at, 'position_ids']), ints([1])]);
  };
  return [rows('cosine'), rows('sine')];
}

/** The rows of the embedding for input_ids, [batch · new, width]. */
function embedded({ building, config, weights, stored }: Shared): string {
  const { op, ints, tensor, float } = building;
  const { vocab_size, hidden_size } = config;
  const name = 'model.embed_tokens.weight';
  const ids = op('Reshape', ['input_ids', ints([-1])]);
  if (stored === 'f32') {
    return op('Gather', [tensor(name, 'float32', [vocab_size, hidden_size], weights.get(name)!), ids]);
  }
  const { bytes, scales, blocks } = quantised(building, name, weights, vocab_size, hidden_size);
  const centred = op('Sub', [op('Cast', [op('Gather', [bytes, ids])], { to: int(1) }), float(128)]); // 1: float32
  const scale = op('Gather', [op('Reshape', [scales, ints([vocab_size, blocks, 1])]), ids]);
  const rows = op('Reshape', [op('Mul', [centred, scale]), ints([-1, blocks * BLOCK])]);
  if (hidden_size === blocks * BLOCK) return rows;
  return op('Slice', [rows, ints([0]), ints([hidden_size]), ints([1])]);
}

/** The bytes and scales of a matrix as tensors of the model, made once: a tied head shares them with the embedding. */
function quantised({ tensor, tensors }: Building, name: string, weights: Weights, rows: number, columns: number) {
  const blocks = Math.ceil(columns / BLOCK);
  const names = { bytes: `${name}.q8`, scales: `${name}.scale` };
  if (!tensors.has(names.bytes)) {
    const made: ByteBlocks = byteBlocks(weights.get(name)!, rows, columns);
    tensor(names.bytes, 'uint8', [rows, blocks, BLOCK], made.bytes);
    tensor(names.scales, 'float32', [rows * blocks], made.scales);
  }
  return { ...names, blocks };
}

/** x · Wᵀ, with the bias where the model has one. */
function linear({ building, weights, stored }: Shared, x: string, name: string, rows: number, columns: number): string {
  const { op, tensor } = building;
  const bias = weights.get(`${name}.bias`);
  const added = bias ? [tensor(`${name}.bias`, 'float32', [rows], bias)] : [];
  if (stored === 'f32') {
    const weight = tensor(`${name}.weight`, 'float32', [rows, columns], weights.get(`${name}.weight`)!);
    return op('Gemm', [x, weight, ...added], { transB: int(1) });
  }
  const { bytes, scales } = quantised(building, `${name}.weight`, weights, rows, columns);
  const attributes = { K: int(columns), N: int(rows), bits: int(8), block_size: int(BLOCK) };
  const y = op('MatMulNBits', [x, bytes, scales], attributes, undefined, MICROSOFT);
  return bias ? op('Add', [y, ...added]) : y;
}

/** RMSNorm, in the form that ONNX Runtime computes as one operator. */
function norm({ building, config, weights }: Shared, x: string, name: string): string {
  const { op, ints, float, tensor } = building;
  const mean = op('ReduceMean', [op('Pow', [x, float(2)]), ints([-1])]);
  const normal = op('Div', [x, op('Sqrt', [op('Add', [mean, float(config.rms_norm_eps)])])]);
  return op('Mul', [normal, tensor(`${name}.weight`, 'float32', [config.hidden_size], weights.get(`${name}.weight`)!)]);
}

/** RoPE: the halves of each head are the pairs. */
function rotary({ op, ints }: Building, x: string, half: number, [cosine, sine]: readonly [string, string]): string {
  const part = (from: number, to: number): string => op('Slice', [x, ints([from]), ints([to]), ints([3])]);
  const low = part(0, half);
  const high = part(half, TO_THE_END);
  const first = op('Sub', [op('Mul', [low, cosine]), op('Mul', [high, sine])]);
  const second = op('Add', [op('Mul', [high, cosine]), op('Mul', [low, sine])]);
  return op('Concat', [first, second], { axis: int(3) });
}

/** One layer: [batch · new, width] to the same. */
function layerOf(shared: Shared, x: string, layer: number): string {
  const { building, config } = shared;
  const { op } = building;
  const { hidden_size: d, intermediate_size: ff } = config;
  const at = `model.layers.${layer}`;
  const attended = op('Add', [x, attention(shared, norm(shared, x, `${at}.input_layernorm`), layer)]);
  const inner = norm(shared, attended, `${at}.post_attention_layernorm`);
  const gate = linear(shared, inner, `${at}.mlp.gate_proj`, ff, d);
  const up = linear(shared, inner, `${at}.mlp.up_proj`, ff, d);
  const gated = op('Mul', [op('Mul', [gate, op('Sigmoid', [gate])]), up]);
  return op('Add', [attended, linear(shared, gated, `${at}.mlp.down_proj`, d, ff)]);
}

/** Attention of the new tokens to the cache and to themselves. Heads that share keys are one product with them. */
function attention(shared: Shared, x: string, layer: number): string {
  const { building, config, shapes, bias, rotateKey, rotateQuery } = shared;
  const { op, ints } = building;
  const { num_attention_heads: heads, num_key_value_heads: kv_heads, head_dim, hidden_size: d } = config;
  const half = head_dim / 2;
  const at = `model.layers.${layer}.self_attn`;
  const project = (name: string, count: number, shape: string): string => {
    const rows = linear(shared, x, `${at}.${name}`, count * head_dim, d);
    return op('Transpose', [op('Reshape', [rows, shape])], { perm: axes(0, 2, 1, 3) });
  };
  const extended = (which: string, added: string): string =>
    op('Concat', [`past_key_values.${layer}.${which}`, added], { axis: int(2) }, `present.${layer}.${which}`);
  const q = rotary(building, project('q_proj', heads, shapes.heads), half, rotateQuery);
  const keys = extended('key', rotary(building, project('k_proj', kv_heads, shapes.kv_heads), half, rotateKey));
  const values = extended('value', project('v_proj', kv_heads, shapes.kv_heads));
  const grouped = op('Reshape', [q, ints([0, kv_heads, -1, head_dim])]);
  const scores = op('MatMul', [grouped, op('Transpose', [keys], { perm: axes(0, 1, 3, 2) })]);
  const masked = op('Add', [op('Reshape', [scores, shapes.grouped]), bias]);
  const p = op('Reshape', [op('Softmax', [masked], { axis: int(-1) }), shapes.flat]);
  const mixed = op('Reshape', [op('MatMul', [p, values]), ints([0, heads, -1, head_dim])]);
  const rows = op('Reshape', [op('Transpose', [mixed], { perm: axes(0, 2, 1, 3) }), ints([-1, heads * head_dim])]);
  return linear(shared, rows, `${at}.o_proj`, d, heads * head_dim);
}
