// `npm test`: types, lint, room order, then every test file with node:test.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const BIN = join(ROOT, 'node_modules', '.bin');
const windows = process.platform === 'win32';

/** Runs one command with the terminal attached; a failing one ends the run with its exit code. */
function step(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', shell: windows });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

const only = process.argv.slice(2);
if (only.length === 0) {
  step(join(BIN, 'tsc'), ['--noEmit']);
  step(join(BIN, 'biome'), ['check', '.']);
  step(process.execPath, ['scripts/check-rooms.ts']);
}
const files = only.length > 0 ? only : globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: ROOT }).sort();
step(process.execPath, ['--test', '--test-concurrency=2', '--test-timeout=240000', ...files]);
