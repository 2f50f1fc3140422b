// The experience of honest clients of a hub: one asks for its health ten times a second, one uploads a kilobyte three times a second.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { from, type Target, uploadHeaders } from './flood.ts';
import { valueAt } from './report.ts';

const EVERY_MS = { health: 100, upload: 300, memory: 200 };
const UPLOAD_BYTES = 1024;
/** The address of honest clients, for a hub behind a proxy. */
const ADDRESS = '192.0.2.1';
/** A request that takes longer counts as refused. */
const PATIENCE_MS = 15_000;
/** How many good answers in a row count as back to normal. */
const GOOD = { probes: 5, uploads: 2 };

/** The bounds while strangers flood a hub, and for the time until everything is normal again. */
export const BOUNDS = { health_p99_ms: 250, upload_p99_ms: 1000, memory_mb: 400, normal_s: 10 } as const;

/** The measurements; the times of all requests, also of refused ones. */
export interface Felt {
  readonly health: Times;
  readonly uploads: Times;
  /** The hub's largest resident memory; null if the system does not report it. */
  readonly memory_mb: number | null;
  /** The hub's use of one processor core, as a part of 1; null if the system does not report it. Other processes do not change it. */
  readonly processor: number | null;
}

export interface Times {
  readonly count: number;
  readonly refused: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

interface Sample {
  readonly ms: number;
  readonly ok: boolean;
}

/** Uses a new connection, because new clients must be served too. Never throws. */
function ask(url: string, method: string, headers: Record<string, string>, body?: Uint8Array): Promise<Sample> {
  const begun_ms = performance.now();
  return new Promise((resolve) => {
    const done = (ok: boolean): void => resolve({ ms: performance.now() - begun_ms, ok });
    const asking = request(url, { method, headers, agent: false, timeout: PATIENCE_MS }, (response) => {
      response.resume();
      response.on('end', () => done(response.statusCode === 200 || response.statusCode === 201));
      response.on('error', () => done(false));
    });
    asking.on('timeout', () => asking.destroy());
    asking.on('error', () => done(false));
    asking.end(body);
  });
}

export type HonestPeople = ReturnType<typeof honestPeople>;

/** Begins to measure. `felt` gives the measurements, `normal` resolves when everything is normal again, with the seconds until then. */
export function honestPeople(target: Target, pid: number) {
  const identity = createIdentity();
  const samples: Record<'health' | 'upload', Sample[]> = { health: [], upload: [] };
  const ending = new AbortController();
  let memory_mb: number | null = null;
  const began = { ms: performance.now(), processor_s: processorOf(pid) };
  const processor = (): number | null => {
    const now_s = processorOf(pid);
    if (now_s === null || began.processor_s === null) return null;
    return (1000 * (now_s - began.processor_s)) / (performance.now() - began.ms);
  };

  const goOn = async (what: 'health' | 'upload', step: () => Promise<Sample>): Promise<void> => {
    while (!ending.signal.aborted) {
      samples[what].push(await step());
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS[what]));
    }
  };
  const upload = async (): Promise<Sample> => {
    const bytes = randomBytes(UPLOAD_BYTES);
    const hash = sha256Hex(bytes);
    const signed = await uploadHeaders(target, identity, hash);
    const headers = { ...signed, ...from(target, ADDRESS), 'content-length': String(bytes.length) };
    return ask(`${target.url}/blobs/${hash}`, 'PUT', headers, bytes);
  };
  const people = [
    goOn('health', () => ask(`${target.url}/health`, 'GET', from(target, ADDRESS))),
    goOn('upload', upload),
  ];
  const looking = setInterval(() => {
    const now_mb = memoryOf(pid);
    if (now_mb !== null) memory_mb = Math.max(memory_mb ?? 0, now_mb);
  }, EVERY_MS.memory);

  const wellAgain = (since: { health: number; upload: number }): boolean => {
    const good = (what: 'health' | 'upload', count: number, most_ms: number): boolean => {
      const last = samples[what].slice(since[what]).slice(-count);
      return last.length === count && last.every(({ ok, ms }) => ok && ms <= most_ms);
    };
    return good('health', GOOD.probes, BOUNDS.health_p99_ms) && good('upload', GOOD.uploads, BOUNDS.upload_p99_ms);
  };

  return {
    /** The measurements until now. */
    felt: (): Felt => ({
      health: times(samples.health),
      uploads: times(samples.upload),
      memory_mb,
      processor: processor(),
    }),
    async normal(): Promise<number> {
      const begun_ms = performance.now();
      const since = { health: samples.health.length, upload: samples.upload.length };
      const seconds = (): number => (performance.now() - begun_ms) / 1000;
      while (!wellAgain(since) && seconds() < 6 * BOUNDS.normal_s) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return seconds();
    },
    async end(): Promise<void> {
      ending.abort();
      clearInterval(looking);
      await Promise.all(people);
    },
  };
}

function times(samples: readonly Sample[]): Times {
  const waits = samples.map(({ ms }) => ms);
  const refused = samples.filter(({ ok }) => !ok).length;
  return { count: waits.length, refused, p50_ms: valueAt(waits, 0.5), p99_ms: valueAt(waits, 0.99) };
}

function memoryOf(pid: number): number | null {
  try {
    const found = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return found ? Number(found[1]) / 1024 : null;
  } catch {
    return null;
  }
}

/** Linux counts in hundredths of a second, whatever its clock is (proc(5), USER_HZ). */
const TICKS_PER_S = 100;

/** The processor time of a process until now. */
function processorOf(pid: number): number | null {
  try {
    // The name stands in brackets and may hold anything; user and system time are the 12th and 13th field after it.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
  } catch {
    return null;
  }
}
