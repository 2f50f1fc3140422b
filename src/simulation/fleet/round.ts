// One round of a run, for every class of device and every speed of line in it: who downloads, computes and uploads for how long, who hands in,
// who leaves before, and how long the round lasts.
import { lognormalValues, staysFor } from './distributions.ts';
import {
  type DeviceClass,
  type Fleet,
  flopsPerToken,
  judgesBytes,
  memoryGb,
  modelBytes,
  stepBytes,
  updateBytes,
} from './fleet.ts';
import type { Crowd } from './presence.ts';

/** Into how many equal parts the lines of a class are divided. With twice as many no result changed by more than 2 % (docs/experiments.md). */
export const LINE_PARTS = 8;
const BITS = 8;
const MEGA = 1e6;
const HOUR_S = 3600;

/** Devices of a class with lines of one speed. */
export interface Strand {
  readonly of: number;
  readonly up_bps: number;
  readonly down_bps: number;
  /** Its part of the class. */
  readonly share: number;
  readonly step_s: number;
}

/** The strands of all classes that can hold the model. */
export function strandsOf({ classes, model }: Fleet): Strand[] {
  const step_flops = model.batch_tokens * flopsPerToken(model);
  return classes.flatMap((one, of) => {
    if (one.memory_gb < memoryGb(model)) return [];
    const alike = one.up_mbps.sigma === 0 && one.down_mbps.sigma === 0;
    const parts = alike ? 1 : LINE_PARTS;
    const ups = lognormalValues(one.up_mbps, parts);
    // A line that is fast down is fast up.
    return lognormalValues(one.down_mbps, parts).map((down_mbps, i) => ({
      ...{ of, up_bps: (ups[i] * MEGA) / BITS, down_bps: (down_mbps * MEGA) / BITS },
      ...{ share: 1 / parts, step_s: step_flops / one.flops },
    }));
  });
}

/** What a device of a strand does in a round. */
export interface Turn {
  readonly down_s: number;
  readonly steps: number;
  readonly compute_s: number;
  readonly up_s: number;
  /** The chance that it is still there when it would hand in. */
  readonly stays: number;
  /** Workers of a run that still download the model, that begin the round, and that hand in. */
  readonly catching_up: number;
  readonly workers: number;
  readonly handed_in: number;
}

export interface Round {
  readonly turns: readonly Turn[];
  readonly workers: number;
  readonly handed_in: number;
  /** Bytes that a worker downloads at the round's beginning, and hands in at its end. */
  readonly down_bytes: number;
  readonly up_bytes: number;
  /** How long there was work, and judging, and the whole. */
  readonly work_s: number;
  readonly judging_s: number;
  readonly round_s: number;
  /** The part of the work that was judged in time, and how long judges of this number would have needed for all of it. */
  readonly judged: number;
  readonly judges_need_s: number;
  /** Processor seconds of all judges of a run, by class. */
  readonly judging_busy_s: readonly number[];
  /** How long a judge downloads what it follows the merge by, while the next round is worked on. */
  readonly judges_follow_s: number;
}

/** What a run has in an hour: devices of each class that work, and that judge. */
export interface Run {
  readonly workers: readonly number[];
  readonly judges: readonly number[];
  /** By class, the chance an hour that somebody goes beyond the usual end of stays. */
  readonly sudden: readonly number[];
  /** By class, which part of it came in the hour, and has to download the model first. */
  readonly came: readonly number[];
  /** Updates that the round before merged: what a bundle contains. */
  readonly merged_before: number;
}

/** What the rules ask of judges for a work: how much of it is computed again, and how many look. */
export interface Burden {
  readonly repeats: number;
  readonly looks: number;
}

/** What a worker downloads of a merge. */
export function downBytes({ model, hub }: Pick<Fleet, 'model' | 'hub'>, merged: number, workers: number): number {
  const update = updateBytes(model);
  if (hub.design === 'ring') return ringBytes(update, workers);
  const merge = hub.design === 'step' ? stepBytes(model) : merged * update;
  return Math.min(merge, modelBytes(model));
}

/** Whoever is late is waited for during a quarter of the time of judging (core/rounds/deadlines.ts). */
const GRACE_PART = 4;
const graceS = ({ round, rules }: Fleet): number => (rules.judges > 0 ? round.judging_s / GRACE_PART : 0);

/** Whole steps: the one that is under way when the box is over is finished, if the grace is long enough for it. */
function stepsIn(box_s: number, grace_s: number, step_s: number, most: number): number {
  const NEARLY = 1e-9;
  const within = Math.floor(box_s / step_s + NEARLY);
  const begun = Math.ceil(box_s / step_s - NEARLY);
  return Math.max(0, Math.min(most, begun * step_s <= box_s + grace_s ? begun : within));
}

/** Seconds that the hub's own line needs. */
const hubS = (size_bytes: number, mbps: number | undefined): number =>
  mbps === undefined ? 0 : (size_bytes * BITS) / (mbps * MEGA);

/** What each of `n` sends and receives where all add up numbers among themselves in a ring (Patarasuk and Yuan, 2009). */
const ringBytes = (size_bytes: number, n: number): number => (n <= 1 ? 0 : (2 * (n - 1) * size_bytes) / n);

