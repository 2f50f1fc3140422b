// What the owner of a device has set: how much of it Potluck may have, and when. The defaults are what somebody who shares a home with it accepts.
import { z } from 'zod';
import { firstIssue } from '../../errors.ts';
import { DEFAULTS } from './default-settings.ts';
import { OwnerPolicyError } from './errors.ts';
import { checkTariff, oneCurrency, readTariffDays, type Tariff } from './tariff.ts';
import { parseWeekHours, type WeekSpan } from './week-hours.ts';

const percent = z.number().min(0).max(100);
const cores = z.int().min(0).max(1024);
const money = z.number().min(-100).max(100);
const watts = z.number().min(0).max(10_000).nullable();
/** Checked with the others: they must be in one. */
const currency = z.string().max(20);
const gigabytes = z.number().min(0).max(1e6);
/** A line of hours; the check gives the sentence, so that the file is refused as a whole. */
const hours = z.array(z.string().max(60)).max(50).nullable();

/** Field by field: what it means, its bounds and its default. A field that is left out has the default; an unknown one is refused. */
export const DeviceSettingsSchema = z.strictObject({
  on_battery: z.boolean().default(DEFAULTS.on_battery).meta({ description: 'work without mains power' }),
  least_charge_percent: percent
    .default(DEFAULTS.least_charge_percent)
    .meta({ description: 'pause below this charge; on again 5 above it' }),
  idle_after_s: z.number().min(0).max(86_400).default(DEFAULTS.idle_after_s).meta({
    description: 'without a key or movement for so long, nobody uses the device',
  }),
  cores_idle: cores
    .nullable()
    .default(DEFAULTS.cores_idle)
    .meta({ description: 'most cores while nobody uses it; null: all but one' }),
  cores_in_use: cores
    .nullable()
    .default(DEFAULTS.cores_in_use)
    .meta({ description: 'most cores while somebody uses it; null: half of them, 0: pause' }),
  gpu: z.enum(['never', 'idle', 'always']).default(DEFAULTS.gpu).meta({ description: 'when graphics processors work' }),
  gpus_off: z
    .array(z.int().min(0).max(63))
    .max(64)
    .default(DEFAULTS.gpus_off)
    .meta({ description: 'numbers of those that never work' }),
  foreign_cpu_percent_idle: percent.nullable().default(DEFAULTS.foreign_cpu_percent_idle).meta({
    description: "pause above this load of others, of all cores, while nobody uses it; null: others' load is no reason",
  }),
  foreign_cpu_percent_in_use: percent
    .nullable()
    .default(DEFAULTS.foreign_cpu_percent_in_use)
    .meta({ description: 'the same while somebody uses it' }),
  foreign_gpu_percent: percent
    .nullable()
    .default(DEFAULTS.foreign_gpu_percent)
    .meta({ description: 'a graphics processor rests above this load of others' }),
  foreign_load_s: z
    .number()
    .min(0)
    .max(3600)
    .default(DEFAULTS.foreign_load_s)
    .meta({ description: "others' load counts when it lasts so long" }),
  hottest_c: z.number().min(30).max(120).nullable().default(DEFAULTS.hottest_c).meta({
    description: 'pause above this temperature; on again when it was 5 below it for a minute',
  }),
  hottest_battery_c: z.number().min(20).max(80).nullable().default(DEFAULTS.hottest_battery_c).meta({
    description: 'the same of the battery; on again when it was below it for five minutes',
  }),
  memory_percent_in_use: percent
    .default(DEFAULTS.memory_percent_in_use)
    .meta({ description: 'most memory for Potluck while somebody uses the device' }),
  memory_percent_idle: percent
    .default(DEFAULTS.memory_percent_idle)
    .meta({ description: 'the same while nobody does' }),
  least_free_memory_gb: gigabytes
    .default(DEFAULTS.least_free_memory_gb)
    .meta({ description: 'pause, and give memory back, when less is available' }),
  least_free_disk_gb: gigabytes
    .default(DEFAULTS.least_free_disk_gb)
    .meta({ description: 'pause when the disk has less' }),
  on_metered: z
    .boolean()
    .default(DEFAULTS.on_metered)
    .meta({ description: 'work over a network that is paid by volume' }),
  hours: hours
    .default(DEFAULTS.hours)
    .meta({ description: 'only then, such as ["mon-fri 22:00-07:00"]; null: at any time' }),
  quiet_hours: hours.default(DEFAULTS.quiet_hours).meta({ description: 'no noise then: only quiet_duty of the time' }),
  quiet_duty: z
    .number()
    .min(0)
    .max(1)
    .default(DEFAULTS.quiet_duty)
    .meta({ description: 'part of the time in quiet hours; 0: pause' }),
  time_zone: z
    .string()
    .max(60)
    .nullable()
    .default(DEFAULTS.time_zone)
    .meta({ description: "whose hours, such as Europe/Berlin; null: this machine's" }),
  tariff: z
    .array(
      z.strictObject({
        hours: z.array(z.string().max(60)).min(1).max(50),
        price_per_kwh: money,
        currency: currency.optional(),
      }),
    )
    .max(100)
    .nullable()
    .default(DEFAULTS.tariff)
    .meta({ description: 'what electricity costs, one price for each hour of the week' }),
  tariff_days: z
    .array(z.strictObject({ day: z.string().max(20), prices: z.array(money).max(30), currency: currency.optional() }))
    .max(400)
    .nullable()
    .default(DEFAULTS.tariff_days)
    .meta({ description: 'days with other prices, one for each hour of the day' }),
  currency: currency
    .nullable()
    .default(DEFAULTS.currency)
    .meta({ description: 'what prices and values are in, such as EUR' }),
  most_price_per_kwh: money
    .nullable()
    .default(DEFAULTS.most_price_per_kwh)
    .meta({ description: 'pause at a higher price' }),
  only_if_worth: z
    .boolean()
    .default(DEFAULTS.only_if_worth)
    .meta({ description: 'work only where that earns more than it costs' }),
  value_per_share: z
    .number()
    .min(0)
    .max(1000)
    .nullable()
    .default(DEFAULTS.value_per_share)
    .meta({ description: 'what a share is worth to you' }),
  value_per_million_units: z
    .number()
    .min(0)
    .max(1e6)
    .nullable()
    .default(DEFAULTS.value_per_million_units)
    .meta({ description: 'or: what a million units of verified work are, such as tokens' }),
  watts_idle: watts
    .default(DEFAULTS.watts_idle)
    .meta({ description: 'what it takes without work, where nothing measures it' }),
  watts_busy: watts
    .default(DEFAULTS.watts_busy)
    .meta({ description: 'what it takes with all cores at work, where nothing measures it' }),
  wear_per_hour: z
    .number()
    .min(0)
    .max(100)
    .default(DEFAULTS.wear_per_hour)
    .meta({ description: 'what an hour of work costs beside electricity' }),
  duty_idle: z
    .number()
    .min(0.01)
    .max(1)
    .default(DEFAULTS.duty_idle)
    .meta({ description: 'part of the time to compute while nobody uses it' }),
  duty_in_use: z
    .number()
    .min(0.01)
    .max(1)
    .default(DEFAULTS.duty_in_use)
    .meta({ description: 'the same while somebody does' }),
  share_reason: z
    .boolean()
    .default(DEFAULTS.share_reason)
    .meta({ description: 'tell the run which rule pauses this device; false: only that it pauses' }),
  keep_memory_s: z
    .number()
    .min(0)
    .max(86_400)
    .default(DEFAULTS.keep_memory_s)
    .meta({ description: 'a pause that lasts longer gives the memory back' }),
  runs: z
    .array(
      z.strictObject({
        hub: z.url({ protocol: /^https?$/ }).max(200),
        run: z.string().min(1).max(200).nullable().default(null),
        share: z.number().min(1).max(100).default(1),
      }),
    )
    .min(1)
    .max(16)
    .nullable()
    .default(DEFAULTS.runs)
    .meta({
      description:
        'what a "potluck join" without an address works for, each for its share; a run of null: any that is open',
    }),
  report_to_owner: z
    .boolean()
    .default(DEFAULTS.report_to_owner)
    .meta({ description: 'tell your other devices, sealed to your key, what it does: "potluck devices"' }),
  accept_remote_settings: z
    .boolean()
    .default(DEFAULTS.accept_remote_settings)
    .meta({ description: 'take what your key has set or paused elsewhere; only where it reports' }),
});

