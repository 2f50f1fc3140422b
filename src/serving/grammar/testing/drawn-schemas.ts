// Draws schemas of all kinds that are supported, and values near them: the material of property tests.
import fc from 'fast-check';
import type { Schema } from '../schema-keywords.ts';

const names = fc.constantFrom('a', 'b', 'kind', 'a b', 'é"', '\\', '');
const literals = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1.5, 1e21, 'a', 'ab', 'é\n"', ''),
  fc.constantFrom<unknown>([1, 'a'], { a: null }, {}, []),
);
const bounds = fc.constantFrom(
  -1e20,
  -100.25,
  -10,
  -1,
  -0.5,
  0,
  1e-7,
  0.1,
  0.3,
  1,
  9.99,
  10,
  99,
  100,
  12345.678,
  2 ** 53,
);

const numbers = fc
  .record({
    type: fc.constantFrom('number', 'integer'),
    low: fc.option(fc.tuple(fc.constantFrom('minimum', 'exclusiveMinimum'), bounds)),
    high: fc.option(fc.tuple(fc.constantFrom('maximum', 'exclusiveMaximum'), bounds)),
    step: fc.option(fc.constantFrom(1, 0.1, 0.01), { freq: 4 }),
  })
  .map(({ type, low, high, step }) => ({
    type,
    ...(low && { [low[0]]: low[1] }),
    ...(high && { [high[0]]: high[1] }),
    ...(step && { multipleOf: step }),
  }));

const strings = fc.oneof(
  fc.constant({ type: 'string' }),
  fc
    .tuple(fc.nat(3), fc.nat(4))
    .map(([least, more]) => ({ type: 'string', minLength: least, maxLength: least + more })),
  fc.nat(3).map((minLength) => ({ type: 'string', minLength })),
  fc
    .constantFrom(
      '^a+b?$',
      'a|^b',
      '^[^a-z"]{2,3}$',
      '^(?:ab|\\d{2}-[A-F])+$',
      '^[\\u00e0-\\u4000]\\s?.$',
      '\\\\',
      '^$',
      '^(a*)*$',
    )
    .map((pattern) => ({ type: 'string', pattern })),
);

/** A schema; `#/$defs/node` is a tree that holds itself. */
export const drawnSchemas: fc.Arbitrary<Schema> = fc
  .letrec<{ schema: Schema }>((tie) => ({
    schema: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      fc.oneof(
        numbers,
        strings,
        fc.constantFrom<Schema>(
          { type: 'null' },
          { type: 'boolean' },
          { type: ['string', 'null'] },
          {},
          { type: 'object' },
        ),
        fc.constant<Schema>({ $ref: '#/$defs/node' }),
        fc
          .uniqueArray(literals, { minLength: 1, maxLength: 4, selector: (value) => JSON.stringify(value) })
          .map((list) => ({ enum: list })),
        literals.map((value) => ({ const: value })),
      ),
      fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((parts) => ({ anyOf: parts })),
      fc
        .record({ items: tie('schema'), minItems: fc.nat(2), more: fc.option(fc.nat(2)) })
        .map(({ items, minItems, more }) => ({
          type: 'array',
          items,
          minItems,
          ...(more !== null && { maxItems: minItems + more }),
        })),
      fc
        .array(tie('schema'), { minLength: 1, maxLength: 2 })
        .map((prefixItems) => ({ type: 'array', prefixItems, items: false, minItems: prefixItems.length })),
      tie('schema').map((additionalProperties) => ({
        type: 'object',
        additionalProperties,
        propertyNames: { maxLength: 3 },
      })),
      fc
        .uniqueArray(fc.tuple(names, tie('schema'), fc.boolean()), { maxLength: 4, selector: ([name]) => name })
        .map((members) => ({
          type: 'object',
          properties: Object.fromEntries(members.map(([name, schema]) => [name, schema])),
          required: members.filter(([, , required]) => required).map(([name]) => name),
          additionalProperties: false,
        })),
    ),
  }))
  .schema.map((schema) => ({
    ...schema,
    $defs: {
      node: {
        type: 'object',
        properties: { kind: { enum: ['leaf', 'list'] }, next: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/node' }] } },
        required: ['kind', 'next'],
        additionalProperties: false,
      },
    },
  }));
