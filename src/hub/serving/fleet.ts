// The fleet as people see it: who serves what, as the hub has measured it, and what the pool did in the last day.
import { FLEET_LIMIT_ROWS, type Fleet, type PoolDay } from '../../protocol/fleet.ts';
import type { UnpaidCode } from '../../protocol/serving-messages.ts';
import type { Devices } from './devices.ts';
import type { KnownModel } from './models.ts';
import type { Prices } from './payments.ts';

interface FleetNow {
  /** For each answer that a device writes: the number of its connection and the model's key. */
  readonly writing: readonly string[];
  readonly answers: number;
  readonly day: PoolDay;
  unpaid(device: string, offer: Prices): UnpaidCode | null;
}

export function fleetOf(devices: Devices, models: readonly KnownModel[], now: FleetNow): Fleet {
  const { writing, answers, day, unpaid } = now;
  const at = new Map<string, number>();
  for (const one of writing) at.set(one, (at.get(one) ?? 0) + 1);
  const names = new Map(models.map(({ hash, names: [name] }) => [hash, name]));
  const rows = devices.rows((number, key) => at.get(`${number} ${key}`) ?? 0);
  return {
    ...{ devices: devices.all.size, answers, day },
    rows: rows.slice(0, FLEET_LIMIT_ROWS).map((row) => ({
      ...row,
      name: names.get(row.model) ?? null,
      unpaid: unpaid(row.device, row),
    })),
  };
}
