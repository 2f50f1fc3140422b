// The owner's rules as one pure function: what is seen, what is set and what time it is decide whether a device works, slower or not at all.
// After BOINC's preferences (https://github.com/BOINC/boinc/wiki/PrefsOverride), with each pause's reason and every memory of the past explicit.
import { formatDuration } from '../../protocol/duration.ts';
import type { Held } from './hysteresis.ts';
import { cannotTell, carriedOver, type Look } from './look.ts';
import {
  type GpuShare,
  lookAtGpus,
  lookAtHeat,
  lookAtLoad,
  lookAtMemory,
  lookAtNetwork,
  lookAtPower,
  lookAtSpace,
  lookAtWorth,
} from './look-at-device.ts';
import type { Reason, ReasonCode } from './reasons.ts';
import type { DeviceSettings } from './settings.ts';
import type { Signals } from './signals.ts';
import { priceAt } from './tariff.ts';
import { clockWords, isInside, minuteOfWeek } from './week-hours.ts';

/** What the owner has said beside the settings. */
export interface Orders {
  readonly paused: boolean;
  /** The owner's key has paused it from another device. */
  readonly paused_elsewhere?: boolean;
  /** Until the work at hand is handed in, then it stops. */
  readonly finish: boolean;
  readonly snooze_left_ms: number;
}

export interface Moment {
  /** Milliseconds since 1970, as this machine believes. */
  readonly now_ms: number;
  /** Milliseconds since some moment, only ever forwards. */
  readonly elapsed_ms: number;
  /** How many cores the machine has. */
  readonly cores: number;
}

/** What the function must know of earlier calls. */
export interface PolicyMemory {
  readonly held: Readonly<Record<string, Held>>;
  readonly clock: { readonly now_ms: number; readonly elapsed_ms: number } | null;
  /** By elapsed time; rules by the hour wait until then. */
  readonly clock_settles_ms: number;
}

export const NO_MEMORY: PolicyMemory = { held: {}, clock: null, clock_settles_ms: 0 };

export interface Decision extends GpuShare {
  readonly do: 'run' | 'slow-down' | 'pause';
  /** Why it is not `run`; what pauses it first. */
  readonly reasons: readonly Reason[];
  /** At most so many, 0 in a pause. */
  readonly cores: number;
  /** Part of the time to compute, 0 in a pause. */
  readonly duty: number;
  /** A pause that was to be foreseen: what is done may be handed in first. Any other begins at once. */
  readonly hand_in: boolean;
  /** After so long a pause the memory is given back. */
  readonly keep_memory_ms: number;
}

/** Where the settings could not be read: the sentence that says why. */
export interface Unreadable {
  readonly unreadable: string;
}

const LIMITS = {
  clock_jump_ms: 120_000, // no clock that is kept right is moved so far at once; a machine that slept is
  clock_settles_ms: 60_000,
  keep_memory_ms: 30_000, // where what is set cannot be read
} as const;

/** Pauses that begin at an hour, or that the owner asked for in peace. */
const FORESEEN: readonly ReasonCode[] = ['finishing', 'outside-hours', 'price-high', 'not-worth-it', 'quiet-hours'];
/** Pauses after which memory is wanted at once. */
const WANT_MEMORY: readonly ReasonCode[] = ['memory-low', 'memory-over-limit'];

/**
 * What a device may do now. Pure: the same arguments give the same answer, and nothing is changed.
 * @param memory what the last call gave, NO_MEMORY at first
 */
export function decide(
  signals: Signals,
  settings: DeviceSettings | Unreadable,
  orders: Orders,
  moment: Moment,
  memory: PolicyMemory,
): { readonly decision: Decision; readonly memory: PolicyMemory } {
  const { now_ms, elapsed_ms } = moment;
  const clock = { now_ms, elapsed_ms };
  if ('unreadable' in settings) {
    const reasons: Reason[] = [{ code: 'settings-unreadable', message: settings.unreadable }];
    return { decision: paused(reasons, [], LIMITS.keep_memory_ms), memory: { ...memory, clock } };
  }
  const held = carriedOver(memory.held);
  const look: Look = { signals, settings, elapsed_ms, before: memory.held, held, pauses: ordered(orders) };
  const clock_settles_ms = clockSettles(memory, clock);
  const slower: Reason[] = [];
  const quiet = lookAtHours(look, now_ms, clock_settles_ms, slower);
  lookAtWorth(look);
  lookAtPower(look);
  lookAtHeat(look);
  lookAtNetwork(look);
  lookAtSpace(look);
  const inUse = lookAtOwner(look);
  lookAtMemory(look, inUse.now);
  lookAtLoad(look, inUse.now);
  const gpu = lookAtGpus(look, inUse.now, quiet);
  const share = shareOf(settings, inUse.now, moment.cores);
  if (share.cores === 0) look.pauses.push(...inUse.reasons);
  else if (share.cores < shareOf(settings, false, moment.cores).cores || share.duty < settings.duty_idle) {
    slower.unshift(...inUse.reasons);
  }
  const next = { held, clock, clock_settles_ms };
  if (look.pauses.length > 0) {
    const keep_memory_ms = settings.keep_memory_s * 1000;
    return { decision: paused(look.pauses, gpu.gpu_reasons, keep_memory_ms), memory: next };
  }
  const decision: Decision = {
    do: slower.length > 0 ? 'slow-down' : 'run',
    reasons: slower,
    cores: share.cores,
    duty: quiet ? Math.min(share.duty, settings.quiet_duty) : share.duty,
    ...gpu,
    hand_in: false,
    keep_memory_ms: settings.keep_memory_s * 1000,
  };
  return { decision, memory: next };
}

