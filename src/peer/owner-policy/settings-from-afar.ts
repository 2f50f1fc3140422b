// What a device's owner has set for it from elsewhere: a signed letter, checked as a stranger's, and laid over the settings of this machine.
import { type OwnerSettings, openSettingsLetter, readSettings } from '../../protocol/device-letters.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import type { OpeningIdentity } from '../../protocol/identity.ts';
import { OwnerPolicyError } from './errors.ts';
import { DeviceSettingsSchema, readDeviceSettings } from './settings.ts';

/** What only somebody at the machine decides: who else had the owner's key could take the ways out away, or send the device to another hub. */
const ONLY_HERE: readonly string[] = ['report_to_owner', 'accept_remote_settings', 'runs'];

export const isOnlyHere = (name: string): boolean => ONLY_HERE.includes(name);

export interface SettingsFromAfar extends OwnerSettings {
  readonly sequence: number;
  readonly expires_ms: number;
}

/** Settings as they stand in a file, by their names. */
export type SettingsByName = Readonly<Record<string, unknown>>;

/**
 * Opens a letter that is for this device, from its owner, and newer than the one before.
 * @param local what is set on this machine: the two together must hold together
 * @param before the newest sequence number that this device has taken; -1 at first
 * Throws ProtocolError or OwnerPolicyError, each with one sentence; then nothing of the letter counts.
 */
export function openSettingsFromAfar(
  bytes: Uint8Array,
  device: OpeningIdentity,
  owner: string,
  { local, before, now_ms }: { readonly local: SettingsByName; readonly before: number; readonly now_ms: number },
): SettingsFromAfar {
  const letter = openSettingsLetter(bytes);
  const { author, sequence, expires_ms } = letter;
  if (author !== owner) {
    const message = `expected settings from its owner ${owner.slice(0, 12)}, got some from ${author.slice(0, 12)}`;
    throw new ProtocolError('wrong-sender', message);
  }
  if (letter.device !== device.id) {
    const message = `expected settings for ${device.id.slice(0, 12)}, got some for ${letter.device.slice(0, 12)}`;
    throw new ProtocolError('wrong-sender', message);
  }
  if (sequence <= before) {
    throw new ProtocolError('not-newer', `expected settings newer than number ${before}, got number ${sequence}`);
  }
  if (expires_ms <= now_ms) {
    throw new ProtocolError('expired', `expected settings that last, got some that ended at ${expires_ms}`);
  }
  const { settings, paused } = readSettings(device, letter);
  checkSettingsForOthers(settings);
  readDeviceSettings({ ...local, ...settings });
  return { sequence, expires_ms, settings, paused };
}

/** Throws OwnerPolicyError for names that nobody may set from elsewhere. */
export function checkSettingsForOthers(settings: SettingsByName): void {
  for (const name of Object.keys(settings)) {
    if (isOnlyHere(name)) throw wrong(`${name}: expected to be set at the machine itself: potluck device set`);
    if (!(name in DeviceSettingsSchema.shape)) throw wrong(`${name.slice(0, 60)}: expected the name of a setting`);
  }
}

const wrong = (message: string): OwnerPolicyError => new OwnerPolicyError('bad-device-settings', message);
