// A service that is kept alive without being hurried, its log, and what is refused before anything is changed.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { wordsToRun } from './service.ts';
import { checkInstallable, install, mustBeOurs, remove, settingsFor } from './service-install.ts';
import { lastLines, openServiceLog } from './service-log.ts';
import type { Command, ServicePlan } from './service-plan.ts';
import { bytesOf, standingOf } from './service-record.ts';
import { readState, runService, SUPERVISOR_LIMITS, type Supervised, stateFile, supervise } from './service-run.ts';
import { systemdPlan } from './service-systemd.ts';

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-service-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function homeFor(t: TestContext): string {
  const before = process.env.POTLUCK_HOME;
  const folder = folderFor(t);
  process.env.POTLUCK_HOME = folder;
  t.after(() => {
    if (before === undefined) delete process.env.POTLUCK_HOME;
    else process.env.POTLUCK_HOME = before;
  });
  return folder;
}

test('what it is given is what join takes: any run where none is named, paths that do not depend on a folder', () => {
  const cases: [string[], string[]][] = [
    [['h:7700'], ['join', 'h:7700', '--any-run']],
    [
      ['h', '--any-run'],
      ['join', 'h', '--any-run'],
    ],
    [
      ['h', '--run', 'poems'],
      ['join', 'h', '--run', 'poems'],
    ],
    [
      ['h', '--run=a=1', '--run', 'b=2'],
      ['join', 'h', '--run=a=1', '--run', 'b=2'],
    ],
    [
      ['h', '--owner', 'my key', '--folder=../x'],
      ['join', 'h', '--owner', '/here/my key', '--folder=/x', '--any-run'],
    ],
    [
      ['h', '--name', '%h $x', '--role', 'validator'],
      ['join', 'h', '--name', '%h $x', '--role', 'validator', '--any-run'],
    ],
  ];
  for (const [given, words] of cases) assert.deepEqual(wordsToRun(given, '/here'), words);
});

test('what join would refuse is refused now, and so is what no service should do', (t) => {
  homeFor(t);
  const cases: [string[], RegExp][] = [
    [['h', '--roll', 'x'], /unknown option '--roll'/],
    [['./hub'], /expected the address of a hub/],
    [['h', '--run', 'a', '--any-run'], /contradict each other/],
    [['h', '--alone'], /--alone and a service contradict each other/],
    [[], /expected the address of a hub, or runs that are set/],
  ];
  for (const [given, says] of cases) assert.throws(() => wordsToRun(given), says);
});

test('runs that are set need no words', (t) => {
  const home = homeFor(t);
  mkdirSync(join(home, 'device'));
  writeFileSync(join(home, 'device', 'settings.json'), '{"runs":[{"hub":"http://h"}]}');
  assert.deepEqual(wordsToRun([]), ['join']);
});

test('a cache that may vanish and a home that cannot be written are refused before anything is changed', async (t) => {
  homeFor(t);
  const settings = settingsFor(['join', 'h'], false);
  const plan = { files: [{ path: '/proc/none/potluck.service', text: '' }] } as unknown as ServicePlan;
  const cached = { ...settings, potluck: '/home/ada/.npm/_npx/3f/node_modules/potluck/bin/potluck.js' };
  await assert.rejects(
    checkInstallable(plan, cached),
    /is in a cache whose files may vanish.*install Potluck in a folder of its own/,
  );
  await assert.rejects(
    checkInstallable(plan, settings),
    /none\/potluck\.service cannot be written: nothing can be put into \/proc .*nothing was changed/,
  );
});

test('a unit that somebody else has written is not touched; one of ours that was changed is known', (t) => {
  homeFor(t);
  const folder = folderFor(t);
  const file = { path: join(folder, 'potluck.service'), text: 'new' };
  const plan = { files: [file] } as unknown as ServicePlan;
  const record = { files: {} } as never;
  assert.equal(standingOf(file, null), 'none');
  mustBeOurs(plan);
  writeFileSync(file.path, 'theirs');
  assert.equal(standingOf(file, record), 'other');
  assert.throws(() => mustBeOurs(plan), /is there and was not written from/);
  writeFileSync(file.path, bytesOf(file));
  assert.equal(standingOf(file, record), 'same');
});

test('what was installed goes, also where the system does not answer any more', async (t) => {
  homeFor(t);
  const user = folderFor(t);
  const settings = { ...settingsFor(['join', 'h'], false), user: { home: user, name: 'ada', uid: 1 } };
  const { files, made, ...commands } = systemdPlan(settings);
  const absent = (list: readonly Command[]): Command[] =>
    list.map((one) => ({ ...one, words: ['potluck-none', ...one.words] }));
  const plan = {
    ...commands,
    files,
    made,
    install: [],
    stop: absent(commands.stop),
    after_removal: absent(commands.after_removal),
  };
  await install(plan, settings, () => {});
  mkdirSync(dirname(made[0]));
  symlinkSync(files[0].path, made[0]); // as "systemctl enable" does
  assert.equal(readFileSync(made[0], 'utf8'), files[0].text);
  const said: string[] = [];
  await remove(plan, settings, (sentence) => said.push(sentence));
  assert.deepEqual(
    readdirSync(user, { recursive: true, withFileTypes: true }).filter((one) => !one.isDirectory()),
    [],
  );
  assert.ok(!existsSync(settings.folder));
  assert.match(said.join('; '), /there is no such command: systemd is not there to forget it/);
});