function paused(reasons: readonly Reason[], gpu_reasons: readonly Reason[], keep_memory_ms: number): Decision {
  const codes = reasons.map(({ code }) => code);
  return {
    do: 'pause',
    reasons,
    cores: 0,
    duty: 0,
    gpus: [],
    gpu_reasons,
    hand_in: codes.every((code) => FORESEEN.includes(code)),
    keep_memory_ms: codes.some((code) => WANT_MEMORY.includes(code)) ? 0 : keep_memory_ms,
  };
}

function ordered({ paused: here, paused_elsewhere: elsewhere, finish, snooze_left_ms }: Orders): Reason[] {
  const reasons: Reason[] = [];
  const message = 'paused by its owner; "potluck device resume" goes on';
  if (here) reasons.push({ code: 'paused-by-owner', message });
  else if (elsewhere) {
    reasons.push({
      code: 'paused-by-owner',
      message: 'paused by its owner from elsewhere; "potluck devices resume" goes on',
    });
  }
  if (snooze_left_ms > 0) {
    reasons.push({ code: 'snoozed', message: `its owner wants quiet for another ${formatDuration(snooze_left_ms)}` });
  }
  if (finish) {
    reasons.push({
      code: 'finishing',
      message: 'its owner wants it to hand in what is done, then stop; "potluck device resume" goes on',
    });
  }
  return reasons;
}

/** Until when rules by the hour are in doubt. */
function clockSettles(
  { clock: before, clock_settles_ms }: PolicyMemory,
  { now_ms, elapsed_ms }: Omit<Moment, 'cores'>,
): number {
  if (!before) return clock_settles_ms;
  const jump_ms = now_ms - before.now_ms - (elapsed_ms - before.elapsed_ms);
  return Math.abs(jump_ms) > LIMITS.clock_jump_ms ? elapsed_ms + LIMITS.clock_settles_ms : clock_settles_ms;
}

/** @returns whether these are quiet hours in which it works a little */
function lookAtHours(
  { settings, pauses, elapsed_ms }: Look,
  now_ms: number,
  settles_ms: number,
  slower: Reason[],
): boolean {
  const { hours, quiet_hours, quiet_duty, most_price_per_kwh: most, only_if_worth, time_zone } = settings;
  if (!hours && !quiet_hours && most === null && !only_if_worth) return false;
  if (elapsed_ms < settles_ms) {
    const left = formatDuration(settles_ms - elapsed_ms);
    pauses.push({
      code: 'clock-jumped',
      message: `the clock was set, or the machine slept: rules by the hour wait ${left} to see whether it stays`,
    });
  }
  const minute = minuteOfWeek(now_ms, time_zone);
  const now = clockWords(minute);
  if (hours && !isInside(hours, minute))
    pauses.push({ code: 'outside-hours', message: `${now} is not among the hours that are set` });
  const price = most === null ? null : priceAt(settings, now_ms);
  if (most !== null && price === null)
    pauses.push({ code: 'cannot-tell', message: `what a kWh costs at ${now} is not in the tariff` });
  if (most !== null && price !== null && price > most) {
    pauses.push({ code: 'price-high', message: `a kWh costs ${price} at ${now}, at most ${most} is set` });
  }
  const quiet = quiet_hours !== null && isInside(quiet_hours, minute);
  if (quiet) {
    const rest = quiet_duty === 0 ? 'it rests' : `it works ${Math.round(quiet_duty * 100)}% of the time`;
    (quiet_duty === 0 ? pauses : slower).push({
      code: 'quiet-hours',
      message: `${now} is in the quiet hours: ${rest}`,
    });
  }
  return quiet && quiet_duty > 0;
}

/** Whether somebody uses the device; in doubt somebody does. */
function lookAtOwner({ signals: { idle_ms }, settings }: Look): {
  readonly now: boolean;
  readonly reasons: readonly Reason[];
} {
  if ('absent' in idle_ms) return { now: false, reasons: [] };
  if ('unknown' in idle_ms) {
    const { code, message } = cannotTell('idle_ms', idle_ms.unknown);
    return { now: true, reasons: [{ code, message: `${message}; so it is taken to be in use` }] };
  }
  const idle_s = idle_ms.known / 1000;
  if (idle_s >= settings.idle_after_s) return { now: false, reasons: [] };
  const message = `its owner used it ${formatDuration(idle_ms.known)} ago; idle begins after ${formatDuration(settings.idle_after_s * 1000)}`;
  return { now: true, reasons: [{ code: 'in-use', message }] };
}

function shareOf(
  settings: DeviceSettings,
  inUse: boolean,
  cores: number,
): { readonly cores: number; readonly duty: number } {
  const { cores_idle, cores_in_use, duty_idle, duty_in_use } = settings;
  const usual = Math.max(1, inUse ? Math.floor(cores / 2) : cores - 1);
  const most = Math.min(cores, (inUse ? cores_in_use : cores_idle) ?? usual);
  return { cores: most, duty: inUse ? duty_in_use : duty_idle };
}
