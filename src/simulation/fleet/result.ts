// What a simulated fleet comes to: the form of the JSON that `--json` prints and that a page shows.
import { z } from 'zod';

const number = z.number();
const series = z.array(number);

/** Seconds of a class's devices, by what they do. Together they are all the seconds that the class is lent. */
export const TIMES = [
  'training',
  'downloading',
  'uploading',
  'waiting',
  'lost',
  'catching_up',
  'judging',
  'serving',
  'idle',
] as const;
export type Times = Record<(typeof TIMES)[number], number>;

const bytes = z.strictObject({
  up: number,
  down: number,
  hub_in: number,
  hub_out: number,
  store_in: number,
  cdn_out: number,
  between: number,
});
export type Bytes = z.infer<typeof bytes>;

const ClassResultSchema = z.strictObject({
  name: z.string(),
  devices: number,
  present: number,
  device_hours: number,
  time_shares: z.strictObject(
    Object.fromEntries(TIMES.map((name) => [name, number])) as Record<keyof Times, typeof number>,
  ),
  tokens: number,
  served_tokens: number,
  kwh: number,
  eur_electricity: number,
  kg_co2: number,
  eur_income: number,
  eur_net: number,
  eur_net_a_device_day: number,
  watts: number,
});
export type ClassResult = z.infer<typeof ClassResultSchema>;

export const FleetResultSchema = z.strictObject({
  type: z.literal('fleet'),
  version: z.literal(1),
  fleet: z.string(),
  about: z.string(),
  days: number,
  /** By hour. */
  hours: z.strictObject({
    present: series,
    workers: series,
    tokens_per_s: series,
    useful_tokens_per_s: series,
    served_tokens_per_s: series,
    asked_tokens_per_s: series,
    kw: series,
    round_s: series,
    events_per_s: series,
    hub_bytes_per_s: series,
    loss: series,
  }),
  tokens: z.strictObject({
    computed: number,
    lost: number,
    unjudged: number,
    refused: number,
    merged: number,
    beyond_critical: number,
    useful: number,
    /** Claimed and merged, but never computed: what liars got through. */
    false: number,
    served: number,
    asked: number,
    per_s: number,
    critical_batch: number,
    batch: number,
  }),
  rounds: z.strictObject({
    count: number,
    mean_s: number,
    lost_share: number,
    /** Rounds of workers that are too slow to do a step and send it in time. */
    too_slow_share: number,
    handed_in: number,
    workers: number,
    judged_share: number,
  }),
  finished_after_days: number.nullable(),
  loss: z.strictObject({ loss: number, low: number, high: number, guesses: z.array(z.string()) }),
  bytes,
  bytes_a_worker_round: z.strictObject({ up: number, down: number, dense: number }),
  energy: z.strictObject({
    kwh: number,
    eur: number,
    kg_co2: number,
    kwh_per_billion_tokens: number,
    eur_per_billion_tokens: number,
    kg_co2_per_billion_tokens: number,
  }),
  money: z.strictObject({
    paid: number,
    workers: number,
    validators: number,
    owner: number,
    unearned: number,
    serving: number,
  }),
  classes: z.array(ClassResultSchema),
  judging: z.strictObject({
    repeats: number,
    looks: number,
    appeals: number,
    /** Which part of liars' works are lies, and which part of the lies is refused. */
    lying_part: number,
    caught_share: number.nullable(),
    honest_refused_share: number,
    /** What a lying worker is paid for a token that it claims, beside an honest one. */
    liars_pay: number.nullable(),
    judges_here: number,
    judges_needed: number,
  }),
  needs: z.strictObject({
    events_a_round: number,
    events_a_work: number,
    events_per_s: number,
    hub_bytes_per_s: number,
    front_ends: number,
    logs: number,
    peers_a_run: number,
  }),
  /** What the product as it is would refuse of this. */
  beyond_limits: z.array(z.string()),
});
export type FleetResult = z.infer<typeof FleetResultSchema>;
