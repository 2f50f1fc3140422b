// Reads and writes config.json as transformers 4 and 5 do. A setting that changes the mathematics is either computed or refused by name.
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import { FAMILIES, type Family, type LlamaConfig, LlamaConfigSchema } from './config.ts';
import type { RoundedDtype } from './dtypes.ts';
import { ModelError } from './errors.ts';

/** The class of each family, and transformers' defaults for settings that its config.json lacks. */
const CLASSES: Readonly<Record<Family, { readonly architecture: string; readonly defaults: object }>> = {
  llama: { architecture: 'LlamaForCausalLM', defaults: { max_position_embeddings: 2048 } },
  mistral: {
    architecture: 'MistralForCausalLM',
    defaults: { max_position_embeddings: 131_072, num_key_value_heads: 8, sliding_window: 4096 },
  },
  qwen2: {
    architecture: 'Qwen2ForCausalLM',
    defaults: { max_position_embeddings: 32_768, num_key_value_heads: 32 },
  },
};

/** Settings that the model's computation uses. */
const COMPUTED = [
  ...['model_type', 'vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads'],
  ...['num_key_value_heads', 'head_dim', 'max_position_embeddings', 'rms_norm_eps', 'rope_theta', 'hidden_act'],
  ...['tie_word_embeddings', 'attention_bias', 'mlp_bias', 'rope_scaling', 'rope_parameters', 'sliding_window'],
];

/** Settings that do not change the logits: names, storage of weights, sampling of text, random numbers in training. */
const WITHOUT_EFFECT = new Set([
  ...['architectures', '_name_or_path', 'name_or_path', 'transformers_version', 'torch_dtype', 'dtype', '_commit_hash'],
  ...['use_cache', 'initializer_range', 'attention_dropout', 'pretraining_tp', 'max_window_layers', 'is_decoder'],
  ...['bos_token_id', 'eos_token_id', 'pad_token_id', 'unk_token_id', 'sep_token_id', 'cls_token_id', 'mask_token_id'],
  ...['decoder_start_token_id', 'tokenizer_class', 'prefix', 'model_max_length', 'problem_type', 'finetuning_task'],
  ...['id2label', 'label2id', 'num_labels', 'task_specific_params', 'torchscript', 'use_bfloat16', 'tf_legacy_loss'],
  ...['return_dict', 'output_hidden_states', 'output_attentions', 'attn_implementation', '_attn_implementation'],
  ...['_attn_implementation_autoset', '_flash_attn_2_enabled', 'unsloth_version', 'unsloth_fixed'],
  ...['transformers.js_config', 'tie_encoder_decoder', 'chunk_size_feed_forward', 'tie_last_hidden_states'],
  // Settings of generation that older versions kept here.
  ...['max_length', 'min_length', 'do_sample', 'early_stopping', 'num_beams', 'num_beam_groups', 'diversity_penalty'],
  ...['temperature', 'top_k', 'top_p', 'typical_p', 'repetition_penalty', 'length_penalty', 'no_repeat_ngram_size'],
  ...['encoder_no_repeat_ngram_size', 'bad_words_ids', 'num_return_sequences', 'output_scores', 'suppress_tokens'],
  ...['return_dict_in_generate', 'forced_bos_token_id', 'forced_eos_token_id', 'remove_invalid_values'],
  ...['exponential_decay_length_penalty', 'begin_suppress_tokens'],
]);

/** Settings for which only one value is supported: the one of a model without the feature. */
const ONLY: Readonly<Record<string, (value: unknown) => boolean>> = {
  hidden_act: (value) => value === 'silu',
  use_sliding_window: (value) => value === false,
  layer_types: (value) => Array.isArray(value) && value.every((type) => type === 'full_attention'),
  partial_rotary_factor: (value) => value === 1,
  rope_interleaved: (value) => value === false,
  use_mrope: (value) => value === false,
  is_encoder_decoder: (value) => value === false,
  add_cross_attention: (value) => value === false,
  pruned_heads: isEmpty,
  per_layer_config: isEmpty,
};

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

const unsupported = (fact: string, details = {}) => new ModelError('unsupported', `config.json: ${fact}`, details);

const StoredConfigSchema = z.looseObject({
  model_type: z.string(),
  architectures: z.array(z.string()).nullish(),
  rope_theta: z.number().nullish(),
  rope_scaling: z.record(z.string(), z.unknown()).nullish(),
  rope_parameters: z.record(z.string(), z.unknown()).nullish(),
});
type StoredConfig = z.infer<typeof StoredConfigSchema>;

/**
 * Parses the configuration in a config.json of any version of transformers.
 * Throws ModelError `unsupported`, naming the setting that Potluck does not compute or does not know, or `bad-config`.
 */
export function configFromJson(value: unknown): LlamaConfig {
  const parsed = StoredConfigSchema.safeParse(value);
  if (!parsed.success) throw new ModelError('bad-config', `config.json: ${firstIssue(parsed.error)}`);
  const stored = parsed.data;
  const family = FAMILIES.find((name) => name === stored.model_type);
  if (!family) {
    const { model_type } = stored;
    throw unsupported(`model_type "${model_type}", expected one of ${FAMILIES.join(', ')}`, { model_type });
  }
  checkSettings(stored, family);
  // Old files write null for "the default".
  const values = Object.fromEntries(COMPUTED.filter((key) => stored[key] !== null).map((key) => [key, stored[key]]));
  const defaults = Object.entries(CLASSES[family].defaults).filter(([key]) => stored[key] === undefined);
  const { rope_theta, rope_scaling } = rotation(stored);
  // Only Mistral uses a window here: a Qwen2 file states the length of a window that it does not use.
  const sliding_window = family === 'mistral' ? stored.sliding_window : null;
  const config = LlamaConfigSchema.safeParse({
    ...values,
    sliding_window,
    ...Object.fromEntries(defaults),
    rope_theta,
    rope_scaling,
  });
  if (!config.success) throw new ModelError('bad-config', `config.json: ${firstIssue(config.error)}`);
  return config.data;
}

