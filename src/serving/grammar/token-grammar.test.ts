// Masks are held against the plainest reading: a token is allowed where its bytes, one by one, lead somewhere.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Form, grammarOf } from './forms.ts';
import { allows, type Grammar } from './grammar.ts';
import type { Schema } from './schema-keywords.ts';
import { drawnSchemas } from './testing/drawn-schemas.ts';
import { AWKWARD_PIECES, tokenTable } from './testing/token-table.ts';

const plain = tokenTable([]);
const tokens = tokenTable(AWKWARD_PIECES);
const [end] = tokens.end_ids;

/** Whether a text of single bytes goes on with these: asked of a vocabulary that has nothing but bytes. */
function goesOn(form: Form, before: readonly number[], bytes: Uint8Array): boolean {
  const grammar = grammarOf(form, plain).open();
  for (const byte of before) grammar.accept(byte);
  for (const byte of bytes) {
    if (!allows(grammar.mask(), byte)) return false;
    grammar.accept(byte);
  }
  return true;
}

function endsHere(form: Form, before: readonly number[]): boolean {
  const grammar = grammarOf(form, plain).open();
  for (const byte of before) grammar.accept(byte);
  return allows(grammar.mask(), plain.end_ids[0]);
}

function checkMask(form: Form, grammar: Grammar, before: readonly number[]): number[] {
  const mask = grammar.mask();
  const allowed: number[] = [];
  for (let id = 0; id < tokens.vocab_size; id++) {
    const expected = id === end ? endsHere(form, before) : goesOn(form, before, tokens.bytesOf(id));
    assert.equal(allows(mask, id), expected, `token ${JSON.stringify(Buffer.from(tokens.bytesOf(id)).toString())}`);
    if (expected && id !== end) allowed.push(id);
  }
  return allowed;
}

describe('masks', () => {
  it('hold exactly the tokens whose bytes go on, at each place of texts under drawn schemas', () => {
    fc.assert(
      fc.property(drawnSchemas, fc.array(fc.nat(), { minLength: 1, maxLength: 8 }), (schema, draws) => {
        const form: Form = { kind: 'schema', schema };
        let grammar: Grammar;
        try {
          grammar = grammarOf(form, tokens).open();
        } catch {
          return; // no value: json-schema.test.ts
        }
        const before: number[] = [];
        for (const draw of draws) {
          const allowed = checkMask(form, grammar, before);
          if (allowed.length === 0) break;
          // Longer tokens lie behind the single bytes: they are drawn as often.
          const long = allowed.filter((id) => id > 255);
          const from = draw % 2 === 0 && long.length > 0 ? long : allowed;
          const id = from[draw % from.length];
          grammar.accept(id);
          before.push(...tokens.bytesOf(id));
        }
      }),
      { numRuns: 15 },
    );
  });

  it('are right just below the limit of nesting', () => {
    const form: Form = { kind: 'schema', schema: { type: 'array' } };
    for (const depth of [1, 61, 62, 63, 64]) {
      const before = new TextEncoder().encode('['.repeat(depth));
      const grammar = grammarOf(form, tokens).open();
      for (const byte of before) grammar.accept(byte);
      checkMask(form, grammar, [...before]);
    }
  });

  it('refuse a token outside them, and stay as they were', () => {
    const grammar = grammarOf({ kind: 'schema', schema: { enum: ['ab'] } }, tokens).open();
    grammar.accept(0x22);
    const before = grammar.mask().slice();
    for (const id of [0x62, end, -1, 0.5, tokens.vocab_size, 2 ** 40]) {
      assert.throws(() => grammar.accept(id), { code: 'bad-grammar' });
      assert.deepEqual(grammar.mask(), before);
    }
    for (const byte of Buffer.from('ab"')) {
      assert.equal(grammar.finished, false);
      grammar.accept(byte);
    }
    assert.equal(grammar.finished, true);
    grammar.accept(end);
    assert.throws(() => grammar.accept(end), { code: 'bad-grammar' });
  });

  it('let a number end or go on, without calling it finished', () => {
    const grammar = grammarOf({ kind: 'schema', schema: { type: 'integer' } }, tokens).open();
    grammar.accept(0x31);
    assert.equal(grammar.finished, false);
    assert.equal(allows(grammar.mask(), end), true);
    assert.equal(allows(grammar.mask(), 0x32), true);
  });

  it('stay right when the memory of a form is thrown away in the middle of answers', () => {
    const schema: Schema = {
      $ref: '#/$defs/t',
      $defs: { t: { type: 'array', items: { anyOf: [{ $ref: '#/$defs/t' }, { type: 'string', maxLength: 900 }] } } },
    };
    const form: Form = { kind: 'schema', schema };
    const shared = grammarOf(form, tokens);
    const waiting = shared.open();
    for (const byte of Buffer.from('[["')) waiting.accept(byte);
    const positions = shared.positions;
    // Strings at ever new depths make ever new positions.
    for (let depth = 1; shared.positions === positions && depth < 60; depth++) {
      const busy = shared.open();
      for (const byte of Buffer.from(`${'['.repeat(depth)}"${'a'.repeat(900)}"`)) busy.accept(byte);
    }
    assert.notEqual(shared.positions, positions, 'the memory was never thrown away: the test says nothing');
    checkMask(form, waiting, [...Buffer.from('[["')]);
    for (const byte of Buffer.from(`a",${'['.repeat(62)}`)) waiting.accept(byte);
    assert.equal(allows(waiting.mask(), 0x5b), false, 'the levels that were open before count');
    for (const byte of Buffer.from(']'.repeat(64))) waiting.accept(byte);
    assert.equal(waiting.finished, true);
  });
});

