// `potluck hub` where it may write nothing but its own folder: it runs, says what it does without, and ends when it is asked to.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { createIdentity } from '../protocol/identity.ts';
import { makeKey } from '../serving/api/keys.ts';
import { homeFolder, withWayOut } from './folders.ts';
import { writeKeys } from './key-file.ts';
import { CliError } from './output.ts';
import { keepPageBuilt } from './page.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-hub-command-'));
after(() => rmSync(root, { recursive: true, force: true }));
const MAIN = join(import.meta.dirname, 'main.ts');

/** A user without a home: HOME that is set to nothing stands for one that the system does not know either. */
function homeless(...args: string[]) {
  const { POTLUCK_HOME: _, ...env } = process.env;
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    env: { ...env, HOME: '', USERPROFILE: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

test('without a home and with a folder: it listens, and ends at the first SIGTERM', async () => {
  const hub = homeless('hub', '--port', '0', '--no-page', '--json', '--folder', join(root, 'hub'));
  const ended = once(hub, 'exit');
  for await (const line of createInterface(hub.stdout)) {
    const { type, url } = JSON.parse(line) as { type: string; url: string };
    if (type !== 'listening') continue;
    assert.equal((await fetch(`${url}/ready`)).status, 200);
    hub.kill('SIGTERM');
  }
  assert.deepEqual(await ended, [0, null]);
});

test('with --api, or for named owners on a hub that is open to others, only keys of this machine may ask', async () => {
  const home = join(root, 'home');
  const env = { ...process.env, POTLUCK_HOME: home };
  const { key, record } = makeKey('friend', { requests_per_minute: null, tokens_per_minute: null }, 0, randomBytes);
  await writeKeys([record], join(home, 'serve', 'keys.json'));
  const owner = createIdentity().id;
  for (const [i, flags] of [['--api'], ['--api-owners', owner, '--public', 'https://hub.example']].entries()) {
    const words = ['hub', '--port', '0', '--no-page', '--json', '--folder', join(root, `api-${i}`), ...flags];
    const hub = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...words], { env });
    const ended = once(hub, 'exit');
    for await (const line of createInterface(hub.stdout)) {
      const { type, url } = JSON.parse(line) as { type: string; url: string };
      if (type !== 'listening') continue;
      assert.equal((await fetch(`${url}/v1/models`)).status, 401);
      const answer = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
      assert.deepEqual(await answer.json(), { object: 'list', data: [] });
      hub.kill('SIGTERM');
    }
    await ended;
  }
});

test('without a home and without a folder: one line that says what to set', async () => {
  const hub = homeless('hub', '--port', '0', '--no-page');
  let said = '';
  hub.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  const [code] = await once(hub, 'close');
  assert.equal(code, 1);
  assert.match(said, /^\S*potluck:\S* this user has no home folder; .*POTLUCK_HOME=FOLDER.*\n$/);
});

test('a page that cannot even begin to be built is told, and stops nothing', () => {
  const file = join(root, 'file');
  writeFileSync(file, '');
  const said: string[] = [];
  const output = { json: false, say: (text: string) => void said.push(text) };
  keepPageBuilt(output, join(file, 'dist'))();
  assert.equal(said.length, 1);
  assert.match(said[0], /^The page could not be built; the hub works without it\. cannot use the folder /);
});

test('a home that cannot be used: the failure says what to set, unless somebody has set it', (t) => {
  const before = process.env.POTLUCK_HOME;
  t.after(() => {
    if (before === undefined) delete process.env.POTLUCK_HOME;
    else process.env.POTLUCK_HOME = before;
  });
  delete process.env.POTLUCK_HOME;
  const message = `cannot use the folder ${homeFolder()}/witness: EACCES: permission denied`;
  const told = withWayOut(new CliError('bad-folder', message)) as CliError;
  assert.deepEqual([told.code, told.message.includes('POTLUCK_HOME=')], ['bad-folder', true]);
  const elsewhere = new CliError('bad-folder', `cannot use the folder ${root}: EACCES: permission denied`);
  assert.equal(withWayOut(elsewhere), elsewhere);
  process.env.POTLUCK_HOME = homeFolder();
  const named = new CliError('bad-folder', message);
  assert.equal(withWayOut(named), named);
});
