// Sources that hang, fail, lie or come back; commands that are missing, slow or unhappy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, sleep } from '../../protocol/clock.ts';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import type { Signals } from './signals.ts';
import { openProbe, runCommand, type Source, tickAt, within } from './sources.ts';

const source = (read: Source['read'], every_ms = 1000): Source => ({ tells: ['metered'], every_ms, read });

async function probing(
  sources: Source[],
  clock: Clock & { run(what: Promise<unknown>): Promise<unknown> },
  at: (now: () => Signals) => Promise<void>,
) {
  const probe = openProbe(sources, clock);
  await clock.run(
    (async () => {
      await probe.ready;
      await at(probe.now);
      probe.close();
    })(),
  );
}

test('what no source tells is absent, what was not asked yet is unknown', async () => {
  const clock = handClock();
  const probe = openProbe([source(async () => ({ metered: { known: true } }))], clock);
  assert.deepEqual(probe.now().metered, { unknown: 'not asked yet' });
  assert.deepEqual(probe.now().power, { absent: 'this system does not tell' });
  await probe.ready;
  assert.deepEqual(probe.now().metered, { known: true });
  probe.close();
});

test('a source that hangs makes its signal unknown, is not asked again meanwhile, and counts again when it answers', async () => {
  const clock = handClock();
  let asked = 0;
  let answer = (_: Partial<Signals>): void => {};
  const hanging = source(() => {
    asked++;
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  await probing([hanging], clock, async (now) => {
    assert.deepEqual(now().metered, { unknown: 'no answer within 3 s' });
    await sleep(clock, 60_000);
    assert.equal(asked, 1);
    answer({ metered: { known: false } });
    await sleep(clock, 1);
    assert.deepEqual(now().metered, { known: false });
    assert.equal(asked, 2);
    await sleep(clock, 3000); // an old answer is none: the next one hangs again
    assert.deepEqual(now().metered, { unknown: 'no answer within 3 s' });
  });
});

test('a source that fails says why, one that forgets a signal too, and both are asked again', async () => {
  const clock = handClock();
  const answers: (() => Partial<Signals>)[] = [
    () => {
      throw new Error('the bus is gone');
    },
    () => ({}),
    () => ({ metered: { known: true } }),
  ];
  const failing = source(async () => answers.shift()!());
  await probing([failing], clock, async (now) => {
    assert.deepEqual(now().metered, { unknown: 'the bus is gone' });
    await sleep(clock, 1000);
    assert.deepEqual(now().metered, { unknown: 'the system gave no answer' });
    await sleep(clock, 1000);
    assert.deepEqual(now().metered, { known: true });
  });
});

test('after it is closed nothing is asked any more', async () => {
  const clock = handClock();
  let asked = 0;
  await probing([source(async () => ({ metered: { known: asked++ > 0 } }))], clock, async () => {});
  await clock.run(sleep(clock, 10_000));
  assert.equal(asked, 1);
});

test('commands: their words, their absence, their failure, and one that never ends', async () => {
  const node = process.execPath;
  assert.deepEqual(await runCommand(node, '-e', 'console.log(process.env.LC_ALL)'), { text: 'C\n' });
  assert.deepEqual(await runCommand('potluck-no-such-command'), { missing: true });
  assert.deepEqual(await runCommand('potluck-no-such-command'), { missing: true });
  assert.deepEqual(await runCommand(node, '-e', "console.error('no bus\\nmore'); process.exit(3)"), {
    failed: `${node}: no bus`,
  });
  const before_ms = performance.now();
  assert.deepEqual(await runCommand(node, '-e', 'setInterval(() => {}, 1000)'), {
    failed: `${node} did not answer within 2.5 s`,
  });
  assert.ok(performance.now() - before_ms < 60_000);
});

test('what cannot be is unknown', () => {
  assert.deepEqual(within(20, -20, 100, 'it'), { known: 20 });
  assert.deepEqual(within(101, -20, 100, 'it'), { unknown: 'it: expected -20 to 100, got 101' });
  assert.deepEqual(within(Number.NaN, -20, 100, 'it'), { unknown: 'it: expected -20 to 100, got NaN' });
});

test('sources are asked at the same ticks, whenever they were begun and whether a timer comes early or late', () => {
  assert.deepEqual(
    [0, 449, 449.6, 499.4, 500, 940, 999, 1000.2].map((begun_ms) => tickAt(begun_ms, 500)),
    [500, 500, 500, 1000, 1000, 1000, 1500, 1500],
  );
  assert.deepEqual([tickAt(499.4, 250), tickAt(500, 250), tickAt(500, 3000)], [750, 750, 3500]);
});