function checkSettings(stored: StoredConfig, family: Family): void {
  const { architecture } = CLASSES[family];
  const { architectures } = stored;
  if (architectures && architectures.length > 0 && !architectures.includes(architecture)) {
    throw unsupported(`architectures is ${JSON.stringify(architectures)}, expected ["${architecture}"]`);
  }
  if (stored.quantization_config) throw unsupported('quantization_config: quantised weights are not read');
  for (const [name, value] of Object.entries(stored)) {
    if (value === null || value === undefined || name === 'quantization_config' || WITHOUT_EFFECT.has(name)) continue;
    if (Object.hasOwn(ONLY, name)) {
      if (!ONLY[name](value)) throw unsupported(`${name} ${JSON.stringify(value)} is not supported`, { name });
    } else if (!COMPUTED.includes(name)) {
      const why = 'is an unknown setting, which may change what the model computes';
      throw unsupported(`"${name}" ${why}`, { name });
    }
  }
}

/** The base of RoPE and the scaling of its frequencies: `rope_scaling` in transformers 4, `rope_parameters` in 5. */
function rotation({ rope_theta, rope_scaling, rope_parameters, max_position_embeddings }: StoredConfig) {
  const described = [rope_scaling, rope_parameters].filter((rope) => rope && !isEmpty(rope));
  const [scaling, other] = described.map((rope) => scalingOf(rope!, max_position_embeddings));
  if (other !== undefined && JSON.stringify(other) !== JSON.stringify(scaling)) {
    throw new ModelError('bad-config', 'config.json: rope_scaling and rope_parameters contradict each other');
  }
  const bases = described.map((rope) => rope?.rope_theta ?? undefined);
  return { rope_theta: bases[0] ?? bases[1] ?? rope_theta ?? undefined, rope_scaling: scaling ?? null };
}

/** The keys of each type of scaling, in a fixed order. */
const SCALINGS: Readonly<Record<string, readonly string[]>> = {
  default: [],
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
};

function scalingOf(rope: Readonly<Record<string, unknown>>, max_position_embeddings: unknown): object | null {
  const rope_type = String(rope.rope_type ?? rope.type ?? 'default');
  const keys = Object.hasOwn(SCALINGS, rope_type) ? SCALINGS[rope_type] : undefined;
  if (!keys) throw unsupported(`rope scaling "${rope_type}" is not computed`, { rope_type });
  const known = ['rope_type', 'type', 'rope_theta', 'factor', 'original_max_position_embeddings', ...keys];
  const unknown = Object.keys(rope).find((key) => {
    if (key === 'partial_rotary_factor') return rope[key] !== 1;
    return rope[key] !== null && !known.includes(key);
  });
  if (unknown) throw unsupported(`"${unknown}" of rope scaling "${rope_type}" is not supported`, { name: unknown });
  if (keys.length === 0) return null;
  const values = keys.map((key) => [key, rope[key]] as const);
  const filled = values.map(([key, value]) =>
    key === 'original_max_position_embeddings' ? [key, value ?? max_position_embeddings] : [key, value],
  );
  return { rope_type, ...Object.fromEntries(filled) };
}

const TORCH_DTYPES: Readonly<Record<RoundedDtype, string>> = { f32: 'float32', bf16: 'bfloat16', f16: 'float16' };

/** What config.json says that the weights are kept in; f32 where it says nothing, or something else. */
export function dtypeFromJson(value: unknown): RoundedDtype {
  const { dtype, torch_dtype } = (value ?? {}) as { readonly dtype?: unknown; readonly torch_dtype?: unknown };
  const [found = 'f32'] = (['bf16', 'f16'] as const).filter((name) => TORCH_DTYPES[name] === (dtype ?? torch_dtype));
  return found;
}

/** config.json for transformers 4 and 5: `torch_dtype`, `rope_theta` and `rope_scaling` for 4, `dtype` and `rope_parameters` for 5. */
export function configJson(
  config: LlamaConfig,
  bos_id: number | null,
  eos_id: number | null,
  weights: RoundedDtype,
): object {
  const { attention_bias, mlp_bias, sliding_window, rope_theta, rope_scaling, ...shape } = config;
  const own: Readonly<Record<Family, object>> = {
    llama: { attention_bias, mlp_bias },
    mistral: { sliding_window },
    qwen2: { use_sliding_window: false, sliding_window: null },
  };
  return {
    architectures: [CLASSES[config.model_type].architecture],
    ...shape,
    ...own[config.model_type],
    rope_theta,
    rope_scaling,
    rope_parameters: { rope_theta, rope_type: 'default', ...rope_scaling },
    bos_token_id: bos_id,
    eos_token_id: eos_id,
    dtype: TORCH_DTYPES[weights],
    torch_dtype: TORCH_DTYPES[weights],
    use_cache: true,
  };
}
