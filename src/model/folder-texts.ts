// The small files of a model's folder, as transformers reads them, beside its weights: settings and tokenizer. Pure, so that the page uses it too.
import type { LlamaConfig } from './config.ts';
import { configJson } from './config-json.ts';
import type { RoundedDtype } from './dtypes.ts';
import { ModelError } from './errors.ts';
import type { Tokenizer } from './tokenizer.ts';

function tokenizerConfigJson(tokenizer: Tokenizer, model_max_length: number): object {
  const token = (id: number | null) => (id === null ? null : (tokenizer.tokenOf?.(id) ?? tokenizer.decode([id])));
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: token(tokenizer.bos_id),
    eos_token: token(tokenizer.eos_id),
    model_max_length,
    clean_up_tokenization_spaces: false,
  };
}

/** Names and contents, config.json last, so that whoever finds it finds the others. Throws ModelError `bad-tokenizer` where its ids exceed the vocabulary. */
export function folderTexts(
  config: LlamaConfig,
  tokenizer: Tokenizer,
  weights: RoundedDtype = 'f32',
): [name: string, contents: string][] {
  if (tokenizer.vocab_size > config.vocab_size) {
    const fact = `the tokenizer has ${tokenizer.vocab_size} ids, the model only ${config.vocab_size}`;
    throw new ModelError('bad-tokenizer', fact);
  }
  const { bos_id, eos_id } = tokenizer;
  const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
  return [
    ['tokenizer.json', tokenizer.json],
    ['tokenizer_config.json', json(tokenizerConfigJson(tokenizer, config.max_position_embeddings))],
    ['generation_config.json', json({ bos_token_id: bos_id, eos_token_id: eos_id })],
    ['config.json', json(configJson(config, bos_id, eos_id, weights))],
  ];
}
