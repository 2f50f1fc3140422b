// One line on stderr that is drawn over itself while a command works, where a person can see it.

/** People see progress this often; drawing costs more than much of what is counted. */
const DRAW_MS = 100;

export interface ProgressLine {
  /** Whether a person can see it. */
  readonly shown: boolean;
  /** Shows the line; it is asked for only when it will be drawn. */
  draw(line: () => string): void;
  /** Takes the line away, so that something else can be printed. */
  clear(): void;
}

/** A line that nobody sees where `json` is asked for or stderr is no terminal. */
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
