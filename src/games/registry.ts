// The games of this build, by name. A new one is a file here that exports `game`, and its line in the table.
import { GameError } from './errors.ts';
import type { AnyGame } from './game.ts';

const NAMES = ['addition-chain', 'pretrain'] as const;
type Name = (typeof NAMES)[number];

/** Whether a game is of this build; the page asks without carrying the games. */
export const isOfThisBuild = (name: string): name is Name => (NAMES as readonly string[]).includes(name);

/** Loaded when they are asked for. Written out, because bundlers look for imports of one file each. */
const FILES: Readonly<Record<Name, () => Promise<{ readonly game: AnyGame }>>> = {
  'addition-chain': () => import('./addition-chain.ts'),
  pretrain: () => import('./pretrain.ts'),
};

/** Finds a game by its name. Throws GameError unknown-game. */
export type LoadGame = (name: string) => Promise<AnyGame>;

/** Loads a game. Throws GameError unknown-game. */
export async function loadGame(name: string): Promise<AnyGame> {
  if (isOfThisBuild(name)) return (await FILES[name]()).game;
  throw new GameError('unknown-game', `this build has no game "${name}": its file is needed (--game-file)`);
}
