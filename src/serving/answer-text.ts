// The text of an answer while it is written: whole characters only, and never a stop string, however tokens cut either.
import type { TokenTable } from './engine.ts';

/** Text that grows by tokens. What it returns depends on the tokens alone: another device that is given them goes on with the same pieces. */
export interface AnswerText {
  /** The text that is final with this token; may be empty. Nothing more comes once `stopped`. */
  push(id: number): string;
  /** Whether a stop string has come. The text ends before it. */
  readonly stopped: boolean;
  /** What was held back because it might have begun a stop string or a character (U+FFFD for bytes that never became one). */
  end(): string;
}

export function answerText(tokens: Pick<TokenTable, 'bytesOf'>, stops: readonly string[]): AnswerText {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let held = '';
  let stopped = false;
  const take = (text: string): string => {
    held += text;
    const found = firstStop(held, stops);
    stopped = found >= 0;
    const end = stopped ? found : held.length - heldBack(held, stops);
    const final = held.slice(0, end);
    held = stopped ? '' : held.slice(end);
    return final;
  };
  return {
    get stopped() {
      return stopped;
    },
    push: (id) => (stopped ? '' : take(decoder.decode(tokens.bytesOf(id), { stream: true }))),
    end() {
      if (stopped) return '';
      const final = take(decoder.decode()) + held;
      held = '';
      return final;
    },
  };
}

/** Where the stop string begins that is complete first, of those the longest; −1: there is none. */
function firstStop(text: string, stops: readonly string[]): number {
  let begin = -1;
  let end = Number.POSITIVE_INFINITY;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at < 0 || at + stop.length > end || (at + stop.length === end && at >= begin)) continue;
    begin = at;
    end = at + stop.length;
  }
  return begin;
}

/** How many characters at the end of a text may be the beginning of a stop string or of another mark. */
export function heldBack(text: string, stops: readonly string[]): number {
  let most = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > most; length--) {
      if (text.endsWith(stop.slice(0, length))) most = length;
    }
  }
  return most;
}
