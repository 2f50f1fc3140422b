// A run in stages on a real hub: the device that alone holds a stage is gone in the middle of a round, another takes its place, and the round is merged.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { WorkSubmitted } from '../src/core/events/work-submitted.ts';
import type { LoggedEvent } from '../src/core/events.ts';
import { fetchStatus } from '../src/peer/find-run.ts';
import { joinRun } from '../src/peer/peer.ts';
import { openThrottle } from '../src/peer/policy.ts';
import type { PeerNews } from '../src/peer/role.ts';
import { loadOrCreateIdentity } from '../src/protocol/identity-file.ts';
import { createNativeRuntime } from '../src/tensor/native-runtime.ts';
import type { Runtime } from '../src/tensor/runtime.ts';
import { hubHere, tinyRun } from './hub-here.ts';

/** A wire to the hub that can be cut: then the device is gone for the hub, without a word. */
async function wireTo(t: TestContext, hub_url: string): Promise<{ readonly url: string; cut(): void }> {
  const { hostname, port } = new URL(hub_url);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  t.after(cut);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, cut };
}

/** A worker behind a wire of its own; `works` resolves when it works on the round. */
async function worker(t: TestContext, hub_url: string, run: string, runtime: Runtime, round: number) {
  const wire = await wireTo(t, hub_url);
  const folder = mkdtempSync(join(tmpdir(), 'potluck-moved-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { id } = await loadOrCreateIdentity(join(folder, 'identity.key'));
  const works = Promise.withResolvers<void>();
  const problems: string[] = [];
  const stop = new AbortController();
  const ended = joinRun({
    ...{ url: wire.url, run, role: 'worker', name: id.slice(0, 4), folder, signal: stop.signal },
    ...{ runtime, throttle: openThrottle(1) },
    onNews(news: PeerNews) {
      if (news.type === 'progress' && news.progress.state === 'working' && news.progress.round === round)
        works.resolve();
      if (news.type === 'problem') problems.push(`${news.code}: ${news.message}`);
    },
  });
  return { id, wire, works: works.promise, problems, stop, ended };
}

test('a stage whose only device is lost in a round is taken over in it, and the round is merged', {
  timeout: 240_000,
}, async (t) => {
  const events: LoggedEvent[] = [];
  const [left, merged] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const hub = await hubHere(t, {
    limits: { lost_after_ms: 500 },
    onEvent(event) {
      events.push(event);
      if (event.body.type === 'peer.left') left.resolve();
      if (event.body.type === 'round.merged' && event.body.round === 1 && event.body.bundle) merged.resolve();
    },
  });
  // A device's first round is short; the second is over when its steps are done.
  const run = await tinyRun(hub.url, { stages: 2, min_workers: 3, rounds: 2, round_seconds: 60, steps: 40 });
  const runtime = await createNativeRuntime({ threads: 1 });
  t.after(() => runtime.close());
  const devices = await Promise.all([0, 1, 2].map(() => worker(t, hub.url, run, runtime, 1)));
  const roster = async (): Promise<Map<string, number | undefined>> => {
    const [{ peers }] = (await fetchStatus(hub.url)).runs;
    return new Map(peers.filter(({ present }) => present).map(({ id, stage }) => [id, stage]));
  };
  await Promise.all(devices.map(({ works }) => works));
  const before = await roster();
  const alone = (stage: number | undefined): boolean =>
    [...before.values()].filter((one) => one === stage).length === 1;
  const lost = devices.find(({ id }) => alone(before.get(id)))!;
  lost.wire.cut();
  await left.promise;
  lost.stop.abort();
  const after = await roster();
  assert.deepEqual([...after.values()].sort(), [0, 1], 'each of the two that are left holds one');
  const [moved, other] = [...after.keys()].sort((a) => (after.get(a) === before.get(lost.id) ? -1 : 1));
  assert.notEqual(after.get(moved), before.get(moved));

  await merged.promise;
  const works = events
    .filter((event): event is LoggedEvent & { body: WorkSubmitted } => event.body.type === 'work.submitted')
    .filter(({ body }) => body.round === 1);
  const handedIn = works.map(({ author, body }) => `${author} ${body.stage}`);
  assert.deepEqual(handedIn.sort(), [moved, other].map((id) => `${id} ${after.get(id)}`).sort());
  for (const { id, problems } of devices) if (id !== lost.id) assert.deepEqual(problems, []);
  for (const { stop } of devices) stop.abort();
  await Promise.all(devices.map(({ ended }) => ended));
});
