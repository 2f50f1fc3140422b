// Finds a game by its name: the file games/NAME.ts that exports `game`. A new game is a new file and no change here.
import { GameError } from './errors.ts';
import type { AnyGame } from './game.ts';

/** Finds a game by its name. Throws GameError unknown-game. */
export type LoadGame = (name: string) => Promise<AnyGame>;

/** Loads a game. Throws GameError unknown-game. */
export async function loadGame(name: string): Promise<AnyGame> {
  if (/^[a-z][a-z0-9-]*$/.test(name)) {
    const module: { game?: AnyGame } = await import(`./${name}.ts`).catch(() => ({}));
    if (module.game) return module.game;
  }
  throw new GameError('unknown-game', `this build has no game "${name}": its file is needed (--game-file)`);
}
