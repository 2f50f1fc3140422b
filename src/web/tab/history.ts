// What this browser remembers of its contribution: each submission with its result, and how its shares grew.
import { z } from 'zod';
import type { HandedIn } from './state.ts';
import type { TabStore } from './store.ts';

const LIMITS = {
  works: 200, // per run; the log has all of them
  points: 400, // per curve: beyond this every second point is dropped
} as const;

const WorkSchema = z.object({
  ...{ submission: z.string(), index: z.number(), run: z.string(), round: z.number() },
  ...{ amount: z.number(), unit: z.string(), size_bytes: z.number() },
  verdicts: z.array(
    z.object({ validator: z.string(), accepted: z.boolean(), code: z.string(), score_micro: z.number() }),
  ),
  outcome: z.enum(['open', 'merged', 'dropped', 'decided']),
});
const PointSchema = z.object({ time_ms: z.number(), shares: z.number(), emitted: z.number() });
const CurveSchema = z.array(PointSchema);

/** How many shares its person held at a time, as the hub reported. */
export type EarnedPoint = z.infer<typeof PointSchema>;

/** Padded so that keys sort as numbers do. */
const keyOf = ({ run, index }: HandedIn): string => `${run}/${String(index).padStart(15, '0')}`;

/** May reject: a full disk. */
export const keepWork = (store: TabStore, work: HandedIn): Promise<void> => store.put('works', keyOf(work), work);

/** The last submissions of a run, oldest first; older ones are deleted. */
export async function readWorks(store: TabStore, run: string): Promise<HandedIn[]> {
  const all = (await store.entries('works'))
    .filter(([key]) => key.startsWith(`${run}/`))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key] of all.slice(0, -LIMITS.works)) await store.delete('works', key);
  return all.slice(-LIMITS.works).flatMap(([, value]) => WorkSchema.safeParse(value).data ?? []);
}

export async function readEarned(store: TabStore, run: string, account: string): Promise<EarnedPoint[]> {
  return CurveSchema.safeParse(await store.get('earned', `${run}/${account}`)).data ?? [];
}

/** Adds a point to the curve of a person's shares, and resolves to the curve. Of equal values the first and the last stay. */
export async function keepEarned(
  store: TabStore,
  run: string,
  account: string,
  point: EarnedPoint,
): Promise<EarnedPoint[]> {
  const curve = withPoint(await readEarned(store, run, account), point);
  await store.put('earned', `${run}/${account}`, curve);
  return curve;
}

export function withPoint(curve: readonly EarnedPoint[], point: EarnedPoint): EarnedPoint[] {
  const same = curve.length > 1 && curve.slice(-2).every(({ shares }) => shares === point.shares);
  const next = [...(same ? curve.slice(0, -1) : curve), point];
  return next.length <= LIMITS.points ? next : next.filter((_, i) => i % 2 === 0 || i === next.length - 1);
}

/** What a day brings at the pace of the last day; null while there is too little data. */
export function perDay(
  curve: readonly EarnedPoint[],
  now_ms: number,
): { readonly shares: number; readonly over_ms: number } | null {
  const recent = curve.filter(({ time_ms }) => time_ms > now_ms - DAY_MS);
  const [first, last] = [recent[0], recent.at(-1)];
  if (!first || !last || last.time_ms - first.time_ms < LEAST_MS || last.shares <= first.shares) return null;
  const over_ms = last.time_ms - first.time_ms;
  return { shares: Math.round(((last.shares - first.shares) * DAY_MS) / over_ms), over_ms };
}

const DAY_MS = 86_400_000;
/** A forecast needs at least this much time. */
const LEAST_MS = 600_000;
