// What the pool did in the last day, as steps over time: tokens, waiting, answers, refusals.
import { HISTORY_BUCKET_MS, type PoolDay } from '../../protocol/fleet.ts';
import { countOf, formatCount, formatDuration } from '../shell/format.ts';

const SIZE = { width: 320, height: 56 } as const;

export function DayCurves({ day }: { day: PoolDay }) {
  const { tokens, answers, no_room, waiting } = day;
  if (tokens.length < 2) {
    return <p class="fine">How busy it was is shown here after the hub's first ten minutes.</p>;
  }
  const seconds = HISTORY_BUCKET_MS / 1000;
  const over = formatDuration(tokens.length * HISTORY_BUCKET_MS);
  const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
  const most = (values: readonly number[]): string => formatCount(Math.max(...values));
  const speeds = tokens.map((count) => count / seconds);
  return (
    <section aria-labelledby="day-title">
      <h2 id="day-title">The last {over}</h2>
      <div class="limits-fields">
        <Steps values={speeds} words={`Tokens a second: at most ${most(speeds)}, ${formatCount(sum(tokens))} in all`} />
        <Steps values={waiting} words={`Requests that waited for a device at once: at most ${most(waiting)}`} />
        <Steps values={answers} words={`Whole answers: ${countOf(sum(answers), 'answer')}`} />
        <Steps values={no_room} words={`Refused for want of room (429): ${countOf(sum(no_room), 'request')}`} />
      </div>
      <p class="fine">By ten minutes; the hub forgets it when it is started again.</p>
    </section>
  );
}

function Steps({ values, words }: { values: readonly number[]; words: string }) {
  const most = Math.max(1e-9, ...values);
  const step = SIZE.width / values.length;
  const path = values
    .map((value, i) => {
      const y = (SIZE.height - 2 - ((SIZE.height - 4) * value) / most).toFixed(1);
      return i === 0 ? `M0 ${y}H${step.toFixed(1)}` : `V${y}H${((i + 1) * step).toFixed(1)}`;
    })
    .join('');
  return (
    <figure class="earned-curve">
      <svg viewBox={`0 0 ${SIZE.width} ${SIZE.height}`} role="img" aria-label={words} preserveAspectRatio="none">
        <path d={path} />
      </svg>
      <figcaption class="fine">{words}</figcaption>
    </figure>
  );
}
