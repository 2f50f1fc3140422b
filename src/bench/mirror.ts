// An audit that needs no hub: over the files that a hub has published, behind nginx, against the same audit over the hub.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { openPublicLog } from '#public-log-open';
import type { AuditReport } from '../audit/audit.ts';
import { audit } from '../audit/local-audit.ts';
import type { PublicLog } from '../audit/public-log.ts';
import { openMirror } from '../audit/public-log-mirror.ts';
import { openSqliteLogStore } from '../ledger/sqlite-log-store.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { createRun } from '../owner/owner.ts';
import { trainingFor } from '../owner/run-settings.ts';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity } from '../protocol/identity.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { median } from '../training/statistics.ts';
import { folder as folderOption, type Report, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { startHub } from './hub-process.ts';
import { startMeasured } from './measured-process.ts';
import { hasNginx, serveFiles } from './nginx-files.ts';
import { processorTimeMs } from './processor-time.ts';
import { table, wholeNumber } from './report.ts';

export const options = {
  events: whole('in the log before the run, each signed by the hub', {
    from: 0,
    to: 1_000_000,
    usual: 50_000,
    quick: 2000,
  }),
  rounds: whole('of a run of real processes, whose models the audit merges anew', {
    from: 1,
    to: 50,
    usual: 3,
    quick: 1,
  }),
  times: whole('each audit is made, in turn', { from: 1, to: 20, usual: 3, quick: 1 }),
  dir: folderOption('where the hub and its files lie and are removed again'),
};

export const notes = `A hub as a process of its own opens a log of ticks, publishes it (potluck hub --mirror-folder), and a worker and a validator train a
small model there. Then the whole audit, models too, runs in this process: over the hub, and over nginx, which serves the folder; the hub goes on
meanwhile, so that its processor time shows what either asks of it. Requests and bytes are those of the audit, as fetch gets them.`;

/** What the hub may take of a core while others are audited: its own clock and its look at the mirror. */
const MOST_IDLE_PERMILLE = 30;
const APPEND_PAGE = 500;
const POLL_MS = 100;
const PUBLISHED_MS = 600_000;

/** What one audit took. */
interface Audited {
  readonly seconds: number;
  readonly requests: number;
  readonly bytes: number;
  readonly hub_cpu_ms: number;
}

export async function run({ events, rounds, times, dir }: Values<typeof options>): Promise<Report> {
  if (!hasNginx())
    throw new BenchError('engine-failed', 'nginx is not installed: the files must lie behind a web server');
  const folder = mkdtempSync(join(dir, 'potluck-bench-mirror-'));
  const files = join(folder, 'files');
  const endings: (() => Promise<unknown>)[] = [];
  try {
    await makeTicks(join(folder, 'hub'), events);
    const { child, listening } = startHub(folder, '--no-page', '--mirror-folder', files);
    endings.push(() => child.stop());
    const { url } = await listening;
    const listened_ms = processorTimeMs(child);
    const published = performance.now();
    await untilPublished(url, files);
    const first = { seconds: (performance.now() - published) / 1000, cpu_ms: processorTimeMs(child) - listened_ms };
    await trainRun(url, folder, rounds);
    await untilPublished(url, files);
    const web = await serveFiles(files, join(folder, 'nginx'));
    endings.push(web.stop);

    const reports: AuditReport[] = [];
    const measure = async (open: () => Promise<PublicLog>): Promise<Audited> => {
      const cpu_ms = processorTimeMs(child);
      const { report, ...counted } = await counting(open);
      reports.push(report);
      return { ...counted, hub_cpu_ms: processorTimeMs(child) - cpu_ms };
    };
    const over_hub: Audited[] = [];
    const over_mirror: Audited[] = [];
    for (let i = 0; i < times; i++) {
      over_hub.push(await measure(() => openPublicLog(url)));
      over_mirror.push(await measure(() => openMirror(web.url)));
    }
    const found = { same: reports.every((report) => isDeepStrictEqual(findings(report), findings(reports[0]))) };
    const measured = { over_hub: medians(over_hub), over_mirror: medians(over_mirror) };
    const size = filesIn(files);
    const { events: audited, models, unchecked } = reports[0];
    const data = { events: audited, models, unchecked, first, files: size, ...measured, ...found };
    return { data, text: textOf(data), failure: failureOf(data) };
  } finally {
    for (const end of endings.reverse()) await end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A hub's folder with a log of ticks, a second apart, the last one now. */
async function makeTicks(folder: string, count: number): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  const hub = await loadOrCreateIdentity(join(folder, 'hub.key'));
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  const log = openTransparencyLog(store, hub);
  const now_ms = Date.now();
  while (log.size < count) {
    const page = Array.from({ length: Math.min(APPEND_PAGE, count - log.size) }, (_, i) =>
      signEvent(hub, { type: 'tick', version: 1, time_ms: now_ms - (count - log.size - i) * 1000 }),
    );
    await log.append(await Promise.all(page));
  }
  await log.checkpoint();
  await store.close();
}

/** A run of a small model that a worker and a validator see to its end. */
async function trainRun(url: string, folder: string, rounds: number): Promise<void> {
  const shape = { batch: 4, context: 16, learning_rate: 0.01 };
  const run = await createRun(url, createIdentity(), join(folder, 'owner'), {
    ...{ name: 'mirrored', seed: 'mirrored', tokenizer: byteTokenizer() },
    texts: Array.from({ length: 900 }, (_, i) => `Line ${i} of a text that repeats itself.\n`),
    model: {
      ...{ hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 },
      max_position_embeddings: 16,
    },
    ...trainingFor({ ...shape, rounds, round_seconds: 3, steps: 10, min_workers: 1 }),
  });
  const peers = ['worker', 'validator'].map(async (role) => {
    const own = join(folder, role);
    await mkdir(own);
    const words = ['--run', run, '--role', role, '--name', role, '--folder', join(own, 'kept'), '--alone'];
    await startMeasured(['join', url, ...words], own, { POTLUCK_HOME: own }).ended;
  });
  await Promise.all(peers);
}

/** Waits until the head that the hub serves lies among its files. */
async function untilPublished(url: string, files: string): Promise<void> {
  const end = performance.now() + PUBLISHED_MS;
  for (;;) {
    const note = await (await fetch(`${url}/log/checkpoint`)).text();
    let lies = '';
    try {
      lies = readFileSync(join(files, 'log', 'checkpoint'), 'utf8');
    } catch {}
    if (note === lies) return;
    if (performance.now() > end) throw new BenchError('engine-failed', 'the hub does not publish its newest head');
    await pause(POLL_MS);
  }
}

/** Audits a log in this thread, and counts what fetch is asked meanwhile. */
async function counting(
  open: () => Promise<PublicLog>,
): Promise<Omit<Audited, 'hub_cpu_ms'> & { readonly report: AuditReport }> {
  const plain = globalThis.fetch;
  let [requests, bytes] = [0, 0];
  globalThis.fetch = async (...asked) => {
    requests++;
    const response = await plain(...asked);
    const counted = response.body?.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          bytes += chunk.length;
          controller.enqueue(chunk);
        },
      }),
    );
    const copy = new Response(counted ?? null, response);
    Object.defineProperty(copy, 'url', { value: response.url });
    return copy;
  };
  try {
    const started = performance.now();
    const log = await open();
    const report = await audit(log, { threads: 0 });
    log.close();
    return { report, seconds: (performance.now() - started) / 1000, requests, bytes };
  } finally {
    globalThis.fetch = plain;
  }
}

