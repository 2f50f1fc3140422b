// A tokenizer as engines use it: the bytes of each token, and every token that ends a text.
import type { Tokenizer } from '../model/tokenizer.ts';
import type { TokenTable } from './engine.ts';

/** Special tokens with which models in wide use end a text or a turn; a configuration names only one of them. */
const END_TOKENS: ReadonlySet<string> = new Set([
  '<|endoftext|>',
  '</s>',
  '<|end_of_text|>',
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<eos>',
  '<end_of_turn>',
  '<|end|>',
  '<｜end▁of▁sentence｜>',
]);

/** The table of a model with `vocab_size` rows, which may be more than its tokenizer has tokens: such rows are never text. */
export function tokenTable(tokenizer: Tokenizer, vocab_size: number = tokenizer.vocab_size): TokenTable {
  const known = Math.min(tokenizer.vocab_size, vocab_size);
  const ids = Array.from({ length: vocab_size }, (_, id) => id);
  const unused = new Set([...(tokenizer.unused_ids ?? []), ...ids.slice(known)]);
  const bytes = ids.map((id) => (unused.has(id) ? new Uint8Array() : tokenizer.bytesOf(id)));
  const end_ids = ids.filter((id) => {
    if (id === tokenizer.eos_id) return true;
    // Only a special token has no bytes: text that merely looks like one ends nothing.
    return bytes[id].length === 0 && END_TOKENS.has(tokenizer.tokenOf?.(id) ?? '');
  });
  return {
    vocab_size,
    unused_ids: [...unused].filter((id) => id < vocab_size).sort((a, b) => a - b),
    bos_id: tokenizer.bos_id,
    end_ids,
    encode: (text, special) => Array.from(tokenizer.encode(text, special)),
    bytesOf: (id) => bytes[id]?.slice() ?? new Uint8Array(),
  };
}