describe('a vocabulary', () => {
  it('without tokens for all of ASCII cannot be held to a form', () => {
    const poor = tokenTable(['}', 'ab'], [0x22, 0x7b]);
    assert.throws(() => grammarOf({ kind: 'json' }, poor), {
      code: 'unsupported',
      message: /no tokens of their own for "\\"" "{"/,
    });
  });

  it('without tokens for all bytes is not led into parts of characters that it cannot end', () => {
    const table = tokenTable(
      ['é', Uint8Array.of(0xc3), Uint8Array.of(0xc3, 0xa8)],
      Array.from({ length: 128 }, (_, i) => 128 + i),
    );
    const grammar = grammarOf({ kind: 'schema', schema: { type: 'string' } }, table).open();
    grammar.accept(0x22);
    const mask = grammar.mask();
    assert.deepEqual(
      [128, 129, 130].map((id) => allows(mask, id)),
      [true, false, true],
    );
  });

  it('has tokens that are never text: unused ones, and those without bytes', () => {
    const table = {
      ...tokens,
      unused_ids: [0x63],
      bytesOf: (id: number) => (id === 0x62 ? new Uint8Array(0) : tokens.bytesOf(id)),
    };
    // Their letters have no other token, and a value may need them: this vocabulary is refused.
    assert.throws(() => grammarOf({ kind: 'json' }, table), { code: 'unsupported', message: /for "b" "c"/ });
    const other = { ...tokens, unused_ids: [300] };
    const grammar = grammarOf({ kind: 'schema', schema: {} }, other).open();
    const reference = grammarOf({ kind: 'schema', schema: {} }, tokens).open();
    grammar.accept(0x22);
    reference.accept(0x22);
    assert.equal(allows(reference.mask(), 300), true, 'the token would be allowed if it were used');
    assert.equal(allows(grammar.mask(), 300), false);
  });
});

describe('forms', () => {
  it('join texts, choices and free text that a marker ends', () => {
    const call: Form = {
      kind: 'sequence',
      parts: [
        { kind: 'text', text: '<call>' },
        { kind: 'schema', schema: { type: 'object', properties: {}, additionalProperties: false } },
        { kind: 'text', text: '</call>' },
      ],
    };
    const free: Form = { kind: 'without', text: '<call>' };
    const form: Form = {
      kind: 'choice',
      parts: [free, { kind: 'sequence', parts: [free, { kind: 'repeated', part: call, between: '' }] }],
    };
    const good = [
      '',
      'hello <cal',
      '<<call>{}</call>',
      'a<<ca<call> {\n}</call><call>{}</call>',
      'é<c日',
      '<call>{}</call>'.repeat(3),
    ];
    const bad = ['<call>', 'a<call>b', '<call>{}</call>c', '<<call>{}</call'];
    for (const [texts, expected] of [[good, true] as const, [bad, false] as const]) {
      for (const text of texts) {
        const bytes = new TextEncoder().encode(text);
        assert.equal(goesOn(form, [], bytes) && endsHere(form, [...bytes]), expected, text);
      }
    }
  });
});
