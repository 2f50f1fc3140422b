// A device that goes on to the next run of a hub, and one that works for two at a time, with a real hub and real processes.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hubHere, tinyRun } from './hub-here.ts';
import { type Line, network } from './network.ts';

const isJoined = (run: string) => (line: Line) => line.type === 'joined' && line.run === run;
const isAccepted = (run: string) => (line: Line) => line.type === 'accepted' && line.run === run;

test('a device for any run goes on to the next when one ends, with the same key', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const first = await tinyRun(url, { name: 'short', rounds: 1, round_seconds: 10, steps: 20 });
  const ada = net.start('join', url, '--any-run', '--alone', '--json');
  const one = await ada.line(isJoined(first));
  const second = await tinyRun(url, { name: 'next', round_seconds: 2 });
  await ada.line((line) => line.type === 'ended' && line.run === first);
  const two = await ada.line(isJoined(second));
  assert.equal(two.peer, one.peer);
  await ada.line(isAccepted(second));
  ada.process.kill('SIGINT');
  assert.equal(await ada.ended, 0, ada.stderr());
});

test('a device works for the two runs that are set, each with a key of its own, and for others when these are set', async (t) => {
  const net = network(t);
  const device = join(net.folder, 'home', 'device');
  mkdirSync(device, { recursive: true });
  const anywhere = { on_battery: true, on_metered: true, hottest_c: null, foreign_cpu_percent_in_use: null };
  const little = { memory_percent_in_use: 90, least_free_memory_gb: 0, least_free_disk_gb: 0, cores_in_use: 1 };
  const set = (runs: object[]): void =>
    writeFileSync(join(device, 'settings.json'), JSON.stringify({ ...anywhere, ...little, runs }));
  const { url } = await hubHere(t);
  const [poems, plays] = await Promise.all(['poems', 'plays'].map((name) => tinyRun(url, { name, round_seconds: 3 })));
  const playing = { hub: url, run: 'plays', share: 30 };
  set([{ hub: url, run: 'poems', share: 70 }, playing]);
  const ada = net.start('join', '--json');
  const peers = await Promise.all([poems, plays].map(async (run) => (await ada.line(isJoined(run))).peer));
  assert.notEqual(peers[0], peers[1]);
  await Promise.all([poems, plays].map((run) => ada.line(isAccepted(run))));
  const shown = await net.ask('device', '--json').line((line) => line.type === 'device');
  const [{ runs }] = shown.workers as { runs: { run: string; share: number }[] }[];
  const shares = [poems, plays].map((run) => runs.find((one) => one.run === run)?.share);
  assert.deepEqual(shares, [0.7, 0.3]);
  set([playing]);
  const known = ada.lines.length;
  const again = await ada.line((line) => ada.lines.indexOf(line) >= known && isJoined(plays)(line));
  assert.equal(again.peer, peers[1]); // the key that has worked there, not the first that is free
  ada.process.kill('SIGINT');
  assert.equal(await ada.ended, 0, ada.stderr());
});
