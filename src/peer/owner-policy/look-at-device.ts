// The rules about the device itself: power, heat, network, room, memory, the load of others, and whether it is worth it.
import type { Latch } from './hysteresis.ts';
import { cannotTell, inForce, type Look, seen } from './look.ts';
import type { Reason, ReasonCode } from './reasons.ts';
import type { DeviceSettings } from './settings.ts';
import type { Gpu } from './signals.ts';

const LIMITS = {
  charge_margin_percent: 5, // so that one percent does not switch to and fro
  cooler_c: 5,
  cooler_for_ms: 60_000,
  battery_cooler_for_ms: 300_000, // as BOINC waits on phones: a battery cools slowly
  load_gone_margin: 0.8, // others' load is over below this part of the limit
  memory_back_for_ms: 300_000, // what filled the memory is likely to come again
  memory_back_factor: 2,
  disk_back_factor: 1.25,
  worth_at_risk: 1.08, // what work must promise of its cost while the day could still end below zero
  worth_margin: 0.02, // what is earned is an estimate that moves a little with every round
  worth_again_ms: 60_000,
} as const;

export function lookAtPower(look: Look): void {
  const { settings, pauses, signals } = look;
  const { on_battery, least_charge_percent: least } = settings;
  const power = seen(look, 'power', signals.power, !on_battery || least > 0);
  if (!power) return;
  if (power.on_battery && !on_battery)
    pauses.push({ code: 'on-battery', message: 'it runs on battery, and only mains power is set' });
  const charge = power.charge_percent;
  if (least === 0) return;
  if (charge === null) return void pauses.push(cannotTell('power', 'the battery does not say how full it is'));
  const enough = Math.min(100, least + LIMITS.charge_margin_percent);
  if (inForce(look, 'charge', { on: charge < least, off: charge >= enough, on_after_ms: 0, off_after_ms: 0 })) {
    pauses.push({
      code: 'charge-low',
      message: `its battery has ${Math.round(charge)}%, and ${least}% is the least that is set`,
    });
  }
}

export function lookAtHeat(look: Look): void {
  const { settings, pauses, signals } = look;
  const { hottest_c: hottest, hottest_battery_c: hottestBattery } = settings;
  const heat = seen(look, 'temperature_c', signals.temperature_c, hottest !== null);
  if (heat !== null && hottest !== null) {
    const latched = {
      on: heat > hottest,
      off: heat <= hottest - LIMITS.cooler_c,
      on_after_ms: 0,
      off_after_ms: LIMITS.cooler_for_ms,
    };
    if (inForce(look, 'heat', latched))
      pauses.push({
        code: 'too-hot',
        message: `it has ${Math.round(heat)} °C, at most ${hottest} °C is set; it goes on when it was ${LIMITS.cooler_c} °C cooler for a minute`,
      });
  }
  const battery = seen(look, 'battery_temperature_c', signals.battery_temperature_c, hottestBattery !== null);
  if (battery === null || hottestBattery === null) return;
  const latched = {
    on: battery > hottestBattery,
    off: battery <= hottestBattery,
    on_after_ms: 0,
    off_after_ms: LIMITS.battery_cooler_for_ms,
  };
  if (inForce(look, 'battery-heat', latched))
    pauses.push({
      code: 'battery-hot',
      message: `its battery has ${Math.round(battery)} °C, at most ${hottestBattery} °C is set; it goes on five minutes after it was cooler`,
    });
}

const heatLatch = (heat: number, hottest: number): Latch => ({
  on: heat > hottest,
  off: heat <= hottest - LIMITS.cooler_c,
  on_after_ms: 0,
  off_after_ms: LIMITS.cooler_for_ms,
});

export function lookAtNetwork(look: Look): void {
  const metered = seen(look, 'metered', look.signals.metered, !look.settings.on_metered);
  if (metered && !look.settings.on_metered) {
    look.pauses.push({
      code: 'metered-network',
      message: 'the network is paid by volume, and such networks are not to be used',
    });
  }
}

export function lookAtSpace(look: Look): void {
  const least_bytes = look.settings.least_free_disk_gb * 1e9;
  const free_bytes = seen(look, 'disk_free_bytes', look.signals.disk_free_bytes, least_bytes > 0);
  if (free_bytes === null || least_bytes === 0) return;
  const enough = free_bytes >= least_bytes * LIMITS.disk_back_factor;
  if (inForce(look, 'disk', { on: free_bytes < least_bytes, off: enough, on_after_ms: 0, off_after_ms: 0 })) {
    look.pauses.push({
      code: 'disk-low',
      message: `the disk has ${gigabytes(free_bytes)} left, and ${gigabytes(least_bytes)} are to stay free`,
    });
  }
}

