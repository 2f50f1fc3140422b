// A device within its owner's rules, with a real hub and real processes: it stops at once, says why, gives memory back, and goes on.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hubHere } from './hub-here.ts';
import { ANYWHERE, type Network, network } from './network.ts';

/** Files of the machine's owner. */
function ownerOf(net: Network) {
  const file = (name: string): string => join(net.folder, 'home', 'device', name);
  return {
    set(settings: object | string): void {
      mkdirSync(dirname(file('settings.json')), { recursive: true });
      writeFileSync(file('settings.json'), typeof settings === 'string' ? settings : JSON.stringify(settings));
    },
    async says(...words: string[]): Promise<void> {
      const said = net.ask('device', ...words, '--json');
      assert.equal(await said.ended, 0, said.stderr());
    },
  };
}

/** Fields of /proc/PID/stat after the name: state, parent, … See proc(5). */
function statOf(pid: number): string[] | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
  } catch {
    return null; // it has just ended
  }
}

/** Processes of potluck that one has started: a probe's commands are its children, too. */
const keptBy = (pid: number): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((one) => one > 0 && statOf(one)?.[1] === String(pid) && isPotluck(one));

function isPotluck(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('potluck.js');
  } catch {
    return false;
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !holds(); ) {
    assert.ok(performance.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function joined(t: TestContext, settings: object) {
  const net = network(t);
  const owner = ownerOf(net);
  owner.set(settings);
  const { url } = await hubHere(t);
  const run = await net.createRun(url, '--rounds', '100', '--steps', '100000', '--round-seconds', '30');
  const where = ['--name', 'ada', '--folder', join(net.folder, 'ada')];
  const ada = net.start('join', url, ...where, '--duty', '0.1', '--json'); // it costs less
  await ada.line((line) => line.type === 'policy' && line.do === 'run');
  await ada.line((line) => line.type === 'progress' && (line.progress as { state: string }).state === 'working');
  const paused = (code: string) =>
    ada.line(
      (line) => line.type === 'policy' && line.do === 'pause' && (line.reasons as { code: string }[])[0].code === code,
    );
  return { net, owner, url, run, ada, paused };
}

test('a device stops where it is at its owner’s word, says why everywhere, and goes on', async (t) => {
  const { net, owner, url, ada, paused } = await joined(t, ANYWHERE);
  await owner.says('pause');
  await paused('paused-by-owner');
  if (process.platform === 'linux') {
    const [kept] = keptBy(ada.process.pid!);
    await until('it stands still', () => statOf(kept)?.[0] === 'T');
    assert.deepEqual(statOf(kept)?.[16], '19'); // the lowest priority
  }
  const status = net.ask('status', url, '--json');
  const { devices } = await status.line((line) => line.type === 'status');
  const [device] = devices as { pid: number; do: string; reasons: { code: string; message: string }[] }[];
  assert.deepEqual([device.pid, device.do, device.reasons[0].code], [ada.process.pid, 'pause', 'paused-by-owner']);
  const shown = net.ask('device');
  await shown.ended;
  assert.match(shown.stdout(), /worker for http.* is paused, for .*\n {4}paused-by-owner: paused by its owner/);
  await owner.says('resume');
  await until('it goes on', () => ada.lines.filter((line) => line.type === 'policy' && line.do === 'run').length === 2);
  owner.set('{ "on_batery": true }');
  const { reasons } = await paused('settings-unreadable');
  assert.match((reasons as { message: string }[])[0].message, /settings\.json: .*on_batery/);
  // Whoever wants to leave leaves, also out of a pause, and hands in what is done.
  const before = ada.lines.length;
  ada.process.kill('SIGINT');
  assert.equal(await ada.ended, 0, ada.stderr());
  const rest = ada.lines.slice(before).map((line) => line.type);
  assert.ok(rest.includes('ended'), JSON.stringify(rest));
});

test('a longer pause gives the memory back, and the device joins anew', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { owner, ada, paused } = await joined(t, { ...ANYWHERE, keep_memory_s: 0.5 });
  const [kept] = keptBy(ada.process.pid!);
  await owner.says('snooze', '60');
  await paused('snoozed');
  await until('its process has ended', () => statOf(kept) === null);
  assert.deepEqual(keptBy(ada.process.pid!), []);
  const rss_kb = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${ada.process.pid}/status`, 'utf8'))?.[1]);
  assert.ok(rss_kb > 20_000 && rss_kb < 150_000, `${rss_kb} kB`);
  await owner.says('resume');
  await until('it joins anew', () => ada.lines.filter((line) => line.type === 'joined').length === 2);
  ada.process.kill('SIGTERM');
  assert.equal(await ada.ended, 0, ada.stderr());
});

test('who is to finish hands in what is done, stays away, and comes back', async (t) => {
  const { owner, ada, paused } = await joined(t, ANYWHERE);
  await owner.says('finish');
  await paused('finishing');
  await ada.line((line) => line.type === 'accepted');
  await ada.line((line) => line.type === 'ended' && line.reason === 'left');
  await owner.says('resume');
  await until('it joins anew', () => ada.lines.filter((line) => line.type === 'joined').length === 2);
  ada.process.kill('SIGINT');
  assert.equal(await ada.ended, 0, ada.stderr());
});

test('a device whose rules forbid to begin waits, and leaves when it is asked to', async (t) => {
  const net = network(t);
  ownerOf(net).set({ ...ANYWHERE, least_free_disk_gb: 1e6 });
  const { url } = await hubHere(t);
  const ada = net.start('join', url, '--folder', join(net.folder, 'ada'));
  await until('it says why', () => /^paused: the disk has .* \(disk-low\)$/m.test(ada.stdout()));
  ada.process.kill('SIGTERM');
  assert.equal(await ada.ended, 0, ada.stderr());
  assert.ok(!readdirSync(net.folder).includes('ada'));
});

test('what fails in the process that works is told once, with its exit code', async (t) => {
  const net = network(t);
  ownerOf(net).set(ANYWHERE);
  const ada = net.start('join', 'http://127.0.0.1:1', '--json');
  assert.equal(await ada.ended, 1);
  const errors = ada.lines.filter((line) => line.type === 'error');
  assert.deepEqual(
    errors.map(({ error }) => (error as { code: string }).code),
    ['hub-unreachable'],
  );
});
