// A designer's own game, from a file that somebody names on purpose: a hub's runs can never name one.
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isMainThread, Worker } from 'node:worker_threads';
import { GameError } from './errors.ts';
import type { AnyGame } from './game.ts';
import { type FileGame, gameIn } from './game-form.ts';
import { type GuardLimits, guardGame } from './guard.ts';
import { type LoadGame, loadGame } from './registry.ts';
import { BLOCKED_MS, watchGame } from './watchdog.ts';

/** Whether a word names a file rather than a game of this build. */
export const isGameFile = (word: string): boolean => /[/\\]|\.[cm]?[jt]s$/.test(word);

/** What the thread says that loads a file for the first time. */
export type Loaded = { readonly name: string } | { readonly failed: string };

/**
 * The name of the game in a file, which is loaded in a thread of its own. Throws GameError bad-game-file with what is wrong,
 * game-late where it is not loaded in time.
 */
export async function nameOfGameFile(path: string, limit_ms = BLOCKED_MS): Promise<string> {
  const thread = new Worker(new URL('./game-file-thread.ts', import.meta.url), {
    workerData: path,
    // What it prints is printed when it is loaded to be played.
    ...{ stdout: true, stderr: true },
  });
  const bad = (what: string): GameError => new GameError('bad-game-file', `${path}: ${what}`);
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      thread.on('error', (error) => reject(bad(error instanceof Error ? error.message : String(error))));
      thread.on('exit', (code) => {
        reject(bad(`loading: it awaits what never comes, or ends the process (code ${code})`));
      });
      thread.on('message', (loaded: Loaded) => {
        if ('name' in loaded) resolve(loaded.name);
        else reject(new GameError('bad-game-file', loaded.failed));
      });
      timer = setTimeout(() => {
        reject(new GameError('game-late', `${path}: loading: expected an answer within ${limit_ms} ms`));
      }, limit_ms);
    });
  } finally {
    clearTimeout(timer);
    await thread.terminate();
  }
}

/** The game that a file exports, as it is. Throws GameError bad-game-file with what is wrong. */
export async function readGameFile(path: string): Promise<FileGame> {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) throw new GameError('bad-game-file', `no file at ${path}`);
  let module: object;
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    throw new GameError('bad-game-file', `${path}: ${error instanceof Error ? error.message : error}`);
  }
  return gameIn(module, path);
}

/**
 * Loads a game from a file that exports `game`. Throws GameError bad-game-file with what is wrong, game-late. On the main thread,
 * where nobody could end it, a game that holds up everything for `blocked_ms` ends the process (watchdog.ts).
 */
export async function loadGameFile(
  path: string,
  limits?: Partial<GuardLimits>,
  blocked_ms = BLOCKED_MS,
): Promise<AnyGame> {
  if (!isMainThread) return guardGame(await readGameFile(path), limits);
  const watch = watchGame(await nameOfGameFile(path), blocked_ms);
  watch.begins('loading');
  const game = await readGameFile(path);
  watch.ends('loading');
  return guardGame(game, limits, watch);
}

/** Finds games by name: those of the files first, then those of this build. Throws GameError bad-game-file, game-late. */
export async function gamesOf(files: readonly string[], blocked_ms?: number): Promise<LoadGame> {
  const own = new Map<string, AnyGame>();
  for (const file of files) {
    const game = await loadGameFile(file, undefined, blocked_ms);
    own.set(game.name, game);
  }
  return async (name) => own.get(name) ?? loadGame(name);
}
