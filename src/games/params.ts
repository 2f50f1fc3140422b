// A run's settings, from the blob that the log names.
import { firstIssue } from '../errors.ts';
import { GameError } from './errors.ts';
import type { AnyGame } from './game.ts';

/** Settings take some kilobytes, and everybody who looks at a run parses them, so larger ones would only waste time. */
export const PARAMS_BYTES = 1 << 20;

/** Throws GameError `bad-params` for settings larger than any run's; call it before parsing them. */
export function checkParamsSize(size_bytes: number): void {
  if (size_bytes <= PARAMS_BYTES) return;
  throw new GameError('bad-params', `params: expected at most ${PARAMS_BYTES} bytes, got ${size_bytes}`);
}

/** A run's settings from their blob. Throws GameError `bad-params` with the first problem. */
export async function decodeParams(game: Pick<AnyGame, 'name' | 'params'>, bytes: Uint8Array): Promise<unknown> {
  checkParamsSize(bytes.length);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new GameError('bad-params', `${game.name} params: expected JSON, got ${bytes.length} bytes that are none`);
  }
  const parsed = await game.params.safeParseAsync(json);
  if (parsed.success) return parsed.data;
  throw new GameError('bad-params', `${game.name} params: ${firstIssue(parsed.error)}`);
}
