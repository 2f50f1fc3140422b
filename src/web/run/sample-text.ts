// Makes a model's text readable: a young byte-level model writes mostly bytes that are not text, and a prompt may begin in mid-word.
import type { SampleView } from '../../protocol/messages.ts';
import { textOf } from '../shell/format.ts';

/** `unread` stands for so many unreadable characters. */
export interface Piece {
  readonly kind: 'given' | 'written' | 'unread';
  readonly text: string;
}

export interface ReadableSample {
  readonly pieces: readonly Piece[];
  /** The unreadable part of what the model wrote, from 0 to 1. */
  readonly unread: number;
}

/** A longer beginning is not a broken word. */
const FRAGMENT_CHARACTERS = 16;

export function readable({ prompt, text }: Pick<SampleView, 'prompt' | 'text'>): ReadableSample {
  const written = textOf(text);
  const characters = [...written];
  const unread = characters.length === 0 ? 0 : count(written) / characters.length;
  return { pieces: [...piecesOf(withoutFragment(textOf(prompt)), 'given'), ...piecesOf(written, 'written')], unread };
}

const count = (text: string): number => text.split('\uFFFD').length - 1;

/** A run of unreadable characters becomes one piece with as many dots, at most eight. */
function piecesOf(text: string, kind: 'given' | 'written'): Piece[] {
  return text
    .split(/(\uFFFD(?:[\s\uFFFD]*\uFFFD)?)/)
    .filter((part) => part !== '')
    .map((part) =>
      part.startsWith('\uFFFD') ? { kind: 'unread', text: '·'.repeat(Math.min(8, count(part))) } : { kind, text: part },
    );
}

/** The held-out text is cut anywhere, so a broken word at its beginning is replaced by three dots. */
function withoutFragment(text: string): string {
  const trimmed = text.replace(/^[\s\uFFFD]+/, '');
  if (!/^[\p{Ll}\p{P}]/u.test(trimmed)) return trimmed;
  const space = trimmed.search(/\s/);
  if (space < 0 || space > FRAGMENT_CHARACTERS) return `…${trimmed}`;
  const rest = trimmed.slice(space).trimStart();
  return rest === '' ? `…${trimmed}` : `… ${rest}`;
}
