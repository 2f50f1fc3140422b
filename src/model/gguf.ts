// Writes a model as GGUF, which llama.cpp and what builds on it read: names, order of rows and settings as convert_hf_to_gguf.py has them.
import { sizeOf } from '../tensor/shape.ts';
import { type LlamaConfig, parameterSpecs } from './config.ts';
import { ModelError } from './errors.ts';
import { type GgufEntry, ggufStart, type ListedTensor } from './gguf-entries.ts';
import { padded } from './gguf-header.ts';
import { tokenizerEntries } from './gguf-tokenizer.ts';
import { encodeStored, ggmlNumber, storedBytes, storedType, type WrittenType } from './gguf-types.ts';
import { checkFinite } from './parts.ts';
import type { Tokenizer } from './tokenizer.ts';

const ALIGNMENT = 32;
/** Numbers that llama.cpp names a file's quantisation by (llama_ftype). */
const FILE_TYPES: Readonly<Record<WrittenType, number>> = { f32: 0, f16: 1, q4_0: 2, q8_0: 7 };
const QUANTIZATION_VERSION = 2;
/** Values that are encoded at a time: memory holds one tensor and as much of the file as this makes. A multiple of all blocks. */
const PIECE_VALUES = 2 ** 20;

/** What stands in a file beside the weights. */
export interface GgufModel {
  readonly config: LlamaConfig;
  readonly tokenizer: Tokenizer;
  readonly type: WrittenType;
  readonly name: string;
  /** SPDX expression, or the licence's own name. */
  readonly licence?: string | null;
  readonly chat_template?: string | null;
  /** Where the model comes from: entries under keys of Potluck's own. */
  readonly origin?: Readonly<Record<string, string>>;
}

const PLACES: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/** model.layers.3.self_attn.q_proj.weight → blk.3.attn_q.weight */
function ggufName(name: string): string {
  const [, layer, place, kind] = /^(?:model\.layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name)!;
  return `${layer === undefined ? '' : `blk.${layer}.`}${PLACES[place]}.${kind}`;
}

/**
 * llama.cpp rotates neighbours in a row of heads where transformers rotates the halves of a head, so the rows of queries and keys change
 * places; null for tensors that stay as they are. Qwen2 is computed in halves there as well.
 */
function headsToPermute(config: LlamaConfig, name: string): number | null {
  if (config.model_type === 'qwen2') return null;
  if (name.includes('.self_attn.q_proj.')) return config.num_attention_heads;
  return name.includes('.self_attn.k_proj.') ? config.num_key_value_heads : null;
}

/** Rows (or, of a bias, values) h·d + j·d/2 + i go to h·d + 2i + j. */
function permuted(values: Float32Array, heads: number, head_dim: number): Float32Array {
  const width = values.length / (heads * head_dim);
  const result = new Float32Array(values.length);
  const half = head_dim / 2;
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < head_dim; row++) {
      const from = (head * head_dim + row) * width;
      const to = head * head_dim + 2 * (row % half) + Number(row >= half);
      result.set(values.subarray(from, from + width), to * width);
    }
  }
  return result;
}

