// The logits after each token of a text, a chunk at a time: all at once a long prompt's would take gigabytes.
import type { KnownSequence } from './prefix-cache.ts';

/** Tokens a chunk: long enough to be multiplied efficiently; at a vocabulary of 128,000 their logits take 33 MB. */
const CHUNK_TOKENS = 64;

/** Appends tokens to a sequence; yields the logits that follow each, in order. They are valid until the next one is asked for. */
export async function* scoredRows(
  { sequence, tokens }: KnownSequence,
  ids: readonly number[],
  vocab_size: number,
  signal: AbortSignal,
): AsyncGenerator<Float32Array, void> {
  for (let at = 0; at < ids.length; at += CHUNK_TOKENS) {
    const chunk = ids.slice(at, at + CHUNK_TOKENS);
    const rows = await sequence.score(chunk, signal);
    tokens.push(...chunk);
    for (let i = 0; i < chunk.length; i++) yield rows.subarray(i * vocab_size, (i + 1) * vocab_size);
  }
}
