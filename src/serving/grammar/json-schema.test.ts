// What a grammar of a schema writes is valid, what is valid and in its order it can write, and what it cannot do it refuses by name.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { ServingError } from '../errors.ts';
import { grammarOf } from './forms.ts';
import { allows, type Grammar } from './grammar.ts';
import type { Schema } from './schema-keywords.ts';
import { drawnSchemas } from './testing/drawn-schemas.ts';
import { AWKWARD_PIECES, tokenTable } from './testing/token-table.ts';
import { wholeValue } from './whole-value.ts';

const tokens = tokenTable(AWKWARD_PIECES);
const bytes_only = tokenTable([]);
const [end] = tokens.end_ids;

function open(schema: Schema): Grammar {
  return grammarOf({ kind: 'schema', schema }, tokens).open();
}

/** Whether the grammar writes exactly this text, byte by byte. */
function writes(schema: Schema, text: string): boolean {
  const grammar = grammarOf({ kind: 'schema', schema }, bytes_only).open();
  for (const byte of new TextEncoder().encode(text)) {
    if (!allows(grammar.mask(), byte)) return false;
    grammar.accept(byte);
  }
  return allows(grammar.mask(), bytes_only.end_ids[0]);
}

function validator(schema: Schema): (value: unknown) => boolean {
  // 0.3 is a multiple of 0.1, though not as doubles are divided.
  const options = { strict: false, unicodeRegExp: true, validateFormats: false, multipleOfPrecision: 6 };
  return new Ajv2020(options).compile(schema);
}

/** Numbers from 0 to 1, a source of their own for each seed (mulberry32). */
function drawsOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const ids_of_all = Array.from({ length: tokens.vocab_size }, (_, id) => id);
const closing_ids = new Set(
  ids_of_all.filter((id) => tokens.bytesOf(id).some((byte) => '"]}'.includes(String.fromCharCode(byte)))),
);

/**
 * Draws tokens, with a liking for those that end something, until the text ends. Returns the ids without the end token. A case is left out
 * where a pattern wants a character, such as a backslash, that is not drawn in thousands.
 */
function writeAtRandom(schema: Schema, grammar: Grammar, draw: () => number): number[] {
  const ids: number[] = [];
  while (!grammar.finished) {
    const mask = grammar.mask();
    if (allows(mask, end) && draw() < 0.5) break;
    const allowed = ids_of_all.filter((id) => id !== end && allows(mask, id));
    const closing = allowed.filter((id) => closing_ids.has(id));
    const from = closing.length > 0 && draw() < 0.4 ? closing : allowed;
    const id = from[Math.floor(draw() * from.length)];
    grammar.accept(id);
    ids.push(id);
    if (ids.length < 5000) continue;
    fc.pre(!JSON.stringify(schema).includes('"pattern"'));
    assert.fail('a text without an end');
  }
  return ids;
}

function textOf(ids: readonly number[]): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
    Uint8Array.from(ids.flatMap((id) => [...tokens.bytesOf(id)])),
  );
}

/** A grammar, or null where the schema has no values. */
function opened(schema: Schema): Grammar | null {
  try {
    return open(schema);
  } catch (error) {
    if (error instanceof ServingError && /no value can be written|no number is within/.test(error.message)) return null;
    throw error;
  }
}

