// What a simulated fleet is: the FILE of `npm run simulate -- --fleet FILE`, its form, and how a file that is wrong is told in one line.
import { z } from 'zod';
import { CORE_LIMITS } from '../../core/limits.ts';
import { SimulationError } from '../errors.ts';

export const HOURS_A_DAY = 24;
/** Ten years: beyond them no tariff and no device of today says anything. */
const MOST_DAYS = 3650;
const MOST_DEVICES = 1e10;
const MOST_CLASSES = 32;

const share = z.number().min(0).max(1);
const positive = z.number().positive();
const least0 = z.number().min(0);
/** Where the numbers of a part come from; a guess says that it is one. */
const source = z.string().min(1);

/** A number that is the same all day, or one for each hour of the local day from midnight. */
const byHour = z.union([least0, z.array(least0).length(HOURS_A_DAY)]);
const sharesByHour = z.array(share).length(HOURS_A_DAY);

/** Lognormal: half of the lines are slower than the median; `sigma` is the standard deviation of the logarithm, 0: all are alike. */
const LineSchema = z.strictObject({ median: positive, sigma: least0.max(3) });

const ClassSchema = z.strictObject({
  name: z.string().min(1).max(40),
  source,
  /** Its part of all devices. */
  share,
  /** What a device sustains in a training step of the run's model, in floating point operations a second, as `bench compute` measures a step. */
  flops: positive,
  memory_gb: positive,
  up_mbps: LineSchema,
  down_mbps: LineSchema,
  /** Where they stand: hours east of UTC and which part of the class. */
  zones: z
    .array(z.strictObject({ utc_h: z.int().min(-12).max(14), share }))
    .min(1)
    .max(HOURS_A_DAY),
  /** The chance that a device is lent at an hour of its local day, from Monday to Friday and at the weekend. */
  available: z.strictObject({ weekday: sharesByHour, weekend: sharesByHour }),
  /** How long a device stays once it is there: a Weibull distribution; with shape 1 the longest stays are as likely to end as others. */
  session: z.strictObject({ mean_h: positive, shape: positive.min(0.2).max(10) }),
  /** After how many days a device is replaced by a new one, without a record, on average. */
  lifetime_days: positive,
  /** Which part of the class judges instead of training. */
  judges: share.default(0),
  /** What it draws while it computes, beyond what it draws idle. */
  watts: least0,
  eur_per_kwh: byHour,
  g_co2_per_kwh: byHour,
  /** Tokens a second that a device generates when it serves; missing: it does not serve. */
  serves_tokens_per_s: positive.optional(),
});
export type DeviceClass = z.infer<typeof ClassSchema>;

const ModelSchema = z.strictObject({
  source,
  parameters: positive,
  /** Of training, for a token; usually six times the parameters. */
  flops_per_token: positive.optional(),
  /** How many tokens are to be learned from; the simulation ends there if its days last so long. */
  tokens: positive,
  /** The most inner steps of a worker in a round, and the tokens of one. */
  inner_steps: z.int().min(1),
  batch_tokens: positive,
  /** What a worker hands in, and what everybody downloads of a merge and, after being away, of the model. */
  update_bytes: positive.optional(),
  step_bytes: positive.optional(),
  model_bytes: positive.optional(),
  /** The memory that training takes at the least. */
  memory_gb: positive.optional(),
});

const RoundSchema = z.strictObject({
  source,
  /** The time box of work, and of judging. */
  work_s: positive,
  judging_s: least0,
  /** Time of a round that goes neither into work, transfers nor judging: drawing, merging, waiting for the next one. */
  other_s: least0.default(0),
});

const RulesSchema = z.strictObject({
  /** Judges of each work; 0: nobody judges, as in the published runs. */
  judges: z.int().min(0).max(CORE_LIMITS.judges),
  probation: z.int().min(0).max(CORE_LIMITS.probation).default(1),
  reexecute_permille: z.int().min(0).max(1000).default(50),
  withheld_rounds: z.int().min(0).max(CORE_LIMITS.withheld_rounds).default(40),
  owner_permille: z.int().min(0).max(1000).default(180),
  validators_permille: z.int().min(0).max(1000).default(410),
  /** What a judge that looks at a work computes, in inner steps: three forward passes, and in two of three cases one more (decision 0021); a step has three. */
  look_steps: least0.default(1.22),
  /** What a judge publishes with a verdict: by default the ids and its rating of the worker, as JSON (peer/validator.ts; measured in agreement.test.ts), without what a game measures. */
  evidence_bytes: least0.default(340),
});

