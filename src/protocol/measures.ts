// What a game counts and measures, in its own words: the unit that work is paid in, and metrics of its states. Values are integers.
import { z } from 'zod';
import { oneLine } from './schemas.ts';

/** A number by its name in events and answers; one that ends in `_micro` is in millionths. */
export const measureName = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'expected a name such as loss_micro');

const word = oneLine(40);
/** What work is counted and paid in, in the plural: tokens. */
export const UnitSchema = word;

const NamedSchema = z.strictObject({
  /** Its name in events: loss_micro. */
  name: measureName,
  /** What people call it: validation loss. */
  words: word,
  /** In the plural: nats. */
  unit: word,
});
/** A number that a game names. */
export type Named = z.infer<typeof NamedSchema>;

const MetricSchema = z.strictObject({ ...NamedSchema.shape, better: z.enum(['lower', 'higher']) });
export type Metric = z.infer<typeof MetricSchema>;

/** Many times what people look at. */
export const MOST_NUMBERS = 8;
const listOf = <T extends z.ZodType<Named>>(named: T) =>
  z
    .array(named)
    .max(MOST_NUMBERS)
    .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, 'expected names that differ');

/** What a run's states are measured by; the first is what it is judged by, and drawn. */
export const MetricsSchema = listOf(MetricSchema).min(1);

/** The numbers that come with work, and with what a judge found in it. */
export const NumbersSchema = z.strictObject({ work: listOf(NamedSchema), verdict: listOf(NamedSchema) });

/** Their values, as messages carry them. */
export const ValuesSchema = z
  .record(measureName, z.int())
  .refine((values) => Object.keys(values).length <= MOST_NUMBERS, `expected at most ${MOST_NUMBERS} numbers`);

const isMicro = (name: string): boolean => name.endsWith('_micro');

/** A value in its unit. */
export const inUnit = (name: string, value: number): number => (isMicro(name) ? value / 1e6 : value);

/** A value in its unit as people read it: 2.481; one that is whole by its name stays so. */
export const valueText = (name: string, value: number, digits = 3): string =>
  isMicro(name) ? value.toFixed(digits) : value.toLocaleString('en-US');

/** "validation loss 2.481"; empty: nobody has measured yet. */
export const metricText = ({ name, words, last }: Pick<Metric, 'name' | 'words'> & { readonly last: number | null }) =>
  last === null ? '' : `${words} ${valueText(name, last)}`;

/** Numbers in the words of who named them, of which there are values: "steps 30, training loss 2.4810 nats". */
export const wordsOfNumbers = (named: readonly Named[], numbers: Readonly<Record<string, number>>): string =>
  named
    .filter(({ name }) => Object.hasOwn(numbers, name))
    .map(({ name, words, unit }) => {
      const text = `${words} ${valueText(name, inUnit(name, numbers[name]), 4)}`;
      return words.includes(unit) ? text : `${text} ${unit}`;
    })
    .join(', ');

/** Named numbers as people read them who do not know their words: "loss 2.4810, tokens 4096". */
export const measuresText = (numbers: Readonly<Record<string, number>>): string =>
  Object.entries(numbers)
    .map(
      ([name, value]) =>
        `${name.replace(/_micro$/, '').replaceAll('_', ' ')} ${valueText(name, inUnit(name, value), 4)}`,
    )
    .join(', ');