/** As it stands in the file. */
export type DeviceSettingsFile = z.infer<typeof DeviceSettingsSchema>;

/** The same, with hours that can be compared. */
export interface DeviceSettings extends Omit<DeviceSettingsFile, 'hours' | 'quiet_hours' | keyof Tariff>, Tariff {
  readonly hours: readonly WeekSpan[] | null;
  readonly quiet_hours: readonly WeekSpan[] | null;
}

/** Reads settings from what JSON.parse gave. Throws OwnerPolicyError `bad-device-settings` with one sentence. */
export function readDeviceSettings(value: unknown): DeviceSettings {
  const parsed = DeviceSettingsSchema.safeParse(value);
  if (!parsed.success) throw wrong(firstIssue(parsed.error));
  const file = parsed.data;
  checkContradictions(file);
  const time_zone = file.time_zone ?? undefined;
  const priced = [...(file.tariff ?? []), ...(file.tariff_days ?? [])];
  const settings = {
    ...file,
    hours: spansOf('hours', file.hours),
    quiet_hours: spansOf('quiet_hours', file.quiet_hours),
    tariff:
      file.tariff?.map((price) => ({ spans: spansOf('tariff', price.hours)!, price_per_kwh: price.price_per_kwh })) ??
      null,
    tariff_days: file.tariff_days && inField('tariff_days', () => readTariffDays(file.tariff_days!, time_zone)),
    currency: inField('currency', () =>
      oneCurrency(
        file.currency,
        priced.map((one) => one.currency),
      ),
    ),
    time_zone,
  };
  if (settings.tariff) inField('tariff', () => checkTariff(settings.tariff!));
  return settings;
}

