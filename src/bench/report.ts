// Tables, JSON, statistics, times and kept results of benches.
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { mean } from '../training/statistics.ts';

/** Half of the distance between the quartiles: how far a typical round is from the median. */
export function spread(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const quantile = (share: number): number => {
    const at = share * (sorted.length - 1);
    const low = Math.floor(at);
    return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
  };
  return (quantile(0.75) - quantile(0.25)) / 2;
}

/** Student's t for a two-sided interval of 95 %, by degrees of freedom from 1. */
const T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131];

/** A mean, and how far from it the 95 % interval reaches on each side. */
export interface Interval {
  readonly mean: number;
  readonly half: number;
}

/** The mean of values with its interval; of one value, no interval (0). */
export function interval95(values: readonly number[]): Interval {
  const n = values.length;
  const centre = mean(values);
  if (n < 2) return { mean: centre, half: 0 };
  const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (n - 1);
  // Beyond the table's end, the interval becomes slightly too wide.
  const t = T95[Math.min(n - 1, T95.length) - 1];
  return { mean: centre, half: t * Math.sqrt(variance / n) };
}

/** A difference with its sign and its interval. */
export const signed = ({ mean, half }: Interval, digits: number): string =>
  `${mean > 0 ? '+' : ''}${mean.toFixed(digits)} ± ${half.toFixed(digits)}`;

/** The value that a part of all values, 0 to 1, lies below; NaN of an empty list. */
export function valueAt(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

/** Rows under their headings, in columns; the first column to the left, the others to the right. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  return [line(headings), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** Writes the measurements as JSON to a file, or to standard output for "-". */
export function writeJson(target: string, data: unknown): void {
  const text = `${JSON.stringify(data, null, 2)}\n`;
  if (target === '-') process.stdout.write(text);
  else writeFileSync(target, text);
}

/**
 * The finished parts of a long measurement, each a line of JSON in a file, so that an interrupted bench does not repeat them.
 * The function that it returns measures what is not in the file yet. With `path` null nothing is kept.
 */
export function keptResults<T extends object>(
  path: string | null,
): (key: string, measure: () => Promise<T>) => Promise<T> {
  const lines = path !== null && existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
  const parsed = lines.map((line) => JSON.parse(line) as T & { readonly key: string });
  const known = new Map<string, T>(parsed.map((line) => [line.key, line]));
  return async (key, measure) => {
    const kept = known.get(key);
    if (kept) return kept;
    const result = await measure();
    known.set(key, result);
    if (path !== null) {
      mkdirSync(dirname(path), { recursive: true });
      appendFileSync(path, `${JSON.stringify({ key, ...result })}\n`);
    }
    return result;
  };
}

/** The processor time of a step, of all the process's threads together, so that other work on the machine does not count. */
export async function cpuSecondsOf(step: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await step();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** How often something happens in a second. */
export interface Rate {
  readonly what: string;
  readonly per_s: number;
  /** The rate if the process had had a processor core to itself. */
  readonly per_cpu_s: number;
}

/** Times `count` steps, which may be made in one call. */
export async function rateOf(what: string, count: number, work: () => unknown): Promise<Rate> {
  const start_ms = performance.now();
  const cpu_s = await cpuSecondsOf(work);
  return { what, per_s: (count / (performance.now() - start_ms)) * 1000, per_cpu_s: count / cpu_s };
}

/** A whole number with its thousands divided. */
export const wholeNumber = (value: number): string => Math.round(value).toLocaleString('en-US');
