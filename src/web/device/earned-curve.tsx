// A person's shares as the hub reports them, how they grew, and what a day brings at this pace.
import { useEffect, useState } from 'preact/hooks';
import { type HolderView, HolderViewSchema } from '../../protocol/messages.ts';
import { formatDuration, formatWhole } from '../shell/format.ts';
import { type EarnedPoint, keepEarned, perDay, readEarned } from '../tab/history.ts';
import { openTabStore } from '../tab/store.ts';

const SIZE = { width: 320, height: 72 } as const;

/** `round`: asked again whenever another round is merged. */
export function EarnedCurve({ run, owner, round }: { run: string; owner: string; round: number }) {
  const [curve, setCurve] = useState<readonly EarnedPoint[]>([]);
  const [held, setHeld] = useState<HolderView | null>(null);
  useEffect(() => {
    let wanted = true;
    const ask = async (): Promise<void> => {
      const store = await openTabStore();
      const before = await readEarned(store, run, owner);
      if (wanted) setCurve(before);
      const response = await fetch(`/runs/${run}/holders/${owner}`);
      const view = HolderViewSchema.safeParse(await response.json()).data;
      if (!view || !wanted) return;
      setHeld(view);
      const { shares, emitted } = view;
      const after = await keepEarned(store, run, owner, { time_ms: Date.now(), shares, emitted });
      if (wanted) setCurve(after);
    };
    ask().catch(() => {}); // the hub is unreachable, or the storage is full: keep what is known
    return () => {
      wanted = false;
    };
  }, [run, owner, round]);
  const last = held ?? curve.at(-1);
  if (!last) return null;
  const day = perDay(curve, Date.now());
  return (
    <div class="earned-curve">
      <p class="earned">
        <b>{formatWhole(last.shares)}</b> of {formatWhole(last.emitted)} shares
        {last.emitted > 0 && ` (${((100 * last.shares) / last.emitted).toFixed(2)} %)`}
        {held ? (
          <>
            , says the hub
            {held.withheld > 0 && `; ${formatWhole(held.withheld)} of them withheld until a few more rounds are merged`}
          </>
        ) : (
          ', when this browser last asked'
        )}
      </p>
      {curve.length > 1 && <Curve curve={curve} />}
      <p class="fine">
        {day
          ? `In the last ${formatDuration(day.over_ms)} it grew at a pace of about ${formatWhole(day.shares)} shares a day. That holds only while this browser works as much, the run goes on, and as many others share it.`
          : 'A forecast for a day needs ten minutes in which shares came.'}
      </p>
    </div>
  );
}

function Curve({ curve }: { curve: readonly EarnedPoint[] }) {
  const [from, to] = [curve[0], curve.at(-1)!];
  const most = Math.max(1, ...curve.map(({ shares }) => shares));
  const x = ({ time_ms }: EarnedPoint): number =>
    (SIZE.width * (time_ms - from.time_ms)) / Math.max(1, to.time_ms - from.time_ms);
  const y = ({ shares }: EarnedPoint): number => SIZE.height - 2 - ((SIZE.height - 4) * shares) / most;
  // Shares come at one moment, with a merge, so the curve is a step and not a slope.
  const path = curve.map((point, i) => (i === 0 ? `M0 ${y(point)}` : `H${x(point)}V${y(point)}`)).join('');
  const words = `Shares since ${new Date(from.time_ms).toLocaleString('en-GB')}: from ${formatWhole(from.shares)} to ${formatWhole(to.shares)}`;
  return (
    <figure>
      <svg viewBox={`0 0 ${SIZE.width} ${SIZE.height}`} role="img" aria-label={words} preserveAspectRatio="none">
        <path d={path} />
      </svg>
      <figcaption class="fine">{words}</figcaption>
    </figure>
  );
}
