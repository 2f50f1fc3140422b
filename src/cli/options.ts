// Options that several commands share, and how a word becomes a number.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import type { ZodString } from 'zod';
import { PeerJoinedSchema } from '../core/events/peer-joined.ts';
import { RunCreatedSchema } from '../core/events/run-created.ts';
import { CORE_LIMITS } from '../core/limits.ts';
import { firstIssue } from '../errors.ts';
import { BLOCKED_MS } from '../games/host/outside.ts';
import type { DeviceWish } from '../peer/choose-runtime.ts';
import { isPeerId } from '../protocol/identity.ts';
import { FEWEST_DIGITS } from '../protocol/run-handle.ts';
import { SERVE_LIMITS } from '../protocol/serving-messages.ts';
import { CliError } from './output.ts';

/** A whole number in a range, or one clear line. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) {
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

const MICRO = 1_000_000;
const MOST_CREDITS = 1_000_000_000;

/** Credits as people write them, in micro-credits. */
export function credits(text: string): number {
  const micro = Number(text) * MICRO;
  if (text.trim() !== '' && micro >= 0 && micro <= MOST_CREDITS * MICRO && /^\d*\.?\d{0,6}$/.test(text))
    return Math.round(micro);
  throw new InvalidArgumentError('expected credits with at most six decimals, such as 0.25.');
}

/** What a million tokens cost, in micro-credits. */
export function price(text: string): number {
  const micro = credits(text);
  if (micro <= SERVE_LIMITS.price) return micro;
  throw new InvalidArgumentError(`expected at most ${SERVE_LIMITS.price / MICRO} credits for a million tokens.`);
}

/** The address of a hub: its origin, since a hub serves from the top of a host. */
export function hubUrl(text: string): string {
  const url = looksLikePath(text) ? null : URL.parse(hasScheme(text) ? text : `http://${text}`);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError('expected the address of a hub, such as http://localhost:7700.');
  }
  const { pathname, search, hash, username, origin } = url;
  if (pathname !== '/' || search || hash || username) {
    throw new InvalidArgumentError(`expected the address of a hub and nothing after it, such as ${origin}.`);
  }
  return origin;
}

/** Whether a word that may also be a run's is a hub's address: it has a scheme, a port, or is this machine. */
export const isHubUrl = (text: string): boolean =>
  hasScheme(text) || text === 'localhost' || /^[^\s/]+:\d+\/?$/.test(text);

/** The address of an OpenAI-compatible API; one that names no path is taken to end in /v1. */
export function apiUrl(text: string): string {
  const url = looksLikePath(text) ? null : URL.parse(hasScheme(text) ? text : `http://${text}`);
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new InvalidArgumentError(`expected the address of an API, such as http://localhost:${SERVE_PORT}/v1.`);
  }
  const path = url.pathname.replace(/\/+$/, '');
  return url.origin + (path === '' ? '/v1' : path);
}

/** The address under which the world sees a hub; nobody but its owner can tell that it is wrong, so that it is written in full. */
export function publicUrl(text: string): string {
  const host = URL.parse(text);
  const known = host && (/[.:]/.test(host.hostname) || host.hostname === 'localhost' || host.port !== '');
  if (!/^https?:\/\//i.test(text) || !known) {
    throw new InvalidArgumentError('expected an address with http:// or https://, such as https://hub.example.org.');
  }
  return hubUrl(text);
}

/** Where a public log is: a hub's folder, or the address of a hub. A mistyped folder is no host to be looked up. */
export function logPlace(text: string): string {
  const found = hasScheme(text) ? undefined : statSync(text, { throwIfNoEntry: false });
  if (found?.isDirectory()) return resolve(text);
  if (found) throw new InvalidArgumentError(`no folder of a hub at ${text}: it is a file.`);
  if (looksLikePath(text)) throw new InvalidArgumentError(`no folder of a hub at ${text}.`);
  return hubUrl(text);
}

/** An address under which files lie, without a slash at its end. */
export function filesUrl(text: string): string {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username) {
    return (url.origin + url.pathname).replace(/\/+$/, '');
  }
  throw new InvalidArgumentError('expected an address with http:// or https://, such as https://cdn.example.org/hub.');
}

/** Where a mirror of a public log is: a folder, or an address below which its files are, such as that of a bucket. */
export function mirrorPlace(text: string): string {
  if (!hasScheme(text)) {
    if (statSync(text, { throwIfNoEntry: false })?.isDirectory()) return resolve(text);
    throw new InvalidArgumentError(`expected an address with http:// or https://, or a folder; ${text} is no folder.`);
  }
  return filesUrl(text);
}

const hasScheme = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(text);

/** Whether a word is a path and no address: it begins as one, or has a separator and neither a scheme nor a port. */
function looksLikePath(text: string): boolean {
  if (hasScheme(text)) return false;
  return /^[./\\~]|^[a-z]:[/\\]/i.test(text) || (/[/\\]/.test(text) && !/:\d+(\/|$)/.test(text));
}

/** The whole id of a hub, an account or a key. */
export function fullId(text: string): string {
  if (!isPeerId(text)) throw new InvalidArgumentError('expected 64 lower-case hexadecimal digits.');
  return text;
}

