// What the owner of this machine has set and said of its devices, and what these say they do: files in one private folder, read while devices work.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import type { Orders, Unreadable } from '../peer/owner-policy/decide.ts';
import { withDescendants } from '../peer/owner-policy/linux-files.ts';
import { DEFAULT_SETTINGS, type DeviceSettings, readDeviceSettings } from '../peer/owner-policy/settings.ts';
import type { SettingsByName, SettingsFromAfar } from '../peer/owner-policy/settings-from-afar.ts';
import { type Clock, systemClock } from '../protocol/clock.ts';
import { makePrivateFolder, PRIVATE_FILE } from '../protocol/private-files.ts';
import { isRunning, writeWhole } from '../protocol/whole-file.ts';
import { type DeviceWorker, DeviceWorkerSchema } from './device-worker.ts';
import { homeFolder } from './folders.ts';
import { CliError } from './output.ts';

/** Longer is a pause. */
export const MOST_SNOOZE_MINUTES = 24 * 60;

const OrdersSchema = z.strictObject({
  paused: z.boolean().default(false),
  finish: z.boolean().default(false),
  snooze_until_ms: z.int().nullable().default(null),
});
export type OrdersFile = z.infer<typeof OrdersSchema>;

const folder = (): string => join(homeFolder(), 'device');
export const settingsFile = (): string => join(folder(), 'settings.json');
const ordersFile = (): string => join(folder(), 'orders.json');
const workersFolder = (): string => join(folder(), 'workers');

/** The rules as they are from moment to moment. A file that has not changed is not read again. */
export interface Rules {
  settings(): DeviceSettings | Unreadable;
  orders(): Orders;
  /** What is set on this machine, by name; nothing where that cannot be read. */
  local(): SettingsByName;
}

/** @param afar what the device's owner has set from elsewhere, which is laid over what is set here */
export function openRules(clock: Clock = systemClock, afar: () => SettingsFromAfar | null = () => null): Rules {
  const file = followed(settingsFile(), {}, settingsByName);
  const said = followed(ordersFile(), NOTHING_SAID, (value) => snoozeFrom(parseOrders(value), clock));
  const laidOver = openLayers();
  return {
    local: () => {
      const set = file();
      return isUnreadable(set) ? {} : set;
    },
    settings() {
      const [set, orders] = [file(), said()];
      if (isUnreadable(orders)) return orders;
      return isUnreadable(set) ? set : laidOver(set, afar());
    },
    orders() {
      const orders = said();
      // What cannot be read pauses the device by `settings`.
      if (isUnreadable(orders)) return { paused: false, finish: false, snooze_left_ms: 0 };
      const { paused, finish, snooze } = orders;
      return {
        paused,
        ...(afar()?.paused && { paused_elsewhere: true }),
        finish,
        snooze_left_ms: snooze ? Math.max(0, snooze.until_elapsed_ms - clock.elapsed_ms()) : 0,
      };
    },
  };
}

/** Settings of this machine with those from elsewhere over them; computed anew when one of the two has changed. */
function openLayers(): (local: SettingsByName, afar: SettingsFromAfar | null) => DeviceSettings | Unreadable {
  let from: readonly unknown[] = [];
  let value: DeviceSettings | Unreadable = DEFAULT_SETTINGS;
  return (local, afar) => {
    if (from[0] === local && from[1] === afar) return value;
    from = [local, afar];
    try {
      value = readDeviceSettings({ ...local, ...afar?.settings });
    } catch (error) {
      const where = afar ? `${settingsFile()} with what was set from elsewhere` : settingsFile();
      value = { unreadable: `${where}: ${(error as Error).message}` };
    }
    return value;
  };
}

const isUnreadable = (value: object): value is Unreadable => 'unreadable' in value;
const NOTHING_SAID = { paused: false, finish: false, snooze: null };

/** The wall clock is asked once: who sets it neither ends nor prolongs a snooze that has begun. */
function snoozeFrom({ paused, finish, snooze_until_ms }: OrdersFile, clock: Clock) {
  if (snooze_until_ms === null) return { paused, finish, snooze: null };
  const left_ms = Math.min(snooze_until_ms - clock.now_ms(), MOST_SNOOZE_MINUTES * 60_000);
  return { paused, finish, snooze: { until_elapsed_ms: clock.elapsed_ms() + left_ms } };
}

