// The drawn chart: values under the pointer and by the arrow keys, and a part of it enlarged by dragging, or by plus and minus.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type Drawing, drawingOf, type Looks, spent, valueAt, wholeOf } from './chart-drawing.ts';
import { nearest, positionIn, type Range, zoomed } from './chart-scales.ts';
import type { Curve } from './curves.ts';

const HEIGHT_PIXELS = { wide: 320, narrow: 240 };
const NARROW_PIXELS = 500;
/** A press that moves less is none that drags. */
const DRAG_PIXELS = 6;

interface Props {
  readonly curves: readonly Curve[];
  readonly looks: Looks;
  /** What the run counts work in. */
  readonly unit: string;
  /** For who cannot see it. */
  readonly label: string;
  onZoom(zoom: Range | null): void;
}

export function ChartPlot({ curves, looks, unit, label, onZoom }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [at, setAt] = useState<number | null>(null);
  const [drag, setDrag] = useState<{ readonly from: number; readonly to: number } | null>(null);
  useEffect(() => {
    const resized = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
    resized.observe(place.current!);
    return () => resized.disconnect();
  }, []);
  const height = width < NARROW_PIXELS ? HEIGHT_PIXELS.narrow : HEIGHT_PIXELS.wide;
  const drawing = useMemo(() => drawingOf(curves, looks, { width, height }), [curves, looks, width]);
  const stops = useMemo(() => stopsOf(curves, drawing.x), [curves, drawing]);
  const pixelsOf = (event: PointerEvent): number => event.clientX - place.current!.getBoundingClientRect().left;

  const onKey = (event: KeyboardEvent): void => {
    const whole = wholeOf(curves);
    const about = at ?? (drawing.x[0] + drawing.x[1]) / 2;
    const index = stops.length === 0 ? -1 : at === null ? stops.length : nearest(stops, at);
    const go = (to: number): void => setAt(stops[Math.max(0, Math.min(stops.length - 1, to))] ?? null);
    const actions: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => go(index - 1),
      ArrowRight: () => go(at === null ? 0 : index + 1),
      Home: () => go(0),
      End: () => go(stops.length - 1),
      '+': () => onZoom(zoomed(drawing.x, whole, 0.5, about)),
      '=': () => onZoom(zoomed(drawing.x, whole, 0.5, about)),
      '-': () => {
        const wider = zoomed(drawing.x, whole, 2, about);
        onZoom(wider[0] <= whole[0] && wider[1] >= whole[1] ? null : wider);
      },
      '0': () => onZoom(null),
      Escape: () => setAt(null),
    };
    const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: a group of form fields is not what it is
    <div
      ref={place}
      class="canvas"
      role="group"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: its values are read by the arrow keys
      tabIndex={0}
      aria-label={`${label}. Arrow keys read the values, plus and minus enlarge, 0 shows everything.`}
      onKeyDown={onKey}
      onPointerDown={(event) => {
        if (event.button !== 0 || event.pointerType === 'touch') return;
        event.currentTarget.setPointerCapture(event.pointerId);
        setDrag({ from: pixelsOf(event), to: pixelsOf(event) });
      }}
      onPointerMove={(event) => {
        const pixels = pixelsOf(event);
        if (drag) setDrag({ ...drag, to: pixels });
        const value = valueAt(drawing, pixels);
        setAt(stops[nearest(stops, value)] ?? null);
      }}
      onPointerUp={() => {
        setDrag(null);
        if (!drag || Math.abs(drag.to - drag.from) < DRAG_PIXELS) return;
        const [a, b] = [valueAt(drawing, drag.from), valueAt(drawing, drag.to)];
        if (a !== b) onZoom([Math.min(a, b), Math.max(a, b)]);
      }}
      onPointerLeave={() => !drag && setAt(null)}
      onDblClick={() => onZoom(null)}
    >
      {width > 0 && (
        <svg width={width} height={height} aria-hidden="true">
          <Grid drawing={drawing} height={height} />
          <clipPath id="chart-frame">
            <rect
              x={drawing.frame.left}
              y={0}
              width={drawing.frame.width}
              height={drawing.frame.top + drawing.frame.height}
            />
          </clipPath>
          <g clip-path="url(#chart-frame)">
            {drawing.lines.map(({ id, ink, dashed, behind, path }) => (
              <path
                key={`${id}${behind}`}
                class={`line ink-${ink}${dashed ? ' dashed' : ''}${behind ? ' behind' : ''}`}
                d={path}
              />
            ))}
            {drag && <Selection drawing={drawing} drag={drag} />}
            {at !== null && <Cursor drawing={drawing} curves={curves} looks={looks} at={at} />}
          </g>
        </svg>
      )}
      <p class="readout" role="status">
        {at === null ? '' : wordsAt(curves, looks, unit, at)}
      </p>
    </div>
  );
}

