// JSON schemas (draft 2020-12, and draft 7's `definitions`) as rules of an automaton. A keyword that is not done is refused, never ignored.
import { utf8 } from '../../protocol/hash.ts';
import { ServingError } from '../errors.ts';
import { SERVING_LIMITS } from '../limits.ts';
import { arrayRule, type JsonRules, type Member, mapRule, objectRule, stringRule } from './json-text.ts';
import type { MachineBuilder } from './machine.ts';
import { type Bound, rangeRule } from './number-ranges.ts';
import { patternRule } from './pattern.ts';
import {
  badKeyword,
  countOf,
  KEYWORDS,
  listOf,
  numberOf,
  type Place,
  pointerPart,
  REMARKS,
  refuse,
  resolve,
  type Schema,
  schemaObject,
  TYPES,
  type TypeName,
  typesOf,
  typesOfValue,
} from './schema-keywords.ts';
import { STRING_FORMATS } from './string-formats.ts';

/** Decimals that a number may have where the schema says nothing: as many as 15 digits allow. */
const MOST_DECIMALS = 14;
/** Schemas within schemas, and references to references: far from what the call stack bears. */
const LIMIT_DEPTH = 400;

/**
 * The rule of the values that a schema allows. It may allow fewer than the schema: members come in the schema's order, and no others
 * unless the schema names none; every value that it does allow is valid.
 * Throws ServingError `unsupported` (a keyword, named with its path), `bad-input` (not a schema) or `too-large`.
 */
export function schemaRule(builder: MachineBuilder, rules: JsonRules, schema: Schema): number {
  return new SchemaReader(builder, rules, measured(schema)).rule(schema, '#');
}

/** Refuses schemas that are too large before anything is built from them. */
function measured(schema: Schema): Schema {
  let values = 0;
  let characters = 0;
  const open: unknown[] = [schema];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (++values > SERVING_LIMITS.schema_values) {
      throw new ServingError('too-large', `schema: more than ${SERVING_LIMITS.schema_values} values`);
    }
    if (typeof value === 'string') characters += value.length;
    if (typeof value === 'object' && value !== null) {
      characters += Object.keys(value).reduce((sum, key) => sum + key.length, 0);
      open.push(...Object.values(value));
    }
    if (characters > SERVING_LIMITS.schema_characters) {
      throw new ServingError('too-large', `schema: more than ${SERVING_LIMITS.schema_characters} characters`);
    }
  }
  return schema;
}

class SchemaReader {
  readonly #builder: MachineBuilder;
  readonly #rules: JsonRules;
  readonly #root: Schema;
  /** One rule for each schema object: references cost nothing, and recursion comes back to the same rule. */
  readonly #known = new Map<object, number>();
  #depth = 0;

  constructor(builder: MachineBuilder, rules: JsonRules, root: Schema) {
    this.#builder = builder;
    this.#rules = rules;
    this.#root = root;
  }

