// The unigram language model (arXiv 1804.10959): the pieces of the most likely segmentation, by Viterbi's algorithm over a trie,
// with the ids and the order of sums of Hugging Face's tokenizers (tokenizers/src/models/unigram).
import { z } from 'zod';
import { firstIssue } from '../../errors.ts';
import { ModelError } from '../errors.ts';
import type { IdList } from './id-list.ts';
import type { TokenModel } from './token-model.ts';
import { Trie } from './trie.ts';

const UnigramSchema = z.looseObject({
  vocab: z.array(z.tuple([z.string(), z.number()])).min(1),
  unk_id: z.int().min(0).nullish(),
  byte_fallback: z.boolean().nullish(),
});

/** How much less likely than the least likely piece a character without a piece is, as in sentencepiece. */
const UNKNOWN_PENALTY = 10;
const encoder = new TextEncoder();

/** Throws ModelError `bad-tokenizer`, also without an unk_id, because most texts could then not be encoded. */
export function unigram(description: unknown): TokenModel {
  const result = UnigramSchema.safeParse(description);
  if (!result.success) throw new ModelError('bad-tokenizer', `model: ${firstIssue(result.error)}`);
  const { vocab: pieces, unk_id, byte_fallback } = result.data;
  if (unk_id === null || unk_id === undefined || unk_id >= pieces.length) {
    throw new ModelError('bad-tokenizer', `model.unk_id ${unk_id}, expected an id in 0..${pieces.length - 1}`);
  }
  const vocab = new Map(pieces.map(([piece], id) => [piece, id]));
  const scores = Float64Array.from(pieces, ([, score]) => score);
  const trie = new Trie();
  for (const [piece, id] of vocab) if (piece !== '') trie.set(piece, id);
  const best = segmenter(trie, scores, unk_id);
  const byteIds = Array.from({ length: 256 }, (_, byte) =>
    vocab.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  );
  const push = (piece: string, ids: IdList): void => {
    const id = vocab.get(piece);
    if (id !== undefined) {
      ids.push(id);
      return;
    }
    const bytes = byte_fallback ? Array.from(encoder.encode(piece), (byte) => byteIds[byte]) : [undefined];
    if (bytes.every((byte) => byte !== undefined)) ids.pushAll(bytes);
    else ids.push(unk_id);
  };
  return {
    vocab,
    encode(text, ids) {
      for (const piece of best(text)) push(piece, ids);
    },
  };
}

/** Splits a text into pieces; consecutive characters without a piece form one piece. */
function segmenter(trie: Trie, scores: Float64Array, unk_id: number): (text: string) => string[] {
  const unknown = scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY) - UNKNOWN_PENALTY;
  return (text) => {
    const size = text.length;
    const total = new Float64Array(size + 1);
    const begins = new Int32Array(size + 1).fill(-1);
    const idAt = new Uint32Array(size + 1);
    const offer = (start: number, end: number, id: number, score: number): void => {
      const candidate = score + total[start];
      if (begins[end] >= 0 && !(candidate > total[end])) return;
      total[end] = candidate;
      begins[end] = start;
      idAt[end] = id;
    };
    for (let start = 0; start < size; ) {
      const width = text.codePointAt(start)! > 0xffff ? 2 : 1;
      let single = false;
      for (let at = start, node = 0; at < size; at++) {
        node = trie.child(node, text.charCodeAt(at));
        if (node === 0) break;
        const id = trie.value(node);
        if (id < 0) continue;
        offer(start, at + 1, id, scores[id]);
        single ||= at + 1 - start === width;
      }
      if (!single) offer(start, start + width, unk_id, unknown);
      start += width;
    }
    const pieces: string[] = [];
    for (let end = size, fusedEnd = -1; end > 0; ) {
      const start = begins[end];
      if (idAt[end] === unk_id) {
        if (fusedEnd < 0) fusedEnd = end;
        if (start === 0 || idAt[start] !== unk_id) {
          pieces.push(text.slice(start, fusedEnd));
          fusedEnd = -1;
        }
      } else pieces.push(text.slice(start, end));
      end = start;
    }
    return pieces.reverse();
  };
}
