// What `potluck join` writes to the device's owner while it keeps a device, and what the owner wants of it: kept in the device's folder.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { CodedError } from '../errors.ts';
import { toBase64 } from '../ledger/signed-note.ts';
import type { KeptCertificate } from '../peer/device-binding.ts';
import { readDeviceCertificate } from '../peer/device-certificates.ts';
import { type LetterWriter, openLetterWriter } from '../peer/letter-writer.ts';
import type { Decision } from '../peer/owner-policy/decide.ts';
import type { DeviceSettingsFile } from '../peer/owner-policy/settings.ts';
import {
  openSettingsFromAfar,
  type SettingsByName,
  type SettingsFromAfar,
} from '../peer/owner-policy/settings-from-afar.ts';
import type { Signals } from '../peer/owner-policy/signals.ts';
import { systemClock } from '../protocol/clock.ts';
import type { DeviceReport, DeviceToday, OwnerSettings } from '../protocol/device-letters.ts';
import type { OpeningIdentity } from '../protocol/identity.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { PRIVATE_FILE } from '../protocol/private-files.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { readWorkers } from './device-files.ts';
import type { DeviceWorker, WorkHere } from './device-worker.ts';
import { homeFolder } from './folders.ts';
import { POTLUCK_VERSION } from './version.ts';

const LETTER_FILE = 'owner-settings.letter';

export interface OwnersLettersOptions {
  readonly url: string;
  readonly role: 'worker' | 'validator';
  readonly name?: string;
  readonly folder?: string;
  signals(): Signals;
  today(folder: string): DeviceToday | null;
  /** What is set on this machine; what stands there although it cannot be used is none of it. */
  local(): SettingsByName & Partial<DeviceSettingsFile>;
  /** What the owner wants has changed, or a device writes that did not. */
  onChange(): void;
}

/** The letters of a process: one writer for each device whose key it works with. */
export interface OwnersLetters {
  /** What the owner has set from elsewhere, for whichever of the devices last, where this machine accepts that. */
  afar(): SettingsFromAfar | null;
  /** For who asks on this machine. */
  here(): Pick<DeviceWorker, 'folders' | 'from_afar'>;
  decided(decision: Decision): void;
  heard(work: WorkHere): void;
  close(): Promise<void>;
}

/**
 * Which devices there are the process says, when they have joined. Before that, where it may have been paused ever since it was started, it is the
 * one of the folder that it had the last time, unless another process has that.
 */
export async function openOwnersLetters(options: OwnersLettersOptions): Promise<OwnersLetters> {
  const letters = new LettersOfProcess(options);
  const { url, folder, role } = options;
  const last = resolve(folder ?? join(homeFolder(), 'peers', role));
  const isTaken = readWorkers().some(({ folders }) => folders.includes(last));
  if (!isTaken) await letters.begin({ url, folder: last, run: null, doing: null, speed: null, over: false });
  return letters;
}

/** A device that writes to its owner. */
interface Writing {
  work: WorkHere;
  readonly certificate: KeptCertificate;
  readonly writer: LetterWriter;
  readonly device: OpeningIdentity;
  taken: SettingsFromAfar | null;
  refused: string | null;
}

class LettersOfProcess implements OwnersLetters {
  readonly #options: OwnersLettersOptions;
  /** By folder. */
  readonly #writing = new Map<string, Writing>();
  readonly #beginning = new Set<string>();
  #decision: Decision | null = null;
  #since_ms = performance.now();
  #ended = false;

  constructor(options: OwnersLettersOptions) {
    this.#options = options;
  }

  afar(): SettingsFromAfar | null {
    const { accept_remote_settings = true, report_to_owner = true } = this.#options.local();
    if (!accept_remote_settings || !report_to_owner) return null;
    let newest: SettingsFromAfar | null = null;
    for (const { taken } of this.#writing.values()) {
      if (taken && taken.expires_ms > Date.now() && taken.sequence > (newest?.sequence ?? -1)) newest = taken;
    }
    return newest;
  }