const HubSchema = z.strictObject({
  source,
  /**
   * `step`: a worker downloads one merged step, whatever the number of workers; `bundle`: everybody's updates; `ring`: workers add
   * up among themselves (an all-reduce), and no byte passes a hub.
   */
  design: z.enum(['step', 'bundle', 'ring']),
  /**
   * What a judge downloads of a merge: all updates, which it merges again, as the product does (peer/model.ts); or the step, as workers do,
   * which would believe the merger.
   */
  judges_follow: z.enum(['bundle', 'step']).default('bundle'),
  /** Which part of the downloads comes from a network of caches instead of the hub. */
  cdn_share: share.default(0),
  /** Which part of the uploads goes straight to a store instead of through the hub (presigned). */
  store_share: share.default(0),
  /** What all hubs together can take in and send, in Mbit/s, beside what stores and caches take off them; missing: any amount. */
  in_mbps: positive.optional(),
  out_mbps: positive.optional(),
  front_sockets: positive.default(10_000),
  front_mbps: positive.default(1000),
  log_events_per_s: positive.default(5000),
});

export const FleetSchema = z.strictObject({
  name: z.string().min(1).max(80),
  about: z.string().min(1).max(400),
  source,
  seed: z.string().min(1).default('fleet'),
  /** It begins on a Monday at midnight UTC. */
  days: z.int().min(1).max(MOST_DAYS),
  devices: z.int().min(1).max(MOST_DEVICES),
  /** Among how many runs of the same model the devices are divided. */
  runs: z.int().min(1).max(1_000_000).default(1),
  classes: z.array(ClassSchema).min(1).max(MOST_CLASSES),
  /** The number of devices from a day on, instead of `devices` all the time: a run that grows. */
  series: z
    .array(z.strictObject({ day: least0, devices: least0.max(MOST_DEVICES) }))
    .min(1)
    .optional(),
  model: ModelSchema,
  round: RoundSchema,
  rules: RulesSchema,
  /** Which part of the workers lies. */
  lies: z
    .strictObject({
      share,
      /** Which part of the work that they claim they do. */
      does: share.default(0),
      /** They work honestly until so many of their works in a row were merged. */
      from_record: z.int().min(0).max(CORE_LIMITS.probation).default(0),
    })
    .default({ share: 0, does: 0, from_record: 0 }),
  hub: HubSchema,
  /** What is to be answered: tokens a second in each hour of the day in UTC, by devices that would otherwise train. */
  serving: z
    .strictObject({ source, tokens_per_s: z.array(least0).length(HOURS_A_DAY), eur_per_million: least0 })
    .optional(),
  /** What somebody pays for 10^9 tokens that were learned from. */
  pay: z.strictObject({ source, eur_per_billion: least0 }).optional(),
  /** The sample with which the core itself is asked who is paid and caught. */
  committee: z
    .strictObject({
      workers: z.int().min(2).max(480),
      judges: z.int().min(1).max(20),
      rounds: z.int().min(1).max(400),
      /** The first rounds, in which nobody has a record yet, are not counted. */
      skip: z.int().min(0).max(399).default(0),
    })
    .refine(({ rounds, skip }) => skip < rounds, 'fewer rounds to skip than there are')
    .default({ workers: 60, judges: 9, rounds: 60, skip: 30 }),
});
export type Fleet = z.infer<typeof FleetSchema>;
export type FleetInput = z.input<typeof FleetSchema>;

/** How far the parts of a whole may be from 1: what is written with three digits. */
const ROUNDED = 0.002;

/**
 * Reads a fleet. Throws SimulationError `bad-fleet` with one line: where, what was expected, what came.
 * @param text the file's text
 */
