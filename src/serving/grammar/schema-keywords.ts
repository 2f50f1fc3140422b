// What the keywords of a JSON schema are, how they are read, and the errors that name them.
import { ServingError } from '../errors.ts';

export type Schema = { readonly [keyword: string]: unknown };

export const TYPES = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'] as const;
export type TypeName = (typeof TYPES)[number];

/** Say nothing about which values are valid. */
export const REMARKS = new Set([
  '$schema',
  '$comment',
  '$defs',
  'definitions',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
]);

/** The keywords that are done, and the type that each of them speaks of. */
export const KEYWORDS: ReadonlyMap<string, TypeName | null> = new Map<string, TypeName | null>([
  ['type', null],
  ['enum', null],
  ['const', null],
  ['anyOf', null],
  ['oneOf', null],
  ['allOf', null],
  ['$ref', null],
  ['properties', 'object'],
  ['required', 'object'],
  ['additionalProperties', 'object'],
  ['propertyNames', 'object'],
  ['items', 'array'],
  ['prefixItems', 'array'],
  ['minItems', 'array'],
  ['maxItems', 'array'],
  ['uniqueItems', 'array'],
  ['minLength', 'string'],
  ['maxLength', 'string'],
  ['pattern', 'string'],
  ['format', 'string'],
  ['minimum', 'number'],
  ['maximum', 'number'],
  ['exclusiveMinimum', 'number'],
  ['exclusiveMaximum', 'number'],
  ['multipleOf', 'number'],
]);

/** A schema's object, and where it stands. */
export interface Place {
  readonly schema: Schema;
  readonly path: string;
}

export function refuse(place: Place, keyword: string, how = ''): never {
  const path = `${place.path}/${pointerPart(keyword)}`;
  const message = `schema: the keyword ${keyword}${how && ` ${how}`} is not supported (${path})`;
  throw new ServingError('unsupported', message, { keyword, path });
}

export function badKeyword({ path, schema }: Place, keyword: string, expected: string): ServingError {
  const got = JSON.stringify(schema[keyword])?.slice(0, 80);
  return new ServingError('bad-input', `schema: ${path}/${keyword}: expected ${expected}, got ${got}`, {
    keyword,
    path,
  });
}

export function schemaObject(value: unknown, path: string): Schema {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Schema;
  throw new ServingError(
    'bad-input',
    `schema: ${path}: expected an object, got ${JSON.stringify(value)?.slice(0, 80)}`,
    { path },
  );
}

export function listOf(place: Place, keyword: string): readonly unknown[] {
  const list = place.schema[keyword];
  if (Array.isArray(list) && (list.length > 0 || keyword === 'required' || keyword === 'prefixItems')) return list;
  throw badKeyword(place, keyword, 'a list that is not empty');
}

export function numberOf(place: Place, keyword: string): number | null {
  const value = place.schema[keyword];
  if (value === undefined) return null;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw badKeyword(place, keyword, 'a number');
  return value;
}

export function countOf(place: Place, keyword: string): number | null {
  const value = numberOf(place, keyword);
  if (value !== null && (!Number.isInteger(value) || value < 0)) throw badKeyword(place, keyword, 'a whole number');
  return value;
}

export function typesOf(place: Place, keywords: readonly string[]): readonly TypeName[] {
  const { type } = place.schema;
  if (type === undefined) {
    // A keyword of one type lets all other types pass; written is what its author meant.
    const spoken = new Set(keywords.map((keyword) => KEYWORDS.get(keyword) ?? null));
    const named = TYPES.filter((name) => spoken.has(name));
    return named.length > 0 ? named : TYPES;
  }
  const list: unknown[] = Array.isArray(type) ? type : [type];
  const names = TYPES.filter((name) => list.includes(name));
  if (list.length === 0 || names.length !== new Set(list).size)
    throw badKeyword(place, 'type', `of ${TYPES.join(', ')}`);
  return names;
}

export function typesOfValue(value: unknown): TypeName[] {
  if (value === null) return ['null'];
  if (Array.isArray(value)) return ['array'];
  if (typeof value === 'number') return Number.isInteger(value) ? ['integer', 'number'] : ['number'];
  const name = TYPES.find((type) => type === typeof value);
  return name ? [name] : [];
}

export function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** What a `$ref` points to: a JSON pointer within the whole schema (RFC 6901). Throws ServingError. */
export function resolve(root: Schema, place: Place): Place {
  const reference = place.schema.$ref;
  if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference))
    refuse(place, '$ref', `to ${JSON.stringify(reference)}`);
  let at: unknown = root;
  for (const part of reference.split('/').slice(1)) {
    const name = decodePart(part).replaceAll('~1', '/').replaceAll('~0', '~');
    at =
      typeof at === 'object' && at !== null && Object.hasOwn(at, name)
        ? (at as Record<string, unknown>)[name]
        : undefined;
  }
  if (at === undefined) {
    throw new ServingError('bad-input', `schema: ${place.path}: $ref points to ${reference}, which is not there`, {
      path: place.path,
    });
  }
  return { schema: schemaObject(at, reference), path: reference };
}
