// Answers held to a JSON schema: CPU-ms to read a vocabulary and a schema, and for the mask of each token, first and when all is known.

import { type Random, seededRandom } from '../protocol/random.ts';
import type { TokenTable } from '../serving/engine.ts';
import { grammarOf } from '../serving/grammar/forms.ts';
import { allows } from '../serving/grammar/grammar.ts';
import { mean } from '../training/statistics.ts';
import { type Report, type Values, whole } from './bench.ts';
import { table } from './report.ts';

export const options = {
  tokens: whole('the largest vocabulary', { from: 1000, to: 262_144, usual: 128_000, quick: 4000 }),
  answers: whole('answers under the schema', { from: 2, to: 1000, usual: 20, quick: 4 }),
};

export const notes = `Vocabularies are invented: all bytes, signs of JSON, and words of syllables, some with signs. Each token is drawn from the mask, every second time
from those that close something. The first answer finds everything out; the last half of the answers shows what a token costs later. Time is processor time.`;

const MOST_TOKENS = 300;

const NODE = {
  type: 'object',
  properties: {
    x: { type: 'number', minimum: 0, maximum: 1 },
    next: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/node' }] },
  },
  required: ['x', 'next'],
  additionalProperties: false,
};
const SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    age: { type: 'integer' },
    tags: { type: 'array', items: { type: 'string', maxLength: 40 }, maxItems: 5 },
    kind: { enum: ['a', 'bee', 'cee'] },
    more: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/node' }] },
  },
  required: ['name', 'age', 'tags', 'kind', 'more'],
  additionalProperties: false,
  $defs: { node: NODE },
};

export async function run({ tokens, answers }: Values<typeof options>): Promise<Report> {
  const sizes = [...new Set([Math.ceil(tokens / 4), tokens])];
  const measured = sizes.map((size) => measure(size, answers));
  const rows = measured.map((row) => [
    String(row.tokens),
    ...[row.vocabulary_ms, row.schema_ms].map((ms) => ms.toFixed(0)),
    ...[row.first_token_ms, row.later_token_ms, row.slowest_token_ms].map((ms) => ms.toFixed(3)),
  ]);
  const headings = ['tokens', 'vocabulary', 'schema', 'a token, first answer', 'later', 'slowest'];
  return { data: measured, text: table(headings, rows) };
}

function measure(size: number, answers: number) {
  const vocabulary = inventedTable(size);
  const vocabulary_ms = cpuMs(() => grammarOf({ kind: 'text', text: 'a' }, vocabulary));
  const schema_ms = cpuMs(() => grammarOf({ kind: 'schema', schema: SCHEMA }, vocabulary));
  const random = seededRandom('bench grammars', 'answers');
  const costs = Array.from({ length: answers }, () => writeOne(vocabulary, random));
  const later = costs.slice(Math.floor(answers / 2)).flat();
  return {
    ...{ tokens: size, vocabulary_ms, schema_ms },
    first_token_ms: mean(costs[0]),
    later_token_ms: mean(later),
    slowest_token_ms: Math.max(...costs.flat()),
  };
}

/** What the mask and the acceptance of each token cost. */
function writeOne(vocabulary: TokenTable, random: Random): number[] {
  const grammar = grammarOf({ kind: 'schema', schema: SCHEMA }, vocabulary).open();
  const [end] = vocabulary.end_ids;
  const costs: number[] = [];
  while (!grammar.finished && costs.length < MOST_TOKENS) {
    let mask = new Uint32Array();
    const mask_ms = cpuMs(() => {
      mask = grammar.mask() as Uint32Array<ArrayBuffer>;
    });
    const allowed: number[] = [];
    const closing: number[] = [];
    for (let id = 0; id < end; id++) {
      if (!allows(mask, id)) continue;
      allowed.push(id);
      if (vocabulary.bytesOf(id).some((byte) => byte === 0x22 || byte === 0x5d || byte === 0x7d)) closing.push(id);
    }
    const from = closing.length > 0 && random.below(2) === 0 ? closing : allowed;
    const id = from[random.below(from.length)];
    costs.push(mask_ms + cpuMs(() => grammar.accept(id)));
  }
  return costs;
}

function inventedTable(size: number): TokenTable {
  const random = seededRandom('bench grammars', 'vocabulary');
  const pick = (list: readonly string[]): string => list[random.below(list.length)];
  const signs = [
    '":',
    ' "',
    '","',
    '"}',
    '":"',
    '": "',
    '", "',
    '{"',
    '}]',
    '}}',
    '\n  "',
    '\\n',
    '\\"',
    '"]',
    '"]}',
    ', ',
  ];
  const syllables =
    'an er on re he in ed nd ha at en es of or nt ea ti to it st io le is ou ar as de rt ve ü 日 本'.split(' ');
  const pieces = new Set(signs);
  while (pieces.size < size - 257) {
    let piece = random.below(2) === 0 ? ' ' : '';
    for (let i = random.below(5); i >= 0; i--) piece += pick(syllables);
    const kind = random.below(50);
    pieces.add(kind === 0 ? piece + pick(signs) : kind === 1 ? String(random.below(1000)) : piece);
  }
  const encoder = new TextEncoder();
  const bytes = [
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    ...[...pieces].map((piece) => encoder.encode(piece)),
  ];
  return {
    ...{ vocab_size: size, unused_ids: [], bos_id: null, end_ids: [size - 1] },
    encode: (text) => [...encoder.encode(text)],
    bytesOf: (id) => bytes[id] ?? new Uint8Array(),
  };
}

function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
