// A table of tokens for tests: all 256 bytes, then whole pieces of text, then one end token.
import type { TokenTable } from '../../engine.ts';

const encoder = new TextEncoder();

/** Pieces that go over the borders of JSON's parts, and parts of characters. */
export const AWKWARD_PIECES: readonly (string | Uint8Array)[] = [
  ...[
    '"',
    '":',
    '": ',
    ' "',
    '","',
    '", "',
    '"}',
    '"]',
    '"]}',
    '"}}',
    '{"',
    '}}',
    ']]',
    '[[',
    '{"a',
    '":"',
    '":{"',
    '":[',
    ',"',
    '"a":1',
  ],
  ...['true', 'false', 'null', 'nul', 'tru', '12', '0.5', '-1', '1e5', '1,2', '1}', '00', '.0', 'e', '-'],
  ...[
    '\n',
    '\n  ',
    '  ',
    '    ',
    '\t',
    ' ',
    ', ',
    ' a',
    'a',
    'ab',
    'abc',
    'name',
    'kind',
    '\\',
    '\\n',
    '\\"',
    '\\u00',
    'é',
    '日本',
    '😀',
  ],
  Uint8Array.of(0xf0, 0x9f),
  Uint8Array.of(0x98, 0x80),
  Uint8Array.of(0xe6),
  Uint8Array.of(0xa9, 0x22, 0x2c),
  Uint8Array.of(0xc3, 0x28),
];

/** `without`: bytes that have no token of their own. */
export function tokenTable(pieces: readonly (string | Uint8Array)[], without: readonly number[] = []): TokenTable {
  const singles = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)).filter(
    ([byte]) => !without.includes(byte),
  );
  const tokens = [...singles, ...pieces.map((piece) => (typeof piece === 'string' ? encoder.encode(piece) : piece))];
  const end = tokens.length;
  return {
    vocab_size: end + 1,
    unused_ids: [],
    bos_id: null,
    end_ids: [end],
    encode: (text) => [...encoder.encode(text)],
    bytesOf: (id) => tokens[id] ?? new Uint8Array(0),
  };
}
