// The arithmetic of a chart: ticks, outliers, smoothing, and the position of values. Pure.

/** From the smallest to the largest shown value. */
export type Range = readonly [from: number, to: number];

/** Steps between labels of a time axis that people read easily: seconds, minutes, hours, days. */
const SECONDS: readonly number[] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800].concat(
  [1, 2, 6, 12, 24, 48, 120, 240, 1200].map((hours) => 3600 * hours),
);

/** Multiples of a round step within a range, about as many as requested. `whole`: no step is smaller than one. */
export function linearTicks(
  [from, to]: Range,
  wanted: number,
  unit: 'number' | 'whole' | 'seconds' = 'number',
): number[] {
  const least = (to - from) / Math.max(1, wanted);
  if (!(least > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(least));
  const decimal = [1, 2, 5, 10].find((factor) => factor * power >= least)! * power;
  const step =
    unit === 'seconds'
      ? (SECONDS.find((each) => each >= least) ?? decimal)
      : unit === 'whole'
        ? Math.max(1, decimal)
        : decimal;
  const ticks: number[] = [];
  // Multiplied, not added up: 0.1 + 0.2 is not 0.3.
  for (let i = Math.ceil(from / step); i * step <= to * (1 + 1e-12); i++)
    ticks.push(Number((i * step).toPrecision(15)));
  return ticks;
}

/** Ticks of a logarithmic axis: 1, 2 and 5 times powers of ten where they are enough, otherwise as on a linear axis. */
export function logTicks([from, to]: Range, wanted: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power++) {
    for (const factor of [1, 2, 5]) {
      const tick = Number((factor * 10 ** power).toPrecision(15));
      if (tick >= from && tick <= to) ticks.push(tick);
    }
  }
  return ticks.length >= 3 ? ticks : linearTicks([from, to], wanted);
}

/** How many decimals distinguish every tick from the next. */
export function decimalsOf(ticks: readonly number[]): number {
  for (let digits = 0; digits < 6; digits++) {
    if (ticks.every((tick) => Math.abs(tick - Number(tick.toFixed(digits))) < 1e-9)) return digits;
  }
  return 6;
}

/** An exponential moving average: each earlier value counts `weight` times as much as the one after it (0: no smoothing). Bias-corrected. */
export function smoothed(values: readonly number[], weight: number): number[] {
  let [sum, mass] = [0, 0];
  return values.map((value) => {
    sum = sum * weight + value;
    mass = mass * weight + 1;
    return sum / mass;
  });
}

/** The range of the values, with a small margin; without the outermost twentieth on both sides where outliers are ignored. */
export function rangeOf(values: readonly number[], ignoreOutliers: boolean, logarithmic: boolean): Range {
  const sorted = values.filter((value) => Number.isFinite(value) && (!logarithmic || value > 0)).sort((a, b) => a - b);
  if (sorted.length === 0) return [1, 2];
  const cut = ignoreOutliers ? Math.max(1, Math.floor(sorted.length / 20)) : 0;
  const kept = sorted.length > 2 * cut + 1 ? sorted.slice(cut, sorted.length - cut) : sorted;
  const [from, to] = [kept[0], kept.at(-1)!];
  if (logarithmic) {
    const air = from === to ? 1.1 : (to / from) ** 0.04;
    return [from / air, to * air];
  }
  const air = from === to ? Math.abs(from) * 0.05 || 0.5 : (to - from) * 0.04;
  return [from - air, to + air];
}

/** The position of a value in a range: 0 at its beginning, 1 at its end, beyond these for values outside. */
export function positionIn([from, to]: Range, value: number, logarithmic = false): number {
  if (logarithmic) return Math.log(Math.max(value, 1e-12) / from) / Math.log(to / from);
  return (value - from) / (to - from);
}

/** Half of a range, or twice as much but not beyond `whole`, around a point in it. */
export function zoomed(range: Range, whole: Range, factor: number, about = (range[0] + range[1]) / 2): Range {
  const from = Math.max(whole[0], about - (about - range[0]) * factor);
  const to = Math.min(whole[1], about + (range[1] - about) * factor);
  return [from, to];
}

/** The index of the nearest value, among ascending values. */
export function nearest(values: readonly number[], to: number): number {
  let [low, high] = [0, values.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] < to) low = middle;
    else high = middle;
  }
  return Math.abs(values[low] - to) <= Math.abs(values[high] - to) ? low : high;
}
