// Losses against what they cost as an SVG: points of some series on a logarithmic axis, with reference lines.

export interface LossPlot {
  readonly title: string;
  /** Said above the plot, and below it of the axis. */
  readonly above: string;
  readonly axis: string;
  /** The axis has a line at each whole power of this. */
  readonly base: number;
  readonly tick: (at: number) => string;
  readonly series: readonly {
    readonly colour: string;
    readonly points: readonly { readonly at: number; readonly loss: number; readonly label: string }[];
  }[];
  readonly lines: readonly { readonly loss: number; readonly label: string }[];
}

const WIDTH = 760;
const HEIGHT = 440;
const MARGIN = { left: 64, right: 24, top: 28, bottom: 52 };
const LOSS_STEP = 0.02;

/** Points of a series are joined in their order along the axis. */
export function lossPlot(plot: LossPlot): string {
  const { base, series, lines } = plot;
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) return frame(plot, [text(WIDTH / 2, HEIGHT / 2, 'no trial that sends anything', 'middle')]);
  const losses = [...points, ...lines].map(({ loss }) => loss);
  const low = LOSS_STEP * Math.floor(Math.min(...losses) / LOSS_STEP - 0.5);
  const high = LOSS_STEP * Math.ceil(Math.max(...losses) / LOSS_STEP + 0.5);
  const powers = points.map(({ at }) => Math.log(at) / Math.log(base));
  const [first, last] = [Math.floor(Math.min(...powers)), Math.ceil(Math.max(...powers))];
  const x = (at: number) =>
    MARGIN.left +
    ((Math.log(at) / Math.log(base) - first) / Math.max(1, last - first)) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (loss: number) => MARGIN.top + ((high - loss) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const parts: string[] = [];
  for (let power = first; power <= last; power++) {
    const at = x(base ** power);
    parts.push(stroke(`M${at} ${MARGIN.top}V${HEIGHT - MARGIN.bottom}`, '#ddd'));
    parts.push(text(at, HEIGHT - MARGIN.bottom + 18, plot.tick(base ** power), 'middle'));
  }
  for (let loss = low; loss <= high + 1e-9; loss += LOSS_STEP) {
    parts.push(stroke(`M${MARGIN.left} ${y(loss)}H${WIDTH - MARGIN.right}`, '#eee'));
    parts.push(text(MARGIN.left - 8, y(loss) + 4, loss.toFixed(2), 'end'));
  }
  for (const { loss, label } of lines) {
    parts.push(stroke(`M${MARGIN.left} ${y(loss)}H${WIDTH - MARGIN.right}`, '#555', '5 4'));
    parts.push(text(WIDTH - MARGIN.right - 4, y(loss) - 5, `${label} ${loss.toFixed(3)}`, 'end'));
  }
  for (const { colour, points: own } of series) {
    const inOrder = [...own].sort((a, b) => a.at - b.at);
    if (inOrder.length === 0) continue;
    const path = inOrder.map(({ at, loss }, i) => `${i === 0 ? 'M' : 'L'}${x(at)} ${y(loss)}`).join('');
    parts.push(stroke(path, colour));
    for (const { at, loss, label } of inOrder) {
      parts.push(`<circle cx="${x(at)}" cy="${y(loss)}" r="4" fill="${colour}"/>`);
      const isLeft = x(at) < WIDTH / 2;
      parts.push(
        text(x(at) + (isLeft ? 8 : -8), y(loss) - 7, `${label} ${loss.toFixed(3)}`, isLeft ? 'start' : 'end', colour),
      );
    }
  }
  parts.push(text(WIDTH / 2, HEIGHT - 10, plot.axis, 'middle'));
  parts.push(text(MARGIN.left, 16, plot.above, 'start'));
  return frame(plot, parts);
}

function text(x: number, y: number, content: string, anchor: string, colour = '#333'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${colour}">${content}</text>`;
}

function stroke(path: string, colour: string, dashes = ''): string {
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5" stroke-dasharray="${dashes}"/>`;
}

function frame({ title }: LossPlot, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12">
<title>${title}</title>
<rect width="100%" height="100%" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}
