// Numbers, sizes, times and names for people.

/** 1234567 → "1.23M"; small numbers unchanged. */
export function formatCount(value: number): string {
  if (value < 1000) return String(Math.round(value));
  const [unit, letter] = value < 1e6 ? [1e3, 'k'] : value < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
  const scaled = value / (unit as number);
  return `${Number(scaled.toPrecision(3))}${letter}`;
}

/** 1234567 → "1.2 MB". */
export function formatBytes(size_bytes: number): string {
  if (size_bytes < 1000) return `${Math.round(size_bytes)} B`;
  const [unit, name] = size_bytes < 1e6 ? [1e3, 'kB'] : size_bytes < 1e9 ? [1e6, 'MB'] : [1e9, 'GB'];
  const scaled = size_bytes / (unit as number);
  return `${scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${name}`;
}

/** 1234567 → "1,234,567". */
export const formatWhole = (value: number): string => value.toLocaleString('en-US');

export { formatDuration } from '../../protocol/duration.ts';

/** 1, 'step' → "1 step"; 1234, 'step' → "1,234 steps". */
export const countOf = (value: number, what: string): string =>
  `${formatWhole(value)} ${what}${value === 1 ? '' : 's'}`;

/** A moment of the log: the time of day, with the date if it is not today. */
export function formatTime(time_ms: number, now_ms = Date.now()): string {
  const date = new Date(time_ms);
  const time = date.toLocaleTimeString('en-GB');
  return date.toDateString() === new Date(now_ms).toDateString() ? time : `${date.toLocaleDateString('en-GB')} ${time}`;
}

/** The beginning of a hash or key, enough to tell it from others. */
export const short = (hash: string): string => hash.slice(0, 8);

const RUNTIMES: Readonly<Record<string, string>> = {
  'native-cpu': 'CPU',
  wasm: 'WASM',
  webgpu: 'WebGPU',
  'native-cuda': 'CUDA',
};

/** The name of a device class for people. */
export const runtimeName = (runtime: string): string => RUNTIMES[runtime] ?? runtime;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these reverse lines or are invisible
const INVISIBLE = /[\0-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** A stranger's text of several lines, without invisible characters. */
export const textOf = (text: string): string =>
  text
    .split(/\r?\n/)
    .map((line) => line.replaceAll('\t', '    ').replace(INVISIBLE, ''))
    .join('\n');

/** A stranger's name as part of one line. */
export const nameOf = (text: string): string =>
  text.replace(INVISIBLE, '').replace(/\s+/g, ' ').trim() || 'without a name';

/** A sentence with a capital letter at its beginning. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
