// What Linux tells: from folders in the documented forms, where things are missing, wrong or silent, and on the machine that runs this.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import { systemClock } from '../../protocol/clock.ts';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { idleOfDesktop, idleOfSeat } from './linux-activity.ts';
import { openProbeHere } from './probe.ts';
import { linuxSources, meteredOf } from './probe-linux.ts';
import type { SignalName, Signals } from './signals.ts';
import type { Run } from './sources.ts';
import { type FakeRoot, fakeRoot, LAPTOP } from './testing/fake-root.ts';

const NO_COMMANDS: Run = async () => ({ missing: true });

/** Reads the source of one signal, as often as it is asked. */
function reader(
  fake: FakeRoot,
  name: SignalName,
  options: { run?: Run; own_pids?: number[]; clock?: typeof systemClock } = {},
) {
  const { run = NO_COMMANDS, own_pids = [], clock = systemClock } = options;
  const sources = linuxSources({
    root: fake.root,
    run,
    clock,
    own_pids: () => own_pids,
    folder: fake.root,
    foreign_load_ms: () => 0,
  });
  const source = sources.find(({ tells }) => tells.includes(name))!;
  return async () => (await source.read())[name];
}

const read = (t: TestContext, files: Readonly<Record<string, string>>, name: SignalName) =>
  reader(fakeRoot(t, files), name)();
const without = (prefix: string): Record<string, string> =>
  Object.fromEntries(Object.entries(LAPTOP).filter(([path]) => !path.startsWith(prefix)));

describe('power', () => {
  const supply = 'sys/class/power_supply';
  const OFF = { [`${supply}/AC/online`]: '0\n', [`${supply}/BAT0/status`]: 'Discharging\n' };
  test("a laptop's, whose mouse has a battery, too", async (t) => {
    assert.deepEqual(await read(t, LAPTOP, 'power'), { known: { on_battery: false, charge_percent: 81 } });
    assert.deepEqual(await read(t, { ...LAPTOP, ...OFF }, 'power'), {
      known: { on_battery: true, charge_percent: 81 },
    });
    assert.deepEqual(await read(t, LAPTOP, 'battery_temperature_c'), { known: 31.2 });
  });
  test('none in a desktop or a container', async (t) => {
    assert.deepEqual(await read(t, {}, 'power'), { absent: 'no battery' });
    assert.deepEqual(await read(t, without(`${supply}/BAT0`), 'power'), { absent: 'no battery' });
    assert.deepEqual(await read(t, { ...LAPTOP, [`${supply}/BAT0/present`]: '0\n' }, 'power'), {
      absent: 'no battery',
    });
  });
  test('charged over USB-C, where the barrel plug is off', async (t) => {
    const usb = { ...LAPTOP, ...OFF, [`${supply}/ucsi/type`]: 'USB\n', [`${supply}/ucsi/online`]: '1\n' };
    assert.deepEqual(await read(t, usb, 'power'), { known: { on_battery: false, charge_percent: 81 } });
    const fills = { ...LAPTOP, ...OFF, [`${supply}/BAT0/status`]: 'Charging\n' };
    assert.deepEqual(await read(t, fills, 'power'), { known: { on_battery: false, charge_percent: 81 } });
  });
  test('two batteries', async (t) => {
    const two = {
      ...LAPTOP,
      ...OFF,
      [`${supply}/BAT1/type`]: 'Battery\n',
      [`${supply}/BAT1/status`]: 'Not charging\n',
      [`${supply}/BAT1/capacity`]: '41\n',
    };
    assert.deepEqual(await read(t, two, 'power'), { known: { on_battery: true, charge_percent: 61 } });
  });
  test('what says nothing, or what cannot be', async (t) => {
    const silent = { ...without(`${supply}/AC`), [`${supply}/BAT0/status`]: 'Unknown\n' };
    assert.deepEqual(await read(t, silent, 'power'), { unknown: 'the battery does not say whether it discharges' });
    for (const capacity of ['255', '-1', 'full']) {
      assert.match(
        JSON.stringify(await read(t, { ...LAPTOP, [`${supply}/BAT0/capacity`]: capacity }, 'power')),
        /unknown.*the battery says/,
      );
    }
    assert.match(
      JSON.stringify(await read(t, { ...LAPTOP, [`${supply}/BAT0/temp`]: '2000' }, 'battery_temperature_c')),
      /unknown/,
    );
  });
});

