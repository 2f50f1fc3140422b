// The shape of a Llama, Mistral or Qwen2 model, with the names of Hugging Face's config.json (transformers' LlamaConfig and similar).
import { z } from 'zod';

const LIMIT_VOCAB = 262_144; // the largest vocabulary in wide use (Gemma's); a larger one is a mistake
const LIMIT_LAYERS = 256;
const LIMIT_WIDTH = 65_536;
const LIMIT_POSITIONS = 1_048_576;

/** Families with Llama's mathematics: Mistral adds a window of attention, Qwen2 biases of queries, keys and values. */
export const FAMILIES = ['llama', 'mistral', 'qwen2'] as const;
export type Family = (typeof FAMILIES)[number];

const factor = z.number().positive().max(1e6);
/** How the frequencies of RoPE are scaled for a longer context (transformers' modeling_rope_utils); null where they are not. */
const RopeScalingSchema = z.discriminatedUnion('rope_type', [
  z.object({ rope_type: z.literal('linear'), factor }),
  z
    .object({
      rope_type: z.literal('llama3'),
      factor,
      low_freq_factor: factor,
      high_freq_factor: factor,
      original_max_position_embeddings: z.int().min(1).max(LIMIT_POSITIONS),
    })
    .refine((c) => c.high_freq_factor > c.low_freq_factor, {
      error: 'high_freq_factor must be larger than low_freq_factor',
    }),
]);
export type RopeScaling = z.infer<typeof RopeScalingSchema>;

/** The keys that decide the mathematics. Runs created before a key existed have its default. */
export const LlamaConfigSchema = z
  .object({
    model_type: z.enum(FAMILIES).default('llama'),
    vocab_size: z.int().min(2).max(LIMIT_VOCAB),
    hidden_size: z.int().min(1).max(LIMIT_WIDTH),
    intermediate_size: z.int().min(1).max(LIMIT_WIDTH),
    num_hidden_layers: z.int().min(1).max(LIMIT_LAYERS),
    num_attention_heads: z.int().min(1).max(1024),
    num_key_value_heads: z.int().min(1).max(1024).optional(),
    head_dim: z.int().min(2).max(4096).nullish(),
    max_position_embeddings: z.int().min(1).max(LIMIT_POSITIONS).default(2048),
    rms_norm_eps: z.number().positive().default(1e-6),
    rope_theta: z.number().positive().default(10_000),
    tie_word_embeddings: z.boolean().default(false),
    hidden_act: z.literal('silu').default('silu'),
    /** Llama only: biases of all four projections of attention. Qwen2's biases follow from the family. */
    attention_bias: z.boolean().default(false),
    mlp_bias: z.boolean().default(false),
    rope_scaling: RopeScalingSchema.nullable().default(null),
    /** Mistral only: how many tokens each token sees, itself included; null for all before it. */
    sliding_window: z.int().min(1).max(LIMIT_POSITIONS).nullable().default(null),
  })
  .transform((c) => ({
    ...c,
    num_key_value_heads: c.num_key_value_heads ?? c.num_attention_heads,
    head_dim: c.head_dim ?? Math.floor(c.hidden_size / c.num_attention_heads),
  }))
  .refine((c) => c.num_attention_heads % c.num_key_value_heads === 0, {
    error: 'num_attention_heads must be a multiple of num_key_value_heads',
  })
  .refine((c) => c.head_dim > 0, { error: 'hidden_size must be at least num_attention_heads' })
  .refine((c) => c.head_dim % 2 === 0, { error: 'head_dim must be even: RoPE rotates pairs' })
  .refine((c) => c.model_type === 'llama' || !(c.attention_bias || c.mlp_bias), {
    error: 'attention_bias and mlp_bias are settings of llama',
  })
  .refine((c) => c.model_type === 'mistral' || c.sliding_window === null, {
    error: 'sliding_window is a setting of mistral',
  });

export type LlamaConfig = z.infer<typeof LlamaConfigSchema>;
export type LlamaConfigInput = z.input<typeof LlamaConfigSchema>;

/** A weight of the model: its name in model.safetensors, its shape, and whether AdamW decays it (matrices only). */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly decay: boolean;
}

/** Every weight by name, float32, in the order of `parameterSpecs`. */
export type Weights = ReadonlyMap<string, Float32Array>;

/** The parameters of a model in their canonical order: embedding, layers from the bottom up, final norm, head. */
export function parameterSpecs(config: LlamaConfig): ParameterSpec[] {
  const { hidden_size: d, intermediate_size: ff, head_dim } = config;
  const q = config.num_attention_heads * head_dim;
  const kv = config.num_key_value_heads * head_dim;
  const projectsWithBias = config.model_type === 'qwen2' || config.attention_bias;
  const matrix = (name: string, rows: number, columns: number): ParameterSpec => ({
    name: `${name}.weight`,
    shape: [rows, columns],
    decay: true,
  });
  const linear = (name: string, rows: number, columns: number, bias: boolean): ParameterSpec[] => [
    matrix(name, rows, columns),
    ...(bias ? [{ name: `${name}.bias`, shape: [rows], decay: false }] : []),
  ];
  const norm = (name: string): ParameterSpec => ({ name: `${name}.weight`, shape: [d], decay: false });
  const specs = [matrix('model.embed_tokens', config.vocab_size, d)];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    specs.push(
      norm(`${at}.input_layernorm`),
      ...linear(`${at}.self_attn.q_proj`, q, d, projectsWithBias),
      ...linear(`${at}.self_attn.k_proj`, kv, d, projectsWithBias),
      ...linear(`${at}.self_attn.v_proj`, kv, d, projectsWithBias),
      ...linear(`${at}.self_attn.o_proj`, d, q, config.attention_bias),
      norm(`${at}.post_attention_layernorm`),
      ...linear(`${at}.mlp.gate_proj`, ff, d, config.mlp_bias),
      ...linear(`${at}.mlp.up_proj`, ff, d, config.mlp_bias),
      ...linear(`${at}.mlp.down_proj`, d, ff, config.mlp_bias),
    );
  }
  specs.push(norm('model.norm'));
  if (!config.tie_word_embeddings) specs.push(matrix('lm_head', config.vocab_size, d));
  return specs;
}
