// A large text on its way into a run: tokenised and uploaded by `potluck run create`, wall time beside processor time, and memory.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { seededRandom } from '../protocol/random.ts';
import { BenchError } from './errors.ts';
import { startHub } from './hub-process.ts';
import { table, writeJson } from './report.ts';

const HELP = `npm run bench upload [-- OPTIONS]

  --mb N       megabytes of generated text, 1 to 10000 (default 200)
  --data PATH  a text of your own instead
  --json FILE  the measurements as JSON; "-" for standard output instead of the table

Starts a hub on this machine and \`potluck run create --data TEXT\` with the byte tokenizer, both processes of their own. The processor time
is that of the command alone, its first and last steps included; the hub's comes on top, on the same cores. The second row creates another
run of the same text: the hub has all pieces, so that none is sent.`;

const MAIN = join(import.meta.dirname, '..', 'cli', 'main.ts');
/** Writes what a process has used to where POTLUCK_BENCH_USAGE says, as it ends. */
const USAGE_HOOK = `data:text/javascript,${encodeURIComponent(
  "import { writeFileSync } from 'node:fs'; process.on('exit', () => writeFileSync(process.env.POTLUCK_BENCH_USAGE, JSON.stringify(process.resourceUsage())));",
)}`;

interface Creating {
  readonly what: string;
  readonly text_bytes: number;
  readonly wall_s: number;
  readonly cpu_s: number;
  readonly peak_bytes: number;
  readonly shards: number;
}

/** Measures and prints. Throws BenchError `usage` for options it does not know. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (options === null) {
    console.log(HELP);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-upload-'));
  const hub = startHub(folder, '--no-page', '--log-level', 'error');
  try {
    const data = options.data ?? join(folder, 'generated.txt');
    if (!options.data) await pipeline(Readable.from(generated(options.mb * 1e6)), createWriteStream(data));
    const { url } = await hub.listening;
    const rows = [await create('first', url, data, folder), await create('again, nothing is sent', url, data, folder)];
    if (options.json !== '-') print(rows);
    if (options.json !== null) writeJson(options.json, rows);
  } finally {
    await hub.child.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function optionsOf(args: string[]): { mb: number; data: string | null; json: string | null } | null {
  let values: { mb?: string; data?: string; json?: string; help?: boolean };
  try {
    const string = { type: 'string' } as const;
    const help = { type: 'boolean', short: 'h' } as const;
    ({ values } = parseArgs({ args, options: { mb: string, data: string, json: string, help } }));
  } catch (error) {
    throw new BenchError('usage', `upload: ${(error as Error).message.split('\n', 1)[0]}`);
  }
  if (values.help) return null;
  const mb = Number(values.mb ?? 200);
  if (!Number.isInteger(mb) || mb < 1 || mb > 10_000) {
    throw new BenchError('usage', `--mb: expected a whole number from 1 to 10000, got "${values.mb}"`);
  }
  if (values.data && !statSync(values.data, { throwIfNoEntry: false })) {
    throw new BenchError('usage', `--data: no file or folder at "${values.data}"`);
  }
  return { mb, data: values.data ?? null, json: values.json ?? null };
}

/** Lines of words that hardly repeat, so that no two pieces are the same. */
function* generated(size_bytes: number): Generator<string> {
  const random = seededRandom('bench upload');
  const words = Array.from({ length: 5000 }, () => random.below(1e9).toString(36));
  for (let left = size_bytes; left > 0; ) {
    let block = '';
    while (block.length < Math.min(left, 1e6)) {
      block += Array.from({ length: 14 }, () => words[random.below(words.length)]).join(' ');
      block += '\n';
    }
    left -= block.length;
    yield block;
  }
}

/** Creates a run and resolves with what the command used. */
async function create(what: string, url: string, data: string, folder: string): Promise<Creating> {
  const usage = join(folder, 'usage.json');
  const env = { ...process.env, POTLUCK_HOME: join(folder, 'home'), POTLUCK_BENCH_USAGE: usage };
  const words = ['run', 'create', '--hub', url, '--data', data, '--json'];
  const begun_ms = performance.now();
  const child = spawn(process.execPath, ['--import', USAGE_HOOK, MAIN, ...words], { env });
  let said = '';
  child.stdout.on('data', (piece: Buffer) => {
    said += piece;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  const wall_s = (performance.now() - begun_ms) / 1000;
  const lines = said.split('\n').filter(Boolean);
  const last = JSON.parse(lines.at(-1) ?? '{}');
  if (code !== 0) throw new BenchError('engine-failed', `run create: ${last.error?.message ?? `ended with ${code}`}`);
  const { userCPUTime, systemCPUTime, maxRSS } = JSON.parse(readFileSync(usage, 'utf8'));
  return {
    ...{ what, text_bytes: last.train_tokens + last.validation_tokens, wall_s },
    ...{ cpu_s: (userCPUTime + systemCPUTime) / 1e6, peak_bytes: maxRSS * 1024, shards: last.shards },
  };
}

function print(rows: readonly Creating[]): void {
  const cells = rows.map(({ what, text_bytes, wall_s, cpu_s, peak_bytes, shards }) => [
    ...[what, `${(text_bytes / 1e6).toFixed(0)} MB`, String(shards), `${wall_s.toFixed(1)} s`, `${cpu_s.toFixed(1)} s`],
    ...[(wall_s / cpu_s).toFixed(2), `${(peak_bytes / 1e6).toFixed(0)} MB`],
  ]);
  console.log(table(['run create', 'text', 'pieces', 'wall', 'CPU', 'wall/CPU', 'peak memory'], cells));
}
