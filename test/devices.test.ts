// Two devices of one owner, with a real hub and real processes: the owner sees both, sets one, pauses both, and lets them go on.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { OwnDevice } from '../src/owner/devices.ts';
import { hubHere, tinyRun } from './hub-here.ts';
import { network } from './network.ts';

/** Nothing about the machine that runs the tests holds a device up. */
const ANYWHERE = {
  ...{ on_battery: true, on_metered: true, hottest_c: null, hottest_battery_c: null, foreign_cpu_percent_in_use: null },
  ...{ memory_percent_in_use: 90, least_free_memory_gb: 0, least_free_disk_gb: 0, cores_in_use: 1 },
};

test('an owner sees two devices, sets one, pauses both, and what is set at the machine itself holds', async (t) => {
  const net = network(t);
  const settings = join(net.folder, 'home', 'device', 'settings.json');
  mkdirSync(join(settings, '..'), { recursive: true });
  const setHere = (more: object): void => writeFileSync(settings, JSON.stringify({ ...ANYWHERE, ...more }));
  setHere({});
  const { url } = await hubHere(t, {
    letters: { again_ms: 100 },
    rates: { letter_key: { burst: 10_000, per_second: 100 } },
  });
  await tinyRun(url, { steps: 100_000 });
  const [ada, bob] = ['ada', 'bob'].map((name) =>
    net.start('join', url, '--name', name, '--folder', join(net.folder, name), '--duty', '0.1', '--json'),
  );
  const ask = async (...words: string[]) => {
    const asked = net.ask('devices', ...words, '--hub', url, '--json');
    assert.equal(await asked.ended, 0, asked.stderr() + JSON.stringify(asked.lines));
    return asked.lines;
  };
  /** Asks until the devices stand as they should. */
  const stand = async (...standings: string[]): Promise<OwnDevice[]> => {
    for (const end = performance.now() + 180_000; ; ) {
      const devices = (await ask('list'))[0].devices as OwnDevice[];
      const now = devices.map(({ report, standing }) => `${report?.name} ${standing}`);
      if (now.join() === standings.join()) return devices;
      assert.ok(performance.now() < end, `expected ${standings.join()}, got ${now.join()}`);
      await new Promise((resolve) => setTimeout(resolve, 1000)); // nothing tells an owner of a change, and each question costs
    }
  };
  const paused = (who: typeof ada, code: string, words: RegExp) =>
    who.line(({ type, reasons }) => {
      const [first] = type === 'policy' ? (reasons as { code: string; message: string }[]) : [];
      return first?.code === code && words.test(first.message);
    });

  await Promise.all([ada, bob].map((who) => who.line(({ type }) => type === 'joined')));
  const [first] = await stand('ada works', 'bob works');
  assert.equal(first.report!.role, 'worker');
  assert.deepEqual(first.report!.settings, ANYWHERE);

  await ask('set', 'least_free_disk_gb', '1000000', '--device', 'ada');
  await paused(ada, 'disk-low', /./);
  const [{ report, taken }] = await stand('ada paused', 'bob works');
  assert.equal(report!.reasons[0].code, 'disk-low');
  assert.equal(taken, true);

  await ask('pause');
  await paused(bob, 'paused-by-owner', /elsewhere/);
  await stand('ada paused', 'bob paused');
  await ask('set', 'least_free_disk_gb', 'default');
  setHere({ accept_remote_settings: false });
  await stand('ada works', 'bob works');
  setHere({});
  await stand('ada paused', 'bob paused');
  await ask('resume');
  await stand('ada works', 'bob works');

  bob.process.kill('SIGINT');
  assert.equal(await bob.ended, 0);
  await stand('ada works', 'bob off');
});
