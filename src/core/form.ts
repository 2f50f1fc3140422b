// Whether a value has the form of a schema: what zod says, in a fraction of its time, for schemas of plain parts. Every event of a log is asked this.
import type { z } from 'zod';
import { HASH_FORM, isHash } from '../protocol/hash.ts';

type Fits = (value: unknown) => boolean;

/**
 * A yes is zod's yes, and the value is then what zod would give back; after a no, zod says what is wrong. null where the schema has parts that are
 * not known here: then only zod knows.
 */
export function fitsOf(schema: z.core.$ZodType): Fits | null {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const checks = checksOf(def.checks ?? []);
  if (!checks) return null;
  switch (def.type) {
    case 'string':
      return 'pattern' in def ? null : (value) => typeof value === 'string' && checks(value);
    case 'number':
      if ((def as Partial<z.core.$ZodCheckNumberFormatDef>).format !== 'safeint') return null;
      return (value) => Number.isSafeInteger(value) && checks(value);
    case 'boolean':
      return (value) => typeof value === 'boolean' && checks(value);
    case 'literal':
      return (value) => def.values.includes(value as z.core.util.Literal) && checks(value);
    case 'enum': {
      const values: unknown[] = Object.values(def.entries);
      return (value) => values.includes(value) && checks(value);
    }
    case 'nullable': {
      const inner = fitsOf(def.innerType);
      return inner && ((value) => (value === null || inner(value)) && checks(value));
    }
    case 'record': {
      const [key, inner] = [fitsOf(def.keyType), fitsOf(def.valueType)];
      if (!key || !inner || def.mode === 'loose') return null;
      return (value) =>
        isMap(value) && Object.keys(value).every((name) => key(name) && inner(value[name])) && checks(value);
    }
    case 'object':
      return def.catchall?._zod.def.type === 'never' ? fitsObject(def.shape, checks) : null;
    default:
      return null;
  }
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

interface Field {
  readonly name: string;
  readonly fits: Fits;
  readonly optional: boolean;
}

/** Of a strict object: these fields and no others. */
function fitsObject(shape: z.core.$ZodShape, checks: Fits): Fits | null {
  const fields: Field[] = [];
  for (const [name, schema] of Object.entries(shape)) {
    const { def } = (schema as z.core.$ZodTypes)._zod;
    const optional = def.type === 'optional';
    const fits = fitsOf(optional ? def.innerType : schema);
    if (!fits) return null;
    fields.push({ name, fits, optional });
  }
  return (value) => {
    if (!isMap(value)) return false;
    let found = 0;
    for (const { name, fits, optional } of fields) {
      const part = value[name];
      if (part === undefined ? !optional : !fits(part)) return false;
      if (part !== undefined) found++;
    }
    return Object.keys(value).length === found && checks(value);
  };
}

/** What is asked beside the type; null where one of them is not known here. */
function checksOf(checks: readonly z.core.$ZodCheck<never>[]): Fits | null {
  const all = checks.map((check) => checkOf((check as unknown as z.core.$ZodChecks)._zod.def));
  if (!all.every((one) => one !== null)) return null;
  // A loop: `every` would make a function for each value.
  return (value) => {
    for (const fits of all) if (!fits(value)) return false;
    return true;
  };
}

function checkOf(def: z.core.$ZodChecks['_zod']['def']): Fits | null {
  switch (def.check) {
    case 'string_format': {
      const { format, pattern } = def;
      // One that remembers where it stopped would answer differently the next time.
      if (format !== 'regex' || !pattern || pattern.global || pattern.sticky) return null;
      return pattern === HASH_FORM ? (value) => isHash(value as string) : (value) => pattern.test(value as string);
    }
    case 'min_length':
      return (value) => (value as string).length >= def.minimum;
    case 'max_length':
      return (value) => (value as string).length <= def.maximum;
    case 'greater_than':
      return numberFits(def.value, (value, least) => value > least || (def.inclusive && value === least));
    case 'less_than':
      return numberFits(def.value, (value, most) => value < most || (def.inclusive && value === most));
    default:
      return null;
  }
}

/** Of a bound that is a number itself. */
const numberFits = (bound: unknown, fits: (value: number, bound: number) => boolean): Fits | null =>
  typeof bound === 'number' ? (value) => fits(value as number, bound) : null;