describe('texts written under a schema', () => {
  it('are valid JSON of the schema, whatever tokens are drawn', () => {
    fc.assert(
      fc.property(drawnSchemas, fc.integer(), (schema, seed) => {
        const grammar = opened(schema);
        if (grammar === null) return;
        const text = textOf(writeAtRandom(schema, grammar, drawsOf(seed)));
        const value = wholeValue(schema, text);
        assert.ok(validator(schema)(value), text);
      }),
      { numRuns: 40 },
    );
  });

  it('are no invalid value, compact or spread over lines, nor one with a character changed', () => {
    fc.assert(
      fc.property(
        drawnSchemas,
        fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 3 }),
        fc.integer(),
        (schema, values, seed) => {
          const grammar = opened(schema);
          if (grammar === null) return;
          const draw = drawsOf(seed);
          const own = textOf(writeAtRandom(schema, grammar, draw));
          assert.ok(writes(schema, own), 'what pieces write, bytes write');
          const changed = Array.from({ length: 4 }, () => {
            const at = Math.floor(draw() * (own.length + 1));
            return own.slice(0, at) + 'a0"}]1,'[Math.floor(draw() * 7)] + own.slice(at + 1);
          });
          const isValid = validator(schema);
          for (const text of [
            ...values.flatMap((value) => [JSON.stringify(value), JSON.stringify(value, null, 2)]),
            ...changed,
          ]) {
            if (!writes(schema, text)) continue;
            const value = parsed(text);
            assert.ok(value !== undefined && isValid(value), `written and not valid: ${text}`);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('can be every valid value of a schema that fixes no order', () => {
    const schemas: [Schema, fc.Arbitrary<unknown>][] = [
      [{}, fc.jsonValue({ maxDepth: 3, noUnicodeString: false })],
      [{ type: 'string' }, fc.string({ unit: 'binary' })],
      [{ type: 'string', minLength: 2, maxLength: 4 }, fc.string({ unit: 'binary', maxLength: 6 })],
      [{ type: 'string', pattern: '^[^a-f]+(x|é)?$' }, fc.string({ unit: 'binary', maxLength: 6 })],
      [{ type: 'string', pattern: 'a.|[\\u0800-\\u{10400}]\\W' }, fc.string({ unit: 'binary', maxLength: 6 })],
      [{ type: 'integer', minimum: -17, maximum: 1234 }, fc.integer({ min: -3000, max: 3000 })],
      [
        { type: 'number', exclusiveMinimum: -0.25, maximum: 12.5 },
        fc.integer({ min: -2000, max: 2000 }).map((n) => n / 100),
      ],
      [
        { type: 'number', minimum: 3, exclusiveMaximum: 1000 },
        fc.integer({ min: 0, max: 200_000 }).map((n) => n / 100),
      ],
      [
        { type: 'array', items: { type: 'boolean' }, minItems: 1, maxItems: 3 },
        fc.array(fc.boolean(), { maxLength: 5 }),
      ],
      [{ type: 'object', additionalProperties: { type: 'null' } }, fc.dictionary(fc.string(), fc.constant(null))],
    ];
    for (const [schema, values] of schemas) {
      const isValid = validator(schema);
      fc.assert(
        fc.property(values, (value) => {
          const text = JSON.stringify(value);
          // Exponents and long numbers are left out of what is written; so are halves of surrogate pairs.
          fc.pre(!/\d{16}|\d[eE]|\.\d{16}|\\ud[89a-f]/.test(text));
          assert.equal(writes(schema, text), isValid(JSON.parse(text)), `${JSON.stringify(schema)} and ${text}`);
        }),
        { numRuns: 25 },
      );
    }
  });

  it('are decided by a bound exactly where it is, and by an anchor exactly where it stands', () => {
    const cases: [Schema, readonly string[], readonly string[]][] = [
      [{ type: 'number', exclusiveMinimum: 1.5 }, ['1.51', '1.500001', '2', '10'], ['1.5', '1.50', '1.4', '1', '-2']],
      [{ type: 'number', minimum: 1.5 }, ['1.5', '1.50', '2'], ['1.49', '1', '0']],
      [{ type: 'number', exclusiveMaximum: 1.5 }, ['1.49', '1', '1.0', '-7', '-0'], ['1.5', '1.50', '1.51', '2']],
      [{ type: 'number', exclusiveMaximum: 20 }, ['19.9', '1', '19'], ['20', '20.0', '21', '100']],
      [{ type: 'number', maximum: 20 }, ['20', '20.00', '19.9'], ['20.01', '21']],
      [
        { type: 'number', exclusiveMinimum: 0, maximum: 1e-7 },
        ['0.0000001', '0.00000009'],
        ['0', '0.0', '0.0000002', '-0'],
      ],
      [{ type: 'number', minimum: -2.5, exclusiveMaximum: 0 }, ['-2.5', '-0.1', '-1'], ['-2.51', '0', '-0', '-3', '1']],
      [{ type: 'integer', minimum: -10, exclusiveMaximum: 10 }, ['-10', '9', '0', '-0'], ['10', '-11', '100', '5.0']],
      [{ type: 'number', multipleOf: 0.1 }, ['1.5', '2', '-0.1'], ['1.55', '1e2']],
      [{ type: 'string', pattern: 'b' }, ['"b"', '"ab"', '"bc"', '"\\nb"'], ['"a"', '""']],
      [{ type: 'string', pattern: '^b' }, ['"b"', '"bc"'], ['"ab"', '""']],
      [{ type: 'string', pattern: 'b$' }, ['"b"', '"ab"'], ['"ba"']],
      [{ type: 'string', pattern: '^b$|c' }, ['"b"', '"acd"'], ['"ab"', '"bb"']],
      [{ type: 'string', pattern: '^(a|bc){2}$' }, ['"abc"', '"bca"', '"aa"'], ['"a"', '"aaa"', '"ab"']],
      [{ type: 'string', pattern: '^"\\\\.$' }, ['"\\"\\\\x"'], ['"\\"\\\\"', '"\\"\\\\\\n"']],
    ];
    for (const [schema, good, bad] of cases) {
      const isValid = validator(schema);
      for (const text of good)
        assert.ok(writes(schema, text) && isValid(JSON.parse(text)), `${JSON.stringify(schema)}: ${text}`);
      for (const text of bad) assert.ok(!writes(schema, text), `${JSON.stringify(schema)}: ${text}`);
    }
  });

  it('hold no number that JSON.parse makes infinite, and come to an end of nesting', () => {
    assert.equal(writes({ type: 'number' }, '1e99'), true);
    assert.equal(writes({ type: 'number' }, '1e100'), false);
    assert.equal(writes({ type: 'integer' }, '9'.repeat(15)), true);
    assert.equal(writes({ type: 'integer' }, '9'.repeat(16)), false);
    assert.equal(writes({}, '['.repeat(64) + ']'.repeat(64)), true);
    assert.equal(writes({}, '['.repeat(65) + ']'.repeat(65)), false);
    assert.equal(writes({}, '[[01]]'), false);
    assert.equal(writes({ type: 'string' }, '"\\ud800"'), false);
    assert.equal(writes({ type: 'string' }, '"\\ud7ff"'), true);
  });
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

describe('a schema that is not done', () => {
  const cases: [string, unknown, string, string][] = [
    ['not', { not: { type: 'null' } }, 'not', '#/not'],
    ['format', { properties: { at: { type: 'string', format: 'iri' } } }, 'format', '#/properties/at/format'],
    ['beside format', { type: 'string', format: 'date', maxLength: 10 }, 'maxLength', '#/maxLength'],
    [
      'uniqueItems',
      { type: 'array', items: { type: 'array', uniqueItems: true } },
      'uniqueItems',
      '#/items/uniqueItems',
    ],
    ['a word of its own', { 'x-mine': 1 }, 'x-mine', '#/x-mine'],
    ['two allOf', { allOf: [{}, {}] }, 'allOf', '#/allOf'],
    ['beside anyOf', { anyOf: [{}], minimum: 1 }, 'minimum', '#/minimum'],
    ['oneOf that overlaps', { oneOf: [{ type: 'number' }, { type: 'integer' }] }, 'oneOf', '#/oneOf'],
    ['a distant $ref', { $ref: 'https://example.org/a' }, '$ref', '#/$ref'],
    ['multipleOf', { type: 'integer', multipleOf: 7 }, 'multipleOf', '#/multipleOf'],
    ['a name with a slash', { properties: { 'a/b': { if: {} } } }, 'if', '#/properties/a~1b/if'],
    ['look ahead', { type: 'string', pattern: '^(?=a)' }, 'pattern', '#'],
    ['a back reference', { type: 'string', pattern: '(a)\\1' }, 'pattern', '#'],
  ];
  for (const [name, schema, keyword, path] of cases) {
    it(`is refused by name: ${name}`, () => {
      assert.throws(
        () => open(schema as Schema),
        (error: ServingError) => {
          assert.equal(error.code, 'unsupported');
          assert.deepEqual(error.details, { keyword, path });
          assert.match(error.message, new RegExp(keyword.replace('$', '\\$')));
          return true;
        },
      );
    });
  }

  it('is refused as bad input where it is no schema', () => {
    const bad: unknown[] = [
      { type: 'text' },
      { type: [] },
      { required: 'a' },
      { minItems: -1 },
      { minimum: '3' },
      { properties: [] },
      { anyOf: [] },
      { enum: 'a' },
      { $ref: '#/$defs/none' },
      { properties: { a: 7 } },
      { minimum: 2, maximum: 1 },
      { exclusiveMinimum: 1, maximum: 1 },
      { minItems: 2, maxItems: 1, items: {} },
    ];
    for (const schema of bad)
      assert.throws(() => open(schema as Schema), { code: 'bad-input' }, JSON.stringify(schema));
  });

  it('is refused where it has no value, or only values without an end', () => {
    const node = {
      type: 'object',
      properties: { next: { $ref: '#/$defs/node' } },
      required: ['next'],
      additionalProperties: false,
    };
    const empty: Schema[] = [
      { $ref: '#' },
      { anyOf: [{ $ref: '#/$defs/a' }], $defs: { a: { anyOf: [{ $ref: '#' }, { type: 'null' }] } } },
      { $ref: '#/$defs/node', $defs: { node } },
      { type: 'array', items: false, minItems: 1 },
      { type: 'object', required: ['a'], additionalProperties: false },
    ];
    for (const schema of empty) assert.throws(() => open(schema), { code: 'unsupported' }, JSON.stringify(schema));
  });

  it('is refused in good time where it is huge', () => {
    const deep = Array.from({ length: 3000 }).reduce<Schema>((items) => ({ type: 'array', items }), {});
    const wide = {
      type: 'object',
      properties: Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`p${i}`, { type: 'null' }])),
    };
    const chain = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`d${i}`, { $ref: `#/$defs/d${i + 1}` }]));
    const huge: Schema[] = [
      deep,
      wide,
      { type: 'string', maxLength: 1e9 },
      { type: 'array', items: { type: 'null' }, maxItems: 1e9 },
      { type: 'string', pattern: '^(((a{99}){99}){99}){99}$' },
      { $ref: '#/$defs/d0', $defs: { ...chain, d3000: {} } },
      { type: 'string', description: 'a'.repeat(600_000) },
    ];
    for (const schema of huge) assert.throws(() => open(schema), { code: 'too-large' });
  });
});