/** The round that a run plays with these devices. */
export function roundOf(fleet: Fleet, strands: readonly Strand[], run: Run, burden: Burden): Round {
  const { model, round, hub, classes } = fleet;
  const ring = hub.design === 'ring';
  const lent = strands.reduce((sum, { of, share }) => sum + run.workers[of] * share, 0);
  const down_bytes = downBytes(fleet, run.merged_before, lent);
  const up_bytes = ring ? down_bytes : updateBytes(model);
  // All begin and end a round together, so what passes the hub takes at least as long as its own line needs for all of it.
  const all_runs = lent * fleet.runs;
  const in_s = hubS(all_runs * up_bytes * (1 - hub.store_share), hub.in_mbps);
  const out_s = hubS(all_runs * down_bytes * (1 - hub.cdn_share), hub.out_mbps);
  // In a ring everybody waits for the slowest line, and sends while it receives.
  const slowest_bps = Math.min(
    ...strands.filter(({ of }) => run.workers[of] > 0).map(({ up_bps, down_bps }) => Math.min(up_bps, down_bps)),
  );
  const turns = strands.map(({ of, share, up_bps, down_bps, step_s }): Turn => {
    const down_s = ring ? 0 : Math.max(out_s, down_bytes / down_bps);
    const up_s = ring ? up_bytes / slowest_bps : Math.max(in_s, up_bytes / up_bps);
    // In a ring the box is for the steps alone: nobody can leave the others to send by themselves.
    const around_s = ring ? 0 : down_s + up_s;
    const steps = stepsIn(round.work_s - around_s, ring ? 0 : graceS(fleet), step_s, model.inner_steps);
    const compute_s = steps * step_s;
    const ready_s = down_s + compute_s + up_s;
    const { session } = classes[of];
    const usual = staysFor(ready_s, { mean_s: session.mean_h * HOUR_S, shape: session.shape });
    const stays = usual * Math.max(0, 1 - (run.sudden[of] * ready_s) / HOUR_S);
    const all = run.workers[of] * share;
    const catching_up = all * Math.min(1, (run.came[of] * modelBytes(model)) / down_bps / HOUR_S);
    const here = all - catching_up;
    return {
      down_s,
      steps,
      compute_s,
      up_s,
      stays,
      catching_up,
      workers: here,
      handed_in: steps > 0 ? here * stays : 0,
    };
  });
  const handed_in = turns.reduce((sum, turn) => sum + turn.handed_in, 0);
  const workers = turns.reduce((sum, turn) => sum + turn.workers, 0);
  const here = turns.filter((turn) => turn.workers > 0);
  // Whoever can hand in nothing is waited for until the box is over.
  const all = here.every(({ steps }) => steps > 0);
  const longest_s = Math.max(0, ...here.map(({ down_s, compute_s, up_s }) => down_s + compute_s + up_s));
  const box_s = round.work_s + graceS(fleet);
  const work_s = ring ? longest_s : all ? Math.min(box_s, longest_s) : box_s;
  const judging = judgingOf(fleet, run, turns, strands, burden);
  return {
    ...{ turns, workers, handed_in, down_bytes, up_bytes, work_s, ...judging },
    round_s: work_s + judging.judging_s + round.other_s,
  };
}

/** The judges of a run share its works; each downloads what it judges, and computes what the rules ask of it. */
function judgingOf(fleet: Fleet, run: Run, turns: readonly Turn[], strands: readonly Strand[], burden: Burden) {
  const { classes, model, round, rules } = fleet;
  const judges = run.judges.reduce((sum, count) => sum + count, 0);
  const nobody = {
    judging_s: 0,
    judged: 1,
    judges_need_s: 0,
    judging_busy_s: classes.map(() => 0),
    judges_follow_s: 0,
  };
  if (rules.judges === 0) return nobody;
  if (judges === 0) return { ...nobody, judged: 0 };
  const step_flops = model.batch_tokens * flopsPerToken(model);
  let [works, steps] = [0, 0];
  for (const { handed_in, steps: done } of turns) {
    works += handed_in;
    steps += handed_in * done;
  }
  const flops = step_flops * (works * burden.looks * rules.look_steps + burden.repeats * steps);
  const rate = run.judges.reduce((sum, count, of) => sum + count * classes[of].flops, 0);
  const seats = Math.min(rules.judges, judges);
  const bytes = (works * seats * updateBytes(model)) / judges;
  const down_bps = meanBps(run.judges, strands);
  const compute_s = flops / rate;
  const judges_need_s = compute_s + bytes / down_bps;
  const judging_s = Math.min(round.judging_s, judges_need_s);
  const judged = judges_need_s > 0 ? judging_s / judges_need_s : 1;
  return {
    ...{ judging_s, judged, judges_need_s },
    judging_busy_s: run.judges.map((count) => count * compute_s * judged),
    judges_follow_s: judgesBytes(fleet, works) / down_bps,
  };
}

/** The harmonic mean of judges' lines: how long the same bytes take them on average. */
function meanBps(judges: readonly number[], strands: readonly Strand[]): number {
  let [count, seconds] = [0, 0];
  for (const { of, share, down_bps } of strands) {
    count += judges[of] * share;
    seconds += (judges[of] * share) / down_bps;
  }
  return count / seconds;
}

/** Who of a crowd works, and who judges; devices that cannot hold the model do neither. */
export function divide(
  one: DeviceClass,
  { present, serving }: Crowd,
  fits: boolean,
): { workers: number; judges: number; idle: number } {
  const free = present - serving;
  if (!fits) return { workers: 0, judges: 0, idle: free };
  return { workers: free * (1 - one.judges), judges: free * one.judges, idle: 0 };
}
