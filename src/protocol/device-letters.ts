// What a device and its owner write to each other by way of a hub that only passes it on: signed by who writes, sealed to who reads.
// No letter is an event: nothing of it enters the log, or earns or costs anything.
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import { openEvent, signEvent } from './envelope.ts';
import { ProtocolError } from './errors.ts';
import type { Identity, OpeningIdentity } from './identity.ts';
import { bytes, count, hash, oneLine, role } from './schemas.ts';
import { BOX_BYTES, openSealed, sealTo } from './sealed-box.ts';

export const LETTER_LIMITS = {
  content_bytes: 4096, // what is sealed: thirty settings and some reasons take one; a tariff of a hundred prices may not fit
  bytes: 2 * (4096 + BOX_BYTES) + 1024, // the largest letter, settings in two copies
  setting_names: 64,
} as const;
/** Lengths of sealed contents are multiples of this, so that they tell little. */
const PADDED_BYTES = 1024;

/** A value that stands in a settings file. What it may be is checked by the device (peer/owner-policy/settings.ts). */
const SettingsSchema = z
  .record(z.string().max(60), z.json())
  .refine((settings) => Object.keys(settings).length <= LETTER_LIMITS.setting_names, 'expected fewer settings');

const shownText = (max: number) => z.string().max(max);

/** What a device took and earned in its day so far. Money in millionths of the owner's currency, by what the owner has set. */
const DeviceTodaySchema = z.object({
  kwh: z.number().min(0),
  shares: z.int(),
  earned_micro: z.int(),
  cost_micro: z.int(),
  currency: shownText(3).nullable(),
});
export type DeviceToday = z.infer<typeof DeviceTodaySchema>;

/** What a device says of itself to its owner. Not strict: devices of one owner may be of different versions. */
export const DeviceReportSchema = z.object({
  /** The owner's word for this device's key, base64: by it the owner knows its own device, whatever a hub says. */
  certificate: z.base64().max(2048),
  name: oneLine(80),
  /** The version of Potluck. */
  version: shownText(40),
  role,
  run: hash.nullable(),
  do: z.enum(['run', 'slow-down', 'pause', 'ended']),
  reasons: z.array(z.object({ code: shownText(60), message: shownText(400) })).max(8),
  /** How long it has been so. */
  for_ms: count,
  /** What it is at, in the words of its role: working. */
  doing: shownText(40).nullable(),
  /** How much it does, in what its run counts work in; null while it does not work. */
  speed: z.strictObject({ amount_per_second: z.number().min(0), unit: shownText(40) }).nullable(),
  temperature_c: z.number().nullable(),
  today: DeviceTodaySchema.nullable().optional(),
  /** What was set on it, by whom ever, as it counts now; null: too much for a letter. */
  settings: SettingsSchema.nullable(),
  /** Whether it takes settings from elsewhere. */
  accepts: z.boolean(),
  /** The newest letter of settings that it has taken. */
  taken: z.object({ sequence: count, settings: SettingsSchema, paused: z.boolean() }).nullable(),
  /** Why it did not take the last one that came. */
  refused: shownText(400).nullable(),
});
export type DeviceReport = z.infer<typeof DeviceReportSchema>;

/** What an owner wants of a device: laid over its file of settings, as long as the letter is valid. */
export const OwnerSettingsSchema = z.strictObject({ settings: SettingsSchema, paused: z.boolean() });
export type OwnerSettings = z.infer<typeof OwnerSettingsSchema>;

const box = bytes(LETTER_LIMITS.content_bytes + BOX_BYTES);
const v1 = { version: z.literal(1) };

/** By a device, to its owner. `sequence` grows with each. */
const ReportLetterSchema = z.strictObject({ type: z.literal('device.report'), ...v1, sequence: count, sealed: box });
/** By an owner, to a device, with a copy that the owner itself can read. */
const SettingsLetterSchema = z.strictObject({
  ...{ type: z.literal('device.settings'), ...v1, device: hash, sequence: count, expires_ms: count },
  ...{ sealed: box, copy: box },
});
/** By an owner, to a hub: give me my devices' letters. */
const QuestionSchema = z.strictObject({ type: z.literal('device.question'), ...v1, hub: hash, asked_ms: count });

