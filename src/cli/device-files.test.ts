// The files by which a machine's owner rules its devices: read anew when they change, refused as a whole, and a snooze that no clock moves.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DEFAULT_SETTINGS } from '../peer/owner-policy/settings.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { deviceCommand } from './device.ts';
import {
  forgetWorker,
  openRules,
  pidsHere,
  readSettingsFile,
  readWorkers,
  settingsFile,
  writeOrdersFile,
  writeWorker,
} from './device-files.ts';
import type { DeviceWorker } from './device-worker.ts';
import { printed } from './testing/printed.ts';

const NOWHERE = { folders: [], from_afar: null };

function ownHome(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-device-'));
  const before = process.env.POTLUCK_HOME;
  process.env.POTLUCK_HOME = folder;
  t.after(() => {
    if (before === undefined) delete process.env.POTLUCK_HOME;
    else process.env.POTLUCK_HOME = before;
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

function writeSettings(text: string): void {
  mkdirSync(dirname(settingsFile()), { recursive: true });
  writeFileSync(settingsFile(), text);
}

/** Runs `potluck device …` here, in silence. @returns what it prints */
function device(...words: string[]): Promise<string> {
  const command = deviceCommand();
  for (const part of [command, ...command.commands]) part.exitOverride().configureOutput({ outputError: () => {} });
  return printed(command, ...words);
}

test('without files everything has its default; a change is seen, and what cannot be read is one sentence', (t) => {
  ownHome(t);
  const { settings } = openRules();
  assert.deepEqual(settings(), DEFAULT_SETTINGS);
  writeSettings('{ "on_battery": true }');
  assert.deepEqual(settings(), { ...DEFAULT_SETTINGS, on_battery: true });
  for (const [text, says] of [
    ['{ "on_battery": tru', /settings\.json: expected JSON/],
    ['[]', /settings\.json: .*object/],
    ['{ "on_batery": true }', /settings\.json: .*on_batery/],
    ['{ "most_price_per_kwh": 0.3 }', /expected a tariff/],
  ] as const) {
    writeSettings(text);
    const { unreadable } = settings() as { unreadable: string };
    assert.match(unreadable, says);
    assert.deepEqual(settings(), { unreadable });
  }
  writeSettings('{}');
  assert.deepEqual(settings(), DEFAULT_SETTINGS);
  rmSync(settingsFile());
  assert.deepEqual(settings(), DEFAULT_SETTINGS);
  mkdirSync(settingsFile());
  assert.match((settings() as { unreadable: string }).unreadable, /settings\.json: EISDIR/);
});

test('orders that cannot be read pause a device as well', async (t) => {
  ownHome(t);
  const { settings, orders } = openRules();
  await writeOrdersFile({ paused: true, finish: false, snooze_until_ms: null });
  assert.deepEqual(orders(), { paused: true, finish: false, snooze_left_ms: 0 });
  writeFileSync(join(dirname(settingsFile()), 'orders.json'), '{ "pause": true }');
  assert.match((settings() as { unreadable: string }).unreadable, /orders\.json: .*pause/);
});

test('a snooze lasts as long as it was meant to, whatever the clock is set to meanwhile', async (t) => {
  ownHome(t);
  const clock = handClock(Date.UTC(2026, 0, 1));
  let moved_ms = 0;
  const { orders } = openRules({ ...clock, now_ms: () => clock.now_ms() + moved_ms });
  const left = (): number => orders().snooze_left_ms;
  await writeOrdersFile({ paused: false, finish: false, snooze_until_ms: clock.now_ms() + 60_000 });
  assert.equal(left(), 60_000);
  clock.move(20_000);
  assert.equal(left(), 40_000);
  for (const far_ms of [7_200_000, -7_200_000]) {
    moved_ms = far_ms;
    assert.equal(left(), 40_000);
  }
  clock.move(40_000);
  assert.equal(left(), 0);
  await writeOrdersFile({ paused: false, finish: false, snooze_until_ms: clock.now_ms() + 1e12 }); // set under another clock
  assert.equal(left(), 24 * 3_600_000);
});

test('set writes what holds together and leaves the file alone otherwise', async (t) => {
  ownHome(t);
  await device('set', 'hours', 'mon-fri 22:00-07:00;', 'sat,sun 00:00-24:00');
  await device('set', 'cores_in_use', '0');
  assert.deepEqual(readSettingsFile(), { hours: ['mon-fri 22:00-07:00', 'sat,sun 00:00-24:00'], cores_in_use: 0 });
  const before = readFileSync(settingsFile(), 'utf8');
  for (const [words, says] of [
    [['cores', '3'], /expected one of on_battery, .*got cores/],
    [['toString', '3'], /got toString/],
    [['on_battery', 'yes'], /on_battery/],
    [['hours', 'at night'], /hours: expected hours such as/],
    [['most_price_per_kwh', '0.2'], /expected a tariff/],
  ] as const) {
    await assert.rejects(device('set', ...words), says);
  }
  assert.equal(readFileSync(settingsFile(), 'utf8'), before);
  assert.match(await device('set', 'hours', 'default'), /^hours is null now: only then/);
  assert.deepEqual(readSettingsFile(), { cores_in_use: 0 });
  if (process.platform !== 'win32') assert.equal(statSync(dirname(settingsFile())).mode & 0o77, 0);
});

test('show tells what is set, what was ordered and what is wrong', async (t) => {
  ownHome(t);
  await device('set', 'gpu', 'never');
  await device('snooze', '30');
  const shown = await device('show');
  assert.match(shown, /^No device takes part.*\nYou want quiet for another (30 min|29 min 59 s)\./);
  assert.match(shown, /\n\* gpu +"never" /);
  assert.match(shown, /\n {2}on_battery +false /);
  writeSettings('{ "on_batery": true }');
  assert.match(await device('show'), /cannot be used, so that devices pause: .*on_batery/);
  writeSettings('{');
  await assert.rejects(device('show'), /settings\.json: expected JSON/);
});

test('each order replaces the one before', async (t) => {
  ownHome(t);
  const { orders } = openRules();
  await device('pause');
  assert.equal(orders().paused, true);
  await device('finish');
  assert.deepEqual(orders(), { paused: false, finish: true, snooze_left_ms: 0 });
  await device('snooze', '0.5');
  assert.ok(orders().snooze_left_ms > 20_000 && !orders().finish);
  await device('resume');
  assert.deepEqual(orders(), { paused: false, finish: false, snooze_left_ms: 0 });
  await assert.rejects(device('snooze', '1441'), /expected a number from 0\.01 to 1440/);
});

test('what another device of this user takes is no load of others, nor what it has started', (t) => {
  const root = ownHome(t);
  const clock = handClock(0);
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  t.after(() => other.kill('SIGKILL'));
  const started = (pid: number, children: string): void => {
    const task = join(root, 'proc', `${pid}`, 'task', `${pid}`);
    mkdirSync(task, { recursive: true });
    writeFileSync(join(task, 'children'), children);
  };
  started(8, '9 10 ');
  started(9, '11 7 ');
  const pids = pidsHere(() => [7, 8], clock, root);
  assert.deepEqual(pids(), [7, 8, 9, 10, 11]);
  const worker = {
    url: 'http://hub',
    role: 'validator',
    duty: 1,
    since_ms: 1,
    reasons: [],
    gpu_reasons: [],
    ...NOWHERE,
  };
  writeWorker({ ...worker, do: 'run', pid: other.pid! });
  started(other.pid!, '12');
  assert.deepEqual(pids(), [7, 8, 9, 10, 11], 'the folder is not read each time');
  clock.move(2000);
  assert.deepEqual(new Set(pids()), new Set([7, 8, 9, 10, 11, 12, other.pid]));
});

test('of devices that were killed nothing stays, and a file that is being written is passed over', (t) => {
  ownHome(t);
  assert.deepEqual(readWorkers(), []);
  const worker: DeviceWorker = {
    ...{
      pid: process.pid,
      url: 'http://hub',
      role: 'worker',
      do: 'pause',
      duty: 0,
      since_ms: 1,
      gpu_reasons: [],
      ...NOWHERE,
    },
    reasons: [{ code: 'in-use', message: 'its owner used it 2 s ago' }],
  };
  const { pid: gone } = spawnSync(process.execPath, ['-e', '']);
  writeWorker({ ...worker, pid: gone });
  writeWorker(worker);
  assert.deepEqual(readWorkers(), [worker]);
  const folder = join(dirname(settingsFile()), 'workers');
  assert.deepEqual(readdirSync(folder), [`${process.pid}.json`]);
  writeFileSync(join(folder, `${process.pid}.json`), '{"pid":');
  assert.deepEqual(readWorkers(), []);
  forgetWorker(process.pid);
  assert.deepEqual(readdirSync(folder), []);
});
