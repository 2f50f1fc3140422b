// What a bench is: its options, its measurement, and its report. The file of a bench exports these; main.ts finds it by its name.
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { BenchError } from './errors.ts';
import { writeJson } from './report.ts';

/** One option of a bench: what --help says about it, and how its text becomes a value. */
export interface Option<T> {
  readonly about: string;
  /** What --help calls the value; a flag has none. */
  readonly value?: string;
  /** The text if the option is not given, and if --quick is given instead. Without either the value is null. */
  readonly usual?: string;
  readonly quick?: string;
  /** Throws an error that says what was expected. */
  read(text: string): T;
}

export type Options = Readonly<Record<string, Option<unknown>>>;
/** The values of options, by their names. */
export type Values<O extends Options> = { readonly [Name in keyof O]: ReturnType<O[Name]['read']> };

/** What a bench has measured. */
export interface Report {
  /** For `--json`. */
  readonly data: unknown;
  /** For people. */
  readonly text: string;
  /** Why the bench fails all the same, for example because a bound is broken. */
  readonly failure?: BenchError | null;
}

/** What the file of a bench exports. */
export interface Bench<O extends Options = Options> {
  readonly options: O;
  /** The text below the options in --help. */
  readonly notes?: string;
  /** Throws BenchError `usage` if the options contradict each other. */
  run(options: Values<O>): Promise<Report>;
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly usual: number;
  readonly quick?: number;
}

const inRange = (about: string, kind: string, { from, to, usual, quick }: Range, fits: (value: number) => boolean) => ({
  ...{ about, value: 'N', usual: String(usual), quick: quick === undefined ? undefined : String(quick) },
  read(text: string): number {
    const value = Number(text);
    if (text.trim() !== '' && fits(value) && value >= from && value <= to) return value;
    throw new Error(`expected a ${kind} from ${from} to ${to}`);
  },
});

/** A whole number. */
export const whole = (about: string, range: Range): Option<number> =>
  inRange(about, 'whole number', range, Number.isSafeInteger);

export const decimal = (about: string, range: Range): Option<number> =>
  inRange(about, 'number', range, Number.isFinite);

/** Any text, for example a path; null if it is not given. */
export const text = (about: string, value: string): Option<string | null> => ({ about, value, read: (given) => given });

/** A folder that exists; the system's folder for temporary files if it is not given. */
export const folder = (about: string): Option<string> => ({
  ...{ about, value: 'FOLDER', usual: tmpdir() },
  read(given) {
    if (statSync(given, { throwIfNoEntry: false })?.isDirectory()) return given;
    throw new Error('expected a folder');
  },
});

export function oneOf<T extends string>(about: string, all: readonly T[], usual: T, quick?: T): Option<T> {
  return {
    ...{ about: `${about}: ${all.join(', ')}`, value: 'NAME', usual, quick },
    read(given) {
      const found = all.find((one) => one === given);
      if (found !== undefined) return found;
      throw new Error(`expected ${all.join(', ')}`);
    },
  };
}

/** Several values of one kind, divided by commas. */
export const list = <T>(of: Option<T>, usual = of.usual, quick = of.quick): Option<T[]> => ({
  ...{ ...of, value: 'LIST', usual, quick },
  read: (given) => given.split(',').map((one) => of.read(one.trim())),
});

/** An option that has no value if it is not given. */
export const optional = <T>(of: Option<T>): Option<T | null> => ({ ...of, usual: undefined, quick: undefined });

export const flag = (about: string): Option<boolean> => ({ about, read: (given) => given === 'true' });

const COMMON = {
  json: text('the measurements as JSON; "-" for standard output instead of the table', 'FILE'),
  quick: flag('small measurements, which show that the bench works'),
  help: flag('this text'),
} as const;

const flagOf = (name: string): string => name.replaceAll('_', '-');

/** Runs a bench and shows its report. Throws BenchError `usage` for options that it does not know, and what the bench throws. */
export async function runBench<O extends Options>(name: string, bench: Bench<O>, args: string[]): Promise<void> {
  const { quick, ...common } = COMMON;
  const isQuick = Object.values(bench.options).some((option) => option.quick !== undefined);
  const options: Options = { ...bench.options, ...(isQuick && { quick }), ...common };
  const values = readOptions(name, options, args);
  if (values.help) return console.log(helpOf(name, options, bench.notes));
  const { data, text, failure } = await bench.run(values as Values<O>);
  if (values.json !== '-') console.log(text);
  if (values.json !== null) writeJson(values.json as string, data);
  if (failure) throw failure;
}

function readOptions(name: string, options: Options, args: string[]): Record<string, unknown> {
  const config = Object.entries(options).map(([key, { value }]) => {
    const type = value === undefined ? 'boolean' : 'string';
    return [flagOf(key), { type, ...(key === 'help' && { short: 'h' }) }] as const;
  });
  let given: Record<string, unknown>;
  try {
    given = parseArgs({ args, options: Object.fromEntries(config) }).values;
  } catch (error) {
    throw new BenchError('usage', `${name}: ${(error as Error).message.split('\n', 1)[0]}`);
  }
  return Object.fromEntries(
    Object.entries(options).map(([key, option]) => {
      const otherwise = (given.quick && option.quick) || option.usual;
      const text = given[flagOf(key)] ?? (option.value === undefined ? false : otherwise);
      try {
        return [key, text === undefined ? null : option.read(String(text))];
      } catch (error) {
        throw new BenchError('usage', `--${flagOf(key)}: ${(error as Error).message}, got "${text}"`);
      }
    }),
  );
}

function helpOf(name: string, options: Options, notes: string | undefined): string {
  const rows = Object.entries(options).map(([key, { about, value, usual, quick }]) => {
    const defaults = [usual && `default ${usual}`, quick && `with --quick ${quick}`].filter(Boolean).join(', ');
    return [`--${flagOf(key)}${value ? ` ${value}` : ''}`, defaults ? `${about} (${defaults})` : about];
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
  return [`npm run bench ${name} [-- OPTIONS]`, lines.join('\n'), ...(notes ? [notes] : [])].join('\n\n');
}