test('heat is that of the hottest sensor of processor and board', async (t) => {
  const heat = (files: Record<string, string>) => read(t, files, 'temperature_c');
  assert.deepEqual(await heat(LAPTOP), { known: 61 });
  assert.deepEqual(await heat({ ...LAPTOP, 'sys/class/hwmon/hwmon0/temp2_input': '93500\n' }), { known: 93.5 });
  assert.deepEqual(await heat({ ...LAPTOP, 'sys/class/hwmon/hwmon0/temp2_input': '255000\n' }), { known: 61 });
  assert.deepEqual(await heat({}), { absent: 'no sensor' });
  assert.deepEqual(
    await heat({ 'sys/class/hwmon/hwmon0/name': 'x', 'sys/class/hwmon/hwmon0/temp1_input': '-128000' }),
    { unknown: 'the sensors say -128 °C' },
  );
});

test('memory is that of the machine, or what its container may have', async (t) => {
  const all = { total_bytes: 16e6 * 1024, available_bytes: 8e6 * 1024, own_bytes: 0 };
  assert.deepEqual(await read(t, LAPTOP, 'memory'), { known: all });
  const group = {
    'sys/fs/cgroup/memory.max': '4000000000\n',
    'sys/fs/cgroup/memory.current': '3000000000\n',
    'sys/fs/cgroup/memory.stat': 'anon 1\ninactive_file 500000000\n',
  };
  assert.deepEqual(await read(t, { ...LAPTOP, ...group }, 'memory'), {
    known: { total_bytes: 4e9, available_bytes: 1.5e9, own_bytes: 0 },
  });
  assert.deepEqual(await read(t, { ...LAPTOP, ...group, 'sys/fs/cgroup/memory.max': 'max\n' }, 'memory'), {
    known: all,
  });
  const own = fakeRoot(t, { ...LAPTOP, 'proc/7/status': 'Name:\tnode\nVmPeak:\t 9 kB\nVmRSS:\t  2000 kB\n' });
  assert.deepEqual(await reader(own, 'memory', { own_pids: [7, 8] })(), { known: { ...all, own_bytes: 2000 * 1024 } });
  for (const meminfo of ['', 'MemTotal: 5 kB\n', 'MemTotal: 5 kB\nMemAvailable: 6 kB\n']) {
    assert.deepEqual(await read(t, { ...LAPTOP, 'proc/meminfo': meminfo }, 'memory'), {
      unknown: '/proc/meminfo is not as expected',
    });
  }
});

test("others' load is what all cores did without what Potluck did", async (t) => {
  const clock = handClock(Date.UTC(2026, 0, 1));
  const stat = (busy: number, idle: number): string => `cpu  ${busy} 0 0 ${idle} 0 0 0 77 0 0\n`;
  const own = (ticks: number): string => `7 (a (b) c) S 1 1 1 0 -1 4 1 2 3 4 ${ticks} 5 0 0 39 19\n`;
  const fake = fakeRoot(t, { 'proc/stat': stat(0, 0), 'proc/7/stat': own(10) });
  const load = reader(fake, 'foreign_cpu_percent', { own_pids: [7], clock });
  const later = async (files: Record<string, string>): Promise<unknown> => {
    fake.write(files);
    clock.move(600);
    return load();
  };
  const first = load();
  fake.write({ 'proc/stat': stat(50, 50), 'proc/7/stat': own(40) });
  clock.move(500);
  assert.deepEqual(await first, { known: 20 });
  assert.deepEqual(await later({ 'proc/stat': stat(100, 100), 'proc/7/stat': own(90) }), { known: 0 });
  assert.deepEqual(await later({ 'proc/stat': stat(200, 100) }), { known: 100 });
  assert.deepEqual(await later({ 'proc/stat': stat(250, 150), 'proc/7/stat': own(1) }), { known: 50 }); // it was started again
  assert.deepEqual(await later({ 'proc/stat': stat(300, 200), 'proc/7/stat': own(500) }), { known: 0 });
  assert.deepEqual(await later({}), { unknown: 'the counters of the processor stand still' });
  fake.write({ 'proc/stat': 'nothing\n' });
  await assert.rejects(load, /\/proc\/stat is not as expected/);
});

