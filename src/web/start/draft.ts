// The form as it is typed, and the plan that follows from it if all fields are valid; invalid fields say what is wrong.
import { LlamaConfigSchema } from '../../model/config.ts';
import { WIRE_LIMITS } from '../../protocol/messages.ts';
import { modelOf, type Plan, parametersOf, type Shape, VOCABULARY } from './plan.ts';

interface Field {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly whole: boolean;
}

const whole = (label: string, min: number, max: number): Field => ({ label, min, max, whole: true });
const decimal = (label: string, min: number, max: number): Field => ({ label, min, max, whole: false });

/** The numbers of a plan, with the limits of `potluck run create`. */
export const NUMBERS = {
  rounds: whole('Rounds', 1, 1_000_000),
  round_seconds: decimal('Seconds per round, at most', 0.2, 86_400),
  steps: whole('Steps per round, at most', 1, 100_000),
  min_workers: whole('Devices to wait for', 1, 1000),
  layers: whole('Layers', 1, 256),
  width: whole('Width', 8, 65_536),
  heads: whole('Attention heads', 1, 1024),
  context: whole('Tokens of context', 2, 65_536),
  batch: whole('Sequences per batch', 1, 4096),
  learning_rate: decimal('Highest learning rate', 1e-8, 1),
} as const satisfies Readonly<Record<string, Field>>;
export type NumberField = keyof typeof NUMBERS;

/** The form: numbers as their fields hold them, so they may be incomplete while somebody types. */
export type Draft = Readonly<Record<NumberField, string>> &
  Readonly<Pick<Plan, 'name' | 'text' | 'tied' | 'seed' | 'merge_rule'>>;

export type Size = 'small' | 'medium' | 'large';
const SHAPE_FIELDS = ['layers', 'width', 'heads', 'context'] as const;

/** Model sizes; `potluck run create` sets them by flags, and the first is its default. */
export const SIZES: Readonly<Record<Size, Omit<Shape, 'tied'>>> = {
  small: { layers: 4, width: 128, heads: 4, context: 64 },
  medium: { layers: 6, width: 256, heads: 8, context: 128 },
  large: { layers: 8, width: 512, heads: 8, context: 256 },
};

/** The fields that a size fills in. */
export function fieldsOf(size: Size): Pick<Draft, (typeof SHAPE_FIELDS)[number]> {
  const { layers, width, heads, context } = SIZES[size];
  return { layers: String(layers), width: String(width), heads: String(heads), context: String(context) };
}

/** Whether the form has exactly the shape of a size. */
export const hasSize = (draft: Draft, size: Size): boolean =>
  SHAPE_FIELDS.every((field) => Number(draft[field]) === SIZES[size][field]);

/** The initial form: the defaults of the command. */
export const FIRST_DRAFT: Draft = {
  name: '',
  text: '',
  ...fieldsOf('small'),
  tied: false,
  rounds: '60',
  round_seconds: '30',
  steps: '30',
  batch: '12',
  learning_rate: '0.001',
  min_workers: '1',
  seed: 'potluck',
  merge_rule: 'mean',
};

/** The label of a field. */
export const labelOf = (field: keyof Draft): string =>
  field in NUMBERS ? NUMBERS[field as NumberField].label : 'Name';

/** What is wrong, by field, in the order of the form. */
export type Problems = ReadonlyMap<keyof Draft, string>;

/** The plan of a form, or what is wrong with it. A name and a text may still be missing: `missingIn` says so. */
export function planOf(draft: Draft): { readonly plan: Plan | null; readonly problems: Problems } {
  const problems = new Map<keyof Draft, string>();
  if (draft.name !== '' && draft.name.trim() === '') problems.set('name', 'Expected a name, not only blanks.');
  const numbers = {} as Record<NumberField, number>;
  for (const [field, limits] of Object.entries(NUMBERS) as [NumberField, Field][]) {
    numbers[field] = Number(draft[field]);
    const problem = problemOf(draft[field], limits);
    if (problem) problems.set(field, problem);
  }
  const plan: Plan = { ...draft, ...numbers, name: draft.name.trim() };
  if (!SHAPE_FIELDS.some((field) => problems.has(field))) {
    const problem = problemOfModel(plan);
    if (problem) problems.set(problem.field, problem.message);
  }
  const measurable = problems.size === 0 || (problems.size === 1 && problems.has('name'));
  return { plan: measurable ? plan : null, problems };
}

/** What a plan still lacks before it can be sent; null when it is complete. */
export function missingIn({ name, text }: Plan): string | null {
  if (name === '') return 'It needs a name.';
  return text === '' ? 'It needs a text to learn from.' : null;
}

function problemOf(typed: string, { min, max, whole }: Field): string | null {
  const value = Number(typed);
  const fits = typed.trim() !== '' && value >= min && value <= max && (!whole || Number.isInteger(value));
  if (fits) return null;
  return `Expected a ${whole ? 'whole ' : ''}number from ${min.toLocaleString('en-US', { maximumFractionDigits: 8 })} to ${max.toLocaleString('en-US')}.`;
}

/** Numbers that are valid each but not together. */
function problemOfModel(shape: Shape): { field: NumberField; message: string } | null {
  const most_heads = Math.floor(shape.width / 2);
  if (shape.heads > most_heads) {
    return {
      field: 'heads',
      message: `Expected at most ${most_heads} heads for this width: each has two numbers or more.`,
    };
  }
  if (shape.width % shape.heads !== 0) {
    const below = shape.width - (shape.width % (2 * shape.heads));
    return {
      field: 'width',
      message: `Expected a multiple of the ${shape.heads} heads, such as ${below} or ${below + 2 * shape.heads}.`,
    };
  }
  const config = { ...modelOf(shape), vocab_size: VOCABULARY };
  const parsed = LlamaConfigSchema.safeParse(config);
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    return {
      field: path[0] === 'intermediate_size' ? 'width' : 'heads',
      message: `There is no such model: ${message}.`,
    };
  }
  const most = WIRE_LIMITS.model_bytes / 4;
  const parameters = parametersOf(config);
  if (parameters <= most) return null;
  const [asked, limit] = [parameters, most].map((count) => Math.round(count / 1e6).toLocaleString('en-US'));
  return {
    field: 'width',
    message: `A model of ${asked} million parameters is more than a hub takes: ${limit} million.`,
  };
}
