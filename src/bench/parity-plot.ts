// The frontier of `bench parity` as an SVG: loss against bytes sent, on a logarithmic axis, with reference lines.
import type { Measured } from './parity-trial.ts';

const WIDTH = 760;
const HEIGHT = 440;
const MARGIN = { left: 64, right: 24, top: 28, bottom: 52 };
const COLOURS: Readonly<Record<string, string>> = { dense: '#8a6d3b', sparse: '#1a6fb5' };

/** Points of each series 'dense' and 'sparse', joined in the order of their bytes; 'one' and 'sync' as lines. */
export function plot(measured: readonly Measured[]): string {
  const series = Object.keys(COLOURS).map((name) => ({
    name,
    points: measured.filter((m) => m.name.startsWith(`${name}-`)).sort((a, b) => a.sent_bytes - b.sent_bytes),
  }));
  const lines = measured.filter(({ name }) => name === 'one' || name === 'sync');
  const points = series.flatMap((s) => s.points);
  if (points.length === 0) return frame([text(WIDTH / 2, HEIGHT / 2, 'no trial that sends anything', 'middle')]);
  const losses = [...points, ...lines].map((m) => m.validation_loss);
  const low = Math.floor(Math.min(...losses) * 50 - 0.5) / 50;
  const high = Math.ceil(Math.max(...losses) * 50 + 0.5) / 50;
  const decades = [
    Math.floor(Math.log10(Math.min(...points.map((p) => p.sent_bytes)))),
    Math.ceil(Math.log10(Math.max(...points.map((p) => p.sent_bytes)))),
  ];
  const x = (bytes: number) =>
    MARGIN.left +
    ((Math.log10(bytes) - decades[0]) / Math.max(1, decades[1] - decades[0])) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (loss: number) => MARGIN.top + ((high - loss) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const parts: string[] = [];
  for (let decade = decades[0]; decade <= decades[1]; decade++) {
    const at = x(10 ** decade);
    parts.push(stroke(`M${at} ${MARGIN.top}V${HEIGHT - MARGIN.bottom}`, '#ddd'));
    parts.push(text(at, HEIGHT - MARGIN.bottom + 18, bytesLabel(decade), 'middle'));
  }
  for (let loss = low; loss <= high + 1e-9; loss += 0.02) {
    parts.push(stroke(`M${MARGIN.left} ${y(loss)}H${WIDTH - MARGIN.right}`, '#eee'));
    parts.push(text(MARGIN.left - 8, y(loss) + 4, loss.toFixed(2), 'end'));
  }
  for (const line of lines) {
    const label = line.name === 'one' ? 'one device' : 'synchronous, four times the batch';
    parts.push(stroke(`M${MARGIN.left} ${y(line.validation_loss)}H${WIDTH - MARGIN.right}`, '#555', '5 4'));
    parts.push(
      text(WIDTH - MARGIN.right - 4, y(line.validation_loss) - 5, `${label} ${line.validation_loss.toFixed(3)}`, 'end'),
    );
  }
  for (const { name, points: own } of series) {
    if (own.length === 0) continue;
    const path = own.map((p, i) => `${i === 0 ? 'M' : 'L'}${x(p.sent_bytes)} ${y(p.validation_loss)}`).join('');
    parts.push(stroke(path, COLOURS[name]));
    for (const p of own) {
      parts.push(`<circle cx="${x(p.sent_bytes)}" cy="${y(p.validation_loss)}" r="4" fill="${COLOURS[name]}"/>`);
      const label = `${name} H=${p.name.split('-')[1]} ${p.validation_loss.toFixed(3)}`;
      parts.push(text(x(p.sent_bytes) + 8, y(p.validation_loss) - 7, label, 'start', COLOURS[name]));
    }
  }
  parts.push(text(WIDTH / 2, HEIGHT - 10, 'bytes that one worker sends in the whole run', 'middle'));
  parts.push(text(MARGIN.left, 16, 'validation loss (nats), four workers, 2000 steps', 'start'));
  return frame(parts);
}

function bytesLabel(decade: number): string {
  if (decade >= 9) return `${10 ** (decade - 9)} GB`;
  return decade >= 6 ? `${10 ** (decade - 6)} MB` : `${10 ** (decade - 3)} kB`;
}

function text(x: number, y: number, content: string, anchor: string, colour = '#333'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${colour}">${content}</text>`;
}

function stroke(path: string, colour: string, dashes = ''): string {
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5" stroke-dasharray="${dashes}"/>`;
}

function frame(parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12">
<title>Validation loss against the bytes that one worker sends</title>
<rect width="100%" height="100%" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}
