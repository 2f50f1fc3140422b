// Whether the losses that a worker tells jump from batch to batch as the round's model says they do. What steps teach changes neighbouring
// batches nearly alike, so a jump is how much harder the one is than the other, and whoever has not computed it cannot know it.
import { asTraced } from '../../training/loss-trace.ts';
import { mean } from '../../training/statistics.ts';
import { besideLoss } from '../../training/tolerances.ts';

/** Honest jumps differ from the model's by about so much (nats), and this many times what a step takes off the loss (`npm run bench tolerance`). */
const EXPECTED = { nats: 0.0075, of_fall: 1.5 } as const;
/**
 * How many times farther than usual the first jump must be before a judge looks at its neighbours, and all of them before the steps are
 * repeated: less where they are told as if nothing were known of the batches, more where they follow the model's. Honest workers learn from
 * one batch more than from another while a model learns fast: at 2 a fifth of them are looked at again.
 */
const TIMES_USUAL = { again: 2, unlike: 2, strange: 4 } as const;
/** Jumps that are looked at where the first one is far away. */
const NEIGHBOURS = 5;
/** Jumps follow the model's where they have at least this part of them: computed ones about all, invented ones none. */
const FOLLOWED_PART = 0.35;
/** The looks by which a judge knows what is usual, and how few of them say nothing. */
const REMEMBERED = 16;
const FEW = 6;
/** Below this part of what is expected no jump is far away, however near the last ones were. */
const LEAST_USUAL = 0.66;

export interface Looked {
  /** The first step looked at, and the distances of the jumps from there (nats). */
  readonly from: number;
  readonly jumps: readonly number[];
  /** The part of the model's jumps that is in those told; null where no more than one was looked at. */
  readonly followed: number | null;
  /** A root mean square of the distances beyond this is strange. */
  readonly limit: number;
  readonly strange: boolean;
}

/**
 * Looks at the jump after one of a worker's steps, and at its neighbours where it is far away. It convicts nobody: what is strange is repeated.
 * @param told the worker's losses, in nats, as traced
 * @param lossOf what the round's model says of a step's batch
 * @param seen how far the first jumps of other work were, in parts of what was expected; the new one is added
 */
export async function lookAtJumps(
  told: ArrayLike<number>,
  step: number,
  lossOf: (step: number) => Promise<number>,
  seen: number[],
): Promise<Looked> {
  const usual = Math.max(LEAST_USUAL, seen.length < FEW ? 1 : upperMedian(seen));
  const first = [await lossOf(step), await lossOf(step + 1)];
  const expected = besideLoss(EXPECTED.nats + EXPECTED.of_fall * fallOf(told), first[0]);
  const { distances: jumps } = compare(told, step, first);
  seen.push(jumps[0] / expected);
  if (seen.length > REMEMBERED) seen.shift();
  const usually = usual * expected;
  if (jumps[0] <= TIMES_USUAL.again * usually) {
    return { from: step, jumps, followed: null, limit: TIMES_USUAL.strange * usually, strange: false };
  }
  const from = Math.max(0, Math.min(step, told.length - 1 - NEIGHBOURS));
  const losses: number[] = [];
  for (let at = from; at <= Math.min(from + NEIGHBOURS, told.length - 1); at++) {
    losses.push(at === step || at === step + 1 ? first[at - step] : await lossOf(at));
  }
  const { distances, followed } = compare(told, from, losses);
  const limit = (followed < FOLLOWED_PART ? TIMES_USUAL.unlike : TIMES_USUAL.strange) * usually;
  return {
    ...{ from, jumps: distances, followed, limit },
    strange: Math.sqrt(mean(distances.map((jump) => jump ** 2))) > limit,
  };
}

/**
 * How far the jumps told are from those found, of neighbouring steps from the first one on; and the part of those found that is in those told,
 * by least squares. What honest steps add to a jump has nothing to do with how hard its batches are; whoever invents losses knows nothing of that.
 */
function compare(told: ArrayLike<number>, from: number, found: readonly number[]) {
  const jumps = found
    .slice(1)
    .map((loss, i) => ({ told: told[from + i + 1] - told[from + i], found: asTraced(loss) - asTraced(found[i]) }));
  const sum = (of: (jump: (typeof jumps)[number]) => number): number => jumps.reduce((all, jump) => all + of(jump), 0);
  return {
    distances: jumps.map((jump) => Math.abs(jump.told - jump.found)),
    followed: sum((jump) => jump.told * jump.found) / (sum((jump) => jump.found ** 2) || 1),
  };
}

/** What a step takes off the loss, by the worker's own word: between the first quarter of its steps and the last. */
function fallOf(losses: ArrayLike<number>): number {
  const all = Array.from(losses);
  const quarter = Math.ceil(all.length / 4);
  return Math.abs(mean(all.slice(0, quarter)) - mean(all.slice(-quarter))) / Math.max(1, all.length - quarter);
}

/** Of an even number, the larger of the two in the middle: a judge that has seen few looks takes more for usual. */
function upperMedian(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
