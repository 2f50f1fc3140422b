// Two real hubs: one names devices, the other has a run. A device is bound at the registry, earns for its owner in the run's log, and is refused there
// within seconds once its owner has revoked it. The run is listed at the registry, where others find it wherever it goes.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { replayLog } from '../src/audit/ownership-log.ts';
import { network, untilStatus } from './network.ts';

test('a device is bound at the registry, earns in a run elsewhere, and is refused there once it is revoked', async (t) => {
  const net = network(t);
  const { url: registry } = await net.hub();
  const here = join(net.folder, 'other');
  const hub = net.start('hub', '--port', '0', '--folder', here, '--json', '--no-page', '--registry', registry);
  const url = String((await hub.line(({ type }) => type === 'listening')).url);
  const run = await net.createRun(url, '--rounds', '1000', '--steps', '2', '--round-seconds', '2');
  const ada = net.joinTogether(url, 'ada');
  await untilStatus(url, run, ({ round }) => round >= 2);

  const { state: named } = await replayLog(registry);
  const { state } = await replayLog(url);
  const [[device, { owner }], ...others] = named.devices;
  assert.deepEqual(others, []);
  assert.equal(state.registry?.hub, named.hub);
  assert.equal(state.devices.get(device)?.owner, owner);
  const { shares } = state.runs.get(run)!;
  assert.ok(!shares.has(device) && (state.runs.get(run)!.amounts.get(owner) ?? 0) >= 0);

  const revoke = net.ask('id', 'revoke', device, '--hub', url, '--json');
  assert.equal(await revoke.ended, 0, revoke.stderr());
  const late = AbortSignal.timeout(30_000);
  while (!(await replayLog(url)).state.devices.get(device)?.revoked) {
    late.throwIfAborted();
    await wait(200);
  }
  // Its hub takes nothing from it any more.
  await ada.line(({ type, code }) => type === 'refused' && code === 'device-revoked');
  assert.equal((await replayLog(registry)).state.devices.get(device)?.revoked, true);
  const report = async () => {
    const audit = net.ask('audit', url, '--json');
    assert.equal(await audit.ended, 0, audit.stderr());
    return audit.lines.at(-1) as { registry: { missing: { device: string }[]; reason: null }; warnings: string[] };
  };
  assert.deepEqual((await report()).registry.missing, []);

  // A hub that never looks again does not know of what is revoked since; whoever audits it does.
  net.joinTogether(url, 'bob');
  const known = async () => [...(await replayLog(url)).state.devices.keys()];
  const soon = AbortSignal.timeout(60_000);
  while ((await known()).length < 2) {
    soon.throwIfAborted();
    await wait(200);
  }
  const bob = (await known()).find((one) => one !== device)!;
  hub.process.kill('SIGKILL');
  await hub.ended;
  const later = net.ask('id', 'revoke', bob, '--hub', registry, '--json');
  assert.equal(await later.ended, 0, later.stderr());
  const audit = net.ask('audit', here, '--no-models', '--json');
  assert.equal(await audit.ended, 0, audit.stderr());
  const { registry: compared, warnings } = audit.lines.at(-1) as Awaited<ReturnType<typeof report>>;
  assert.equal(compared.reason, null);
  assert.deepEqual(
    compared.missing.map(({ device }) => device),
    [bob],
  );
  assert.ok(warnings.some((what) => what.includes(`not taken in from the registry: the device ${bob}`)));
});

test('whoever knows only the registry finds a run that is listed there, wherever it has gone since', async (t) => {
  const net = network(t);
  const { url: registry } = await net.hub();
  const start = (name: string, ...more: string[]) =>
    net.start('hub', '--port', '0', '--folder', join(net.folder, name), '--json', '--no-page', ...more);
  const [one, two] = [start('one', '--registry', registry), start('two')];
  const urlOf = async (hub: typeof one) => String((await hub.line(({ type }) => type === 'listening')).url);
  const [first, second] = [await urlOf(one), await urlOf(two)];
  const run = await net.createRun(first, '--rounds', '3', '--steps', '2', '--round-seconds', '2', '--name', 'poems');
  const done = async (...words: string[]) => {
    const told = net.ask(...words, '--json');
    assert.equal(await told.ended, 0, told.stdout() + told.stderr());
    return told.lines.at(-1)!;
  };
  const link = `${registry}/r/${run}`;
  const unlisted = net.ask('status', link);
  assert.equal(await unlisted.ended, 1);
  assert.match(unlisted.stderr(), /its directory lists no such run/);

  const registered = await done('run', 'register', 'poems', '--hub', first);
  assert.deepEqual([registered.run, registered.registry_url, registered.listed], [run, registry, 1]);
  const listed = async (...more: string[]) =>
    (await done('run', 'list', '--registry', registry, ...more)).runs as Record<string, unknown>[];
  assert.deepEqual(
    (await listed()).map((row) => [row.run, row.hub_url, row.why]),
    [[run, first, null]],
  );
  const status = await done('status', link);
  assert.deepEqual(
    (status.runs as { run: string }[]).map((one) => one.run),
    [run],
  );
  assert.equal((await done('shares', `${registry}/#poems`)).run, run);
  assert.equal((await done('audit', link)).where, first);

  await done('run', 'move', link, '--to', second);
  assert.equal((await listed())[0].hub_url, second);
  const ada = net.joinTogether(link, 'ada');
  await untilStatus(second, run, ({ round }) => round >= 1);
  // Listed again, it is found without its first hub.
  assert.equal((await done('run', 'register', run, '--hub', second, '--registry', registry)).listed, 2);
  one.process.kill('SIGKILL');
  await one.ended;
  // It may be over by now.
  assert.equal((await listed('--all'))[0].hub_url, second);
  await untilStatus(second, run, ({ phase }) => phase === 'finished');
  assert.equal(await ada.ended, 0, ada.stderr());
  assert.deepEqual(await listed(), [], 'finished runs are for --all');
});
