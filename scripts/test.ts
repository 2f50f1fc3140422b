// `npm test`: types, lint, room order and the page, then every test file with node:test, and at the end which files took longest, and most of the processor.
import { spawn } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { pathToFileURL } from 'node:url';
import { isPageStale } from '../src/cli/page.ts';
import { type Group, grouped } from './test-groups.ts';
import { bundleProgram } from './test-program.ts';

const ROOT = join(import.meta.dirname, '..');
const BIN = join(ROOT, 'node_modules', '.bin');
const windows = process.platform === 'win32';
/** No test may hang for ever; on a machine that does ten other things one takes ten times as long. */
const TIMEOUT_MS = 600_000;
/** So many files that failed are run once more, alone: a fault shows again, and chance on a busy machine does not. More than these are no chance. */
const TRIED_AGAIN = 3;
/** How many of the slowest files are named. */
const NAMED = 10;

/** Files that take longest begin first: one of them alone at the end would leave all other cores idle. */
const SLOWEST = [
  'test/page-work.test.ts',
  'test/tab.test.ts',
  'test/planted-faults.test.ts',
  'src/ledger/s3/ceph-rgw.test.ts',
  'test/devices.test.ts',
  'test/page.test.ts',
  'test/rounds.test.ts',
  'test/gpu.test.ts',
  'src/bench/page.test.ts',
  'test/page-stages.test.ts',
  'test/edges.test.ts',
  'test/demo.test.ts',
  'test/cli.test.ts',
  'test/own-game.test.ts',
  'test/adversary.test.ts',
  'test/owner-policy.test.ts',
  'test/broken-games.test.ts',
  'src/bench/pipeline.test.ts',
];

type Step = readonly [command: string, ...args: string[]];

/** Runs commands beside each other with the terminal attached; when one has failed, and all are over, the run ends. */
async function steps(all: readonly Step[]): Promise<void> {
  const codes = await Promise.all(
    all.map(([command, ...args]) => {
      const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit', shell: windows });
      return new Promise((resolve, reject) => child.on('error', reject).on('exit', resolve));
    }),
  );
  if (codes.some((code) => code !== 0)) process.exit(1);
}

/** The slowest first, then whole-system tests, then the others by name. */
function inOrder(files: readonly string[]): string[] {
  const rank = (path: string): number =>
    SLOWEST.includes(path) ? SLOWEST.indexOf(path) : SLOWEST.length + Number(!path.startsWith('test/'));
  return [...files].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** Every test file, some of them in groups. */
function allFiles(): { readonly files: string[]; readonly groups: Group[] } {
  const found = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: ROOT }).map((file) =>
    file.replaceAll('\\', '/'),
  );
  const { groups, rest } = grouped(found.sort(), ROOT, notes);
  const whole = inOrder(rest);
  const firstOfRooms = whole.findLastIndex((file) => file.startsWith('test/')) + 1;
  const grouping = (long: boolean): string[] => groups.filter((group) => group.long === long).map(({ file }) => file);
  return { files: [...grouping(true), ...whole.toSpliced(firstOfRooms, 0, ...grouping(false))], groups };
}

const only = process.argv.slice(2);
if (only.length === 0) {
  await steps([
    [join(BIN, 'tsc'), '--noEmit'],
    [join(BIN, 'biome'), 'check', '.'],
    [process.execPath, 'scripts/check-rooms.ts'],
    [process.execPath, 'scripts/check-lengths.ts'],
    // Else every hub and browser of the first tests would build it, several at once.
    ...(isPageStale() ? [[process.execPath, 'src/web/build.ts'] as const] : []),
  ]);
}
const notes = mkdtempSync(join(tmpdir(), 'potluck-tests-'));
const { files, groups } = only.length > 0 ? { files: only, groups: [] } : allFiles();
const took = new Map<string, number>();
// Tests that wait for processes and browsers leave their core to one more.
const concurrency = availableParallelism() + 1;
// What is loaded is compiled once for all of them: without this, a third of a second of each file and each process goes into it.
process.env.NODE_COMPILE_CACHE ??= join(ROOT, 'node_modules', '.cache', 'tests');
if (only.length === 0) {
  const flag = await bundleProgram(join(ROOT, 'dist', 'program'));
  process.env.NODE_OPTIONS = [process.env.NODE_OPTIONS, flag].filter(Boolean).join(' ');
}
process.env.POTLUCK_TEST_CPU = join(notes, 'cpu');
const failed = await testFiles(files, concurrency);
const again = only.length === 0 && failed.length <= TRIED_AGAIN ? failed : [];
if (again.length > 0) process.stdout.write(`\nOnce more, one at a time: ${again.map(nameOf).join(', ')}\n`);
const stillFailed = again.length > 0 ? await testFiles(again, 1) : failed;
process.exitCode = stillFailed.length > 0 ? 1 : 0;
process.stdout.write(figures());
const byChance = again.filter((file) => !stillFailed.includes(file));
if (byChance.length > 0) {
  process.stdout.write(`
Failed beside others and passed alone; each is a fault, of the test or of what it tests (CONTRIBUTING.md):
${byChance.map((file) => `  ${nameOf(file)}`).join('\n')}
`);
}

/** Tests files, so many beside each other, and tells on the terminal; those that failed, or ended without a word. */
async function testFiles(some: readonly string[], beside: number): Promise<string[]> {
  const passed = new Set<string>();
  const tests = run({
    ...{ cwd: ROOT, files: some.map((file) => resolve(ROOT, file)), concurrency: beside, timeout: TIMEOUT_MS },
    execArgv: ['test-cpu.ts', 'test-scope.ts'].map((file) => `--import=${pathToFileURL(join(ROOT, 'scripts', file))}`),
  });
  tests.on('test:summary', ({ file, success, duration_ms }) => {
    if (file === undefined) return;
    took.set(nameOf(file), duration_ms);
    if (success) passed.add(file);
  });
  await pipeline(tests.compose(new spec()), process.stdout, { end: false });
  return some.filter((file) => !passed.has(resolve(ROOT, file)));
}

/** Which files took longest, and most of the processor. */
function figures(): string {
  const seconds = [...took].map(([file, duration_ms]): Figure => [file, duration_ms / 1000]);
  const cpu = cpuFigures();
  const total = cpu.reduce((sum, [, cpu_s]) => sum + cpu_s, 0);
  return `
The slowest files:
${highest(seconds)}

Those that took most of the ${total.toFixed(0)} s of processor time:
${highest(cpu)}
`;
}

/** A test file as people know it. */
function nameOf(file: string): string {
  return groups.find((group) => group.file === file)?.name ?? relative(ROOT, file);
}

type Figure = readonly [file: string, seconds: number];

/** What scripts/test-cpu.ts has noted of each file. */
function cpuFigures(): Figure[] {
  const path = join(notes, 'cpu');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
  rmSync(notes, { recursive: true });
  return lines.map((line) => {
    const [cpu_s] = line.split(' ', 1);
    return [nameOf(line.slice(cpu_s.length + 1)), Number(cpu_s)];
  });
}

function highest(figures: readonly Figure[]): string {
  const first = [...figures].sort(([, a], [, b]) => b - a).slice(0, NAMED);
  return first.map(([file, seconds]) => `${seconds.toFixed(1).padStart(8)} s  ${file}`).join('\n');
}
