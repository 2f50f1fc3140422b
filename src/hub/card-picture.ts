// The picture on a run's preview card: its name, how far it is, how it got better, and what its model wrote last.
import { metricText } from '../protocol/measures.ts';
import type { RunHistory, RunStatus } from '../protocol/messages.ts';
import { PHASE_WORDS } from '../protocol/phase-words.ts';
import { drawable, GLYPH_COLUMNS } from './glyphs.ts';
import { type Colour, openRaster, type Raster } from './raster.ts';

/** The size that sites with such cards ask for. */
export const CARD_SIZE = { width: 1200, height: 630 };
const MARGIN = 64;
const PAPER: Colour = [251, 250, 246];
const INK: Colour = [29, 31, 30];
const FAINT: Colour = [93, 98, 95];
const GREEN: Colour = [11, 125, 92];
const RULE: Colour = [226, 224, 214];
/** Pixels between dots. */
const PITCH = { name: 9, long_name: 7, facts: 3.5, sample: 3 };
const NAME = { top: 52, lines: 2, leading: 9 };
const SAMPLE = { x: 700, lines: 9, leading_px: 32 };
const CURVE = { top: 286, bottom: 546, right: 640 };

/** What a card shows of a run. */
export interface CardSubject {
  readonly run: RunStatus;
  readonly history: RunHistory;
  /** The newest sample; null where there is none yet. */
  readonly sample: string | null;
}

export function drawCard({ run, history, sample }: CardSubject): Promise<Uint8Array> {
  const raster = openRaster(CARD_SIZE.width, CARD_SIZE.height, PAPER);
  raster.rectangle(0, CARD_SIZE.height - 24, CARD_SIZE.width, 24, GREEN);
  const letters = (width: number, pitch: number) => Math.floor(width / (GLYPH_COLUMNS * pitch));
  const across = CARD_SIZE.width - 2 * MARGIN;
  // A name whose letters cannot be drawn here is still in the card's title.
  const name = drawable(run.name) ?? `run ${run.run.slice(0, 12)}`;
  const fits = name.length <= letters(across, PITCH.name);
  const pitch = fits ? PITCH.name : PITCH.long_name;
  const lines = wrapped(name, letters(across, pitch), NAME.lines);
  for (const [i, line] of lines.entries()) raster.text(MARGIN, NAME.top + i * NAME.leading * pitch, line, pitch, INK);
  const facts = wrapped(factsOf(run), letters(across, PITCH.facts), 1)[0];
  raster.text(MARGIN, NAME.top + lines.length * NAME.leading * pitch + 28, facts, PITCH.facts, FAINT);
  const words = sample === null ? null : drawable(sample.replace(/[^\x20-\x7e\s]/g, ''));
  drawCurve(raster, history, words === null ? CARD_SIZE.width - MARGIN : CURVE.right);
  if (words !== null) {
    const width = letters(CARD_SIZE.width - MARGIN - SAMPLE.x, PITCH.sample);
    const rows = wrapped(words, width, SAMPLE.lines);
    for (const [i, row] of rows.entries()) {
      raster.text(SAMPLE.x, CURVE.top - 8 + i * SAMPLE.leading_px, row, PITCH.sample, INK);
    }
  }
  return raster.png();
}

function factsOf(run: RunStatus): string {
  const here = run.peers.filter((peer) => peer.present).length;
  const measured = metricText(run.metrics[0]);
  return `round ${run.round} of ${run.rounds}, ${PHASE_WORDS[run.phase]}, ${here === 1 ? '1 device' : `${here} devices`}${measured && `, ${measured}`}`;
}

/** The run's first metric by work; where nobody has measured it yet, a line on which it will be drawn. */
function drawCurve(raster: Raster, { evaluations }: RunHistory, right: number): void {
  raster.line(
    [
      [MARGIN, CURVE.bottom],
      [right, CURVE.bottom],
    ],
    1.5,
    RULE,
  );
  const points = evaluations.amount.flatMap((amount, i) => {
    const value = evaluations.value[i];
    return value === null ? [] : [{ amount, value }];
  });
  if (points.length === 0) return;
  const values = points.map(({ value }) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const last = points.at(-1)!.amount || 1;
  const place = ({ amount, value }: { amount: number; value: number }): [number, number] => [
    MARGIN + 8 + (amount / last) * (right - MARGIN - 40),
    CURVE.top + ((most - value) / (most - least || 1)) * (CURVE.bottom - CURVE.top - 30),
  ];
  const line = points.map(place);
  raster.line(line, 3.5, GREEN);
  raster.dot(...line.at(-1)!, 11, GREEN);
}

/** Wraps text into lines of so many characters, between words where possible; text that does not fit ends in three dots. */
export function wrapped(text: string, width: number, lines: number): string[] {
  const rows: string[] = [];
  let rest = text;
  while (rest !== '' && rows.length < lines) {
    if (rest.length <= width) {
      rows.push(rest);
      return rows;
    }
    const space = rest.lastIndexOf(' ', width);
    const end = space > width / 2 ? space : width;
    rows.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  rows[rows.length - 1] = `${rows.at(-1)!.slice(0, width - 3)}...`;
  return rows;
}
