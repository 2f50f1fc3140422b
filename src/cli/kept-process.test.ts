// A kept process and the one that it talks to a graphics processor with: both stand still, both end, and the graphics processor is free in time.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { keptProcesses } from './kept-process.ts';

const SCRIPT = join(import.meta.dirname, 'testing', 'kept-stand-in.ts');

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !holds(); ) {
    assert.ok(performance.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** The letter of its state in /proc/PID/stat: T stands still. */
const stateOf = (pid: number): string => readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '')[0];

async function started(t: TestContext, ...words: string[]) {
  const { start, use } = keptProcesses(words, 'ignore', undefined, SCRIPT);
  const kept = start();
  kept.go(1, 'the GPU rests: a test');
  t.after(async () => {
    kept.kill();
    await kept.ended;
  });
  await until('it tells of its process', () => use.gpu_pids().length > 0);
  const [, worker, gpu] = use.pids();
  return { kept, use, worker, gpu };
}

describe('a kept process', { concurrency: true }, () => {
  test('the graphics processor is free within a second, also of a process that hangs', async (t) => {
    const { kept, use, worker, gpu } = await started(t, 'hangs');
    const begun_ms = performance.now();
    kept.freeGpu();
    await until('it has ended', () => !isThere(gpu));
    assert.ok(performance.now() - begun_ms < 1500, 'a second, and what a busy machine adds');
    assert.deepEqual(use.gpu_pids(), []);
    assert.ok(isThere(worker), 'what is done may still be handed in');
    kept.kill();
    await kept.ended;
  });

  test('what hands in in time ends both by itself', async (t) => {
    const { kept, gpu } = await started(t);
    kept.freeGpu();
    assert.deepEqual(await kept.ended, { finished: false, code: 0, signal: null });
    await until('both are gone', () => !isThere(gpu));
  });

  test('both stand still in a pause and go on after it, and of one that is ended neither stays', {
    skip: process.platform !== 'linux',
  }, async (t) => {
    const { kept, worker, gpu } = await started(t, 'hangs');
    const both = (state: RegExp) => () => [worker, gpu].every((pid) => state.test(stateOf(pid)));
    kept.stop(null);
    await until('both stand still', both(/T/));
    kept.go(1, null);
    await until('both go on', both(/[RS]/));
    kept.stop(null);
    await until('both stand still', both(/T/));
    process.kill(worker, 'SIGKILL'); // by somebody else
    await kept.ended;
    await until('the other one is gone, too', () => !isThere(gpu));
  });

  test('of what stands still nothing stays when its keeper is killed', {
    skip: process.platform === 'win32',
  }, async (t) => {
    const keeper = spawn(process.execPath, [join(import.meta.dirname, 'testing', 'keeper-stand-in.ts'), SCRIPT], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => keeper.kill('SIGKILL'));
    const [line] = await once(createInterface(keeper.stdout!), 'line');
    const pids = JSON.parse(line) as number[];
    assert.equal(pids.length, 2);
    t.after(() => {
      for (const pid of pids) if (isThere(pid)) process.kill(pid, 'SIGKILL');
    });
    keeper.kill('SIGKILL');
    await until('both are gone', () => !pids.some(isThere));
  });

  test('what computes elsewhere says so, and hears why; what has failed says that', async (t) => {
    const { kept, use } = await started(t, 'elsewhere');
    kept.go(1, 'the GPU rests: a test');
    await until('it says so', () => kept.gpu() === 'none');
    assert.deepEqual(use.gpu_pids(), []);
    kept.go(1, 'the GPU rests: a test');
    await until('it says why', () => kept.gpu() !== 'none');
    assert.deepEqual(kept.gpu(), { failed: 'the GPU rests: a test' });
  });
});
