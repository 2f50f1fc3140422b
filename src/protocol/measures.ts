// What a game counts and measures, in its own words: the unit that work is paid in, and metrics of its states. Values are integers.
import { z } from 'zod';
import { oneLine } from './schemas.ts';

/** A number by its name in events and answers; one that ends in `_micro` is in millionths. */
export const measureName = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'expected a name such as loss_micro');

const word = oneLine(40);
/** What work is counted and paid in, in the plural: tokens. */
export const UnitSchema = word;

const MetricSchema = z.strictObject({
  /** Its name in events: loss_micro. */
  name: measureName,
  /** What people call it: validation loss. */
  words: word,
  /** In the plural: nats. */
  unit: word,
  better: z.enum(['lower', 'higher']),
});
export type Metric = z.infer<typeof MetricSchema>;

/** What a run's states are measured by; the first is what it is judged by, and drawn. */
export const MetricsSchema = z
  .array(MetricSchema)
  .min(1)
  .max(8)
  .refine((metrics) => new Set(metrics.map(({ name }) => name)).size === metrics.length, 'expected names that differ');

const isMicro = (name: string): boolean => name.endsWith('_micro');

/** A value in its unit. */
export const inUnit = (name: string, value: number): number => (isMicro(name) ? value / 1e6 : value);

/** A value in its unit as people read it: 2.481; one that is whole by its name stays so. */
export const valueText = (name: string, value: number, digits = 3): string =>
  isMicro(name) ? value.toFixed(digits) : value.toLocaleString('en-US');

/** "validation loss 2.481"; empty: nobody has measured yet. */
export const metricText = ({ name, words, last }: Pick<Metric, 'name' | 'words'> & { readonly last: number | null }) =>
  last === null ? '' : `${words} ${valueText(name, last)}`;

/** Named numbers as people read them: "loss 2.4810, tokens 4096". */
export const measuresText = (numbers: Readonly<Record<string, number>>): string =>
  Object.entries(numbers)
    .map(
      ([name, value]) =>
        `${name.replace(/_micro$/, '').replaceAll('_', ' ')} ${valueText(name, inUnit(name, value), 4)}`,
    )
    .join(', ');