describe('the owner', () => {
  const HOUR_MS = 3_600_000;
  test('is heard at the keyboard controller, at a terminal and at none', async (t) => {
    const clock = handClock(Date.UTC(2026, 0, 1));
    const fake = fakeRoot(t, {
      ...LAPTOP,
      'dev/pts/0': '',
      'sys/class/tty/tty0/active': 'tty2\n',
      'dev/tty2': '',
      'dev/tty3': '',
    });
    const now_ms = clock.now_ms();
    for (const tty of ['dev/pts/0', 'dev/tty2', 'dev/tty3']) fake.touch(tty, now_ms - HOUR_MS);
    const idle = reader(fake, 'idle_ms', { clock });
    const known = async (): Promise<number> => Math.round(((await idle()) as { known: number }).known);
    assert.equal(await known(), 0); // nobody knows when the keys were touched last
    clock.move(200_000);
    assert.equal(await known(), 200_000);
    fake.write({ 'proc/interrupts': LAPTOP['proc/interrupts'].replace('900', '901') });
    assert.equal(await known(), 0);
    clock.move(5000);
    fake.touch('dev/pts/0', now_ms - HOUR_MS + 8000);
    assert.equal(await known(), 0);
    clock.move(5000);
    fake.touch('dev/tty2', now_ms - HOUR_MS + 16_000);
    assert.equal(await known(), 0);
    clock.move(5000);
    fake.touch('dev/tty3', now_ms); // not the console in front
    fake.touch('dev/pts/0', now_ms - 2 * HOUR_MS); // an older one takes its place
    assert.equal(await known(), 5000);
  });
  test('was last at a terminal when that was read last', async (t) => {
    const clock = handClock(Date.UTC(2026, 0, 1));
    const fake = fakeRoot(t, { 'dev/pts/3': '' });
    fake.touch('dev/pts/3', clock.now_ms() - HOUR_MS);
    const { known } = (await reader(fake, 'idle_ms', { clock })()) as { known: number };
    assert.ok(Math.abs(known - HOUR_MS) < 2, `${known}`);
  });
  test('cannot be told where there are keys that nothing here hears, and does not exist in a container', async (t) => {
    assert.match(
      JSON.stringify(await read(t, without('proc/interrupts'), 'idle_ms')),
      /unknown.*there are keys or a mouse/,
    );
    assert.deepEqual(await read(t, {}, 'idle_ms'), { absent: 'no terminal, no keys, no desktop' });
  });
  test('is told by GNOME, or else by logind', async (t) => {
    const fake = fakeRoot(t, without('proc/interrupts'));
    const said: Record<string, string> = {
      gdbus: '(uint64 90000,)\n',
      loginctl: 'IdleHint=no\nIdleSinceHintMonotonic=0\n',
    };
    const run: Run = async (command) => (said[command] === undefined ? { missing: true } : { text: said[command] });
    const idle = async (): Promise<number> => ((await reader(fake, 'idle_ms', { run })()) as { known: number }).known;
    assert.ok(Math.abs((await idle()) - 90_000) < 5000);
    delete said.gdbus;
    assert.ok((await idle()) < 5000);
    said.loginctl = 'IdleHint=yes\nIdleSinceHintMonotonic=4000000000\n'; // after 4000 s, and the machine is up for 5000 s
    assert.ok(Math.abs((await idle()) - 1_000_000) < 5000);
  });
  test('what desktop and logind may say', () => {
    assert.deepEqual(idleOfDesktop({ failed: 'gdbus: The name is not activatable' }), { absent: 'no GNOME' });
    assert.match(JSON.stringify(idleOfDesktop({ text: '(int32 -1,)' })), /unknown/);
    assert.deepEqual(idleOfSeat({ failed: 'loginctl: System has not been booted with systemd as init system' }, 0), {
      absent: 'no logind',
    });
    assert.deepEqual(idleOfSeat({ failed: 'loginctl did not answer within 2.5 s' }, 0), {
      unknown: 'loginctl did not answer within 2.5 s',
    });
    assert.match(JSON.stringify(idleOfSeat({ text: 'nonsense' }, 0)), /unknown/);
  });
});

