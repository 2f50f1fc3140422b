// sentencepiece's precompiled normalization: a double-array trie (Darts) that maps UTF-8 sequences to replacements (crate spm_precompiled).
import { ModelError } from '../errors.ts';

/** Longer graphemes are looked up character by character. */
const LONGEST_GRAPHEME_BYTES = 6;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Throws ModelError `bad-tokenizer` for a table that is cut off. */
export function precompiled({ precompiled_charsmap }: { readonly precompiled_charsmap?: string | null }) {
  const bytes = Uint8Array.from(atob(precompiled_charsmap ?? ''), (character) => character.charCodeAt(0));
  if (bytes.length === 0) return (text: string) => text;
  const view = new DataView(bytes.buffer);
  const trie_bytes = bytes.length >= 4 ? view.getUint32(0, true) : -1;
  if (trie_bytes < 0 || trie_bytes % 4 !== 0 || 4 + trie_bytes > bytes.length) {
    throw new ModelError('bad-tokenizer', 'Precompiled: the table is cut off');
  }
  const units = Uint32Array.from({ length: trie_bytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const texts = bytes.subarray(4 + trie_bytes);
  const known = new Map<string, string | null>();
  const replacement = (chunk: string): string | null => {
    let found = known.get(chunk);
    if (found === undefined) {
      found = lookUp(units, texts, encoder.encode(chunk));
      if (known.size > 100_000) known.clear();
      known.set(chunk, found);
    }
    return found;
  };
  const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
  return (text: string): string => {
    let result = '';
    for (const { segment } of segmenter.segment(text)) {
      const whole = encoder.encode(segment).length < LONGEST_GRAPHEME_BYTES ? replacement(segment) : null;
      if (whole !== null) result += whole;
      else for (const character of segment) result += replacement(character) ?? character;
    }
    return result;
  };
}

/** The replacement of the shortest entry that begins the chunk, or null. Bits of a unit: github.com/s-yata/darts-clone. */
function lookUp(units: Uint32Array, texts: Uint8Array, chunk: Uint8Array): string | null {
  let at = offsetOf(units[0]);
  for (const byte of chunk) {
    at ^= byte;
    const unit = units[at] ?? 0;
    if ((unit & 0x8000_00ff) >>> 0 !== byte) return null;
    at ^= offsetOf(unit);
    if ((unit >>> 8) & 1) {
      const start = (units[at] ?? 0) & 0x7fff_ffff;
      const end = texts.indexOf(0, start);
      return decoder.decode(texts.subarray(start, end < 0 ? texts.length : end));
    }
  }
  return null;
}

const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
