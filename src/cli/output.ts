// The output of commands: sentences for people, one JSON object per line with --json, one clear line for an error.
import { styleText } from 'node:util';
import { CodedError, type ErrorDetails } from '../errors.ts';
import type { JsonObject } from './json-objects.ts';

export type CliErrorCode =
  | 'bad-argument'
  | 'missing-file'
  | 'bad-file'
  | 'in-use'
  | 'bad-folder'
  | 'child-failed'
  | 'stopped'
  /** This machine lacks the programs that a hub of several processes runs on. */
  | 'no-engines'
  /** Nothing, or something else, answers at an address. */
  | 'no-server'
  /** A server has refused a request in its own words. */
  | 'refused';
export class CliError extends CodedError<CliErrorCode> {}

/** Exit codes: 1 for what the user can fix, 70 (EX_SOFTWARE of sysexits.h) for a bug in this program. */
const EXIT_DEFECT = 70;

export interface Output {
  readonly json: boolean;
  /** A result or an event: `text` for people, `value` for programs. */
  say(text: string, value: JsonObject): void;
}

/** A reader may close the pipe early (`potluck status | head -1`): that is not a failure. Commands that go on end by untilStopped. */
export function letReadersLeave(): void {
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => {});
}

export function openOutput(json: boolean): Output {
  return {
    json,
    say(text, value) {
      if (json) process.stdout.write(jsonLine(value));
      else if (text !== '') process.stdout.write(`${printable(text)}\n`);
    },
  };
}

/** Grows when a field changes its meaning or is removed; an additional field does not matter to readers. */
const JSON_VERSION = 2;

const jsonLine = ({ type, ...value }: JsonObject): string =>
  `${JSON.stringify({ type, version: JSON_VERSION, time_ms: Date.now(), ...value })}\n`;

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals interpret these characters
const COLOUR_OR_CONTROL = /\x1b\[[0-9;]*m|[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** Removes control characters from text of strangers: they could move the cursor, clear the screen or reverse lines. */
export function printable(text: string): string {
  return text.replace(COLOUR_OR_CONTROL, (found) => (found.length > 1 ? found : ''));
}

/** Prints why a command failed and returns the exit code. */
export function reportFailure(error: unknown, json: boolean): number {
  if (error instanceof CodedError) return reportProblem(error.code, error.message, error.details, json);
  // The user can also fix what the operating system refuses: a full disk, a folder without write permission.
  if (error instanceof Error && 'syscall' in error && 'code' in error) {
    return reportProblem(String(error.code), error.message, {}, json);
  }
  if (json) reportProblem('defect', String(error), {}, json);
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`potluck: this is a defect of ours, please report it:\n${text}\n`);
  return EXIT_DEFECT;
}

/** One line on stderr, or one JSON object on stdout. */
export function reportProblem(code: string, message: string, details: ErrorDetails, json: boolean): number {
  if (json) process.stdout.write(jsonLine({ type: 'error', error: { code, message, details } }));
  else {
    const line = printable(message.trim().replace(/\s*\n\s*/g, '; '));
    process.stderr.write(`${styleText('red', 'potluck:', { stream: process.stderr })} ${line}\n`);
  }
  return 1;
}

/** 12345678 → "12.3 MB". */
export function formatBytes(size_bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = size_bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

/** 12345 → "12,345". */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
