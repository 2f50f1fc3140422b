// What a keeper counts of the days of its devices: time, energy, work and pay, written down each minute and signed when a day is over.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import {
  beginRun,
  closableDays,
  type DayBook,
  handIn,
  newDayBook,
  type Spent,
  seeRun,
  spend,
  today,
} from '../peer/owner-policy/day-book.ts';
import { kilowattHours, signDay, sumsOf } from '../peer/owner-policy/day-receipt.ts';
import type { Decision, Unreadable } from '../peer/owner-policy/decide.ts';
import { type OwnEnergy, openEnergyMeter, whyNot } from '../peer/owner-policy/energy.ts';
import type { PowerReadings } from '../peer/owner-policy/energy-probes.ts';
import type { CpuTimes } from '../peer/owner-policy/load-meter.ts';
import { DEFAULT_SETTINGS, type DeviceSettings } from '../peer/owner-policy/settings.ts';
import type { Signal, Worth } from '../peer/owner-policy/signals.ts';
import { priceAt } from '../peer/owner-policy/tariff.ts';
import { valueSet, type WorthSeen } from '../peer/owner-policy/worth.ts';
import { worthNow } from '../peer/owner-policy/worth-now.ts';
import type { TookEnergy } from '../peer/token-energy.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import type { DeviceToday } from '../protocol/device-letters.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import type { DeviceWork } from '../protocol/messages.ts';
import { nextNumber, readBook, readReceipts, writeBook, writeReceipt } from './day-files.ts';
import type { RunHere, WorkHere } from './device-worker.ts';

const EVERY_MS = {
  tick: 10_000,
  write: 60_000, // what a crash loses
  ask: 60_000,
} as const;
const SMOOTH = 0.2; // of the newest reading of what work takes

/** Which device to ask a hub about. */
export interface DeviceAsked {
  readonly url: string;
  readonly run: string;
  readonly peer: string;
}

export interface DayKeeperOptions {
  readonly clock: Clock;
  /** The part of all cores that work is meant to take. */
  readonly part: number;
  settings(): DeviceSettings | Unreadable;
  cpuTimes(): CpuTimes;
  power(): Promise<PowerReadings>;
  gpuPart(index: number): number;
  /** Null where the hub does not tell. */
  ask(device: DeviceAsked): Promise<DeviceWork | null>;
  onProblem(message: string): void;
  /** Hears what work took since the last reading, beyond an idle device. */
  onEnergy?(energy: TookEnergy): void;
}

export interface DayKeeper {
  /** What the devices do from now on. */
  decided(decision: Decision): void;
  runs(runs: readonly RunHere[]): void;
  work(work: WorkHere): void;
  worth(): Signal<Worth>;
  /** What the device of a folder took and earned today, as far as it is counted; null for one that has not worked yet. */
  today(folder: string): DeviceToday | null;
  /** Resolves when nothing is under way. */
  settled(): Promise<void>;
  /** Writes down what was counted. */
  close(): Promise<void>;
}

export const openDayKeeper = (options: DayKeeperOptions): DayKeeper => new Days(options);

/** One device: a folder with a key. */
interface Device {
  readonly folder: string;
  readonly book: DayBook;
  told: DeviceAsked;
  /** Handed in before the hub had told of the run. */
  early: { round: number; units: number }[];
  asked_ms: number;
  /** Its part of what the process does. */
  share: number;
}

type Segment = Pick<Spent, 'doing' | 'code' | 'passed_ms'>;