/** What an audit has found, but for where and how fast, and what only a hub at work can show. */
function findings(report: AuditReport): unknown {
  const { where, seconds, events_per_second, status_compared, cannot_tell, ...rest } = report;
  return { ...rest, cannot_tell: cannot_tell.filter((what) => !what.includes('a mirror shows what it was given')) };
}

function medians(all: readonly Audited[]): Audited {
  const of = (name: keyof Audited): number => median(all.map((one) => one[name]));
  return { seconds: of('seconds'), requests: of('requests'), bytes: of('bytes'), hub_cpu_ms: of('hub_cpu_ms') };
}

function filesIn(folder: string): { readonly files: number; readonly bytes: number } {
  const all = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const bytes = all.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
  return { files: all.length, bytes };
}

interface Data {
  readonly events: number;
  readonly models: AuditReport['models'];
  readonly unchecked: readonly string[];
  readonly first: { readonly seconds: number; readonly cpu_ms: number };
  readonly files: { readonly files: number; readonly bytes: number };
  readonly over_hub: Audited;
  readonly over_mirror: Audited;
  readonly same: boolean;
}

function failureOf({ same, over_mirror, unchecked }: Data): BenchError | null {
  if (!same)
    return new BenchError('wrong-result', 'an audit over the mirror finds something else than one over the hub');
  if (unchecked.length > 0)
    return new BenchError('wrong-result', `not everything was checked: ${unchecked.join('; ')}`);
  const most_ms = over_mirror.seconds * MOST_IDLE_PERMILLE + 10;
  if (over_mirror.hub_cpu_ms <= most_ms) return null;
  const message = `the hub took ${over_mirror.hub_cpu_ms} ms while its mirror was audited, at most ${most_ms.toFixed(0)} ms are its own`;
  return new BenchError('bound-broken', message);
}

function textOf({ events, models, first, files, over_hub, over_mirror, same }: Data): string {
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
  const row = (what: string, { seconds, requests, bytes, hub_cpu_ms }: Audited): string[] => [
    ...[what, seconds.toFixed(2), wholeNumber(requests), mb(bytes), (hub_cpu_ms / 1000).toFixed(2)],
  ];
  return [
    `${wholeNumber(events)} events, ${models?.recomputed} model versions merged anew`,
    table(
      ['audit', 'seconds', 'requests', 'MB', 'CPU s of the hub'],
      [row('over the hub', over_hub), row('over nginx, from files', over_mirror)],
    ),
    `${same ? 'Both found the same.' : 'They did not find the same.'} The mirror has ${wholeNumber(files.files)} files with ${mb(files.bytes)} MB; publishing the log that was
there at the start took ${first.seconds.toFixed(1)} s and ${(first.cpu_ms / 1000).toFixed(2)} s of the hub's processor time.`,
  ].join('\n\n');
}
