// All devices of one owner: what each has told its owner, and what the owner wants of it, by way of any hub that they know.
import { openCertificate } from '../core/devices.ts';
import { CodedError } from '../errors.ts';
import { fromBase64 } from '../ledger/signed-note.ts';
import { askHub } from '../peer/find-run.ts';
import { readDeviceSettings } from '../peer/owner-policy/settings.ts';
import { checkSettingsForOthers } from '../peer/owner-policy/settings-from-afar.ts';
import {
  type DeviceReport,
  type LettersView,
  LettersViewSchema,
  type OwnerSettings,
  openReportLetter,
  openSettingsLetter,
  readReport,
  readSettings,
  signQuestion,
  signSettings,
} from '../protocol/device-letters.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { wordsOf } from '../protocol/http-refusal.ts';
import type { OpeningIdentity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { accountOn } from './account.ts';

/** What was set from elsewhere ends by itself after so long without a new word. */
const SETTINGS_LAST_MS = 365 * 86_400_000;
/** A device that has not written for so many times its pace is off. */
const SILENT_TIMES = 3;

export type Standing = 'works' | 'slower' | 'paused' | 'off' | 'silent';

export interface OwnDevice {
  readonly device: string;
  /** `off`: it has said that it ends, or says nothing any more; `silent`: it has told nothing that its owner can read. */
  readonly standing: Standing;
  readonly revoked: boolean;
  /** null: it has told nothing, or `problem` says why that is not to be believed. */
  readonly report: DeviceReport | null;
  /** How old the report is, by the hub's clock. */
  readonly age_ms: number | null;
  /** What its owner wants of it, whether it has heard that or not. */
  readonly wanted: (OwnerSettings & { readonly sequence: number }) | null;
  /** Whether it has taken what is wanted. */
  readonly taken: boolean;
  readonly problem: string | null;
}

/** The devices of an owner on a hub, in the order of their names. Throws PeerError, ProtocolError. */
export async function readDevices(url: string, owner: OpeningIdentity): Promise<OwnDevice[]> {
  const { hub } = await accountOn(url, owner.id);
  const question = await signQuestion(owner, hub, Date.now());
  const answer = LettersViewSchema.safeParse(await post(url, '/devices/questions', question));
  if (!answer.success) throw new PeerError('not-a-hub', `expected a Potluck hub at ${url}`, { url });
  const { now_ms, again_ms, devices } = answer.data;
  const nameOf = ({ device, report }: OwnDevice): string => `${report?.name ?? '\uffff'} ${device}`;
  return devices
    .map((each) => openDevice(each, owner, now_ms, again_ms))
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

type Answered = LettersView['devices'][number];

function openDevice(
  { device, revoked, report: letter, settings }: Answered,
  owner: OpeningIdentity,
  now_ms: number,
  again_ms: number,
): OwnDevice {
  const { report = null, problem = null } = letter ? believed(letter.bytes, device, owner) : {};
  const age_ms = letter && report ? Math.max(0, now_ms - letter.received_ms) : null;
  const wanted = newer(settings === null ? null : own(settings, device, owner), report?.taken ?? null);
  const taken = wanted === null || report?.taken?.sequence === wanted.sequence;
  const isOff = age_ms !== null && age_ms > SILENT_TIMES * again_ms;
  const standing = report === null ? 'silent' : isOff ? 'off' : STANDINGS[report.do];
  return { device, standing, revoked, report, age_ms, wanted, taken, problem };
}

const STANDINGS = { run: 'works', 'slow-down': 'slower', pause: 'paused', ended: 'off' } as const;

/** A report that its device has signed, with the owner's own word for that device in it: the hub could invent neither. */
function believed(
  bytes: string,
  device: string,
  owner: OpeningIdentity,
): { readonly report?: DeviceReport; readonly problem?: string } {
  try {
    const letter = openReportLetter(fromBase64(bytes)!);
    const report = readReport(owner, letter);
    const certificate = openCertificate(fromBase64(report.certificate) ?? new Uint8Array(), device);
    const isOwn = 'owner' in certificate && certificate.owner === owner.id && letter.author === device;
    return isOwn ? { report } : { problem: 'its report does not carry your word for its key' };
  } catch (error) {
    if (error instanceof CodedError) return { problem: error.message };
    throw error;
  }
}

/** The owner's own letter, which a hub could only withhold; null for anything else. */
function own(bytes: string, device: string, owner: OpeningIdentity): OwnDevice['wanted'] {
  try {
    const letter = openSettingsLetter(fromBase64(bytes)!);
    if (letter.author !== owner.id || letter.device !== device) return null;
    return { ...readSettings(owner, letter), sequence: letter.sequence };
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

const newer = (a: OwnDevice['wanted'], b: OwnDevice['wanted']): OwnDevice['wanted'] =>
  a && b ? (a.sequence >= b.sequence ? a : b) : (a ?? b);

/**
 * Changes what the owner wants of a device. The device hears of it when it writes next.
 * Throws OwnerPolicyError for settings that are none, or do not go with what the device has; PeerError, ProtocolError `too-large`.
 */
export async function want(
  url: string,
  owner: OpeningIdentity,
  { device, report, wanted }: Pick<OwnDevice, 'device' | 'report' | 'wanted'>,
  change: { readonly settings?: Readonly<Record<string, unknown>>; readonly paused?: boolean },
): Promise<OwnerSettings> {
  const before = wanted?.settings ?? {};
  // undefined takes a setting back: what is set at the machine counts again.
  const kept = Object.entries({ ...before, ...change.settings }).filter(([, value]) => value !== undefined);
  const next = {
    settings: Object.fromEntries(kept),
    paused: change.paused ?? wanted?.paused ?? false,
  } as OwnerSettings;
  checkSettingsForOthers(next.settings);
  const afar = { ...report?.taken?.settings, ...before };
  const local = Object.entries(report?.settings ?? {}).filter(([name]) => !(name in afar));
  readDeviceSettings({ ...Object.fromEntries(local), ...next.settings });
  const now_ms = Date.now();
  // A number by the clock: an owner with two devices, or one whom a hub has hidden its last letter from, is still ahead of it.
  const sequence = Math.max(now_ms, (wanted?.sequence ?? 0) + 1);
  const letter = await signSettings(owner, { device, sequence, expires_ms: now_ms + SETTINGS_LAST_MS }, next);
  await post(url, '/devices/settings', letter);
  return next;
}

/** A letter's answer. Throws PeerError `refused` with the hub's sentence, `hub-unreachable`, `not-a-hub`. */
async function post(url: string, path: string, letter: Uint8Array): Promise<unknown> {
  const { ok, status, json } = await askHub(url, path, { method: 'POST', body: letter as Uint8Array<ArrayBuffer> });
  if (ok) return json;
  const words = wordsOf(json);
  if (!words) throw new PeerError('not-a-hub', `expected a Potluck hub at ${url}, it answered ${status}`, { url });
  // A hub of another version has no such path.
  const message = words.code === 'not-found' ? 'it passes on no letters between devices and owners' : words.message;
  throw new PeerError('refused', `the hub at ${url} refused: ${message}`, { refusal: words.code });
}
