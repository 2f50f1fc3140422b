// The noise that served tokens are drawn with: Gumbel noise that follows from (seed, position, token), bit for bit in every engine and language.
// ChaCha20 is RFC 8439's; judging served tokens by repeated draws is Token-DiFR's (arXiv 2511.20621). docs/decisions/0038-sampling.md has the exact steps.
import { chacha20 } from '@noble/ciphers/chacha.js';
import { sha256, utf8 } from '../protocol/hash.ts';
import { naturalLogarithm } from './rotary-table.ts';

/** Keeps these draws apart from every other use of the same seed; another number for another way to draw. */
const LABEL = 'potluck/noise/1\n';

/**
 * A uniform uint32 for each token below `vocab_size` at a position: the key stream of ChaCha20 under the key SHA-256(label ‖ seed) and the
 * nonce of the position as a little-endian uint32 and eight zero bytes, from block 0 on; token t takes the t-th little-endian uint32.
 */
export function noiseWords(seed: string, position: number, vocab_size: number): Uint32Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(0, position, true);
  const stream = new Uint8Array(4 * vocab_size);
  chacha20(sha256(utf8(LABEL + seed)), nonce, stream, stream);
  return new Uint32Array(stream.buffer); // little-endian like every machine that JavaScript engines run on
}

/** The Gumbel noise −ln(−ln u) of a word, u = (word + ½) / 2³²: from −3.13 to 22.88. Only + − · / of doubles, so each engine has the same bits. */
export const gumbelNoise = (word: number): number => -naturalLogarithm(-naturalLogarithm((word + 0.5) / 2 ** 32));

/**
 * At least the noise of a word, without a logarithm: −ln(−ln u) ≤ −ln(1 − u), and 1 − u ≥ 2^(−1 − c), c the leading ones of the word.
 * Nearly every token of a vocabulary is so unlikely that this rules it out.
 */
export const mostNoise = (word: number): number => LN2_AND_A_BIT * (1 + Math.clz32(~word));
const LN2_AND_A_BIT = Math.LN2 + 1e-9;