  rule(schema: unknown, path: string): number {
    if (this.#depth > LIMIT_DEPTH)
      throw new ServingError('too-large', `schema: ${path}: over ${LIMIT_DEPTH} schemas lead here`, { path });
    if (schema === true) return this.#rules.value;
    if (schema === false) return this.#builder.state(); // a rule that never ends
    const place = { schema: schemaObject(schema, path), path };
    const known = this.#known.get(place.schema);
    if (known !== undefined) return known;
    const start = this.#builder.state();
    this.#known.set(place.schema, start);
    const end = this.#builder.state();
    this.#builder.final(end);
    this.#depth++;
    for (const rule of this.#choices(place)) this.#builder.call(start, rule, end);
    this.#depth--;
    return start;
  }

  /** The rules of which a value follows one. */
  #choices(place: Place): number[] {
    const { schema, path } = place;
    const keywords = Object.keys(schema).filter((keyword) => schema[keyword] !== undefined && !REMARKS.has(keyword));
    for (const keyword of keywords) if (!KEYWORDS.has(keyword)) refuse(place, keyword);
    for (const keyword of ['$ref', 'anyOf', 'oneOf', 'allOf'] as const) {
      if (!keywords.includes(keyword)) continue;
      const beside = keywords.find((other) => other !== keyword);
      if (beside !== undefined) refuse(place, beside, `beside ${keyword}`);
      if (keyword === '$ref') {
        const target = resolve(this.#root, place);
        return [this.rule(target.schema, target.path)];
      }
      const parts = listOf(place, keyword);
      if (keyword === 'allOf' && parts.length !== 1) refuse(place, keyword, 'of more than one schema');
      if (keyword === 'oneOf') this.#refuseOverlap(place, parts);
      return parts.map((part, i) => this.rule(part, `${path}/${keyword}/${i}`));
    }
    const types = typesOf(place, keywords);
    if (keywords.includes('enum') || keywords.includes('const')) {
      const beside = keywords.find((keyword) => !['type', 'enum', 'const'].includes(keyword));
      if (beside !== undefined) refuse(place, beside, 'beside enum or const');
      return [this.#literals(place, types)];
    }
    if (types.length === TYPES.length) return [this.#rules.value];
    return types
      .filter((type) => type !== 'integer' || !types.includes('number'))
      .map((type) => this.#typed(place, type));
  }

  #typed(place: Place, type: TypeName): number {
    switch (type) {
      case 'null':
        return this.#texts(['null']);
      case 'boolean':
        return this.#texts(['true', 'false']);
      case 'integer':
      case 'number':
        return this.#number(place, type === 'integer');
      case 'string':
        return this.#string(place);
      case 'array':
        return this.#array(place);
      case 'object':
        return this.#object(place);
    }
  }

  #texts(texts: readonly string[]): number {
    const start = this.#builder.state();
    const end = this.#builder.state();
    this.#builder.final(end);
    this.#builder.oneOf(start, texts.map(utf8), end);
    return start;
  }

  #literals(place: Place, types: readonly TypeName[]): number {
    const listed = place.schema.enum === undefined ? null : listOf(place, 'enum');
    const wanted = place.schema.const;
    const values =
      wanted === undefined
        ? (listed ?? [])
        : listed === null || listed.some((value) => JSON.stringify(value) === JSON.stringify(wanted))
          ? [wanted]
          : [];
    const texts = values
      .filter((value) => typesOfValue(value).some((type) => types.includes(type)))
      .map((value) => JSON.stringify(value));
    return this.#texts(texts);
  }

  #number(place: Place, integer: boolean): number {
    const { schema, path } = place;
    const step = numberOf(place, 'multipleOf');
    const bounds = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].some(
      (keyword) => schema[keyword] !== undefined,
    );
    if (!bounds && step === null) return integer ? this.#rules.integer : this.#rules.number;
    let decimals = integer ? 0 : MOST_DECIMALS;
    if (step !== null) {
      const power = Array.from({ length: MOST_DECIMALS + 1 }, (_, i) => i).find((i) => step === Number(`1e-${i}`));
      if (power === undefined) refuse(place, 'multipleOf', `of ${step}: only 1, 0.1, 0.01 and so on are`);
      decimals = Math.min(decimals, power);
    }
    const least = stricter(numberOf(place, 'minimum'), numberOf(place, 'exclusiveMinimum'), (a, b) => a > b);
    const most = stricter(numberOf(place, 'maximum'), numberOf(place, 'exclusiveMaximum'), (a, b) => a < b);
    if (least && most && (least.value > most.value || (least.value === most.value && (least.open || most.open)))) {
      throw new ServingError('bad-input', `schema: ${path}: no number is within its bounds`, { path });
    }
    return rangeRule(this.#builder, least, most, decimals);
  }

  #string(place: Place): number {
    const { schema, path } = place;
    const least = countOf(place, 'minLength') ?? 0;
    const most = countOf(place, 'maxLength') ?? Infinity;
    if (schema.format !== undefined) {
      for (const keyword of ['minLength', 'maxLength', 'pattern'])
        if (schema[keyword] !== undefined) refuse(place, keyword, 'beside format');
      if (typeof schema.format !== 'string') throw badKeyword(place, 'format', 'a string');
      const expression = STRING_FORMATS.get(schema.format);
      if (expression === undefined) refuse(place, 'format', `"${schema.format.slice(0, 40)}"`);
      return patternRule(this.#builder, expression, path);
    }
    if (schema.pattern === undefined) {
      return least === 0 && most === Infinity ? this.#rules.string : stringRule(this.#builder, least, most);
    }
    if (typeof schema.pattern !== 'string') throw badKeyword(place, 'pattern', 'a string');
    for (const keyword of ['minLength', 'maxLength'])
      if (schema[keyword] !== undefined) refuse(place, keyword, 'beside pattern');
    return patternRule(this.#builder, schema.pattern, path);
  }

  #array(place: Place): number {
    const { schema, path } = place;
    if (schema.uniqueItems !== undefined && schema.uniqueItems !== false) refuse(place, 'uniqueItems');
    if (Array.isArray(schema.items)) refuse(place, 'items', 'as a list: write prefixItems');
    const first = schema.prefixItems === undefined ? [] : listOf(place, 'prefixItems');
    const least = Math.max(countOf(place, 'minItems') ?? 0, first.length);
    const most = countOf(place, 'maxItems') ?? Infinity;
    if (most < least)
      throw new ServingError('bad-input', `schema: ${path}: at least ${least} items and at most ${most}`, { path });
    // A tuple without `items` may be longer; it is written as the tuple that its author meant.
    const others = schema.items ?? first.length === 0;
    return arrayRule(this.#builder, this.#rules.space, {
      first: first.map((item, i) => this.rule(item, `${path}/prefixItems/${i}`)),
      each: others === false ? null : this.rule(others, `${path}/items`),
      least,
      most,
    });
  }

