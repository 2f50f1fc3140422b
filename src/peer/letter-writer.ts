// A device that writes to its owner: what it does, when that changes and as often as the hub says; each answer brings what its owner wants of it.
import { z } from 'zod';
import { fromBase64 } from '../ledger/signed-note.ts';
import { type Clock, sleep, type Timer } from '../protocol/clock.ts';
import { type DeviceReport, signReport } from '../protocol/device-letters.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { parseJson } from '../protocol/http-refusal.ts';
import type { Identity } from '../protocol/identity.ts';
import { openLine } from '../protocol/line.ts';
import { PeerError } from '../protocol/peer-errors.ts';

const LIMITS = {
  again_ms: 20_000, // where the hub has said nothing
  least_ms: 1000, // news that come close together make one letter
  longest_ms: 3_600_000, // whatever a hub says
  silence_ms: 10_000,
  goodbye_ms: 1500, // whoever ends a device waits no longer for a hub
  answer_bytes: 32_768,
} as const;

const AnswerSchema = z.union([
  z.object({ settings: z.base64().nullable(), again_ms: z.number().min(0) }),
  z.object({ error: z.object({ code: z.string(), details: z.object({ newest: z.int().optional() }).optional() }) }),
]);

export interface LetterWriterOptions {
  readonly url: string;
  readonly device: Identity;
  readonly owner: string;
  readonly clock: Clock;
  /** What is to be written now; null: nothing at present. */
  report(): DeviceReport | null;
  /** Hears of the owner's newest settings, each time that they come. */
  onSettings(letter: Uint8Array): void;
}

export interface LetterWriter {
  /** Something has changed that the owner should hear of soon. */
  news(): void;
  /** Writes for the last time, if there is anything to say. */
  close(): Promise<void>;
}

/** What does not fit in a letter is left out: what is set can be seen at the machine. */
const signedReport: typeof signReport = (device, owner, report, sequence) =>
  signReport(device, owner, report, sequence).catch((error) => {
    if (!(error instanceof ProtocolError)) throw error;
    return signReport(device, owner, { ...report, settings: null, taken: null }, sequence);
  });

/** A hub that is away, or takes no letters, is asked again later: nothing that the device does waits for it. */
export function openLetterWriter(options: LetterWriterOptions): LetterWriter {
  const { url, device, owner, clock } = options;
  const line = openLine({ attempts: 1, silence_ms: LIMITS.silence_ms });
  let sequence = 0;
  let wrote_ms = Number.NEGATIVE_INFINITY;
  let timer: Timer;
  let stale = false;
  let closed = false;
  let writing: Promise<void> = Promise.resolve();

  const post = async (again: boolean): Promise<number> => {
    const report = options.report();
    if (!report) return LIMITS.again_ms;
    sequence = Math.max(sequence + 1, Math.round(clock.now_ms()));
    const body = (await signedReport(device, owner, report, sequence)) as Uint8Array<ArrayBuffer>;
    const init = (): RequestInit => ({ method: 'POST', body });
    const asking = { url: new URL('/devices/reports', url).href, init, max_bytes: LIMITS.answer_bytes };
    const { data } = AnswerSchema.safeParse(parseJson((await line.ask(asking)).bytes));
    if (!data) return LIMITS.again_ms;
    if ('error' in data) {
      const { newest } = data.error.details ?? {};
      if (newest === undefined || !again) return LIMITS.again_ms;
      sequence = newest; // its clock was ahead once
      return post(false);
    }
    const letter = data.settings === null ? null : fromBase64(data.settings);
    if (letter) options.onSettings(letter);
    return data.again_ms;
  };
  const write = async (): Promise<void> => {
    wrote_ms = clock.elapsed_ms();
    stale = false;
    const again_ms = await post(true).catch((error) => {
      if (!(error instanceof PeerError)) throw error;
      return LIMITS.again_ms;
    });
    if (!closed) writeIn(stale ? soon_ms() : Math.min(again_ms, LIMITS.longest_ms));
  };
  const soon_ms = (): number => Math.max(0, wrote_ms + LIMITS.least_ms - clock.elapsed_ms());
  const writeIn = (delay_ms: number): void => {
    clock.clearTimeout(timer);
    timer = clock.setTimeout(() => {
      timer = undefined;
      writing = write();
    }, delay_ms);
  };
  writeIn(0);
  return {
    news() {
      stale = true;
      if (!closed && timer !== undefined) writeIn(soon_ms()); // otherwise it is writing, and writes again after that
    },
    async close() {
      closed = true;
      clock.clearTimeout(timer);
      await Promise.race([writing.then(write), sleep(clock, LIMITS.goodbye_ms)]);
      line.close();
    },
  };
}
