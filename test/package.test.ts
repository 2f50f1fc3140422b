// The package as people install it: nothing of it comes from elsewhere, it joins a hub, a file imports `potluck/game`, and it is small.
// POTLUCK_ARCHIVE=1 has npm pack and install it, without a network and with an empty cache; else it is put where npm would put it.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { archive, makePackage } from '../scripts/pack.ts';
import { hubHere, tinyRun } from './hub-here.ts';
import { untilStatus } from './network.ts';

const execute = promisify(execFile);
/** What a contributor's disk gives for it. */
const LIMIT_BYTES = 120e6;

const folder = mkdtempSync(join(tmpdir(), 'potluck-package-'));
const made = join(folder, 'package');
/** A contributor's folder, empty but for what npm installs. */
const home = join(folder, 'home');
const installed = join(home, 'node_modules', 'potluck');

before(async () => {
  await makePackage(made);
  mkdirSync(join(home, 'node_modules'), { recursive: true });
  if (!process.env.POTLUCK_ARCHIVE) return renameSync(made, installed);
  archive(made, folder);
  const [packed] = globSync('potluck-*.tgz', { cwd: folder });
  const options = { cwd: home, shell: process.platform === 'win32' };
  await execute('npm', ['install', join(folder, packed), '--offline', '--cache', join(folder, 'cache')], options);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const manifestIn = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));

test('all that it asks for is in it, without a script that would run', () => {
  const { dependencies, bundleDependencies, scripts } = manifestIn(installed);
  assert.equal(scripts, undefined);
  assert.deepEqual(Object.keys(dependencies as object), bundleDependencies);
  for (const [name, version] of Object.entries(dependencies as object)) {
    const bundled = manifestIn(join(installed, 'node_modules', name));
    assert.equal(bundled.version, version);
    assert.equal(bundled.scripts, undefined, name);
    assert.equal(bundled.dependencies, undefined, name);
  }
});

test('is below 120 MB for a contributor', { skip: process.platform !== 'linux' && 'measured for Linux' }, () => {
  const files = globSync('**/*', { cwd: installed, withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.map((file) => statSync(join(file.parentPath, file.name)).blocks * 512);
  const total = bytes.reduce((sum, size) => sum + size, 0);
  assert.ok(total < LIMIT_BYTES, `${total} bytes`);
});

test('joins a hub and hands in work that is merged', async (t) => {
  const hub = await hubHere(t);
  const run = await tinyRun(hub.url, { rounds: 1, steps: 2 });
  const command = join(installed, 'bin', 'potluck.js');
  const child = spawn(
    process.execPath,
    [command, 'join', hub.url, '--run', run, '--threads', '1', '--alone', '--json'],
    {
      cwd: home,
      env: { ...process.env, POTLUCK_HOME: join(home, 'keys') },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const gone = new Promise((resolve) => child.once('exit', resolve));
  t.after(() => child.kill('SIGKILL'));
  await untilStatus(hub.url, run, ({ round }) => round === 1);
  assert.equal(await gone, 0); // the run has one round
});

test("a designer's file finds what it needs, and its types", async () => {
  const file = join(home, 'my-game.ts');
  const config = join(home, 'tsconfig.json');
  writeFileSync(
    file,
    `import { openPublicLog } from 'potluck/audit';
import { initialState } from 'potluck/core';
import { CodedError, type Game, sha256Hex, z } from 'potluck/game';

const params = z.strictObject({ steps: z.int().default(3) });
export const game: Pick<Game<z.infer<typeof params>, number, number>, 'params' | 'first'> = {
  params,
  first: ({ steps }) => steps,
};
console.log(game.params.parse({}).steps, sha256Hex(), initialState('').events, typeof openPublicLog, CodedError.name);
`,
  );
  writeFileSync(join(home, 'package.json'), JSON.stringify({ type: 'module' }));
  const compilerOptions = { ...{ module: 'nodenext', strict: true, noEmit: true }, lib: ['es2024', 'dom'], types: [] };
  writeFileSync(config, JSON.stringify({ compilerOptions, files: [file] }));
  const tsc = join(import.meta.dirname, '..', 'node_modules', 'typescript', 'bin', 'tsc');
  const [{ stdout }] = await Promise.all([
    execute(process.execPath, [file], { cwd: home }),
    execute(process.execPath, [tsc, '-p', config]),
  ]);
  const nothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  assert.equal(stdout, `3 ${nothing} 0 function CodedError\n`);
});
