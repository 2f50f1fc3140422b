// The demo, with real processes: it ends by itself with a model, stops without a trace and goes on, and leaves no orphans when killed.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Line, type Network, network, type Potluck, untilStatus } from './network.ts';

/** The processes below a process, by /proc; the test is skipped where there is none. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => {
      try {
        // "pid (name) state parent …"; the name may hold anything, so from its end.
        const stat = readFileSync(`/proc/${candidate}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false; // it ended while we looked
      }
    });
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};

/** Resolves when none of the processes runs any more. They are not this process's children: there is no event to wait for. */
async function untilGone(pids: readonly number[]): Promise<void> {
  while (pids.some(isRunning)) await new Promise((resolve) => setTimeout(resolve, 50));
}

const skip = process.platform !== 'linux' && 'reads /proc';
const demo = (net: Network, rounds: number, workers = 2, ...more: string[]): Potluck =>
  net.start(
    'demo',
    '--rounds',
    String(rounds),
    '--workers',
    String(workers),
    '--steps',
    '4',
    '--folder',
    join(net.folder, 'demo'),
    '--data',
    join(net.folder, 'text.txt'),
    '--json',
    ...more,
  );
const hubOf = (potluck: Potluck): Promise<Line> => potluck.line((line) => line.type === 'hub');

test('in stages each worker is given one; killed in the middle of its work it leaves no orphan', {
  skip,
}, async (t) => {
  const net = network(t);
  const potluck = demo(net, 50, 2, '--stages', '2');
  const { url } = await hubOf(potluck);
  const { run } = await potluck.line((line) => line.type === 'created');
  const { peers } = await untilStatus(String(url), String(run), (status) => {
    return status.peers.filter((peer) => peer.progress?.state === 'working').length === 2;
  });
  assert.deepEqual(peers.map(({ role, stage }) => [role, stage]).sort(), [
    ['validator', undefined],
    ['worker', 0],
    ['worker', 1],
  ]);
  const orphans = childrenOf(potluck.process.pid!);
  assert.equal(orphans.length, 4, 'a hub, two workers and a validator');
  potluck.process.kill('SIGKILL');
  await potluck.ended;
  await untilGone(orphans);
});

test('stopped in the middle it leaves nothing running and loses nothing; started again it ends by itself: a falling loss, a sample, and a model that others can read', {
  skip,
}, async (t) => {
  const net = network(t);
  const first = demo(net, 3, 1);
  const { url } = await hubOf(first);
  const { run } = await first.line((line) => line.type === 'created');
  const before = await untilStatus(String(url), String(run), (status) => status.round >= 1);
  const pids = childrenOf(first.process.pid!);
  assert.equal(pids.length, 3, 'a hub, a worker and a validator');
  // As npm and a terminal do it: one Ctrl-C, told twice.
  first.process.kill('SIGINT');
  first.process.kill('SIGINT');
  assert.equal(await first.ended, 0, first.stderr());
  assert.deepEqual(pids.filter(isRunning), []);
  assert.equal(first.lines.at(-1)?.type, 'stopped');

  const second = demo(net, 3, 1);
  const continued = await second.line((line) => line.type === 'continued');
  assert.equal(continued.run, run);
  assert.ok(Number(continued.round) >= before.round);
  assert.equal(await second.ended, 0, second.stderr());
  assert.equal(second.stderr(), '');
  const finished = second.lines.at(-1) as Line & {
    first_loss: number;
    last_loss: number;
    sample: string;
    folder: string;
  };
  assert.deepEqual([finished.type, finished.run], ['finished', run]);
  assert.ok(finished.last_loss < finished.first_loss - 0.3, `${finished.first_loss} → ${finished.last_loss}`);
  assert.ok(finished.sample.length > 50);
  const files = readdirSync(finished.folder);
  for (const file of ['config.json', 'model.safetensors', 'tokenizer.json']) assert.ok(files.includes(file));
  const last = second.lines.filter((line) => line.type === 'round').at(-1)!;
  assert.equal(last.evaluated_rounds, 3);
  assert.ok(Number(last.merged_amount) > before.merged_amount);
});

test('killed when it has just begun it leaves no orphan either', { skip }, async (t) => {
  const net = network(t);
  const early = demo(net, 50);
  // At once after its first child is there: that one has not even read its arguments.
  await early.line((line) => line.type === 'starting');
  let pids: number[] = [];
  while (pids.length === 0) {
    pids = childrenOf(early.process.pid!);
    await new Promise((resolve) => setImmediate(resolve));
  }
  early.process.kill('SIGKILL');
  await early.ended;
  await untilGone(pids);
});

test('stopped while it still reads, it ends at once', async (t) => {
  const net = network(t);
  const potluck = net.start('demo', '--folder', join(net.folder, 'demo'), '--json');
  await potluck.line((line) => line.type === 'reading');
  potluck.process.kill('SIGTERM');
  assert.equal(await potluck.ended, 0, potluck.stderr());
  assert.equal(potluck.lines.at(-1)?.type, 'stopped');
});