/** A file's content, read anew when the file has changed; `missing` where there is none, and one sentence where it cannot be read. */
function followed<T extends object>(path: string, missing: T, read: (value: unknown) => T): () => T | Unreadable {
  let seen = '';
  let value: T | Unreadable = missing;
  return () => {
    try {
      const { mtimeMs, size, ino } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: 0, size: -1, ino: 0 };
      const now = `${mtimeMs} ${size} ${ino}`;
      if (now === seen) return value;
      value = size === -1 ? missing : read(JSON.parse(readFileSync(path, 'utf8')));
      seen = now;
    } catch (error) {
      seen = '';
      value = {
        unreadable: `${path}: ${error instanceof SyntaxError ? `expected JSON: ${error.message}` : (error as Error).message}`,
      };
    }
    return value;
  };
}

function parseOrders(value: unknown): OrdersFile {
  const parsed = OrdersSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CliError('bad-argument', firstIssue(parsed.error));
}

/** What stands in the settings file, as JSON; nothing where there is none. Throws CliError bad-argument. */
export function readSettingsFile(): Record<string, unknown> {
  return settingsByName(jsonIn(settingsFile()) ?? {}, `${settingsFile()}: `);
}

function settingsByName(value: unknown, where = ''): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new CliError('bad-argument', `${where}expected an object`);
}

/** Writes settings that hold together. Throws OwnerPolicyError bad-device-settings, and nothing is changed then. */
export async function writeSettingsFile(settings: Record<string, unknown>): Promise<DeviceSettings> {
  const read = readDeviceSettings(settings);
  await write(settingsFile(), settings);
  return read;
}

/** The runs that are set. Throws CliError bad-argument, OwnerPolicyError bad-device-settings. */
export const runsSet = (): DeviceSettings['runs'] => readDeviceSettings(readSettingsFile()).runs;

export const readOrdersFile = (): OrdersFile => parseOrders(jsonIn(ordersFile()) ?? {});
export const writeOrdersFile = (orders: OrdersFile): Promise<void> => write(ordersFile(), orders);

/** undefined where there is no such file. */
function jsonIn(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CliError('bad-argument', `${path}: expected JSON: ${(error as Error).message}`);
  }
}

const write = (path: string, value: unknown): Promise<void> => writeWhole(path, `${JSON.stringify(value, null, 2)}\n`);

const workerFile = (pid: number): string => join(workersFolder(), `${pid}.json`);

/** Written in one go, since whoever reads it may come at any time. */
export function writeWorker(worker: DeviceWorker): void {
  makePrivateFolder(workersFolder());
  writeFileSync(workerFile(worker.pid), `${JSON.stringify(worker)}\n`, { mode: PRIVATE_FILE });
}

export const forgetWorker = (pid: number): void => rmSync(workerFile(pid), { force: true });

/** Those that are still there. What processes have left that were killed is removed. */
export function readWorkers(): DeviceWorker[] {
  let names: string[] = [];
  try {
    names = readdirSync(workersFolder());
  } catch {
    return []; // none has ever been here
  }
  return names.flatMap((name) => {
    const pid = Number(/^(\d+)\.json$/.exec(name)?.[1] ?? 0);
    if (pid === 0) return [];
    if (!isRunning(pid)) {
      forgetWorker(pid);
      return [];
    }
    try {
      return [DeviceWorkerSchema.parse(JSON.parse(readFileSync(workerFile(pid), 'utf8')))];
    } catch {
      return []; // it ends at this moment, or is being written
    }
  });
}

/** How long the list of other processes is good, in milliseconds. */
const OTHERS_FOR_MS = 2000;

/**
 * Own processes, those that keep other devices here, and what all of them have started: what a second device takes, or the process of a
 * GPU, is no load of others. Two devices that were started from two terminals would stop each other. @param root another than / in tests
 */
export function pidsHere(own: () => readonly number[], clock: Clock = systemClock, root = '/'): () => number[] {
  let others: number[] = [];
  let read_ms = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock.elapsed_ms() - read_ms >= OTHERS_FOR_MS) {
      others = withDescendants({ root }, [...own(), ...readWorkers().map(({ pid }) => pid)]);
      read_ms = clock.elapsed_ms();
    }
    return [...new Set([...own(), ...others])];
  };
}