test('a network that is connected and paid by volume, as NetworkManager says it', () => {
  const device = (state: string, metered: string): string => `GENERAL.STATE:${state}\nGENERAL.METERED:${metered}\n`;
  const on = '100 (connected)';
  const metered = (...devices: string[]) => meteredOf({ text: devices.join('\n') });
  assert.deepEqual(metered(device(on, 'no (guessed)'), device('30 (disconnected)', 'yes')), { known: false });
  assert.deepEqual(metered(device(on, 'no'), device(on, 'yes (guessed)')), { known: true });
  assert.deepEqual(metered(device(on, 'yes')), { known: true });
  assert.deepEqual(metered(device(on, 'unknown')), { known: false });
  assert.deepEqual(meteredOf({ missing: true }), { absent: 'no NetworkManager' });
  assert.deepEqual(meteredOf({ failed: 'nmcli: Error: NetworkManager is not running.' }), {
    absent: 'no NetworkManager',
  });
  assert.deepEqual(meteredOf({ failed: 'nmcli did not answer within 2.5 s' }), {
    unknown: 'nmcli did not answer within 2.5 s',
  });
});

/** A process that takes a whole core. */
async function busyProcess(t: TestContext): Promise<ChildProcess> {
  const busy = spawn(process.execPath, ['-e', "console.log('on'); for (;;);"], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => busy.kill('SIGKILL'));
  await once(busy.stdout!, 'data');
  return busy;
}

test('on this machine: everything is told or is not here, and a busy process is seen unless it is our own', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const busy = await busyProcess(t);
  const place = { clock: systemClock, own: { cpu_ms: () => 0, rss_bytes: () => 0 }, folder: tmpdir() };
  const look = async (own_pids: number[]): Promise<Signals> => {
    const probe = openProbeHere({ ...place, own_pids: () => own_pids }, () => {});
    t.after(probe.close);
    await probe.ready;
    return probe.now();
  };
  // At the same moment, since the load of others here changes.
  const [blind, seeing] = await Promise.all([look([process.pid, busy.pid!]), look([process.pid])]);
  for (const name of ['power', 'memory', 'disk_free_bytes', 'foreign_cpu_percent', 'temperature_c'] as const) {
    assert.ok('known' in seeing[name] || 'absent' in seeing[name], `${name}: ${JSON.stringify(seeing[name])}`);
  }
  const load = ({ foreign_cpu_percent: one }: Signals): number => (one as { known: number }).known;
  assert.ok(load(seeing) > load(blind), `${load(seeing)} with it, ${load(blind)} without`);
  const memory = (signals: Signals) => (signals.memory as { known: { own_bytes: number } }).known;
  assert.ok(memory(seeing).own_bytes > 20e6 && memory(blind).own_bytes > memory(seeing).own_bytes);
});
