// Makes docs/terminal.svg: runs the demo for real and draws what its terminal shows after two thirds of the rounds.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type LossPoint, paceOf, renderRun } from '../src/cli/dashboard.ts';
import { RunStatusSchema } from '../src/protocol/messages.ts';

process.env.FORCE_COLOR = '1';
const ROOT = join(import.meta.dirname, '..');
const ROUNDS = Number(process.argv[2] ?? 24);
const COLUMNS = 100;
const ROWS = 30;
const STEPS = 30; // of the demo
const CELL = { width: 8.43, height: 19, size: 14 };
const PALETTE: Readonly<Record<string, string>> = {
  '1': 'font-weight="bold" fill="#ffffff"',
  '2': 'fill="#8b949e"',
  '31': 'fill="#ff7b72"',
  '32': 'fill="#7ee787"',
  '33': 'fill="#e3b341"',
  '36': 'fill="#79c0ff"',
};

/** A line with terminal colours as SVG text runs. */
function toSpans(line: string): string {
  let style = '';
  const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how a terminal's colours begin
  const pieces = line.split(/(\x1b\[[0-9;]*m)/);
  return pieces
    .map((piece) => {
      const code = /\[([0-9]+)m$/.exec(piece)?.[1];
      if (piece.startsWith('\x1b')) {
        style = code ? (PALETTE[code] ?? '') : '';
        return '';
      }
      return piece === '' ? '' : `<tspan ${style}>${escaped(piece)}</tspan>`;
    })
    .join('');
}

function toSvg(lines: readonly string[]): string {
  const width = Math.round(COLUMNS * CELL.width + 40);
  const height = lines.length * CELL.height + 60;
  const rows = lines.map(
    (line, i) => `<text x="20" y="${52 + i * CELL.height}" xml:space="preserve">${toSpans(line)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${CELL.size}" fill="#e6edf3">
<title>The Potluck demo in a terminal: rounds, falling loss, speed, bytes sent, workers</title>
<rect width="100%" height="100%" rx="10" fill="#0d1117"/>
<circle cx="20" cy="18" r="5" fill="#ff5f56"/><circle cx="38" cy="18" r="5" fill="#ffbd2e"/><circle cx="56" cy="18" r="5" fill="#27c93f"/>
${rows.join('\n')}
</svg>
`;
}

const folder = mkdtempSync(join(tmpdir(), 'potluck-picture-'));
const args = [join(ROOT, 'bin', 'potluck.js'), 'demo', '--json', '--rounds', String(ROUNDS), '--folder', folder];
const demo = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
const losses: LossPoint[] = [];
const pace = paceOf();
let picture: string | null = null;
for await (const text of createInterface({ input: demo.stdout })) {
  const line = JSON.parse(text);
  if (line.type !== 'round') continue;
  const status = RunStatusSchema.parse(line);
  if (status.metrics[0].last !== null)
    losses.push({ merged_rounds: status.evaluated_rounds!, loss: status.metrics[0].last });
  const { run, time_left_ms } = pace(status, performance.now());
  const training = status.peers.filter((peer) => peer.progress?.state === 'working').length;
  if (picture || status.round < (ROUNDS * 2) / 3 || training < 2) continue;
  picture = toSvg(renderRun({ run, losses, steps: STEPS, expected: [], time_left_ms, columns: COLUMNS, rows: ROWS }));
}
rmSync(folder, { recursive: true, force: true });
if (!picture) throw new Error('the demo ended before there was anything to draw');
writeFileSync(join(ROOT, 'docs', 'terminal.svg'), picture);
console.log('docs/terminal.svg');