class Days implements DayKeeper {
  readonly #options: DayKeeperOptions;
  readonly #devices = new Map<string, Device>();
  readonly #meter = openEnergyMeter();
  #now: Pick<Decision, 'do' | 'reasons'> = { do: 'pause', reasons: [] };
  #since_ms: number;
  /** What was done since the last tick, and for how long. */
  #segments: Segment[] = [];
  #power: PowerReadings | null = null;
  #watts: number | null = null;
  #written_ms: number;
  #timer: Timer;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: DayKeeperOptions) {
    this.#options = options;
    this.#since_ms = this.#written_ms = options.clock.elapsed_ms();
    this.#tickLater(0);
  }

  decided({ do: what, reasons }: Decision): void {
    this.#cut();
    this.#now = { do: what, reasons };
  }

  runs(runs: readonly RunHere[]): void {
    for (const device of this.#devices.values()) {
      const here = runs.find(({ run }) => run === device.told.run);
      if (runs.length > 0) device.share = here ? (here.had > 0 ? here.had : here.share) : 0;
    }
  }

  work({ url, folder, run, peer, handed_in, over }: WorkHere): void {
    if (run === null || peer === undefined || over) return;
    const device = this.#deviceOf(folder, { url, run, peer });
    if (handed_in) device.early.push(handed_in);
    if (device.told.run === run && device.asked_ms > Number.NEGATIVE_INFINITY) return;
    device.told = { url, run, peer };
    void this.#inTurn(() => this.#ask(device));
  }

  worth(): Signal<Worth> {
    const settings = this.#settings();
    const [device] = [...this.#devices.values()].sort((a, b) => b.share - a.share);
    const now_ms = this.#options.clock.now_ms();
    const book = device?.book ?? newDayBook();
    const day = today(book, now_ms, settings.time_zone);
    return worthNow(book, day, device?.told.run ?? null, settings, this.#wattsSeen(settings), now_ms);
  }

  today(folder: string): DeviceToday | null {
    const device = this.#devices.get(folder);
    if (!device) return null;
    const { time_zone, currency } = this.#settings();
    const { counts } = today(device.book, this.#options.clock.now_ms(), time_zone);
    const { earned_micro, cost_micro } = sumsOf(counts);
    const shares = counts.work.reduce((sum, line) => sum + line.shares, 0);
    return { kwh: kilowattHours(counts), shares, earned_micro, cost_micro, currency: currency ?? null };
  }

  settled = (): Promise<void> => this.#work;

  async close(): Promise<void> {
    this.#closed = true;
    this.#options.clock.clearTimeout(this.#timer);
    await this.#inTurn(async () => {
      await this.#tick();
      for (const device of this.#devices.values())
        if (device.early.length > 0 || hasPending(device)) await this.#ask(device);
      await this.#write();
    });
  }

  #settings(): DeviceSettings {
    const settings = this.#options.settings();
    return 'unreadable' in settings ? DEFAULT_SETTINGS : settings;
  }

  #deviceOf(folder: string, told: DeviceAsked): Device {
    const known = this.#devices.get(folder);
    if (known) return known;
    const { book, problem } = readBook(folder);
    if (problem) this.#options.onProblem(problem);
    forgetSigned(folder, book);
    const device = { folder, book, told, early: [], asked_ms: Number.NEGATIVE_INFINITY, share: 1 };
    this.#devices.set(folder, device);
    return device;
  }

  #tickLater(wait_ms: number = EVERY_MS.tick): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.setTimeout(() => {
      void this.#inTurn(() => this.#tick()).then(() => this.#tickLater());
    }, wait_ms);
  }

  /** One thing at a time; what fails is told, and the next one goes on. */
  #inTurn(what: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(what).catch((error: unknown) => {
      this.#options.onProblem(`the receipt of the day: ${(error as Error).message}`);
    });
    return this.#work;
  }

  #cut(): void {
    const elapsed_ms = this.#options.clock.elapsed_ms();
    const { do: doing, reasons } = this.#now;
    this.#segments.push({ doing, code: reasons[0]?.code ?? null, passed_ms: elapsed_ms - this.#since_ms });
    this.#since_ms = elapsed_ms;
  }

  async #tick(): Promise<void> {
    const { clock, cpuTimes, power, gpuPart } = this.#options;
    this.#power = await power();
    this.#cut();
    const segments = this.#segments.splice(0);
    const { busy_ms, all_ms, own_ms } = cpuTimes();
    const settings = this.#settings();
    const look = { elapsed_ms: clock.elapsed_ms(), power: this.#power, gpuPart };
    const cpu = { own_cpu_ms: own_ms, busy_cpu_ms: busy_ms, all_cpu_ms: all_ms };
    const energy = this.#meter.look({ ...look, ...cpu }, settings);
    this.#spend(segments, energy, settings);
    for (const device of this.#devices.values()) {
      if (clock.elapsed_ms() - device.asked_ms >= EVERY_MS.ask) await this.#ask(device);
      await this.#closeDays(device, settings);
    }
    if (clock.elapsed_ms() - this.#written_ms >= EVERY_MS.write) await this.#write();
  }

  #spend(segments: readonly Segment[], energy: OwnEnergy | null, settings: DeviceSettings): void {
    const now_ms = this.#options.clock.now_ms();
    const worked_ms = segments.reduce((sum, { doing, passed_ms }) => sum + (doing === 'pause' ? 0 : passed_ms), 0);
    const all_ms = segments.reduce((sum, { passed_ms }) => sum + passed_ms, 0);
    if (all_ms <= 0) return;
    const known = energy && energy.how !== 'unknown' ? energy : null;
    const price_per_kwh = priceAt(settings, now_ms);
    const { wear_per_hour } = settings;
    if (known) this.#options.onEnergy?.({ how: known.how, joules: known.joules, price_per_kwh, wear_per_hour });
    if (known && worked_ms > all_ms / 2) {
      const watts = known.joules / (worked_ms / 1000);
      this.#watts = this.#watts === null ? watts : (1 - SMOOTH) * this.#watts + SMOOTH * watts;
    }
    for (const { book, told, share } of this.#devices.values()) {
      if (share === 0) continue;
      const day = today(book, now_ms, settings.time_zone);
      for (const { doing, code, passed_ms } of segments) {
        const part = worked_ms > 0 ? (doing === 'pause' ? 0 : passed_ms / worked_ms) : passed_ms / all_ms;
        const own = known && { how: known.how, joules: known.joules * part * share };
        const time = { passed_ms: passed_ms * share, doing, code, run: told.run };
        spend(book, day, now_ms, { ...time, energy: own, price_per_kwh, wear_per_hour });
      }
    }
  }

  async #ask(device: Device): Promise<void> {
    const { clock, ask } = this.#options;
    device.asked_ms = clock.elapsed_ms();
    const told = await ask(device.told);
    // A hub may hear of a device's coming a moment later than the device does.
    if (!told) device.asked_ms += EVERY_MS.tick - EVERY_MS.ask;
    if (!told || told.run !== device.told.run) return;
    const settings = this.#settings();
    const value = valueSet(settings);
    const day = today(device.book, clock.now_ms(), settings.time_zone);
    beginRun(device.book, told);
    for (const work of device.early.splice(0)) handIn(device.book, day, told.run, work, value);
    seeRun(device.book, day, told, value);
  }

  async #closeDays({ folder, book }: Device, settings: DeviceSettings): Promise<void> {
    today(book, this.#options.clock.now_ms(), settings.time_zone);
    for (const day of closableDays(book, this.#options.clock.now_ms())) {
      const number = nextNumber(folder);
      const previous = readReceipts(folder).receipts.at(-1)?.receipt.id ?? null;
      const identity = await loadIdentity(join(folder, 'identity.key'));
      const time_zone = settings.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
      const place = { time_zone, currency: settings.currency };
      await writeReceipt(folder, number, day.day, await signDay(identity, day, { number, previous }, place));
      book.days.splice(book.days.indexOf(day), 1);
      await writeBook(folder, book);
    }
  }

  async #write(): Promise<void> {
    this.#written_ms = this.#options.clock.elapsed_ms();
    for (const { folder, book } of this.#devices.values()) await writeBook(folder, book);
  }

  /** What work takes: as it was, or as it will be by what its owner states; or why nobody can say. */
  #wattsSeen({ watts_idle, watts_busy }: DeviceSettings): WorthSeen['watts'] {
    if (this.#watts !== null) return { known: this.#watts };
    if (this.#power === null) return 'not-yet';
    const measures = this.#power.some(({ part, reading }) => typeof part === 'string' && !('none' in reading));
    if (measures) return 'not-yet';
    if (watts_busy === null) return { unknown: whyNot(this.#power) };
    return { known: (watts_busy - (watts_idle ?? 0)) * Math.min(1, this.#options.part) };
  }
}

const hasPending = ({ book }: Device): boolean => Object.values(book.runs).some(({ pending }) => pending.length > 0);

/** A day whose receipt was written before a crash is not counted a second time. */
function forgetSigned(folder: string, book: DayBook): void {
  const signed = new Set(readReceipts(folder).receipts.map(({ receipt: { body } }) => `${body.day} ${body.from_ms}`));
  book.days = book.days.filter(({ day, from_ms }) => !signed.has(`${day} ${from_ms}`));
}

/** The part of this machine's cores that so many threads take, so much of the time. */
export const partOfCores = (threads: number, duty: number): number =>
  Math.min(1, (threads * duty) / availableParallelism());
