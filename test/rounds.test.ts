// Rounds that never wait, with real processes: devices are killed, stopped, slow and late, the hub dies, and the run goes on.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hubHere, tinyRun } from './hub-here.ts';
import { network, type Potluck, untilStatus } from './network.ts';

/** Work that is merged before a validator has joined is merged unverified: nobody is credited for it. */
const judged = (url: string, run: string) =>
  untilStatus(url, run, (s) => s.peers.some(({ role }) => role === 'validator'));

const credit = (status: Awaited<ReturnType<typeof untilStatus>>, name: string): number =>
  status.peers.find((peer) => peer.name === name)?.credit_amount ?? -1;

test('two workers and a validator train a run to its end, and its model goes home', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const run = await net.createRun(url, '--rounds', '4', '--steps', '8', '--round-seconds', '120', '--min-workers', '2');
  const vera = net.joinTogether(url, 'vera', '--role', 'validator');
  await judged(url, run);
  const peers = [vera, net.joinTogether(url, 'ada'), net.joinTogether(url, 'bob')];
  assert.deepEqual(await Promise.all(peers.map((peer) => peer.ended)), [0, 0, 0]);
  const status = await untilStatus(url, run, (s) => s.phase === 'finished' && s.evaluated_rounds === 4);
  assert.ok(
    status.metrics[0].last! < status.metrics[0].first! - 0.1,
    `${status.metrics[0].first} → ${status.metrics[0].last}`,
  );
  // The rules of a created run bound a first work, the hub says so, and the worker keeps to it: two steps, later all eight.
  const [first, ...later] = peers[1].lines
    .filter((line) => line.type === 'accepted')
    .map(({ numbers }) => Number((numbers as { steps: number }).steps));
  assert.ok(first <= 2 && Math.max(...later) === 8, `${[first, ...later]}`);
  assert.ok(credit(status, 'ada') > 0 && credit(status, 'bob') > 0);
  assert.equal(credit(status, 'ada') + credit(status, 'bob'), status.merged_amount);
  assert.ok(status.bytes_submitted < status.dense_bytes / 20);

  const target = join(net.folder, 'model');
  const exported = net.ask('export', run.slice(0, 10), target, '--hub', url, '--format', 'onnx', '--json');
  assert.equal(await exported.ended, 0);
  assert.ok(readdirSync(target).includes('model.safetensors'));
  assert.deepEqual(readdirSync(join(target, 'onnx')).sort(), ['model.onnx', 'model_quantized.onnx']);
  assert.equal(await net.ask('verify', target).ended, 0, 'every file is signed');
  assert.equal(JSON.parse(readFileSync(join(target, 'config.json'), 'utf8')).model_type, 'llama');
  const seen = net.ask('status', url, '--json');
  assert.equal((await seen.line((line) => 'runs' in line)).hub, (await seen.line(() => true)).hub);
});

test('SIGKILL costs only the worker itself; SIGTERM hands in what is done', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const run = await tinyRun(url, { rounds: 6, steps: 1000, round_seconds: 30, min_workers: 3 });
  net.joinTogether(url, 'vera', '--role', 'validator');
  await judged(url, run);
  const [killed, polite] = [net.join(url, 'killed'), net.join(url, 'polite')];
  net.joinTogether(url, 'steady');
  // Each as soon as it trains: a first work is a short one.
  const whileItTrains = async (peer: Potluck, signal: NodeJS.Signals): Promise<void> => {
    await peer.line(({ type, progress }) => type === 'progress' && (progress as { state: string }).state === 'working');
    peer.process.kill(signal);
  };
  await Promise.all([whileItTrains(killed, 'SIGKILL'), whileItTrains(polite, 'SIGTERM')]);
  assert.equal(await polite.ended, 0);
  const handedIn = polite.lines.filter((line) => line.type === 'accepted');
  assert.equal(handedIn.length, 1, 'what was done before SIGTERM is handed in');
  const status = await untilStatus(url, run, (s) => s.round >= 2);
  assert.equal(credit(status, 'killed'), 0);
  assert.ok(credit(status, 'polite') > 0);
  assert.ok(credit(status, 'steady') > credit(status, 'polite'));
  assert.equal(status.peers.find((peer) => peer.name === 'polite')?.present, false);
});

test('a worker that comes in the middle catches up; one at a tenth of the speed takes part with fewer steps', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const run = await tinyRun(url, { rounds: 100, steps: 1000, round_seconds: 1.5, min_workers: 1 });
  net.joinTogether(url, 'vera', '--role', 'validator');
  await judged(url, run);
  net.join(url, 'first', '--duty', '0.3'); // it costs less
  await untilStatus(url, run, (s) => s.round >= 2);
  net.join(url, 'late', '--duty', '0.03');
  const status = await untilStatus(url, run, (s) => credit(s, 'late') > 0 && s.round >= 6);
  const perRound = (name: string): number => {
    const peer = status.peers.find((candidate) => candidate.name === name)!;
    return peer.credit_amount / peer.merged_submissions;
  };
  assert.ok(
    perRound('late') < perRound('first') / 2,
    `${perRound('late')} against ${perRound('first')} tokens a round`,
  );
  assert.equal(status.peers.find((peer) => peer.name === 'late')!.refused_submissions, 0);
});

test('a hub that is killed and started again goes on, and its peers come back by themselves', async (t) => {
  const net = network(t);
  const first = await net.hub();
  const run = await tinyRun(first.url, { rounds: 5, steps: 20, round_seconds: 10, min_workers: 2 });
  const peers = [
    net.joinTogether(first.url, 'ada'),
    net.joinTogether(first.url, 'bob'),
    net.joinTogether(first.url, 'vera', '--role', 'validator'),
  ];
  const before = await untilStatus(first.url, run, (s) => s.round >= 2);
  first.potluck.process.kill('SIGKILL');
  await first.potluck.ended;
  const second = await net.hub(Number(new URL(first.url).port));
  assert.equal(second.url, first.url);
  const after = await untilStatus(second.url, run, () => true);
  assert.ok(after.round >= before.round && after.merged_amount >= before.merged_amount, 'nothing accepted is lost');
  await untilStatus(second.url, run, (s) => s.phase === 'finished');
  assert.deepEqual(await Promise.all(peers.map((peer) => peer.ended)), [0, 0, 0]);
});
