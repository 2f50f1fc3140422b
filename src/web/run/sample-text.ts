// What a model wrote, as people can read it: a young model of bytes writes mostly bytes that are no text, and a beginning may be cut in mid-word.
import type { SampleView } from '../../protocol/messages.ts';
import { textOf } from '../shell/format.ts';

/** `unread` stands for so many characters that are none. */
export interface Piece {
  readonly kind: 'given' | 'written' | 'unread';
  readonly text: string;
}

export interface ReadableSample {
  readonly pieces: readonly Piece[];
  /** Of what the model wrote, the part that is no text, from 0 to 1. */
  readonly unread: number;
}

/** Longer beginnings than this are no broken word. */
const FRAGMENT_CHARACTERS = 16;

export function readable({ prompt, text }: Pick<SampleView, 'prompt' | 'text'>): ReadableSample {
  const written = textOf(text);
  const characters = [...written];
  const unread = characters.length === 0 ? 0 : count(written) / characters.length;
  return { pieces: [...piecesOf(withoutFragment(textOf(prompt)), 'given'), ...piecesOf(written, 'written')], unread };
}

const count = (text: string): number => text.split('\uFFFD').length - 1;

/** A run of characters that are none becomes one piece with as many dots, eight at most. */
function piecesOf(text: string, kind: 'given' | 'written'): Piece[] {
  return text
    .split(/(\uFFFD(?:[\s\uFFFD]*\uFFFD)?)/)
    .filter((part) => part !== '')
    .map((part) =>
      part.startsWith('\uFFFD') ? { kind: 'unread', text: '·'.repeat(Math.min(8, count(part))) } : { kind, text: part },
    );
}

/** The held-out text is cut anywhere: what is left of a word gives way to three dots. */
function withoutFragment(text: string): string {
  const trimmed = text.replace(/^[\s\uFFFD]+/, '');
  if (!/^[\p{Ll}\p{P}]/u.test(trimmed)) return trimmed;
  const space = trimmed.search(/\s/);
  if (space < 0 || space > FRAGMENT_CHARACTERS) return `…${trimmed}`;
  const rest = trimmed.slice(space).trimStart();
  return rest === '' ? `…${trimmed}` : `… ${rest}`;
}