/** What Llama 3.1 divides each frequency by, as convert_hf_to_gguf.py writes it; null for other scalings. */
function frequencyFactors({ rope_scaling, rope_theta, head_dim }: LlamaConfig): Float32Array | null {
  if (rope_scaling?.rope_type !== 'llama3') return null;
  const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: old } = rope_scaling;
  return Float32Array.from({ length: head_dim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * rope_theta ** ((2 * i) / head_dim);
    if (wavelength < old / high) return 1;
    if (wavelength > old / low) return factor;
    const smooth = (old / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

interface WrittenTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: WrittenType;
  readonly bytes: number;
}

/** The weights in the order of `parameterSpecs`, behind what Llama 3.1 needs of its own. */
function tensorsOf(config: LlamaConfig, wanted: WrittenType, factors: Float32Array | null): WrittenTensor[] {
  const listed = (name: string, shape: readonly number[]): WrittenTensor => {
    const type = storedType(shape, wanted);
    return { name, shape, type, bytes: storedBytes(type, sizeOf(shape)) };
  };
  return [
    ...(factors ? [listed('rope_freqs.weight', [factors.length])] : []),
    ...parameterSpecs(config).map(({ name, shape }) => listed(ggufName(name), shape)),
  ];
}

function settings(config: LlamaConfig): GgufEntry[] {
  // llama.cpp computes Mistral as Llama, without its window.
  const arch = config.model_type === 'qwen2' ? 'qwen2' : 'llama';
  const { sliding_window, max_position_embeddings, rope_scaling } = config;
  if (sliding_window !== null && sliding_window < max_position_embeddings) {
    const fact = `sliding_window is ${sliding_window}, below max_position_embeddings ${max_position_embeddings}`;
    throw new ModelError('unsupported', `GGUF: ${fact}; llama.cpp computes Mistral without its window`);
  }
  const own: readonly (readonly [string, 'u32' | 'f32', number])[] = [
    ['context_length', 'u32', max_position_embeddings],
    ['embedding_length', 'u32', config.hidden_size],
    ['block_count', 'u32', config.num_hidden_layers],
    ['feed_forward_length', 'u32', config.intermediate_size],
    ['attention.head_count', 'u32', config.num_attention_heads],
    ['attention.head_count_kv', 'u32', config.num_key_value_heads],
    ['attention.key_length', 'u32', config.head_dim],
    ['attention.value_length', 'u32', config.head_dim],
    ['attention.layer_norm_rms_epsilon', 'f32', config.rms_norm_eps],
    ['rope.freq_base', 'f32', config.rope_theta],
    ['rope.dimension_count', 'u32', config.head_dim],
    ['vocab_size', 'u32', config.vocab_size],
  ];
  const scaling: GgufEntry[] =
    rope_scaling?.rope_type === 'linear'
      ? [
          [`${arch}.rope.scaling.type`, 'string', 'linear'],
          [`${arch}.rope.scaling.factor`, 'f32', rope_scaling.factor],
        ]
      : [];
  return [
    ['general.architecture', 'string', arch],
    ...own.map(([key, type, value]) => [`${arch}.${key}`, type, value] as const),
    ...scaling,
  ];
}

/** What a file says of the model, tensors apart. Throws ModelError `unsupported` for what llama.cpp computes in another way. */
function entriesOf({ config, tokenizer, type, name, licence, chat_template, origin = {} }: GgufModel): GgufEntry[] {
  return [
    ...settings(config),
    ['general.name', 'string', name],
    ...(licence ? [['general.license', 'string', licence] as const] : []),
    ['general.file_type', 'u32', FILE_TYPES[type]],
    ['general.quantization_version', 'u32', QUANTIZATION_VERSION],
    ['general.alignment', 'u32', ALIGNMENT],
    ...Object.entries(origin).map(([key, value]) => [`potluck.${key}`, 'string', value] as const),
    ...tokenizerEntries(tokenizer, config.vocab_size, chat_template ?? null),
  ];
}

/**
 * The pieces of a GGUF file, in order. `weights` are the values of each of `parameterSpecs`, in order: each is let go before the next one is
 * taken, so that a model need not fit into memory. The same weights give the same file.
 * Throws ModelError `unsupported` before the first piece, `wrong-weights` for another number or length of tensors, NaN and infinities.
 */
export async function* ggufFile(
  model: GgufModel,
  weights: Iterable<Float32Array> | AsyncIterable<Float32Array>,
): AsyncGenerator<Uint8Array> {
  const { config } = model;
  const factors = frequencyFactors(config);
  const tensors = tensorsOf(config, model.type, factors);
  let offset = 0;
  const listed = tensors.map(({ name, shape, type, bytes }): ListedTensor => {
    const at = offset;
    offset = padded(at + bytes, ALIGNMENT);
    return { name, dimensions: shape.toReversed(), type: ggmlNumber(type), offset: at };
  });
  yield ggufStart(entriesOf(model), listed, ALIGNMENT);
  if (factors) yield* tensorPieces(tensors[0], factors);
  const specs = parameterSpecs(config);
  let at = 0;
  for await (const values of weights) {
    const spec = specs[at];
    if (!spec || values.length !== sizeOf(spec.shape)) {
      const expected = spec ? `${sizeOf(spec.shape)} values of "${spec.name}"` : `${specs.length} tensors`;
      throw new ModelError('wrong-weights', `GGUF: expected ${expected}, got ${values.length} values`);
    }
    checkFinite(spec.name, values);
    const heads = headsToPermute(config, spec.name);
    const placed = heads === null ? values : permuted(values, heads, config.head_dim);
    yield* tensorPieces(tensors[at + Number(factors !== null)], placed);
    at++;
  }
  if (at !== specs.length) throw new ModelError('wrong-weights', `GGUF: expected ${specs.length} tensors, got ${at}`);
}

function* tensorPieces({ type, bytes }: WrittenTensor, values: Float32Array): Generator<Uint8Array> {
  for (let from = 0; from < values.length; from += PIECE_VALUES) {
    yield encodeStored(type, values.subarray(from, from + PIECE_VALUES));
  }
  const rest = padded(bytes, ALIGNMENT) - bytes;
  if (rest > 0) yield new Uint8Array(rest);
}
