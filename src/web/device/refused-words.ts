// Why a hub has refused a submission, in words for a contributor: being late or disconnected is nobody's fault.
import { lateWords } from '../../peer/late-words.ts';
import { capital } from '../shell/format.ts';

/** The hub had reported this tab as gone meanwhile. */
const AWAY: ReadonlySet<string> = new Set(['not-present', 'wrong-session', 'disconnected', 'hub-unreachable']);

/** `calm`: this device and its owner did nothing wrong, and can do nothing about it. */
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
