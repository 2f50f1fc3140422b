// Formats of strings: what a grammar of one writes is valid by a validator that knows nothing of it, and what is usual it can write.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Validator } from '@cfworker/json-schema';
import fc from 'fast-check';
import { grammarOf } from './forms.ts';
import { allows } from './grammar.ts';
import { STRING_FORMATS } from './string-formats.ts';
import { tokenTable } from './testing/token-table.ts';
import { wholeValue } from './whole-value.ts';

const tokens = tokenTable([]);
const schemaOf = (format: string) => ({ type: 'string', format });

/** The grammar of a format, which is made once: it is opened anew for each text. */
const grammars = new Map(
  [...STRING_FORMATS.keys()].map((format) => [format, grammarOf({ kind: 'schema', schema: schemaOf(format) }, tokens)]),
);

function writes(format: string, value: string): boolean {
  const grammar = grammars.get(format)!.open();
  for (const byte of new TextEncoder().encode(JSON.stringify(value))) {
    if (!allows(grammar.mask(), byte)) return false;
    grammar.accept(byte);
  }
  return allows(grammar.mask(), tokens.end_ids[0]);
}

const isValid = (format: string, value: string): boolean =>
  new Validator({ type: 'string', format }, '2020-12').validate(value).valid;

const USUAL: Record<string, readonly string[]> = {
  date: ['2026-11-29', '2000-02-29', '2024-02-29', '1999-12-31', '2100-02-28', '2026-04-30'],
  time: ['23:59:59Z', '00:00:00+14:00', '12:30:00.123456Z', '08:00:00-23:59'],
  'date-time': ['2026-11-29T16:30:00Z', '2000-02-29T00:00:00.5+01:00'],
  duration: ['P1Y2M3D', 'PT5M', 'P4W', 'P1DT12H30M5S', 'PT1H1M1S', 'P1Y', 'P2MT1S'],
  email: ['ada@example.org', 'a.b+c@mail.example.co.uk', "o'neil@x-y.de"],
  hostname: ['example.org', 'localhost', 'a-b.c-d.e', 'XN--80AK6AA92E.com'],
  ipv4: ['0.0.0.0', '255.255.255.255', '192.168.1.10'],
  ipv6: [
    '::',
    '::1',
    'fe80::1',
    '2001:db8::8a2e:370:7334',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '1::8',
    '::2:3:4:5:6:7:8',
  ],
  uuid: ['123e4567-e89b-12d3-a456-426614174000', 'FFFFFFFF-0000-4000-8000-ABCDEFABCDEF'],
  uri: [
    'https://example.org/a/b?x=1&y=%20#top',
    'http://127.0.0.1:8080',
    'mailto:ada@example.org',
    'urn:isbn:0451450523',
  ],
};

const WRONG: Record<string, readonly string[]> = {
  date: [
    '1900-02-29',
    '2023-02-29',
    '2026-13-01',
    '2026-00-10',
    '2026-04-31',
    '26-11-29',
    '2026-1-1',
    '2026-11-29Z',
    '',
  ],
  time: ['24:00:00Z', '12:60:00Z', '12:00:61Z', '12:00:00', '12:00Z', '12:00:00.Z'],
  'date-time': ['2026-11-29', '2026-11-29 16:30:00', '2023-02-29T00:00:00Z', '2026-11-29T24:00:00Z'],
  duration: ['P', 'PT', 'P1', '1D', 'P1YT', 'P1W2D', 'P1D2M', 'PT1H1S'],
  email: ['ada', '@example.org', 'ada@', '.a@example.org', 'a..b@example.org', 'a@-x.org', 'a b@example.org'],
  hostname: ['', '-a.org', 'a-.org', 'a..b', 'a_b.org', '.org', 'a.'],
  ipv4: ['256.0.0.1', '1.2.3', '1.2.3.4.5', 'a.b.c.d', '1.2.3.4/8'],
  ipv6: ['1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', ':::', 'g::', '1:2:3:4:5:6:7:8::', ':1', '12345::'],
  uuid: [
    '123e4567e89b12d3a456426614174000',
    '123e4567-e89b-12d3-a456-42661417400',
    '{123e4567-e89b-12d3-a456-426614174000}',
  ],
  uri: ['example.org', '/a/b', '://x', 'http://a b', 'http://[::1', 'a:%zz', '1http://x'],
};

describe('a format', () => {
  for (const [format, expression] of STRING_FORMATS) {
    test(`${format}: whatever it can write is valid, and what is usual it can write`, () => {
      for (const value of USUAL[format])
        assert.deepEqual([writes(format, value), isValid(format, value)], [true, true], value);
      for (const value of WRONG[format]) assert.equal(writes(format, value), false, value);
      const drawn = fc.stringMatching(new RegExp(expression), { size: 'small' });
      fc.assert(
        fc.property(drawn, (value) => {
          assert.ok(writes(format, value), `cannot write ${value}`);
          assert.equal(wholeValue(schemaOf(format), JSON.stringify(value)), value);
        }),
        { numRuns: 40 },
      );
    });

    test(`${format}: what is near a right one is written only where it is right`, () => {
      const near = fc
        .constantFrom(...USUAL[format])
        .chain((value) =>
          fc
            .tuple(
              fc.nat(value.length),
              fc.nat(2),
              fc.constantFrom('', '0', '9', '2', '-', ':', '.', 'T', 'Z', '@', 'x', '%', '/'),
            )
            .map(([at, without, put]) => value.slice(0, at) + put + value.slice(at + without)),
        );
      fc.assert(
        fc.property(near, (value) => {
          assert.equal(writes(format, value), new RegExp(expression).test(value), value);
          if (writes(format, value)) assert.ok(isValid(format, value), value);
          // Of these the whole standard can be written.
          else if (format === 'date' || format === 'ipv6' || format === 'uuid')
            assert.ok(!isValid(format, value), value);
        }),
        { numRuns: 100 },
      );
    });
  }

  test('is small enough to stand in a schema many times', () => {
    const properties = Object.fromEntries([...STRING_FORMATS.keys()].map((format) => [format, schemaOf(format)]));
    const schema = { type: 'object', properties: { ...properties, again: { type: 'array', items: schemaOf('uri') } } };
    assert.ok(grammarOf({ kind: 'schema', schema }, tokens).open());
  });
});