test('Windows reads its task in UTF-16 with a mark', () => {
  assert.deepEqual([...bytesOf({ path: '', text: 'aü', utf16: true })], [0xff, 0xfe, 0x61, 0, 0xfc, 0]);
});

/** A service whose program ends as the test says. */
function supervised() {
  const clock = handClock();
  const stopping = new AbortController();
  const begun_ms: number[] = [];
  let end: (how: number | string) => void = () => {};
  const heard: string[] = [];
  const over = supervise({
    ...{ clock, signal: stopping.signal, say: () => {} },
    onStart: async (_pid, restarts, last_exit) => void heard.push(`${restarts} ${last_exit}`),
    start(): Supervised {
      begun_ms.push(clock.elapsed_ms());
      const ended = new Promise<number | string>((resolve) => {
        end = resolve;
      });
      return { pid: 1, ended, stop: () => end(0) };
    },
  });
  /** It ends after some time; what follows is heard of after the wait. */
  const endAfter = async (time_ms: number, how: number | string): Promise<void> => {
    await clock.pass(time_ms);
    end(how);
    await clock.pass(0);
  };
  return { clock, stopping, begun_ms, heard, over, endAfter };
}

test('what fails begins again, more and more slowly, and at once after it had gone well', async () => {
  const { clock, begun_ms, heard, over, endAfter, stopping } = supervised();
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    const before_ms = clock.elapsed_ms();
    await endAfter(1000, i === 3 ? 'SIGKILL' : 1);
    await clock.pass(SUPERVISOR_LIMITS.longest_wait_ms);
    waits.push((begun_ms.at(-1)! - before_ms - 1000) / 1000);
    assert.equal(begun_ms.length, i + 2);
    // What runs on while the clock passes has run long when it ends next: only the first waits are looked at.
    if (i === 0) break;
  }
  assert.deepEqual(waits, [10]);
  await endAfter(SUPERVISOR_LIMITS.well_ms, 'SIGKILL');
  await clock.pass(10_000);
  assert.deepEqual(heard, ['0 null', '1 exit code 1', '2 signal SIGKILL']);
  for (const wait_s of [20, 40, 80, 160, 320, 600, 600]) {
    const begun = begun_ms.length;
    await endAfter(0, 1);
    await clock.pass(wait_s * 1000 - 1);
    assert.equal(begun_ms.length, begun, `${wait_s} s`);
    await clock.pass(1);
    assert.equal(begun_ms.length, begun + 1, `${wait_s} s`);
  }
  stopping.abort();
  assert.equal(await clock.run(over), 0);
});

test('what has ended well, or was told the wrong words, is not begun again; who stops it in a wait waits no longer', async () => {
  for (const [how, code] of [
    [0, 0],
    [2, 2],
  ]) {
    const { clock, over, begun_ms, endAfter } = supervised();
    await endAfter(1000, how);
    assert.equal(await clock.run(over), code);
    assert.equal(begun_ms.length, 1);
  }
  const { clock, over, stopping, endAfter } = supervised();
  await endAfter(0, 1);
  const before_ms = clock.elapsed_ms();
  stopping.abort();
  assert.equal(await clock.run(over), 0);
  assert.equal(clock.elapsed_ms(), before_ms);
});

test('the log has the time of each line, and never more than two files of its size', (t) => {
  const path = join(folderFor(t), 'service.log');
  const log = openServiceLog(path, () => 0, 1000);
  log.write('one\nt');
  log.write('wo\n');
  assert.deepEqual(lastLines(path, 9), ['1970-01-01T00:00:00.000Z one', '1970-01-01T00:00:00.000Z two']);
  for (let i = 0; i < 500; i++) log.write(`line ${i}\n`);
  log.write(`${'x'.repeat(100_000)}\n`);
  for (const file of [path, `${path}.1`]) assert.ok(statSync(file).size <= 5000, `${file}: ${statSync(file).size}`);
  const before = openServiceLog(path, () => 0, 1000);
  for (let i = 0; i < 20; i++) before.write(`again ${i}\n`);
  assert.deepEqual(
    lastLines(path, 2).map((line) => line.slice(25)),
    ['again 18', 'again 19'],
  );
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('service run keeps a log, tells how it stands and passes the end of its program on', async (t) => {
  const folder = folderFor(t);
  const record = join(folder, 'service.json');
  const script = join(folder, 'program.js');
  writeFileSync(
    script,
    'console.log("words:", process.argv.slice(2).join("|"), process.env.POTLUCK_HOME); process.exitCode = 2;',
  );
  const files = { files: {}, installed_ms: 1, asks_linger: false };
  const words = {
    version: 1,
    node: process.execPath,
    potluck: script,
    words: ['join', 'a "b"'],
    home: `${folder}/home`,
    folder,
  };
  writeFileSync(record, JSON.stringify({ ...words, ...files }));
  assert.equal(await runService(record), 2);
  assert.match(lastLines(join(folder, 'service.log'), 1)[0], /words: join\|a "b" .*\/home$/);
  const { running, last_exit, restarts } = readState(folder);
  assert.deepEqual([running, last_exit, restarts], [true, null, 0]); // this very process is the supervisor
  writeFileSync(
    stateFile(folder),
    readFileSync(stateFile(folder), 'utf8').replace(/"supervisor_pid":\d+/, '"supervisor_pid":999999999'),
  );
  assert.equal(readState(folder).running, false);
  await assert.rejects(runService(join(folder, 'none.json')), /expected what "potluck service install" has written/);
});
