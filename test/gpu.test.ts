// A worker on a GPU (Chromium's software adapter) in a run: a validator on the CPU accepts its work.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasGpuProvider } from '../src/tensor/gpu-runtime.ts';
import { softwareGpu } from '../src/tensor/testing/software-gpu.ts';
import { hubHere, tinyRun } from './hub-here.ts';
import { network, untilStatus } from './network.ts';

const environment = hasGpuProvider() ? softwareGpu() : null;

test('what a worker trains on a GPU a validator on the CPU accepts', { skip: environment === null }, async (t) => {
  const net = network(t, environment!);
  const { url } = await hubHere(t);
  const run = await tinyRun(url, { rounds: 1, steps: 2, min_workers: 1, round_seconds: 600 });
  const worker = net.join(url, 'gpu', '--device', 'gpu');
  const judge = net.join(url, 'vera', '--role', 'validator');
  assert.equal(await worker.ended, 0, `${worker.stdout()}${worker.stderr()}`);
  assert.equal(await judge.ended, 0, judge.stderr());
  const status = await untilStatus(url, run, (s) => s.phase === 'finished');
  const found = status.peers.find((peer) => peer.role === 'worker')!;
  assert.deepEqual([found.runtime, found.merged_submissions, found.refused_submissions], ['webgpu', 1, 0]);
  assert.match(JSON.stringify(worker.lines.filter(({ type }) => type === 'computes')), /passed its self-test/);
});
