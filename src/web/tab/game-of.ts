// The game of a run, for a tab: a built-in one, or in a sandbox a file whose hash the owner has agreed to.
import { CodedError } from '../../errors.ts';
import { GAME_FILE_BYTES } from '../../games/game-form.ts';
import { guardGame } from '../../games/guard.ts';
import { type HostedGame, hostGame } from '../../games/host/outside.ts';
import { checkNeeds, PEER_LENDS } from '../../games/needs.ts';
import { isOfThisBuild, loadGame } from '../../games/registry.ts';
import type { RunStatus } from '../../protocol/messages.ts';
import { type AskPage, sandboxWith } from '../sandbox/sandbox-port.ts';
import { gameNotHere } from './game-not-here.ts';
import type { StartMessage } from './messages.ts';

export type TabErrorCode =
  /** The game is not built in, and the owner has agreed to no file of it. */
  | 'game-not-here'
  /** The run's model needs more memory than this device may lend. */
  | 'too-large-for-this-device';
export class TabError extends CodedError<TabErrorCode> {}

/** Throws TabError `game-not-here`, GameError for a file that is not a game, and the errors of `fetchBlob`. */
export async function gameOf(
  { start, askPage }: { readonly start: StartMessage; readonly askPage: AskPage },
  view: Pick<RunStatus, 'game' | 'game_file'>,
  fetchBlob: (hash: string) => Promise<Uint8Array>,
): Promise<HostedGame> {
  if (isOfThisBuild(view.game)) {
    const game = await loadGame(view.game);
    checkNeeds(game, PEER_LENDS, 'this tab');
    return { game, close: () => {} };
  }
  const details = { game: view.game };
  if (!view.game_file || view.game_file !== start.game_file) {
    throw new TabError('game-not-here', gameNotHere(view.game, start.url), details);
  }
  const bytes = await fetchBlob(view.game_file);
  if (bytes.length > GAME_FILE_BYTES) {
    const message = `the game's file: expected at most ${GAME_FILE_BYTES} bytes, got ${bytes.length}`;
    throw new TabError('game-not-here', message, details);
  }
  const text = new TextDecoder().decode(bytes);
  const word = `the file of "${view.game}"`;
  const hosted = await hostGame({ open: () => sandboxWith(text, askPage), word });
  try {
    checkNeeds(hosted.game, PEER_LENDS, 'this tab');
    if (hosted.game.name === view.game) return { ...hosted, game: guardGame(hosted.game) };
    throw new TabError('game-not-here', `${word} is of another game, "${hosted.game.name}"`, details);
  } catch (error) {
    hosted.close();
    throw error;
  }
}
