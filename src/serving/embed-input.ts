// One text's vector, as an engine makes it beside the answers that it writes.
import type { Engine } from './engine.ts';
import { ServingError } from './errors.ts';
import type { PrefixCache } from './prefix-cache.ts';

/** Throws ServingError `unsupported` where the engine makes none, `too-large` for a text that is none or longer than the context, `no-room`. */
export async function embedInput(
  { engine, prefixes }: { readonly engine: Engine; readonly prefixes: PrefixCache },
  input: string | readonly number[],
  signal: AbortSignal,
): Promise<{ readonly vector: Float32Array; readonly tokens: number }> {
  if (!engine.embed) throw new ServingError('unsupported', 'the model makes no embeddings');
  const { tokens, context_tokens } = engine.model;
  const ids = typeof input === 'string' ? tokens.encode(input, false) : input;
  if (ids.length === 0 || ids.length > context_tokens) {
    const fact = `an input of ${ids.length} tokens, expected 1 to ${context_tokens}`;
    throw new ServingError('too-large', `embedding: ${fact}`, { param: 'input' });
  }
  try {
    return { vector: await engine.embed(ids, signal), tokens: ids.length };
  } catch (error) {
    if (!(error instanceof ServingError && error.code === 'no-room')) throw error;
    // What conversations have left in the engine gives way where there is no other room.
    await prefixes.close();
    return { vector: await engine.embed(ids, signal), tokens: ids.length };
  }
}
