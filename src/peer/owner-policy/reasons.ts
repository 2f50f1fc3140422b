// Why a device works less or not at all, by its owner's rules: a code for programs, a sentence for people.
import type { Obstacle } from '../../protocol/messages.ts';

/** Every reason, and what it is about in a few words. */
export const REASONS = {
  'settings-unreadable': 'the settings of this device cannot be read',
  'paused-by-owner': 'its owner has paused it',
  snoozed: 'its owner wants quiet for a while',
  finishing: 'its owner wants it to finish, then stop',
  'cannot-tell': 'something that a rule is about cannot be told now',
  'clock-jumped': 'the clock was set, and rules by the hour wait until it stays',
  'outside-hours': 'these are not its hours',
  'price-high': 'electricity costs too much now',
  'not-worth-it': 'its work earns less than it costs now',
  'on-battery': 'it runs on battery',
  'charge-low': 'its charge is low',
  'battery-hot': 'its battery is hot',
  'too-hot': 'it is hot',
  'in-use': 'its owner uses it',
  'foreign-cpu-load': 'other programs need the processor',
  'foreign-gpu-load': 'other programs need the graphics processor',
  'gpu-in-use': 'its owner uses it, and the graphics processor is theirs',
  'gpu-switched-off': 'its owner keeps this graphics processor out',
  'memory-low': 'memory is short',
  'memory-over-limit': 'it takes more memory than its owner allows',
  'disk-low': 'the disk is nearly full',
  'metered-network': 'the network is paid by volume',
  'quiet-hours': 'these are quiet hours',
} as const;

export type ReasonCode = keyof typeof REASONS;

export interface Reason {
  readonly code: ReasonCode;
  /** What was seen, and what the owner has set. */
  readonly message: string;
}

/** What others learn of a pause: its first reason, without what was seen, or nothing. */
export const toldOthers = (reasons: readonly Reason[], share_reason: boolean): Obstacle | null =>
  share_reason && reasons.length > 0 ? { code: reasons[0].code, message: REASONS[reasons[0].code] } : null;

/** Sentences with their codes, in one line. */
export const wordsFor = (reasons: readonly Reason[]): string =>
  reasons.map(({ code, message }) => `${message} (${code})`).join('; ');