/** What a hub answers to it. Letters are in base64. */
export const LettersViewSchema = z.object({
  hub: hash,
  now_ms: count,
  /** How often devices write at present. */
  again_ms: count,
  devices: z.array(
    z.object({
      ...{ device: hash, revoked: z.boolean(), expires_ms: count },
      report: z.object({ received_ms: count, bytes: z.base64() }).nullable(),
      settings: z.base64().nullable(),
    }),
  ),
});
export type LettersView = z.infer<typeof LettersViewSchema>;

type Letter<T> = T & { readonly author: string };
export type ReportLetter = Letter<z.infer<typeof ReportLetterSchema>>;
export type SettingsLetter = Letter<z.infer<typeof SettingsLetterSchema>>;

/** A device's report, sealed to its owner. Throws ProtocolError `too-large`. */
export const signReport = async (device: Identity, owner: string, report: DeviceReport, sequence: number) =>
  signEvent(device, { type: 'device.report', version: 1, sequence, sealed: sealTo(owner, packed(report)) });

/** An owner's settings for one device. Throws ProtocolError `too-large`. */
export async function signSettings(
  owner: Identity,
  to: { readonly device: string; readonly sequence: number; readonly expires_ms: number },
  settings: OwnerSettings,
): Promise<Uint8Array> {
  const content = packed(settings);
  const [sealed, copy] = [sealTo(to.device, content), sealTo(owner.id, content)];
  return signEvent(owner, { type: 'device.settings', version: 1, ...to, sealed, copy });
}

export const signQuestion = (owner: Identity, hub: string, asked_ms: number): Promise<Uint8Array> =>
  signEvent(owner, { type: 'device.question', version: 1, hub, asked_ms });

export const openReportLetter = (bytes: Uint8Array): ReportLetter => open(bytes, ReportLetterSchema);
export const openSettingsLetter = (bytes: Uint8Array): SettingsLetter => open(bytes, SettingsLetterSchema);
export const openQuestion = (bytes: Uint8Array) => open(bytes, QuestionSchema);

/** A letter whose signature is its author's. Throws ProtocolError, as openEvent does. */
function open<T>(bytes: Uint8Array, schema: z.ZodType<T>): Letter<T> {
  if (bytes.length > LETTER_LIMITS.bytes) {
    throw new ProtocolError('too-large', `a letter has at most ${LETTER_LIMITS.bytes} bytes, got ${bytes.length}`);
  }
  const { author, body } = openEvent(bytes);
  return { ...parsed(schema, body, `a letter "${body.type.slice(0, 60)}"`), author };
}

/** What a device has told its owner. Throws ProtocolError `not-sealed-to-this-key`, `malformed`. */
export const readReport = (owner: OpeningIdentity, { sealed }: ReportLetter): DeviceReport =>
  unpacked(owner, sealed, DeviceReportSchema, 'a report');

/** What an owner wants, as the device reads it, or the owner itself. Throws ProtocolError `not-sealed-to-this-key`, `malformed`. */
export const readSettings = (reader: OpeningIdentity, { device, sealed, copy }: SettingsLetter): OwnerSettings =>
  unpacked(reader, reader.id === device ? sealed : copy, OwnerSettingsSchema, 'settings');

function packed(content: object): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify(content));
  const length = Math.ceil(bytes.length / PADDED_BYTES) * PADDED_BYTES;
  if (length > LETTER_LIMITS.content_bytes) {
    const most = LETTER_LIMITS.content_bytes;
    throw new ProtocolError('too-large', `a letter holds ${most} bytes of JSON, got ${bytes.length}`);
  }
  const padded = new Uint8Array(length).fill(0x20); // spaces, which JSON ignores
  padded.set(bytes);
  return padded;
}

function unpacked<T>(reader: OpeningIdentity, sealed: Uint8Array, schema: z.ZodType<T>, what: string): T {
  const text = new TextDecoder().decode(openSealed(reader, sealed));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ProtocolError('malformed', `${what}: expected JSON in the sealed box`);
  }
  return parsed(schema, json, what);
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  throw new ProtocolError('malformed', `${what}: ${firstIssue(read.error)}`);
}