export function parseFleet(text: string): Fleet {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw wrong('the file', 'JSON', (error as Error).message);
  }
  const read = FleetSchema.safeParse(json, { reportInput: true });
  if (!read.success) {
    const [{ path, message, input }] = read.error.issues;
    throw wrong(path.join('.') || 'the fleet', expectedBy(message), shown(input));
  }
  mustAddUp(read.data);
  return read.data;
}

function mustAddUp({ classes, rules, series, serving, model }: Fleet): void {
  const sum = (parts: readonly { readonly share: number }[]): number =>
    parts.reduce((all, part) => all + part.share, 0);
  const mustBeWhole = (where: string, parts: readonly { readonly share: number }[]): void => {
    if (Math.abs(sum(parts) - 1) > ROUNDED) throw wrong(where, 'shares that add up to 1', String(sum(parts)));
  };
  mustBeWhole('classes', classes);
  for (const [i, { zones }] of classes.entries()) mustBeWhole(`classes.${i}.zones`, zones);
  const names = classes.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw wrong('classes', 'names of their own', `"${twice}" twice`);
  const paid = rules.owner_permille + rules.validators_permille;
  if (paid > 1000) throw wrong('rules', 'at most 1000 permille for owner and validators', String(paid));
  if (rules.judges > 0 && classes.every(({ judges }) => judges === 0)) {
    throw wrong('classes', 'a class whose "judges" is above 0, as rules.judges asks for judges', 'none');
  }
  if (series?.some(({ day }, i) => i > 0 && day <= series[i - 1].day)) {
    throw wrong('series', 'days that rise', series.map(({ day }) => day).join(', '));
  }
  if (serving && classes.every(({ serves_tokens_per_s }) => serves_tokens_per_s === undefined)) {
    throw wrong('classes', 'a class with "serves_tokens_per_s", as there is "serving"', 'none');
  }
  if (classes.every(({ memory_gb }) => memory_gb < memoryGb(model))) {
    throw wrong('classes', `a class with the ${memoryGb(model)} GB that training takes`, 'none');
  }
}

const wrong = (path: string, expected: string, got: string): SimulationError =>
  new SimulationError('bad-fleet', `${path}: expected ${expected}, got ${got}`);

/** What zod says was expected, without what it says came. */
const expectedBy = (message: string): string =>
  message.replace(/^Invalid input: expected /, '').replace(/, received .*$/, '');

const LONGEST_SHOWN = 60;
function shown(input: unknown): string {
  const text = input === undefined ? 'nothing' : (JSON.stringify(input) ?? String(input));
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

/**
 * Bytes for each parameter, as measured here with 0.82 million parameters: work is 217 times smaller than dense float32 (README, sparse
 * updates, H = 30), a step 70 times. A model travels in 16 bits.
 */
const UPDATE_BYTES = 4 / 216.8;
const STEP_BYTES = 4 / 70.3;
const MODEL_BYTES = 2;
/** Weights, gradients, two moments, and the copies between which a round's difference is taken, in float32 (games/pretrain/params.ts). */
const MEMORY_BYTES = 8 * 4;

type Model = Fleet['model'];
/** Of training a token: forward two operations a parameter, backward twice as many (Kaplan et al., arXiv 2001.08361). */
export const flopsPerToken = ({ flops_per_token, parameters }: Model): number => flops_per_token ?? 6 * parameters;
export const updateBytes = ({ update_bytes, parameters }: Model): number => update_bytes ?? UPDATE_BYTES * parameters;
export const stepBytes = ({ step_bytes, parameters }: Model): number => step_bytes ?? STEP_BYTES * parameters;
export const modelBytes = ({ model_bytes, parameters }: Model): number => model_bytes ?? MODEL_BYTES * parameters;
export const memoryGb = ({ memory_gb, parameters }: Model): number => memory_gb ?? (MEMORY_BYTES * parameters) / 1e9;

/** All updates of a round in one blob, from which the merge can be computed again. */
export const bundleBytes = ({ model }: Pick<Fleet, 'model'>, works: number): number => works * updateBytes(model);

/** What a judge downloads of a merge. */
export const judgesBytes = (fleet: Pick<Fleet, 'model' | 'hub'>, works: number): number =>
  fleet.hub.judges_follow === 'step' ? stepBytes(fleet.model) : bundleBytes(fleet, works);