/** What was never set. */
export const DEFAULT_SETTINGS: DeviceSettings = readDeviceSettings({});

function checkContradictions(file: DeviceSettingsFile): void {
  const { cores_idle: idle, cores_in_use: inUse, time_zone } = file;
  if (idle === 0) throw wrong('cores_idle: expected at least 1; "potluck device pause" stops a device');
  if (idle !== null && inUse !== null && inUse > idle) {
    throw wrong(`cores_in_use: expected at most cores_idle, which is ${idle}, got ${inUse}`);
  }
  if (file.memory_percent_in_use > file.memory_percent_idle) {
    throw wrong(
      `memory_percent_in_use: expected at most memory_percent_idle, which is ${file.memory_percent_idle}, got ${file.memory_percent_in_use}`,
    );
  }
  checkMoney(file);
  if (time_zone === null) return;
  try {
    new Intl.DateTimeFormat('en', { timeZone: time_zone });
  } catch {
    throw wrong(`time_zone: expected a name such as Europe/Berlin, got "${time_zone}"`);
  }
}

function checkMoney(file: DeviceSettingsFile): void {
  const { value_per_share: share, value_per_million_units: units, watts_idle: idle, watts_busy: busy } = file;
  const priced = file.tariff !== null || file.tariff_days !== null;
  if (file.most_price_per_kwh !== null && !priced)
    throw wrong('most_price_per_kwh: expected a tariff to compare it with, got none');
  if (share !== null && units !== null)
    throw wrong('value_per_share: expected it or value_per_million_units, whichever you mean, got both');
  if (idle !== null && busy !== null && busy < idle)
    throw wrong(`watts_busy: expected at least watts_idle, which is ${idle}, got ${busy}`);
  if (!file.only_if_worth) return;
  if (share === null && units === null)
    throw wrong(
      'only_if_worth: expected value_per_share or value_per_million_units to compare costs with, got neither',
    );
  if (!priced) throw wrong('only_if_worth: expected a tariff to know costs by, got none');
}

function spansOf(field: string, lines: readonly string[] | null): WeekSpan[] | null {
  if (lines === null) return null;
  if (lines.length === 0) throw wrong(`${field}: expected some hours, or null for no such rule, got an empty list`);
  return lines.flatMap((line) => inField(field, () => parseWeekHours(line)));
}

function inField<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw wrong(`${field}: ${(error as Error).message}`);
  }
}

const wrong = (message: string): OwnerPolicyError => new OwnerPolicyError('bad-device-settings', message);
