// A device on which no rule holds anything up: tests change one thing at a time.
import type { Moment, Orders } from '../decide.ts';
import type { Signals } from '../signals.ts';

export const CALM: Signals = {
  power: { known: { on_battery: false, charge_percent: 80 } },
  idle_ms: { known: 3_600_000 },
  foreign_cpu_percent: { known: 3 },
  temperature_c: { known: 50 },
  battery_temperature_c: { known: 25 },
  memory: { known: { total_bytes: 16e9, available_bytes: 8e9, own_bytes: 1e9 } },
  disk_free_bytes: { known: 100e9 },
  metered: { known: false },
  gpus: { known: [{ index: 0, foreign_percent: 0, temperature_c: 40 }] },
  worth: {
    known: { earns_micro: 20_000, costs_micro: 10_000, at_risk: false, message: 'it earns twice what it costs' },
  },
};

export const NO_ORDERS: Orders = { paused: false, finish: false, snooze_left_ms: 0 };

/** A Wednesday, at noon in UTC. */
export const NOON: Moment = { now_ms: Date.UTC(2026, 10, 25, 12), elapsed_ms: 1_000_000, cores: 8 };
