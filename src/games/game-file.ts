// A designer's own game, from a file that somebody names on purpose: a hub's runs can never name one.
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import { GameError } from './errors.ts';
import type { AnyGame } from './game.ts';
import { type GuardLimits, guardGame } from './guard.ts';
import { type LoadGame, loadGame } from './registry.ts';

const method = z.custom<(...values: never[]) => unknown>((value) => typeof value === 'function', 'expected a function');
const GameFileSchema = z.object({
  game: z.looseObject({
    name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'expected a name such as addition-chain'),
    params: z.custom<z.ZodType>(
      (value) => typeof (value as z.ZodType | null)?.safeParse === 'function',
      'expected a zod schema',
    ),
    ...{ first: method.optional(), prepare: method.optional(), sample: method.optional(), goesOn: method.optional() },
    ...{ task: method, perform: method, check: method, evaluate: method, merge: method },
    ...{ encodeState: method, decodeState: method, checkForm: method, sizes: method },
  }),
});

/** Whether a word names a file rather than a game of this build. */
export const isGameFile = (word: string): boolean => /[/\\]|\.[cm]?[jt]s$/.test(word);

/** Loads a game from a file that exports `game`. Throws GameError bad-game-file with what is wrong. */
export async function loadGameFile(path: string, limits?: Partial<GuardLimits>): Promise<AnyGame> {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) throw new GameError('bad-game-file', `no file at ${path}`);
  let module: unknown;
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    throw new GameError('bad-game-file', `${path}: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = GameFileSchema.safeParse({ ...(module as object) });
  if (parsed.success) return guardGame((module as { game: AnyGame }).game, limits);
  throw new GameError('bad-game-file', `${path}: ${firstIssue(parsed.error)}`);
}

/** Finds games by name: those of the files first, then those of this build. Throws GameError bad-game-file. */
export async function gamesOf(files: readonly string[]): Promise<LoadGame> {
  const own = new Map<string, AnyGame>();
  for (const file of files) {
    const game = await loadGameFile(file);
    own.set(game.name, game);
  }
  return async (name) => own.get(name) ?? loadGame(name);
}
