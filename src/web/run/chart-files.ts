// What a person can save from a chart: its values as CSV, or the drawing as PNG, in the colours of the screen.
import { type Drawing, drawingOf, type Looks } from './chart-drawing.ts';
import { type Curve, toCsv } from './curves.ts';

const PICTURE = { width: 1200, height: 630, title: 64, legend: 30, scale: 2 };

/** A file from this page, saved as a download. */
export function save(name: string, content: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // by then the browser has saved it
}

/** A file name made from a stranger's name. */
export const fileName = (name: string, ending: string): string =>
  `${
    name
      .replace(/[^\p{L}\p{N}]+/gu, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 60) || 'run'
  }.${ending}`;

/** `name` is of the run and of what is drawn. */
export const saveCsv = (name: string, curves: readonly Curve[]): void =>
  save(fileName(name, 'csv'), new Blob([toCsv(curves)], { type: 'text/csv' }));

/** Draws the same chart once more, with its title and a legend, and saves it. */
export function savePicture(name: string, over: string, curves: readonly Curve[], looks: Looks, place: Element): void {
  const style = getComputedStyle(place);
  const colour = (ink: Curve['ink']): string =>
    style.getPropertyValue(ink === 'model' ? '--ink' : ink === 'workers' ? '--dish-rest' : `--dish-${ink}`).trim();
  const drawing = drawingOf(curves, looks, {
    width: PICTURE.width,
    height: PICTURE.height - PICTURE.title - PICTURE.legend,
  });
  const canvas = document.createElement('canvas');
  canvas.width = PICTURE.width * PICTURE.scale;
  canvas.height = PICTURE.height * PICTURE.scale;
  const pen = canvas.getContext('2d')!;
  pen.scale(PICTURE.scale, PICTURE.scale);
  pen.fillStyle = style.getPropertyValue('--bg').trim();
  pen.fillRect(0, 0, PICTURE.width, PICTURE.height);
  pen.fillStyle = style.getPropertyValue('--ink').trim();
  pen.font = `650 24px ${style.fontFamily}`;
  pen.fillText(`${name} over ${over}`, 24, 42, PICTURE.width - 48);
  pen.font = `14px ${style.fontFamily}`;
  pen.translate(0, PICTURE.title);
  const muted = style.getPropertyValue('--muted').trim();
  paint(pen, drawing, colour, { grid: style.getPropertyValue('--line').trim(), words: muted });
  let left = drawing.frame.left;
  for (const curve of curves) {
    pen.fillStyle = colour(curve.ink);
    pen.fillRect(left, PICTURE.height - PICTURE.title - PICTURE.legend + 2, 18, 4);
    pen.fillStyle = muted;
    pen.fillText(curve.name, left + 24, PICTURE.height - PICTURE.title - PICTURE.legend + 9);
    left += 54 + pen.measureText(curve.name).width;
  }
  canvas.toBlob((blob) => blob && save(fileName(name, 'png'), blob), 'image/png');
}

function paint(
  pen: CanvasRenderingContext2D,
  { lines, x_ticks, y_ticks, frame }: Drawing,
  colour: (ink: Curve['ink']) => string,
  { grid, words: ink }: { grid: string; words: string },
): void {
  pen.fillStyle = ink;
  for (const { at, words } of y_ticks) {
    pen.textAlign = 'right';
    pen.fillText(words, frame.left - 8, at + 4);
    pen.fillStyle = grid;
    pen.fillRect(frame.left, at, frame.width, 1);
    pen.fillStyle = ink;
  }
  pen.textAlign = 'center';
  for (const { at, words } of x_ticks) pen.fillText(words, at, frame.top + frame.height + 20);
  pen.textAlign = 'left';
  pen.save();
  pen.beginPath();
  pen.rect(frame.left, 0, frame.width, frame.top + frame.height);
  pen.clip();
  for (const line of lines) {
    pen.strokeStyle = colour(line.ink);
    pen.globalAlpha = line.behind ? 0.25 : 1;
    pen.lineWidth = line.ink === 'model' ? 2.5 : 1.75;
    pen.setLineDash(line.dashed ? [7, 5] : []);
    pen.stroke(new Path2D(line.path));
  }
  pen.restore();
}