  here(): Pick<DeviceWorker, 'folders' | 'from_afar'> {
    const afar = this.afar();
    return { folders: [...this.#writing.keys()], from_afar: afar && wishOf(afar) };
  }

  decided(decision: Decision): void {
    if (decision.do !== this.#decision?.do) this.#since_ms = performance.now();
    this.#decision = decision;
    for (const { writer } of this.#writing.values()) writer.news();
  }

  heard(work: WorkHere): void {
    const folder = resolve(work.folder);
    const known = this.#writing.get(folder);
    if (known) {
      // What it is at changes several times a round, and stands in the next letter in any case: each is sealed, which takes time.
      const begins = known.work.run === null && work.run !== null;
      known.work = work;
      if (work.over) {
        this.#writing.delete(folder);
        void known.writer.close();
      } else if (begins) known.writer.news();
    } else if (!work.over && !this.#beginning.has(folder)) void this.begin({ ...work, folder }); // its owner vouches for it a moment after it has joined
  }

  async close(): Promise<void> {
    this.#ended = true;
    await Promise.all([...this.#writing.values()].map(({ writer }) => writer.close()));
  }

  /** A device begins to write, where there is one in the folder that works for somebody. */
  async begin(work: WorkHere): Promise<void> {
    const { url, folder } = work;
    this.#beginning.add(folder);
    try {
      const device = await loadIdentity(join(folder, 'identity.key'));
      const certificate = await readDeviceCertificate(folder, device.id);
      if (!certificate || this.#ended) return;
      const writer = openLetterWriter({
        ...{ url, device, owner: certificate.owner, clock: systemClock },
        report: () => this.#report(writing),
        onSettings: (letter) => this.#take(writing, letter, true),
      });
      const writing: Writing = { work, device, certificate, writer, taken: null, refused: null };
      this.#writing.set(folder, writing);
      const kept = readLetter(folder);
      if (kept) this.#take(writing, kept, false);
      this.#options.onChange();
    } catch (error) {
      if (!(error instanceof CodedError)) throw error; // no key in this folder yet
    } finally {
      this.#beginning.delete(folder);
    }
  }

  #take(writing: Writing, letter: Uint8Array, isNew: boolean): void {
    const { device, certificate, work, taken } = writing;
    const local = this.#options.local();
    if (local.accept_remote_settings === false) return;
    try {
      const before = taken?.sequence ?? -1;
      writing.taken = openSettingsFromAfar(letter, device, certificate.owner, { local, before, now_ms: Date.now() });
      writing.refused = null;
      // Where it cannot be kept it comes again with the next answer.
      if (isNew) void writeWhole(join(work.folder, LETTER_FILE), letter, { mode: PRIVATE_FILE }).catch(() => {});
      this.#options.onChange();
      writing.writer.news();
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      if (error.code !== 'not-newer') writing.refused = error.message.slice(0, 400);
    }
  }

  #report({ work, certificate, taken, refused }: Writing): DeviceReport | null {
    const { name, role, signals } = this.#options;
    const [local, decision] = [this.#options.local(), this.#decision];
    if (local.report_to_owner === false || !decision) return null;
    const { temperature_c } = signals();
    const afar = this.afar();
    const isPaused = decision.do === 'pause';
    return {
      certificate: toBase64(certificate.bytes),
      name: name ?? hostname().slice(0, 50),
      ...{ version: POTLUCK_VERSION, role, run: work.run, do: this.#ended || work.over ? 'ended' : decision.do },
      reasons: [...decision.reasons, ...decision.gpu_reasons]
        .slice(0, 8)
        .map(({ code, message }) => ({ code, message: message.slice(0, 300) })),
      for_ms: Math.round(performance.now() - this.#since_ms),
      doing: isPaused ? null : work.doing,
      speed: isPaused ? null : work.speed,
      today: this.#options.today(work.folder),
      temperature_c: 'known' in temperature_c ? Math.round(temperature_c.known) : null,
      settings: { ...local, ...afar?.settings } as DeviceReport['settings'],
      accepts: local.accept_remote_settings !== false,
      taken: taken && afar && { sequence: taken.sequence, ...wishOf(taken) },
      refused,
    };
  }
}

const wishOf = ({ settings, paused }: SettingsFromAfar): OwnerSettings => ({ settings, paused });

function readLetter(folder: string): Uint8Array | null {
  try {
    return readFileSync(join(folder, LETTER_FILE));
  } catch {
    return null; // none has come
  }
}
