// A block of lines at the end of the terminal that is redrawn in place, and lines that are printed above it.

// ECMA-48 control sequences; a terminal that does not know ?2026 (synchronised update) ignores it.
const BEGIN = '\x1b[?2026h';
const END = '\x1b[?2026l';
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_TO_END_OF_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const CLEAR_SCREEN = '\x1b[2J\x1b[H';

/** The part of a terminal that this needs. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  write(text: string): unknown;
}

export interface LiveBlock {
  /** Draws the block; lines must not be wider than the terminal. */
  draw(lines: readonly string[]): void;
  /** Prints a line above the block, permanently. */
  say(text: string): void;
  /** Leaves the last picture and moves below it. */
  end(): void;
}

export function liveBlock(terminal: Terminal): LiveBlock {
  let shown: readonly string[] = [];
  let columns = terminal.columns;
  let hidden = false;

  /** Moves to the beginning of the block. If the terminal's width has changed, lines were wrapped and the beginning is unknown. */
  const home = (): string => {
    if (terminal.columns !== columns) {
      columns = terminal.columns;
      return CLEAR_SCREEN;
    }
    return shown.length > 0 ? `\x1b[${shown.length}A\r` : '\r';
  };

  /** Overwrites lines without clearing them first, so that the picture does not flicker. */
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
