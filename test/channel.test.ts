// Two devices of a run that talk to each other through a real hub while they work: what they say comes, and the hub cannot read it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AnyGame, Device } from '../src/games/game.ts';
import { game as pretrain } from '../src/games/pretrain.ts';
import { joinRun } from '../src/peer/peer.ts';
import { openThrottle } from '../src/peer/policy.ts';
import { loadOrCreateIdentity } from '../src/protocol/identity-file.ts';
import { createNativeRuntime } from '../src/tensor/native-runtime.ts';
import { hubHere, tinyRun } from './hub-here.ts';

test('devices of a run talk to each other while they work', { timeout: 120_000 }, async (t) => {
  const hub = await hubHere(t);
  const run = await tinyRun(hub.url, { min_workers: 2, rounds: 1 });
  const folders = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'potluck-talks-')));
  t.after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  const ids: string[] = [];
  for (const folder of folders) ids.push((await loadOrCreateIdentity(join(folder, 'identity.key'))).id);
  const heard = new Map<string, { from: string; length: number }>();
  const all = Promise.withResolvers<void>();

  /** Pre-training, by devices that greet each other first. */
  const talking = (own: string, other: string): AnyGame => ({
    ...pretrain,
    needs: [...(pretrain.needs ?? []), 'channel'],
    async perform(task, device: Device, signal) {
      device.channel!.listen(async (from, { length }) => {
        heard.set(own, { from, length });
        if (heard.size === 2) all.resolve();
      });
      await device.channel!.send(other, new Uint8Array(200_000), signal);
      return pretrain.perform(task, device, signal);
    },
  });
  const runtime = await createNativeRuntime({ threads: 1 });
  t.after(() => runtime.close());
  const stop = new AbortController();
  const parts = ids.map((own, i) =>
    joinRun({
      ...{ url: hub.url, run, role: 'worker', name: `device ${i}`, folder: folders[i], signal: stop.signal },
      ...{ runtime, throttle: openThrottle(1) },
      loadGame: async () => talking(own, ids[1 - i]),
    }),
  );
  await Promise.race([all.promise, Promise.all(parts)]);
  assert.deepEqual(
    ids.map((id) => heard.get(id)),
    ids.map((_, i) => ({ from: ids[1 - i], length: 200_000 })),
  );
  stop.abort();
  await Promise.all(parts);
  const metrics = await (await fetch(`${hub.url}/metrics`)).text();
  const frames = Number(/^potluck_relay_frames_total (\d+)$/m.exec(metrics)?.[1]);
  assert.ok(frames >= 2 * (2 + 4), `${frames} frames: two beginnings, two answers, four parts each way`);
});
