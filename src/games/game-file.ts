// A designer's own game, from a file that somebody names on purpose, by its path or by its hash: a hub's runs can never name one.
import { statSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sha256Hex } from '../protocol/hash.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { GameError } from './errors.ts';
import type { AnyGame } from './game.ts';
import { type FileGame, GAME_FILE_BYTES, gameIn } from './game-form.ts';
import { guardGame } from './guard.ts';
import { threadOfFile } from './host/node-host.ts';
import { hostGame } from './host/outside.ts';
import { type GameFile, type LoadGame, loadGame } from './registry.ts';

/** Whether a word names a file rather than a game of this build. */
export const isGameFile = (word: string): boolean => /[/\\]|\.[cm]?[jt]s$/.test(word);

let hooked = false;
/** A game's file may be anywhere: the `potluck/game` that it imports is this program's. */
function lendOwnEntry(): void {
  if (hooked) return;
  hooked = true;
  const url = import.meta.resolve('potluck/game');
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'potluck/game' ? { url, shortCircuit: true } : next(specifier, context),
  });
}

/** The game that a file exports, in this thread and as it is. Throws GameError bad-game-file with what is wrong. */
export async function readGameFile(path: string): Promise<FileGame> {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) throw new GameError('bad-game-file', `no file at ${path}`);
  lendOwnEntry();
  let module: object;
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    throw new GameError('bad-game-file', `${path}: ${error instanceof Error ? error.message : error}`);
  }
  return gameIn(module, path);
}

/**
 * Hosts the game of a file in a thread of its own. Throws GameError bad-game-file with what is wrong, game-late.
 * @param blocked_ms how long it may hold up its thread in one piece before that is ended (host/outside.ts)
 */
export async function loadGameFile(path: string, blocked_ms?: number): Promise<AnyGame> {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) throw new GameError('bad-game-file', `no file at ${path}`);
  const { game } = await hostGame({ open: () => threadOfFile(path), word: path, blocked_ms });
  return guardGame(game);
}

/** What a device's owner has agreed to run. */
export interface AgreedGames {
  readonly files: readonly string[];
  /** Hashes of files that runs offer, and the folder in which they are kept. */
  readonly hashes?: readonly string[];
  readonly folder?: string;
  readonly blocked_ms?: number;
}

/** Finds games by name: those of the files first, then those of this build, then those that the owner has agreed to by hash. Throws GameError bad-game-file, game-late. */
export async function gamesOf({ files, hashes = [], folder = '', blocked_ms }: AgreedGames): Promise<LoadGame> {
  const own = new Map<string, AnyGame>();
  for (const file of files) {
    const game = await loadGameFile(file, blocked_ms);
    own.set(game.name, game);
  }
  const ofHash = async (name: string, { hash, fetch }: GameFile): Promise<AnyGame> => {
    const bytes = await fetch(hash);
    const path = join(folder, `${hash}.mjs`);
    if (bytes.length > GAME_FILE_BYTES) {
      throw new GameError('bad-game-file', `${hash}: expected at most ${GAME_FILE_BYTES} bytes, got ${bytes.length}`);
    }
    if (sha256Hex(bytes) !== hash)
      throw new GameError('bad-game-file', `${hash}: got other bytes, ${sha256Hex(bytes)}`);
    await writeWhole(path, bytes); // threads of an audit write the same file
    const game = await loadGameFile(path, blocked_ms);
    if (game.name === name) return game;
    throw new GameError('bad-game-file', `${path}: expected the game "${name}", got "${game.name}"`);
  };
  return async (name, file) =>
    own.get(name) ?? (file && hashes.includes(file.hash) ? ofHash(name, file) : loadGame(name, file));
}