/** Where nobody knows yet what work earns, the device may find out; where it cannot be told, it pauses. */
export function lookAtWorth(look: Look): void {
  const worth = seen(look, 'worth', look.signals.worth, look.settings.only_if_worth);
  if (!worth || !look.settings.only_if_worth) return;
  const { earns_micro: earns, costs_micro: costs, at_risk, message } = worth;
  const least = at_risk ? LIMITS.worth_at_risk : 1;
  const enough = (factor: number): boolean => earns === null || (costs > 0 ? earns >= costs * factor : earns >= costs);
  const latched = { on: !enough(least), off: enough(least + LIMITS.worth_margin) };
  if (inForce(look, 'worth', { ...latched, on_after_ms: 0, off_after_ms: LIMITS.worth_again_ms }))
    look.pauses.push({ code: 'not-worth-it', message });
}

export function lookAtMemory(look: Look, inUse: boolean): void {
  const { settings, pauses, signals } = look;
  const most_percent = inUse ? settings.memory_percent_in_use : settings.memory_percent_idle;
  const least_bytes = settings.least_free_memory_gb * 1e9;
  const memory = seen(look, 'memory', signals.memory, most_percent < 100 || least_bytes > 0);
  if (!memory) return;
  const { total_bytes, available_bytes, own_bytes } = memory;
  const patient = { on_after_ms: 0, off_after_ms: LIMITS.memory_back_for_ms };
  const short = {
    on: available_bytes < least_bytes,
    off: available_bytes >= least_bytes * LIMITS.memory_back_factor,
    ...patient,
  };
  if (inForce(look, 'memory-low', short)) {
    pauses.push({
      code: 'memory-low',
      message: `${gigabytes(available_bytes)} of memory are free, and ${gigabytes(least_bytes)} are to stay free`,
    });
  }
  const most_bytes = (total_bytes * most_percent) / 100;
  if (inForce(look, 'memory-limit', { on: own_bytes > most_bytes, off: own_bytes <= most_bytes, ...patient })) {
    pauses.push({
      code: 'memory-over-limit',
      message: `it took more than ${gigabytes(most_bytes)} of memory, ${most_percent}% of what there is`,
    });
  }
}

export function lookAtLoad(look: Look, inUse: boolean): void {
  const { settings, pauses, signals } = look;
  const most = inUse ? settings.foreign_cpu_percent_in_use : settings.foreign_cpu_percent_idle;
  const load = seen(look, 'foreign_cpu_percent', signals.foreign_cpu_percent, most !== null);
  if (load === null || most === null) return;
  if (!inForce(look, 'load', loadLatch(load, most, settings))) return;
  pauses.push({
    code: 'foreign-cpu-load',
    message: `other programs take ${Math.round(load)}% of the processor, at most ${most}% is set`,
  });
}

const loadLatch = (load: number, most: number, { foreign_load_s }: DeviceSettings): Latch => ({
  on: load > most,
  off: load <= most * LIMITS.load_gone_margin,
  on_after_ms: foreign_load_s * 1000,
  off_after_ms: Math.max(foreign_load_s, 1) * 1000,
});

export interface GpuShare {
  /** The graphics processors that may work, by number; none in a pause. */
  readonly gpus: readonly number[];
  /** Why others may not, also in a pause. Empty: each may, also one that nobody has told of. */
  readonly gpu_reasons: readonly Reason[];
}

/** What no command tells of may be there all the same, as on a Mac: rules about its owner and about hours hold for it. */
const UNSEEN: Gpu = { index: 0, foreign_percent: null, temperature_c: null };

export function lookAtGpus(look: Look, inUse: boolean, quiet: boolean): GpuShare {
  const { settings, signals } = look;
  const { gpu: when, gpus_off, foreign_gpu_percent: most, hottest_c } = settings;
  if ('unknown' in signals.gpus) return { gpus: [], gpu_reasons: [cannotTell('gpus', signals.gpus.unknown)] };
  const gpu_reasons: Reason[] = [];
  const all = 'known' in signals.gpus ? signals.gpus.known : [UNSEEN];
  const gpus = all.filter(({ index, foreign_percent: load, temperature_c }) => {
    const busy = most !== null && load !== null && inForce(look, `gpu-${index}`, loadLatch(load, most, settings));
    const hot =
      temperature_c !== null &&
      hottest_c !== null &&
      inForce(look, `gpu-heat-${index}`, heatLatch(temperature_c, hottest_c));
    const name = `graphics processor ${index}`;
    const why = (code: ReasonCode, message: string): false => {
      gpu_reasons.push({ code, message: `${name}: ${message}` });
      return false;
    };
    if (when === 'never' || gpus_off.includes(index)) return why('gpu-switched-off', 'switched off by its owner');
    if (when === 'idle' && inUse) return why('gpu-in-use', 'left to the owner, who uses the device or may');
    if (quiet) return why('quiet-hours', 'its fans are heard, and these are quiet hours');
    if (busy) return why('foreign-gpu-load', `other programs take ${Math.round(load)}%, at most ${most}% is set`);
    if (hot) return why('too-hot', `it has ${Math.round(temperature_c)} °C, at most ${hottest_c} °C is set`);
    return true;
  });
  return { gpus: gpus.map(({ index }) => index), gpu_reasons };
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toPrecision(2)} GB`;
