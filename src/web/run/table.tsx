// Who brought how much: everybody's part in their colour, running together above into the one thing that comes out.
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatCount, formatWhole, nameOf } from '../shell/format.ts';
import { type Brought, type Part, percent } from './brought.ts';

/** The height of the fan and the width of the braid above it, as in run.css. */
const FAN = { height: 52, braid: 8 };
/** Between two parts of the bar. */
const GAP_PIXELS = 2;

const nameOfPart = ({ peer, you, devices }: Part): string =>
  you ? 'you' : peer ? nameOf(peer.name) : `${formatWhole(devices)} ${devices === 1 ? 'other' : 'others'}`;

/** Narrow stripes in the same order and proportions as the bar. */
export function Braid({ brought }: { brought: Brought }) {
  return (
    <span class="braid" aria-hidden="true">
      {brought.parts.length === 0 && <i class="nobody" />}
      {brought.parts.map((part) => (
        <i key={part.peer?.id ?? ''} class={`dish-${part.dish}`} style={{ flexGrow: part.share }} />
      ))}
    </span>
  );
}

/** The bar alone. */
export function TableBar({ brought: { parts } }: { brought: Brought }) {
  if (parts.length === 0) return null;
  return (
    <span class="table-bar" aria-hidden="true">
      {parts.map((part) => (
        <i
          key={part.peer?.id ?? ''}
          class={`dish-${part.dish}${part.you ? ' you' : ''}`}
          style={{ flex: `${part.share} 1 0` }}
          title={`${nameOfPart(part)}: ${percent(part.share)}`}
        />
      ))}
    </span>
  );
}

/** @param words what is counted, where it was checked */
export function Table({ brought, words }: { brought: Brought; words: string }) {
  const { parts, unit } = brought;
  if (parts.length === 0)
    return (
      <EmptyTable words="Nobody has brought anything yet. What each device brings will lie here in its own colour." />
    );
  return (
    <section class="table" aria-label="Who brought how much">
      <Fan parts={parts} />
      <TableBar brought={brought} />
      <ul class="brought">
        {parts.map((part) => (
          <li key={part.peer?.id ?? ''} class={part.you ? 'you' : undefined}>
            <span class={`dish dish-${part.dish}`} />
            <span class="who">{nameOfPart(part)}</span>
            <span title={unit === 'checked' ? `${formatCount(part.amount)} ${words}` : undefined}>
              {percent(part.share)}
            </span>
          </li>
        ))}
      </ul>
      {unit === 'pieces' && (
        <p class="fine">Counted by pieces of work: no validator has checked them, so none of it is credited yet.</p>
      )}
    </section>
  );
}

/** How wide an element is. */
function useWidth() {
  const place = useRef<SVGSVGElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const resized = new ResizeObserver(([entry]) => setWidth(entry.contentRect.width));
    resized.observe(place.current!);
    return () => resized.disconnect();
  }, []);
  return { place, width };
}

/** Bands from the bar's parts, wide below, to the braid's, narrow above. */
function Fan({ parts }: { parts: readonly Part[] }) {
  const { place, width } = useWidth();
  const room = width - GAP_PIXELS * (parts.length - 1);
  let [below, above] = [0, 0];
  return (
    <svg ref={place} class="fan" aria-hidden="true" height={FAN.height}>
      {width > 0 &&
        parts.map((part) => {
          const [x0, a0] = [below, above];
          const [x1, a1] = [x0 + part.share * room, a0 + part.share * FAN.braid];
          below = x1 + GAP_PIXELS;
          above = a1;
          return <path key={part.peer?.id ?? ''} class={`dish-${part.dish}`} d={band(a0, a1, x0, x1)} />;
        })}
    </svg>
  );
}

/** The middle of a band that nobody brings yet. */
const strand = (x: number): string => `M1 0C1 ${FAN.height * 0.6} ${x} ${FAN.height * 0.4} ${x} ${FAN.height}`;

/** One band, as a river: straight up at both ends. */
function band(a0: number, a1: number, x0: number, x1: number): string {
  const [h, middle] = [FAN.height, FAN.height * 0.6];
  const side = (from: number, y0: number, to: number, y1: number): string =>
    `C${from} ${y0 === 0 ? middle : h - middle} ${to} ${y1 === 0 ? middle : h - middle} ${to} ${y1}`;
  return `M${a0} 0${side(a0, 0, x0, h)}H${x1}${side(x1, h, a1, 0)}Z`;
}

const PLACES = 8;

/** Places that nobody has taken yet. */
export function EmptyTable({ words }: { words: string }) {
  const { place, width } = useWidth();
  const middleOf = (i: number): number => ((i + 0.5) * width) / PLACES;
  return (
    <section class="table" aria-label="Who brought how much">
      <svg ref={place} class="fan strands" aria-hidden="true" height={FAN.height}>
        {width > 0 && Array.from({ length: PLACES }, (_, i) => <path key={i} d={strand(middleOf(i))} />)}
      </svg>
      <div class="table-empty" aria-hidden="true">
        {Array.from({ length: PLACES }, (_, i) => (
          <i key={i} />
        ))}
      </div>
      <p class="fine brought">{words}</p>
    </section>
  );
}
