// A run's settings, from the blob that the log names.
import { firstIssue } from '../errors.ts';
import { GameError } from './errors.ts';
import type { AnyGame } from './game.ts';

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
  throw new GameError('bad-params', `${game.name} params: ${firstIssue(parsed.error)}`);
}
