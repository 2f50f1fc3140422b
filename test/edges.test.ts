// A device on the edge of the possible: a read-only system, one core, a clock years ahead, a disk that fills up, sleep, and a system that ends
// what works because memory is short. Each is told in a sentence, and nothing that was accepted is lost. Linux's namespaces stand in for them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hubHere, tinyRun } from './hub-here.ts';
import { ANYWHERE, type Line, network, type Potluck, untilStatus } from './network.ts';

/** Everything is read-only but HOME, a small disk of its own; one core. */
const SMALL = `
  mount --make-rprivate / && mount -t tmpfs -o size=2m tmpfs "$0/home" && mount -o remount,ro,bind / &&
  mkdir "$0/home/device" && printf %s "$SETTINGS" > "$0/home/device/settings.json" && exec taskset -c 0 "$@"`;
/** The same, and no disk that could be written at all. */
const READ_ONLY = 'mount --make-rprivate / && mount -t tmpfs -o ro tmpfs "$0/home" && exec "$@"';
const within = (script: string): string[] => ['unshare', '--mount', 'sh', '-c', script];
const possible =
  spawnSync('unshare', ['--mount', 'sh', '-c', 'mount --make-rprivate / && command -v taskset']).status === 0;
const skip = !possible && 'no mount namespace, or no taskset, for this user on this system';

const YEARS_AHEAD = `
  const ahead_ms = 5 * 365 * 86_400_000, { now } = Date;
  globalThis.Date = class extends Date {
    constructor(...given) { super(...(given.length > 0 ? given : [now() + ahead_ms])); }
    static now() { return now() + ahead_ms; }
  };`;
const clock = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(YEARS_AHEAD)}` };

const typed =
  (type: string) =>
  (line: Line): boolean =>
    line.type === type;

/** Resolves when that many lines of a type have come. */
async function times(potluck: Potluck, type: string, many: number): Promise<void> {
  await potluck.line(() => potluck.lines.filter(typed(type)).length >= many);
}

/** What a process has started itself and lives. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

test('a device on one core, with a read-only system and a clock years ahead, works; full disks, sleep and a kill are told and survived', {
  skip,
}, async (t) => {
  const net = network(t, { ...clock, SETTINGS: JSON.stringify(ANYWHERE) }, within(SMALL));
  mkdirSync(join(net.folder, 'home'));
  const { url } = await hubHere(t);
  const run = await tinyRun(url, { rounds: 10_000, steps: 4, round_seconds: 5 });
  const ada = net.start('join', url, '--name', 'ada', '--duty', '0.1', '--json');
  await times(ada, 'accepted', 1);

  // Its own disk, as it sees it.
  const disk = `/proc/${ada.process.pid}/root${net.folder}/home`;
  const filler = join(disk, 'filler');
  assert.throws(() => writeFileSync(filler, new Uint8Array(4e6)), { code: 'ENOSPC' });
  const { message } = await ada.line(typed('problem'));
  assert.match(String(message), /ENOSPC|full/);
  await times(ada, 'accepted', ada.lines.filter(typed('accepted')).length + 2);
  rmSync(filler);

  // Asleep for longer than a round.
  const all = [ada.process.pid!, ...childrenOf(ada.process.pid!)];
  for (const pid of all) process.kill(pid, 'SIGSTOP');
  const { round } = await untilStatus(url, run, () => true);
  await untilStatus(url, run, (status) => status.round > round || !status.peers.some(({ present }) => present));
  for (const pid of all.reverse()) process.kill(pid, 'SIGCONT');
  await times(ada, 'accepted', ada.lines.filter(typed('accepted')).length + 1);

  // As a system does that is short of memory.
  const [kept] = childrenOf(ada.process.pid!);
  process.kill(kept, 'SIGKILL');
  const struck = await ada.line(typed('struck'));
  assert.deepEqual([struck.signal, struck.again_ms], ['SIGKILL', 5000]);
  await times(ada, 'accepted', ada.lines.filter(typed('accepted')).length + 1);

  ada.process.kill('SIGINT');
  assert.equal(await ada.ended, 0, ada.stderr());
  const { peers } = await untilStatus(url, run, () => true);
  const [{ merged_submissions, refused_submissions }] = peers;
  assert.ok(merged_submissions >= 4);
  assert.equal(refused_submissions, 0);
  assert.deepEqual(readdirSync(net.folder), ['home', 'text.txt']);
});

test('without a disk that can be written it says that', { skip }, async (t) => {
  const net = network(t, {}, within(READ_ONLY));
  mkdirSync(join(net.folder, 'home'));
  const ada = net.start('join', 'http://127.0.0.1:9', '--json');
  assert.equal(await ada.ended, 1);
  assert.match(ada.stdout(), /home\/.*: EROFS: read-only file system/);
});
