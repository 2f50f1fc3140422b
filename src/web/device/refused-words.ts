// Why a hub has not taken a piece of work, as a contributor should hear it: being late, or cut off, is nobody's fault.
import { lateWords } from '../../peer/late-words.ts';
import { capital } from '../shell/format.ts';

/** The hub had lost sight of this tab meanwhile. */
const AWAY: ReadonlySet<string> = new Set(['not-present', 'wrong-session', 'disconnected', 'hub-unreachable']);

/** `calm`: there is nothing that this device or its owner did wrong, or could do about it. */
export function refusedWords(one: { readonly round: number; readonly code: string; readonly message: string }): {
  readonly words: string;
  readonly calm: boolean;
} {
  const late = lateWords(one.code, one.round);
  if (late !== null) return { words: `${capital(late)}.`, calm: true };
  if (AWAY.has(one.code)) {
    const words =
      'The connection broke before the hub had this piece, so it does not count. The next one is sent as usual.';
    return { words, calm: true };
  }
  return { words: `The hub did not take this piece: ${one.message}.`, calm: false };
}
