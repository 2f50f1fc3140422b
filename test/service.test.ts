// `potluck service` with a real systemd: a user manager of its own in namespaces of its own, where this machine lets one be started.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const POTLUCK = join(import.meta.dirname, '..', 'bin', 'potluck.js');
const SYSTEMD = ['/lib/systemd/systemd', '/usr/lib/systemd/systemd'].find((path) => existsSync(path));
/** What each format would read as something else. */
const NAME = 'a "b" $HOME %h \\ ü ; x';

/** systemd asks whether the system was booted with it, and wants a tree of control groups that it may write. */
const SCRIPT = `
set -e
mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/system /run/user; chmod 700 /run/user
umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; mount -t proc proc /proc
export XDG_RUNTIME_DIR=/run/user
"$SYSTEMD" --user --log-target=null &
for i in $(seq 200); do systemctl --user is-system-running >/dev/null 2>&1 && break; sleep 0.1; done
systemctl --user is-system-running || exit 77
potluck() { "$NODE" "$POTLUCK" service "$@" --json; }
potluck install 127.0.0.1:1 --name "$NAME" --yes
potluck install 127.0.0.1:1 --name "$NAME" --yes
pid=$(systemctl --user show potluck.service --property MainPID --value)
for i in $(seq 300); do [ -n "$(find "$POTLUCK_HOME/device/workers" -name "$pid.json" 2>/dev/null)" ] && break; sleep 0.1; done
potluck status
"$NODE" -e 'console.log(JSON.stringify({type:"seen",words:fs.readFileSync("/proc/'$pid'/cmdline","utf8").split("\\0")}))'
chrt -p $pid | sed -n 's/.*policy: \\(.*\\)/{"type":"policy","policy":"\\1"}/p'
potluck remove --yes
potluck status
systemctl --user is-active potluck.service || true
systemctl --user exit
`;

test('a service is installed, runs as it was told below everything else, and is removed', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-systemd-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const home = join(folder, 'home $x %n "q" ü');
  mkdirSync(join(home, '.potluck', 'device'), { recursive: true });
  const rules = {
    on_battery: true,
    on_metered: true,
    hottest_c: null,
    foreign_cpu_percent_in_use: null,
    least_free_disk_gb: 0,
  };
  writeFileSync(join(home, '.potluck', 'device', 'settings.json'), JSON.stringify(rules));
  if (SYSTEMD === undefined) return t.skip('there is no systemd here');
  const env = {
    ...process.env,
    HOME: home,
    POTLUCK_HOME: join(home, '.potluck'),
    SYSTEMD,
    NODE: process.execPath,
    POTLUCK,
    NAME,
  };
  const words = ['--mount', '--pid', '--fork', '--cgroup', '--kill-child', 'bash', '-c', SCRIPT];
  const { stdout, stderr, status, error } = spawnSync('unshare', words, { env, encoding: 'utf8', timeout: 120_000 });
  if (error || status === 77 || /^(unshare|mount|umount): /m.test(stderr)) {
    return t.skip(`no systemd of one's own can be started here: ${error?.message ?? stderr.split('\n', 1)[0]}`);
  }
  assert.equal(status, 0, stderr);
  const said = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  const changes = said.filter(({ type }) => type === 'service_change').map(({ does, done }) => `${does} ${done}`);
  assert.deepEqual(changes, ['install false', 'install true', 'nothing false', 'remove false', 'remove true'], stdout);
  const [there, gone] = said.filter(({ type }) => type === 'service');
  assert.deepEqual(
    [there.installed, there.enabled, there.running, there.last_exit, there.restarts],
    [true, true, true, null, 0],
  );
  assert.equal(there.devices.length, 1);
  assert.equal(there.devices[0].pid, there.pid);
  const { words: seen } = said.find(({ type }) => type === 'seen');
  assert.deepEqual(seen.slice(1, -1), [POTLUCK, 'join', '127.0.0.1:1', '--name', NAME, '--any-run']);
  assert.equal(said.find(({ type }) => type === 'policy').policy, 'SCHED_IDLE');
  assert.deepEqual([gone.installed, gone.running], [false, false]);
  assert.match(stdout, /^inactive$/m);
  assert.ok(!existsSync(join(home, '.config', 'systemd', 'user', 'potluck.service')));
  assert.ok(!existsSync(join(home, '.potluck', 'service')));
});
