// How commands speak: sentences for people, one JSON object a line with --json, one clear line for an error.
import { styleText } from 'node:util';
import { CodedError } from '../errors.ts';

export type CliErrorCode = 'bad-argument' | 'missing-file' | 'in-use' | 'child-failed';
export class CliError extends CodedError<CliErrorCode> {}

/** Exit codes: 1 for what the user can mend, 70 (EX_SOFTWARE of sysexits.h) for a defect of ours. */
const EXIT_DEFECT = 70;

export interface Output {
  readonly json: boolean;
  /** A result or an event: `text` for people, `value` for programs. */
  say(text: string, value: object): void;
}

export function openOutput(json: boolean): Output {
  return {
    json,
    say(text, value) {
      if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
      else if (text !== '') process.stdout.write(`${text}\n`);
    },
  };
}

/** Prints why a command failed and returns the exit code. */
export function reportFailure(error: unknown, json: boolean): number {
  if (error instanceof CodedError) {
    const { code, message, details } = error;
    if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, details } })}\n`);
    else process.stderr.write(`${styleText('red', 'potluck:', { stream: process.stderr })} ${message}\n`);
    return 1;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`potluck: this is a defect of ours, please report it:\n${text}\n`);
  return EXIT_DEFECT;
}

/** 12345678 → "12.3 MB": as people read sizes. */
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
