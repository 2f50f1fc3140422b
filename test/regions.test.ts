// A hub of several real processes over a real NATS server: a device whose front end is killed works on at another one, and has never left.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openHubLog } from '../src/audit/public-log-http.ts';
import { decodeEvent } from '../src/core/codec.ts';
import { NATS_SKIPPED, startNats } from '../src/hub/cluster/testing/nats-server.ts';
import { startS3Double } from '../src/ledger/testing/s3-double.ts';
import { decodeEntryBundle } from '../src/ledger/tiles.ts';
import { fetchRuns } from '../src/peer/find-run.ts';
import { joinRun } from '../src/peer/peer.ts';
import { openThrottle } from '../src/peer/policy.ts';
import { FrontsSchema } from '../src/protocol/fronts.ts';
import { createNativeRuntime } from '../src/tensor/native-runtime.ts';
import { tinyRun } from './hub-here.ts';
import { network, type Potluck } from './network.ts';

/** A hub knows after 3.5 s that one of its processes is gone, gives its devices 5 s, and the log takes its time. */
const LEAVE_WOULD_BE_THERE_MS = 12_000;

const read = async (url: string): Promise<unknown> => (await fetch(url)).json();
/** Polls what no event tells from outside. */
async function until(holds: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!(await holds().catch(() => false))) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('a device whose front end is killed', { skip: NATS_SKIPPED, timeout: 120_000 }, async (t) => {
  const nats = await startNats({ jetstream: true });
  t.after(() => nats.close());
  const s3 = await startS3Double();
  t.after(() => s3.stop());
  const net = network(t, {
    AWS_ACCESS_KEY_ID: s3.access_key_id,
    AWS_SECRET_ACCESS_KEY: s3.secret_access_key,
  });
  const bucket = `${s3.url}/${s3.bucket}`;
  const start = async (roles: string): Promise<{ readonly url: string; readonly potluck: Potluck }> => {
    const name = `${roles}-${Math.random()}`;
    const potluck = net.start(
      ...['hub', '--port', '0', '--folder', join(net.folder, name), '--json', '--no-page'],
      ...['--nats', nats.urls[0], '--s3', bucket, '--roles', roles],
    );
    const { url } = await potluck.line((line) => line.type === 'listening');
    return { url: String(url), potluck };
  };
  await start('sequencer,merger');
  const ends = [await start('front'), await start('front')];
  const [{ url }] = ends;
  await until(async () => FrontsSchema.parse(await read(`${url}/fronts`)).fronts.length === 2, t.signal);
  const run = await tinyRun(url, { rounds: 10_000, round_seconds: 2, steps: 2 });

  const runtime = await createNativeRuntime({ threads: 1 });
  t.after(() => runtime.close());
  const stop = new AbortController();
  const welcomes: number[] = [];
  const part = joinRun({
    ...{ url, run, role: 'worker', name: 'a device', folder: join(net.folder, 'device'), signal: stop.signal },
    ...{ runtime, throttle: openThrottle(1) },
    onNews: ({ type }) => void (type === 'joined' && welcomes.push(performance.now())),
  });
  part.catch(() => {});
  await until(async () => welcomes.length === 1, t.signal);
  const connections = await Promise.all(
    ends.map(async (end) => ((await read(`${end.url}/health`)) as { connections: number }).connections),
  );
  const at = connections.indexOf(1);
  assert.equal(connections[1 - at], 0, `it is at one of them: ${connections}`);
  const other = ends[1 - at].url;
  const merged = async (): Promise<number> => (await fetchRuns(other)).runs[0].round;
  await until(async () => (await merged()) >= 1, t.signal);

  const killed_ms = performance.now();
  ends[at].potluck.process.kill('SIGKILL');
  await until(async () => welcomes.length === 2, t.signal);
  assert.ok(welcomes[1] - killed_ms < 10_000, `${welcomes[1] - killed_ms} ms away`);
  const round = await merged();
  await until(async () => (await merged()) >= round + 2, t.signal);
  await until(async () => performance.now() - killed_ms > LEAVE_WOULD_BE_THERE_MS, t.signal);

  const log = await openHubLog(other);
  const types: string[] = [];
  for await (const { bundle, count } of log.pages()) {
    for (const entry of decodeEntryBundle(bundle, count)) types.push(decodeEvent(entry).body.type);
  }
  log.close();
  assert.equal(types.filter((type) => type === 'peer.joined').length, 1);
  assert.ok(!types.includes('peer.left'), 'it has never left');
  stop.abort();
  await part;
});
