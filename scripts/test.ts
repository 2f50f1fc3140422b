// `npm test`: types, lint, room order, then every test file with node:test, and at the end which files took longest.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const ROOT = join(import.meta.dirname, '..');
const BIN = join(ROOT, 'node_modules', '.bin');
const windows = process.platform === 'win32';
/** No test may hang for ever. */
const TIMEOUT_MS = 240_000;
/** How many of the slowest files are named. */
const NAMED = 10;

/** Files that take longest begin first: one of them alone at the end would leave all other cores idle. */
const SLOWEST = [
  'test/tab.test.ts',
  'test/simulation.test.ts',
  'test/rounds.test.ts',
  'test/page.test.ts',
  'test/cli.test.ts',
  'test/ownership.test.ts',
  'test/demo.test.ts',
  'test/page-forms.test.ts',
  'test/plant.test.ts',
];

/** Runs one command with the terminal attached; a failing one ends the run with its exit code. */
function step(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', shell: windows });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** The slowest first, then whole-system tests, then the others by name. */
function inOrder(files: readonly string[]): string[] {
  const rank = (file: string): number => {
    const path = relative(ROOT, resolve(ROOT, file)).replaceAll('\\', '/');
    return SLOWEST.includes(path) ? SLOWEST.indexOf(path) : SLOWEST.length + Number(!path.startsWith('test/'));
  };
  return [...files].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

const only = process.argv.slice(2);
if (only.length === 0) {
  step(join(BIN, 'tsc'), ['--noEmit']);
  step(join(BIN, 'biome'), ['check', '.']);
  step(process.execPath, ['scripts/check-rooms.ts']);
}
const files = only.length > 0 ? only : inOrder(globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: ROOT }));
const took = new Map<string, number>();
// Tests that wait for processes and browsers leave their core to one more.
const concurrency = availableParallelism() + 1;
const tests = run({ cwd: ROOT, files: files.map((file) => resolve(ROOT, file)), concurrency, timeout: TIMEOUT_MS });
tests.on('test:summary', ({ file, success, duration_ms }) => {
  if (file) took.set(relative(ROOT, file), duration_ms);
  else if (!success) process.exitCode = 1;
});
tests.compose(new spec()).pipe(process.stdout);
tests.on('end', () => {
  const slowest = [...took].sort(([, a], [, b]) => b - a).slice(0, NAMED);
  const rows = slowest.map(([file, duration_ms]) => `${(duration_ms / 1000).toFixed(1).padStart(8)} s  ${file}`);
  process.once('beforeExit', () => process.stdout.write(`\nThe slowest files:\n${rows.join('\n')}\n`));
});