describe('a hostile schema', () => {
  it('that can be read in exponentially many ways costs no more than its size', () => {
    // 2^40 ways to read forty levels.
    const a = { $ref: '#/$defs/t' };
    const part = (extra: string): Schema => ({
      type: 'object',
      properties: { a, [extra]: { type: 'null' } },
      additionalProperties: false,
    });
    const schema = { $ref: '#/$defs/t', $defs: { t: { anyOf: [part('b'), part('c')] } } };
    const text = `${'{"a":'.repeat(40)}{}${'}'.repeat(40)}`;
    const before = process.cpuUsage();
    assert.equal(writes(schema, text), true);
    assert.equal(writes(schema, text.replace('{}', '{"b":null}')), true);
    assert.equal(writes(schema, text.replace('{}', '{"d":null}')), false);
    assert.ok(process.cpuUsage(before).user < 3e6, 'seconds for a text of 250 characters');
    // The library that validates would try all the ways.
    assert.throws(() => wholeValue(schema, text), { code: 'too-large' });
  });

  it('whose pattern would hold up a backtracking matcher is read at once', () => {
    const schema = { type: 'string', pattern: '^((a+)+b|(a|a)*)$' };
    const text = JSON.stringify('a'.repeat(2000));
    assert.equal(writes(schema, text), true);
    assert.equal(wholeValue(schema, text), 'a'.repeat(2000));
  });
});

describe('the second look', () => {
  it('refuses what is not JSON, not finite, or not valid', () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'number' } },
      required: ['a'],
      additionalProperties: false,
    };
    assert.deepEqual(wholeValue(schema, '{"a":1}'), { a: 1 });
    for (const text of ['', '{"a":1', '{"a":1e999}', '{"a":"1"}', '{"b":1}', '{"a":1,"b":2}', '[]']) {
      assert.throws(() => wholeValue(schema, text), { code: 'bad-grammar' }, text);
    }
  });
});