function Grid({ drawing, height }: { drawing: Drawing; height: number }) {
  const { frame, x_ticks, y_ticks } = drawing;
  const right = frame.left + frame.width;
  return (
    <>
      {y_ticks.map(({ at, words }) => (
        <g key={words}>
          <line class="grid" x1={frame.left} x2={right} y1={at} y2={at} />
          <text x={frame.left - 8} y={at + 4} text-anchor="end">
            {words}
          </text>
        </g>
      ))}
      {x_ticks.map(({ at, words }) => (
        <text
          key={words}
          x={at}
          y={height - 6}
          text-anchor={at > right - 30 ? 'end' : at < frame.left + 20 ? 'start' : 'middle'}
        >
          {words}
        </text>
      ))}
    </>
  );
}

function Selection({
  drawing: { frame },
  drag: { from, to },
}: {
  drawing: Drawing;
  drag: { from: number; to: number };
}) {
  return (
    <rect class="selection" x={Math.min(from, to)} y={frame.top} width={Math.abs(to - from)} height={frame.height} />
  );
}

/** Each curve's last point that is not after a value of the axis. */
const pointAt = ({ points }: Curve, x: number) => points.findLast((point) => point.x <= x + 1e-9);

function Cursor({
  drawing,
  curves,
  looks,
  at,
}: {
  drawing: Drawing;
  curves: readonly Curve[];
  looks: Looks;
  at: number;
}) {
  const { frame } = drawing;
  const x = frame.left + positionIn(drawing.x, at) * frame.width;
  return (
    <>
      <line class="cursor" x1={x} x2={x} y1={frame.top} y2={frame.top + frame.height} />
      {curves.map((curve) => {
        const point = pointAt(curve, at);
        if (!point) return null;
        const cx = frame.left + positionIn(drawing.x, point.x) * frame.width;
        const cy = frame.top + (1 - positionIn(drawing.y, point.value, looks.logarithmic)) * frame.height;
        return <circle key={curve.id} class={`mark ink-${curve.ink}`} cx={cx} cy={cy} r={4} />;
      })}
    </>
  );
}

/** "at 107k tokens: validation 2.4512, workers 2.3900": as measured, also where the line is smoothed. */
function wordsAt(curves: readonly Curve[], { axis }: Looks, unit: string, at: number): string {
  const values = curves.flatMap((curve) => {
    const point = pointAt(curve, at);
    return point ? [`${curve.name.split(',')[0]} ${point.value.toFixed(4)}`] : [];
  });
  const what = axis === 'amount' ? ` ${unit}` : axis === 'rounds' ? ' rounds' : '';
  return `${spent(at, axis)}${what}: ${values.join(', ')}`;
}

/** Everything that can be stopped at, in order. */
function stopsOf(curves: readonly Curve[], [from, to]: Range): number[] {
  const all = new Set(curves.flatMap(({ points }) => points.map(({ x }) => x)).filter((x) => x >= from && x <= to));
  return [...all].sort((a, b) => a - b);
}
