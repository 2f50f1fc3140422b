// The second look at a value that a grammar made: parsed, and validated by a library that knows nothing of the grammar.
import { type Schema as JsonSchema, Validator } from '@cfworker/json-schema';
import type { AnswerRequest } from '../answers.ts';
import { ServingError } from '../errors.ts';
import { SERVING_LIMITS } from '../limits.ts';
import { resolve, type Schema, schemaObject } from './schema-keywords.ts';

const SCHEMA_KEYWORDS = ['items', 'additionalProperties', 'propertyNames'];
const LIST_KEYWORDS = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const MAP_KEYWORDS = ['properties', '$defs', 'definitions'];

/**
 * The value of a text that a schema was to hold. Throws ServingError `bad-grammar` where it is not JSON, holds a number that JSON.parse
 * makes infinite, or is not valid; `too-large` where looking would take too long.
 */
export function wholeValue(schema: Schema, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ServingError('bad-grammar', `answer: expected JSON, got ${(error as Error).message}`);
  }
  refuseInfinity(value);
  if (steps(schema, value) > SERVING_LIMITS.check_steps) {
    throw new ServingError(
      'too-large',
      `answer: to validate it by this schema takes more than ${SERVING_LIMITS.check_steps} steps`,
    );
  }
  // The library marks the schema's objects: it gets a copy.
  const { valid, errors } = new Validator(withoutPatterns(schema) as JsonSchema, '2020-12').validate(value);
  if (valid) return value;
  const last = errors[errors.length - 1];
  throw new ServingError('bad-grammar', `answer: not valid by its schema at ${last.instanceLocation}: ${last.error}`);
}

/** Looks at a whole answer that was held to a format. Throws ServingError as `wholeValue` does. */
export function checkWhole(format: AnswerRequest['format'], text: string): void {
  if (format.kind !== 'text') wholeValue(format.kind === 'json' ? { type: 'object' } : format.schema, text);
}

function refuseInfinity(value: unknown): void {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new ServingError('bad-grammar', 'answer: a number is too large for a float64');
  }
  if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) refuseInfinity(part);
}

/**
 * A copy without `pattern`: the library would run it as a RegExp, which a hostile expression holds up for hours. The grammar reads
 * patterns in linear time, and no string comes past it that does not match.
 */
function withoutPatterns(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return schema;
  const copy: [string, unknown][] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === 'pattern') continue;
    if (SCHEMA_KEYWORDS.includes(keyword)) copy.push([keyword, withoutPatterns(value)]);
    else if (LIST_KEYWORDS.includes(keyword)) copy.push([keyword, (value as unknown[]).map(withoutPatterns)]);
    else if (MAP_KEYWORDS.includes(keyword)) {
      copy.push([
        keyword,
        Object.fromEntries(Object.entries(value as object).map(([name, part]) => [name, withoutPatterns(part)])),
      ]);
    } else copy.push([keyword, structuredClone(value)]);
  }
  return Object.fromEntries(copy);
}

/**
 * How many schemas the library will hold against how many values: it tries all parts of an anyOf, so a schema that refers to itself twice
 * takes 2^depth steps. Counted here with each pair looked at once.
 */
function steps(root: Schema, value: unknown): number {
  const known = new Map<object, Map<unknown, number>>();
  const count = (schema: unknown, value: unknown): number => {
    if (typeof schema !== 'object' || schema === null) return 1;
    const values = known.get(schema) ?? new Map<unknown, number>();
    known.set(schema, values);
    const seen = values.get(value);
    if (seen !== undefined) return seen;
    let sum = 1;
    for (const part of partsOf(root, schema as Schema, value)) sum += count(part.schema, part.value);
    values.set(value, sum);
    return sum;
  };
  return count(root, value);
}

function partsOf(
  root: Schema,
  schema: Schema,
  value: unknown,
): { readonly schema: unknown; readonly value: unknown }[] {
  const parts: { schema: unknown; value: unknown }[] = [];
  if (schema.$ref !== undefined) parts.push({ schema: resolve(root, { schema, path: '#' }).schema, value });
  for (const keyword of ['anyOf', 'oneOf', 'allOf']) {
    for (const part of (schema[keyword] as unknown[] | undefined) ?? []) parts.push({ schema: part, value });
  }
  if (Array.isArray(value)) {
    const first = (schema.prefixItems as unknown[] | undefined) ?? [];
    for (const [i, item] of value.entries()) parts.push({ schema: first[i] ?? schema.items, value: item });
  } else if (typeof value === 'object' && value !== null) {
    const properties = schema.properties === undefined ? {} : schemaObject(schema.properties, '#');
    for (const [name, item] of Object.entries(value)) {
      const member = Object.hasOwn(properties, name) ? properties[name] : schema.additionalProperties;
      parts.push({ schema: member, value: item }, { schema: schema.propertyNames, value: name });
    }
  }
  return parts;
}
