// How many terminal columns a text takes: colour codes take none, East Asian characters and emoji two (Unicode, UAX 11).

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is how a terminal's colours begin
const COLOUR = /\x1b\[[0-9;]*m/y;
const NO_COLUMN = /^(?:\p{Mn}|\p{Me}|[\u200b-\u200d])$/u;
const TWO_COLUMNS =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]$/u;

interface Piece {
  readonly text: string;
  readonly columns: number;
}

function* piecesOf(text: string): Generator<Piece> {
  for (let at = 0; at < text.length; ) {
    COLOUR.lastIndex = at;
    const colour = COLOUR.exec(text)?.[0];
    const piece = colour ?? String.fromCodePoint(text.codePointAt(at)!);
    yield { text: piece, columns: colour ? 0 : columnsOfCharacter(piece) };
    at += piece.length;
  }
}

function columnsOfCharacter(character: string): number {
  if (character <= '\x7f') return 1;
  return NO_COLUMN.test(character) ? 0 : TWO_COLUMNS.test(character) ? 2 : 1;
}

/** The number of columns that a text takes. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const piece of piecesOf(text)) columns += piece.columns;
  return columns;
}

/** Pads a text with spaces to `columns`. */
export function padTo(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - columnsOf(text)));
}

/** Cuts a text at `columns`. Colour codes after the cut are kept, so that no colour continues into the next line. */
export function clip(text: string, columns: number): string {
  let used = 0;
  let result = '';
  for (const piece of piecesOf(text)) {
    used += piece.columns;
    if (piece.columns === 0 ? used <= columns || piece.text.startsWith('\x1b') : used <= columns) result += piece.text;
  }
  return result;
}

/** Wraps a text into lines of at most `columns`, between words where possible. */
export function wrap(text: string, columns: number): string[] {
  return text.split('\n').flatMap((line) => {
    const lines = [''];
    for (const word of line.split(/(?<= )/)) {
      if (columnsOf(lines.at(-1)! + word.trimEnd()) > columns && lines.at(-1) !== '') lines.push('');
      let rest = word;
      for (let cut = clip(rest, columns); cut.length < rest.trimEnd().length && cut !== ''; cut = clip(rest, columns)) {
        lines[lines.length - 1] += cut;
        lines.push('');
        rest = rest.slice(cut.length);
      }
      lines[lines.length - 1] += rest;
    }
    return lines.map((part) => part.trimEnd());
  });
}
