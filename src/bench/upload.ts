// A large text on its way into a run: tokenised and uploaded by `potluck run create`, wall time beside processor time, and memory.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { seededRandom } from '../protocol/random.ts';
import { type Report, text, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { startHub } from './hub-process.ts';
import { table } from './report.ts';

export const options = {
  mb: whole('megabytes of generated text', { from: 1, to: 10_000, usual: 200 }),
  data: text('a text of your own instead', 'PATH'),
};

export const notes = `Starts a hub on this machine and \`potluck run create --data TEXT\` with the byte tokenizer, each as a process of its own. The processor time
is that of the command, its first and last steps included; the hub uses the same cores besides. The second row creates another run of
the same text: the hub has all pieces, and the command sends none.`;

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

export async function run({ mb, data: own }: Values<typeof options>): Promise<Report> {
  if (own && !statSync(own, { throwIfNoEntry: false })) {
    throw new BenchError('usage', `--data: no file or folder at "${own}"`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-upload-'));
  const hub = startHub(folder, '--no-page', '--log-level', 'error');
  try {
    const data = own ?? join(folder, 'generated.txt');
    if (!own) await pipeline(Readable.from(generated(mb * 1e6)), createWriteStream(data));
    const { url } = await hub.listening;
    const rows = [await create('first', url, data, folder), await create('again, nothing is sent', url, data, folder)];
    return { data: rows, text: textOf(rows) };
  } finally {
    await hub.child.stop();
    rmSync(folder, { recursive: true, force: true });
  }
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

function textOf(rows: readonly Creating[]): string {
  const cells = rows.map(({ what, text_bytes, wall_s, cpu_s, peak_bytes, shards }) => [
    ...[what, `${(text_bytes / 1e6).toFixed(0)} MB`, String(shards), `${wall_s.toFixed(1)} s`, `${cpu_s.toFixed(1)} s`],
    ...[(wall_s / cpu_s).toFixed(2), `${(peak_bytes / 1e6).toFixed(0)} MB`],
  ]);
  return table(['run create', 'text', 'pieces', 'wall', 'CPU', 'wall/CPU', 'peak memory'], cells);
}
