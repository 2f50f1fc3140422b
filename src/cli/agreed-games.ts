// The games that a command's user lets run here: files of their own, by path, and files that runs offer, by hash.
import { join } from 'node:path';
import type { AgreedGames } from '../games/game-file.ts';
import { homeFolder } from './folders.ts';

/** What `--game-file` and `--game` gave. */
export interface GameFlags {
  gameFile: string[];
  game: string[];
}

export const agreedGames = ({ gameFile, game }: GameFlags): AgreedGames => ({
  ...{ files: gameFile, hashes: game, folder: join(homeFolder(), 'games') },
});
