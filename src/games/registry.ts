// The games of this build, by name. A new one is a file here that exports `game`, and its line in the table.
import { GameError } from './errors.ts';
import type { AnyGame } from './game.ts';

const NAMES = ['addition-chain', 'pipeline', 'pretrain', 'serve'] as const;
type Name = (typeof NAMES)[number];

/** Whether a game is of this build; the page asks without carrying the games. */
export const isOfThisBuild = (name: string): name is Name => (NAMES as readonly string[]).includes(name);

/** Loaded when they are asked for. Written out, because bundlers look for imports of one file each. */
const FILES: Readonly<Record<Name, () => Promise<{ readonly game: AnyGame }>>> = {
  'addition-chain': () => import('./addition-chain.ts'),
  pipeline: () => import('./pipeline.ts'),
  pretrain: () => import('./pretrain.ts'),
  serve: () => import('./serve.ts'),
};

/** The file that a run offers of its game, and where it can be had. */
export interface GameFile {
  readonly hash: string;
  readonly fetch: (hash: string) => Promise<Uint8Array>;
}

/** The file that a run offers, if it offers one. */
export const offerOf = (hash: string | undefined, fetch: GameFile['fetch']): GameFile | undefined =>
  hash === undefined ? undefined : { hash, fetch };

/** Finds a game by its name, or in the file that a run offers, where the device's owner has agreed to that. Throws GameError unknown-game. */
export type LoadGame = (name: string, file?: GameFile) => Promise<AnyGame>;

/** Loads a game. Throws GameError unknown-game. */
export async function loadGame(name: string, file?: GameFile): Promise<AnyGame> {
  if (isOfThisBuild(name)) return (await FILES[name]()).game;
  const offer = file ? `; the run offers one: read it, then --game ${file.hash} runs it with your rights` : '';
  throw new GameError('unknown-game', `this build has no game "${name}": its file is needed (--game-file)${offer}`);
}
