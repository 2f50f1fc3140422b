// The Llama family's shape as Hugging Face writes it in config.json (LlamaConfig of transformers).
import { z } from 'zod';

const LIMIT_VOCAB = 262_144; // the largest vocabulary in wide use (Gemma); more is a mistake
const LIMIT_LAYERS = 256;
const LIMIT_WIDTH = 65_536;

/** The keys of config.json that decide the mathematics. Unknown keys are dropped; what we cannot compute is refused. */
export const LlamaConfigSchema = z
  .object({
    vocab_size: z.int().min(2).max(LIMIT_VOCAB),
    hidden_size: z.int().min(1).max(LIMIT_WIDTH),
    intermediate_size: z.int().min(1).max(LIMIT_WIDTH),
    num_hidden_layers: z.int().min(1).max(LIMIT_LAYERS),
    num_attention_heads: z.int().min(1).max(1024),
    num_key_value_heads: z.int().min(1).max(1024).optional(),
    head_dim: z.int().min(2).max(4096).nullish(),
    max_position_embeddings: z.int().min(1).max(1_048_576).default(2048),
    rms_norm_eps: z.number().positive().default(1e-6),
    rope_theta: z.number().positive().default(10_000),
    tie_word_embeddings: z.boolean().default(false),
    hidden_act: z.literal('silu').default('silu'),
    attention_bias: z.literal(false).default(false),
    mlp_bias: z.literal(false).default(false),
    rope_scaling: z.null().default(null),
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
  .refine((c) => c.head_dim % 2 === 0, { error: 'head_dim must be even: RoPE rotates pairs' });

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

/** The parameters of a model in their one canonical order: embedding, layers from the bottom, final norm, head. */
export function parameterSpecs(config: LlamaConfig): ParameterSpec[] {
  const { hidden_size: d, intermediate_size: ff, head_dim } = config;
  const q = config.num_attention_heads * head_dim;
  const kv = config.num_key_value_heads * head_dim;
  const matrix = (name: string, rows: number, columns: number): ParameterSpec => ({
    name: `${name}.weight`,
    shape: [rows, columns],
    decay: true,
  });
  const norm = (name: string): ParameterSpec => ({ name: `${name}.weight`, shape: [d], decay: false });
  const specs = [matrix('model.embed_tokens', config.vocab_size, d)];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    specs.push(
      norm(`${at}.input_layernorm`),
      matrix(`${at}.self_attn.q_proj`, q, d),
      matrix(`${at}.self_attn.k_proj`, kv, d),
      matrix(`${at}.self_attn.v_proj`, kv, d),
      matrix(`${at}.self_attn.o_proj`, d, q),
      norm(`${at}.post_attention_layernorm`),
      matrix(`${at}.mlp.gate_proj`, ff, d),
      matrix(`${at}.mlp.up_proj`, ff, d),
      matrix(`${at}.mlp.down_proj`, d, ff),
    );
  }
  specs.push(norm('model.norm'));
  if (!config.tie_word_embeddings) specs.push(matrix('lm_head', config.vocab_size, d));
  return specs;
}
