// The frontier of `bench parity` as an SVG: loss against bytes sent.
import { lossPlot } from './loss-plot.ts';
import type { Measured } from './parity-trial.ts';

const COLOURS: Readonly<Record<string, string>> = { dense: '#8a6d3b', sparse: '#1a6fb5' };
const LINES: Readonly<Record<string, string>> = { one: 'one device', sync: 'synchronous, four times the batch' };

/** Points of each series 'dense' and 'sparse'; 'one' and 'sync' as lines. */
export const plot = (measured: readonly Measured[]): string =>
  lossPlot({
    title: 'Validation loss against the bytes that one worker sends',
    above: 'validation loss (nats), four workers, 2000 steps',
    axis: 'bytes that one worker sends in the whole run',
    base: 10,
    tick: bytesLabel,
    series: Object.entries(COLOURS).map(([name, colour]) => ({
      colour,
      points: measured
        .filter((m) => m.name.startsWith(`${name}-`))
        .map((m) => ({ at: m.sent_bytes, loss: m.validation_loss, label: `${name} H=${m.name.split('-')[1]}` })),
    })),
    lines: measured
      .filter(({ name }) => Object.hasOwn(LINES, name))
      .map(({ name, validation_loss: loss }) => ({ loss, label: LINES[name] })),
  });

function bytesLabel(size_bytes: number): string {
  const [unit, name] = size_bytes >= 1e9 ? [1e9, 'GB'] : size_bytes >= 1e6 ? [1e6, 'MB'] : [1e3, 'kB'];
  return `${Math.round((1e6 * size_bytes) / unit) / 1e6} ${name}`;
}
