// Finds a game by its name: the file games/NAME.ts that exports `game`. A new game is a new file and no change here.
import { CodedError } from '../errors.ts';
import type { AnyGame } from './game.ts';

export type GameErrorCode = 'unknown-game' | 'bad-params' | 'bad-bundle';
export class GameError extends CodedError<GameErrorCode> {}

/** Loads a game. Throws GameError unknown-game. */
export async function loadGame(name: string): Promise<AnyGame> {
  if (/^[a-z][a-z0-9-]*$/.test(name)) {
    const module: { game?: AnyGame } = await import(`./${name}.ts`).catch(() => ({}));
    if (module.game) return module.game;
  }
  throw new GameError('unknown-game', `expected a game that this build has (pretrain, …), got "${name}"`);
}

/** A run's settings from their blob. Throws GameError bad-params with the first thing that is wrong. */
export function decodeParams(game: AnyGame, bytes: Uint8Array): unknown {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new GameError('bad-params', `${game.name} params: expected JSON, got ${bytes.length} bytes that are none`);
  }
  const parsed = game.params.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new GameError('bad-params', `${game.name} params: ${issue.path.join('.')}: ${issue.message}`);
}
