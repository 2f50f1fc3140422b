// Devices of different runtime classes in one run: a native and a WASM worker, judged by a WASM validator, hold the same model.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hubHere, tinyRun } from './hub-here.ts';
import { network, untilStatus } from './network.ts';

test('a native and a WASM worker train one model, and agree on it by hash', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const run = await tinyRun(url, { rounds: 3, steps: 6, min_workers: 2, round_seconds: 120 });
  const peers = [
    net.joinTogether(url, 'native'),
    net.joinTogether(url, 'wasm', '--device', 'wasm'),
    net.joinTogether(url, 'vera', '--role', 'validator', '--device', 'wasm'),
  ];
  assert.deepEqual(await Promise.all(peers.map((peer) => peer.ended)), [0, 0, 0]);
  const status = await untilStatus(url, run, (s) => s.phase === 'finished' && s.evaluated_rounds === 3);
  const workers = status.peers.filter((peer) => peer.role === 'worker');
  assert.deepEqual(workers.map((peer) => peer.runtime).sort(), ['native-cpu', 'wasm']);
  // Work on another model than the log's is refused, so merged work of every round means the same model in every round.
  for (const peer of workers) assert.deepEqual([peer.merged_submissions, peer.refused_submissions], [3, 0]);
});
