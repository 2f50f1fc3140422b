// A hub that strangers flood: the experience of honest clients during one flood after the other, and the bounds for it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { decimal, list, oneOf, optional, type Report, text, type Values } from './bench.ts';
import { BenchError } from './errors.ts';
import { BEGUN, type Counts, type Flood, type Target } from './flood.ts';
import { BOUNDS, type Felt, type HonestPeople, honestPeople } from './flood-honest.ts';
import { FLOODS_OF_BYTES } from './floods-of-bytes.ts';
import { FLOODS_OF_QUESTIONS } from './floods-of-questions.ts';
import { FLOODS_OF_WORDS } from './floods-of-words.ts';
import { startHub } from './hub-process.ts';
import { keptResults, table } from './report.ts';

/** No flood, for comparison. */
const QUIET: Flood = {
  name: 'quiet',
  what: 'nobody floods',
  run: (_target, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve({}))),
};
/** All floods. */
export const FLOODS: readonly Flood[] = [QUIET, ...FLOODS_OF_BYTES, ...FLOODS_OF_WORDS, ...FLOODS_OF_QUESTIONS];

const NAMES = FLOODS.map(({ name }) => name);

export const options = {
  seconds: decimal('how long each flood lasts', { from: 1, to: 3600, usual: 60 }),
  only: optional(list(oneOf('floods, otherwise all', NAMES, QUIET.name))),
  results: text('keeps each finished flood as a line of JSON, and skips the floods that it finds there', 'FILE'),
};

export const notes = `Each flood gets a hub of its own, a process with its default settings, and comes from this machine, which has no limit by address. But if
programs of this machine may do what strangers may not (fill-runs), the hub is a public one behind a proxy, and everybody has an address.
Meanwhile one client asks for /health ten times a second and one uploads 1 kB three times a second, each time by a new connection.
Fails unless /health answers within ${BOUNDS.health_p99_ms} ms and uploads within ${BOUNDS.upload_p99_ms} ms (99 of 100), no upload is refused, the hub's memory stays
below ${BOUNDS.memory_mb} MB, and everything is as before ${BOUNDS.normal_s} s after the flood.`;

interface Row extends Felt {
  readonly flood: string;
  readonly what: string;
  readonly seconds: number;
  readonly counts: Counts;
  /** From the end of the flood until everything was normal again. */
  readonly normal_s: number;
  /** The bounds that were broken, in words. */
  readonly broken: readonly string[];
}

export async function run({ seconds, only, results }: Values<typeof options>): Promise<Report> {
  const kept = keptResults<Row>(results);
  const rows: Row[] = [];
  for (const name of only ?? NAMES) {
    const row = await kept(`${name}, ${seconds} s`, () => flooded(floodNamed(name), seconds));
    console.error(`${name}: ${row.broken.join(', ') || 'all bounds hold'}`);
    rows.push(row);
  }
  const broken = rows.filter((row) => row.broken.length > 0).map((row) => `${row.flood} (${row.broken.join(', ')})`);
  const failure = broken.length > 0 ? new BenchError('bound-broken', `bounds broken by: ${broken.join('; ')}`) : null;
  return { data: { bounds: BOUNDS, rows }, text: textOf(rows), failure };
}

export const floodNamed = (name: string): Flood => FLOODS.find((flood) => flood.name === name)!;

/** One flood on a hub of its own. */
async function flooded(flood: Flood, seconds: number): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-floods-'));
  const hub = await floodedHub(folder, flood.is_public ?? false);
  try {
    const { counts, people, failed } = await during(flood, hub, seconds);
    const felt = people.felt();
    const normal_s = await people.normal();
    await people.end();
    const row = { flood: flood.name, what: flood.what, seconds, counts, ...felt, normal_s };
    return { ...row, broken: [...brokenBounds(felt, normal_s), ...failed] };
  } finally {
    await hub.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Flooded {
  readonly counts: Counts;
  /** The honest clients, which measured from its beginning. */
  readonly people: HonestPeople;
  readonly failed: readonly string[];
}

/** Resolves at the flood's end. A failed flood is reported as a broken bound, so that later floods are still measured. */
async function during(flood: Flood, { target, pid }: FloodedHub, seconds: number): Promise<Flooded> {
  const worker = new Worker(new URL('./flood-worker.ts', import.meta.url), {
    workerData: { name: flood.name, target },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const { promise: ended, resolve } = Promise.withResolvers<Omit<Flooded, 'people'>>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<HonestPeople>();
  let timer: NodeJS.Timeout | undefined;
  worker.on('message', (said: Counts | typeof BEGUN) => {
    if (said !== BEGUN) return resolve({ counts: said, failed: [] });
    begin(honestPeople(target, pid));
    timer = setTimeout(() => worker.postMessage('end'), seconds * 1000);
  });
  worker.once('error', ({ message }) => {
    begin(honestPeople(target, pid));
    resolve({ counts: {}, failed: [`the flood failed: ${message}`] });
  });
  const how = await ended;
  clearTimeout(timer);
  await worker.terminate();
  return { ...how, people: await begun };
}

interface FloodedHub {
  readonly target: Target;
  readonly pid: number;
  stop(): Promise<void>;
}

async function floodedHub(folder: string, is_public: boolean): Promise<FloodedHub> {
  const seen = is_public ? ['--public', 'http://hub.example'] : [];
  const { child, listening } = startHub(folder, '--no-page', '--log-level', 'error', ...seen);
  return { target: { ...(await listening), is_public }, pid: child.pid()!, stop: () => child.stop() };
}

/** The bounds that the measurements break. */
export function brokenBounds(felt: Felt, normal_s: number): string[] {
  const broken: string[] = [];
  const over = (what: string, value: number, most: number, unit: string): void => {
    if (!(value <= most)) broken.push(`${what} ${value.toFixed(0)} ${unit}, at most ${most}`);
  };
  over('health p99', felt.health.p99_ms, BOUNDS.health_p99_ms, 'ms');
  over('uploads p99', felt.uploads.p99_ms, BOUNDS.upload_p99_ms, 'ms');
  over('refused', felt.health.refused + felt.uploads.refused, 0, 'requests');
  if (felt.memory_mb !== null) over('memory', felt.memory_mb, BOUNDS.memory_mb, 'MB');
  over('back to normal after', normal_s, BOUNDS.normal_s, 's');
  return broken;
}

function textOf(rows: readonly Row[]): string {
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  const cells = rows.map(({ what, health, uploads, memory_mb, processor, normal_s, counts }) => [
    ...[what, ms(health.p50_ms), ms(health.p99_ms), ms(uploads.p50_ms), ms(uploads.p99_ms)],
    ...[`${uploads.refused} of ${uploads.count}`, memory_mb === null ? '–' : `${memory_mb.toFixed(0)} MB`],
    processor === null ? '–' : `${(100 * processor).toFixed(0)} %`,
    `${normal_s.toFixed(1)} s`,
    Object.entries(counts)
      .map(([name, count]) => `${count.toLocaleString('en-US')} ${name}`)
      .join(', '),
  ]);
  const felt = ['health p50', 'p99', 'upload p50', 'p99', 'refused', 'memory', 'processor', 'normal after'];
  return table(['flood', ...felt, 'the strangers'], cells);
}
