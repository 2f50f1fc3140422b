// One line on stderr that is redrawn while a command works, if a person can see it.

/** How often the line is redrawn; drawing costs more than much of what is counted. */
const DRAW_MS = 100;

export interface ProgressLine {
  /** Whether a person can see it. */
  readonly shown: boolean;
  /** Shows the line; the function for its text is called only when it will be drawn. */
  draw(line: () => string): void;
  /** Clears the line, so that something else can be printed. */
  clear(): void;
}

/** A line that is invisible with `json`, and where stderr is not a terminal. */
export function progressLine(json: boolean): ProgressLine {
  const { stderr } = process;
  const shown = stderr.isTTY && !json;
  let drawn_ms = Number.NEGATIVE_INFINITY;
  return {
    shown,
    draw(line) {
      if (!shown || performance.now() - drawn_ms < DRAW_MS) return;
      drawn_ms = performance.now();
      stderr.write(`\r\x1b[K${line().slice(0, (stderr.columns || 80) - 1)}`);
    },
    clear() {
      if (drawn_ms < 0) return;
      stderr.write('\r\x1b[K');
      drawn_ms = Number.NEGATIVE_INFINITY;
    },
  };
}
