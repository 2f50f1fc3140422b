// A block of lines at the end of the terminal that is drawn over itself, and lines that come to stand above it.

// ECMA-48 control sequences; ?2026 (synchronised update) is ignored where it is not known.
const BEGIN = '\x1b[?2026h';
const END = '\x1b[?2026l';
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_TO_END_OF_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CLEAR_SCREEN = '\x1b[2J\x1b[H';

/** The part of a terminal that is needed. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  write(text: string): unknown;
}

export interface LiveBlock {
  /** Draws the block; lines must not be wider than the terminal. */
  draw(lines: readonly string[]): void;
  /** Puts a line above the block, for good. */
  say(text: string): void;
  /** Leaves the last picture and goes below it. */
  end(): void;
}

export function liveBlock(terminal: Terminal): LiveBlock {
  let shown: readonly string[] = [];
  let columns = terminal.columns;
  let hidden = false;

  /** Goes to where the block begins. Another width has wrapped the lines, so that nobody knows where that is. */
  const home = (): string => {
    if (terminal.columns !== columns) {
      columns = terminal.columns;
      return CLEAR_SCREEN;
    }
    return shown.length > 0 ? `\x1b[${shown.length}A\r` : '\r';
  };

  /** Lines over lines, nothing is cleared before it is written again: so it does not flicker. */
  const paint = (above: readonly string[], lines: readonly string[]): void => {
    const text = [...above, ...lines].map((line) => `${line}${CLEAR_TO_END_OF_LINE}\n`).join('');
    terminal.write(`${BEGIN}${hidden ? '' : HIDE_CURSOR}${home()}${text}${CLEAR_BELOW}${END}`);
    hidden = true;
    shown = lines;
  };

  return {
    draw(lines) {
      const fitting = lines.slice(0, Math.max(1, terminal.rows - 1));
      const same = terminal.columns === columns && fitting.length === shown.length;
      if (same && fitting.every((line, i) => line === shown[i])) return;
      paint([], fitting);
    },
    say(text) {
      paint(text.split('\n'), shown);
    },
    end() {
      if (hidden) terminal.write(SHOW_CURSOR);
      hidden = false;
      shown = [];
    },
  };
}