  #object(place: Place): number {
    const { schema, path } = place;
    const properties = schema.properties === undefined ? {} : schemaObject(schema.properties, `${path}/properties`);
    const required = new Set(namesOf(place));
    const { additionalProperties: others, propertyNames: names } = schema;
    // Who writes `properties: {}` means an object without members.
    const free =
      others === undefined ? schema.properties === undefined : others !== false && Object.keys(properties).length === 0;
    if (free && required.size === 0) {
      const key = names === undefined ? this.#rules.string : this.#keyRule(names, `${path}/propertyNames`);
      const value = this.rule(others ?? true, `${path}/additionalProperties`);
      return mapRule(this.#builder, this.#rules.space, key, value);
    }
    if (names !== undefined) refuse(place, 'propertyNames', 'beside properties');
    if (typeof others === 'object') refuse(place, 'additionalProperties', 'as a schema beside properties');
    const members: Member[] = Object.entries(properties).map(([name, value]) => ({
      name,
      value: this.rule(value, `${path}/properties/${pointerPart(name)}`),
      required: required.has(name),
    }));
    for (const name of required) {
      if (Object.hasOwn(properties, name)) continue;
      members.push({ name, value: this.rule(others ?? true, path), required: true });
    }
    return objectRule(this.#builder, this.#rules.space, members);
  }

  /** The rule of a map's keys: strings only. */
  #keyRule(names: unknown, path: string): number {
    if (names === true) return this.#rules.string;
    const schema = schemaObject(names, path);
    const place = { schema: { type: 'string', ...schema }, path };
    if (place.schema.type !== 'string') refuse(place, 'type', `as ${JSON.stringify(place.schema.type)} for names`);
    return this.rule(place.schema, path);
  }

  /** A value must be valid by exactly one of the parts, so they must be told apart: by type, or by a required member's value. */
  #refuseOverlap(place: Place, parts: readonly unknown[]): void {
    const marks = parts.map((part, i) =>
      this.#marksOf({ schema: schemaObject(part, place.path), path: `${place.path}/oneOf/${i}` }),
    );
    for (const [i, a] of marks.entries()) {
      for (const b of marks.slice(0, i))
        if (!apart(a, b)) refuse(place, 'oneOf', 'of schemas that may both be right: write anyOf');
    }
  }

  #marksOf(place: Place, hops = 0): Marks {
    if (place.schema.$ref !== undefined && hops < 64) return this.#marksOf(resolve(this.#root, place), hops + 1);
    const { schema } = place;
    const keywords = Object.keys(schema).filter((keyword) => !REMARKS.has(keyword));
    const combined = keywords.some((keyword) => ['anyOf', 'oneOf', 'allOf', '$ref'].includes(keyword));
    const own = literalsOf(schema);
    const types = combined
      ? TYPES
      : own
        ? [...own].flatMap((text) => typesOfValue(JSON.parse(text)))
        : typesOf(place, keywords);
    const members = new Map<string, ReadonlySet<string>>();
    const required = Array.isArray(schema.required) ? schema.required : [];
    for (const [name, value] of Object.entries(schema.properties ?? {})) {
      const literals =
        required.includes(name) && typeof value === 'object' && value !== null ? literalsOf(value) : null;
      if (literals) members.set(name, literals);
    }
    return { types: new Set(types), own, members };
  }
}

function namesOf(place: Place): readonly string[] {
  const names = place.schema.required === undefined ? [] : listOf(place, 'required');
  if (!names.every((name) => typeof name === 'string')) throw badKeyword(place, 'required', 'names');
  return names;
}

/** By what a schema's values can be told from another's. */
interface Marks {
  readonly types: ReadonlySet<TypeName>;
  readonly own: ReadonlySet<string> | null;
  readonly members: ReadonlyMap<string, ReadonlySet<string>>;
}

function apart(a: Marks, b: Marks): boolean {
  const shared = [...a.types].filter((type) => b.types.has(type) || (type === 'integer' && b.types.has('number')));
  if (shared.length === 0 && !(a.types.has('number') && b.types.has('integer'))) return true;
  if (a.own && b.own && disjoint(a.own, b.own)) return true;
  if (shared.some((type) => type !== 'object')) return false;
  return [...a.members].some(([name, values]) => disjoint(b.members.get(name) ?? values, values));
}

function literalsOf(schema: Schema): ReadonlySet<string> | null {
  if (schema.const !== undefined) return new Set([JSON.stringify(schema.const)]);
  return Array.isArray(schema.enum) ? new Set(schema.enum.map((value) => JSON.stringify(value))) : null;
}

function disjoint(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return ![...a].some((text) => b.has(text));
}

function stricter(closed: number | null, open: number | null, beats: (a: number, b: number) => boolean): Bound | null {
  if (closed === null) return open === null ? null : { value: open, open: true };
  if (open === null || beats(closed, open)) return { value: closed, open: false };
  return { value: open, open: true };
}
