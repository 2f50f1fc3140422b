// Options that several commands share, and how a word becomes a number.
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { CliError } from './output.ts';

/** A whole number in a range, or one clear line. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** A number in a range. */
export function decimal(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max)) {
      throw new InvalidArgumentError(`expected a number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** The address of a hub, without a path. */
export function hubUrl(text: string): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError('expected the address of a hub, such as http://localhost:7700.');
  }
  return url.origin;
}

/** Where a public log is: a hub's folder, or the address of a hub. */
export function logPlace(text: string): string {
  const folder = statSync(text, { throwIfNoEntry: false })?.isDirectory();
  return folder && !/^https?:\/\//i.test(text) ? resolve(text) : hubUrl(text);
}

export const jsonOption = () => new Option('--json', 'one JSON object a line, for programs').default(false);

/** What computes, and what that is good for. */
export const runtimeOption = (what: string, usual: 'native' | 'wasm' = 'native') =>
  new Option('--runtime <name>', what).choices(['native', 'wasm']).default(usual);

/** Games that are not of this build; the name of a game in a run never loads a file by itself. */
export const gameFileOption = () =>
  new Option('--game-file <path>', 'a file that exports a game of your own; may be given again')
    .default([])
    .argParser((path: string, before: string[]) => [...before, path]);

/** The port where a hub is expected when none is named. */
export const DEFAULT_PORT = 7700;
export const DEFAULT_HUB = `http://localhost:${DEFAULT_PORT}`;

/** A game's settings from a file. Throws CliError missing-file. */
export function readSettings(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new CliError('missing-file', `${path}: expected JSON: ${error instanceof Error ? error.message : error}`);
  }
}