/** Accounts on the command line, or in a file with one a line and remarks after `#`. */
export function namedAccounts(text: string): string[] {
  const here = text.split(',').map((word) => word.trim());
  if (here.every(isPeerId)) return here;
  let lines: string[];
  try {
    lines = readFileSync(text, 'utf8').split('\n');
  } catch {
    const expected =
      'expected accounts (64 lower-case hexadecimal digits, as potluck id prints them), or a file of them';
    throw new InvalidArgumentError(`${expected}, got ${text.slice(0, 100)}.`);
  }
  const accounts = lines.map((line) => line.replace(/#.*/, '').trim()).filter((line) => line !== '');
  const wrong = accounts.find((account) => !isPeerId(account));
  if (wrong === undefined) return accounts;
  throw new InvalidArgumentError(
    `${text}: expected 64 lower-case hexadecimal digits a line, got ${wrong.slice(0, 100)}.`,
  );
}

/** The beginning of an id, long enough that a slip of the hand meets none. */
export function idBeginning(text: string): string {
  if (!/^[0-9a-f]+$/.test(text) || text.length < FEWEST_DIGITS || text.length > 64) {
    throw new InvalidArgumentError(
      `expected the beginning of an id: ${FEWEST_DIGITS} to 64 lower-case hexadecimal digits.`,
    );
  }
  return text;
}

/** A run, by its name or the beginning of its id; which one it is turns out where the runs are. */
export function runHandle(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError(`expected ${A_RUN}, got a blank one.`);
  return text;
}

/** Several of them, one after the other. */
export const runHandles = (text: string, before: readonly string[] = []): string[] => [...before, runHandle(text)];

/** The runs that a device works for. */
export const runsOption = () =>
  new Option(
    '--run <run>',
    `a run's name, or at least ${FEWEST_DIGITS} digits of its id (needed when several go on); again for others, each with its share: --run poems=70`,
  )
    .default([])
    .argParser((run: string, before: string[]) => [...before, runHandle(run)]);

/** For --help. */
export const A_RUN = `a run's name, at least ${FEWEST_DIGITS} digits of its id, or its address at a hub or registry`;

/** Where the ids of submissions come from, for --help. */
export const WHENCE_SUBMISSIONS =
  'potluck join prints the ids of what it hands in or judges. The beginning is enough where no other id begins so.';

/** How people see a run. */
export const runName = (text: string): string => nameFor(RunCreatedSchema.shape.name, text);

/** How people see a device. */
export const deviceName = (text: string): string => nameFor(PeerJoinedSchema.shape.name, text);

/** The log takes blank names; whoever gives one here has made a mistake. */
function nameFor(schema: ZodString, text: string): string {
  if (text.trim() === '' || text.length > CORE_LIMITS.name_characters) {
    const got = text.trim() === '' ? 'a blank one' : `${text.length}`;
    throw new InvalidArgumentError(`expected a name of 1 to ${CORE_LIMITS.name_characters} characters, got ${got}.`);
  }
  const parsed = schema.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError(`${firstIssue(parsed.error)}.`);
  return text;
}

export const jsonOption = () => new Option('--json', 'one JSON object a line, for programs').default(false);

/** For what only the owner of a run may do. */
export const runOwnerOption = () =>
  new Option('--owner <file>', "the key of the run's owner (default: owner.key under ~/.potluck)");

/** What computes, and what that is good for. */
export const runtimeOption = (what: string, usual: 'native' | 'wasm') =>
  new Option('--runtime <name>', what).choices(['native', 'wasm']).default(usual);

/** What a device computes with. Throws InvalidArgumentError for words that name nothing. */
export const deviceOption = () =>
  new Option(
    '--device <name>',
    'what computes: cpu, wasm, auto (a GPU where there is one that computes right and is faster), gpu (of two, gpu:0 the fast one, gpu:1 the one that saves power)',
  )
    .default({ kind: 'auto' } satisfies DeviceWish, 'auto')
    .argParser(deviceWish);

function deviceWish(name: string): DeviceWish {
  if (name === 'auto' || name === 'cpu' || name === 'wasm') return { kind: name };
  if (name === 'gpu' || name === 'gpu:0') return { kind: 'gpu', adapter: 'high-performance' };
  if (name === 'gpu:1') return { kind: 'gpu', adapter: 'low-power' };
  throw new InvalidArgumentError(`expected auto, cpu, wasm, gpu, gpu:0 or gpu:1, got "${name}"`);
}

/** Games that are not of this build; the name of a game in a run never loads a file by itself. */
export const gameFileOption = () =>
  new Option('--game-file <path>', 'a file that exports a game of your own; may be given again')
    .default([])
    .argParser((path: string, before: string[]) => [...before, path]);

/** The same by hash: what a run offers runs here only where its file has been read, or whoever wrote it is trusted. */
export const gameHashOption = () =>
  new Option('--game <hash>', "the hash of a game's file that the run offers, which you trust; may be given again")
    .default([])
    .argParser((hash: string, before: string[]) => [...before, fullId(hash)]);

/** For games in one piece that take longer; what computes elsewhere holds nothing up. */
export const gameSecondsOption = () =>
  new Option('--game-seconds <s>', 'how long such a game may hold up its thread in one piece before that is ended')
    .default(BLOCKED_MS / 1000)
    .argParser(decimal(1, 3600));

/** The port where a hub is expected when none is named. */
export const DEFAULT_PORT = 7700;
export const DEFAULT_HUB = `http://localhost:${DEFAULT_PORT}`;
/** The port where the API of this machine is expected, beside a hub's. */
export const SERVE_PORT = 7701;

/** A game's settings from a file. Throws CliError missing-file. */
export function readSettings(path: string): unknown {
  if (!existsSync(path)) throw new CliError('missing-file', `no file at ${path}`);
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new CliError('missing-file', `${path}: expected JSON: ${error instanceof Error ? error.message : error}`);
  }
}
