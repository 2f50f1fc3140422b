// The bus in memory is a Bus, and does what is asked of it to messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../protocol/random.ts';
import { type HandClock, handClock } from '../../protocol/testing/hand-clock.ts';
import type { Bus } from './bus.ts';
import { fits } from './bus-subjects.ts';
import { type MemoryEngine, openMemoryEngine } from './memory-bus.ts';
import { busCompliance } from './testing/bus-compliance.ts';

const ignore = (): void => {};

busCompliance('in memory', async () => {
  const clock = handClock();
  const engine = openMemoryEngine(seededRandom('bus compliance'));
  let opened = 0;
  return {
    open: async (onError = ignore) => engine.open(String(opened++), clock, onError),
    settle: (promise) => clock.run(promise),
    pass: () => clock.pass(5),
    kill: async () => engine.run(false),
    restart: async () => engine.run(true),
    close: async () => {},
  };
});

interface Setup {
  readonly clock: HandClock;
  readonly engine: MemoryEngine;
  readonly ends: readonly Bus[];
}

function threeEnds(): Setup {
  const clock = handClock();
  const engine = openMemoryEngine(seededRandom('bus weather'));
  return {
    clock,
    engine,
    ends: ['a', 'b', 'c'].map((name) => engine.open(name, clock, (error) => assert.fail(String(error)))),
  };
}

test('messages are late, and lost, but of one sender never twice and never out of order', async () => {
  const { clock, engine, ends } = threeEnds();
  Object.assign(engine.weather, { delay_ms: 10, jitter_ms: 50, lost_permille: 200 });
  const heard: number[] = [];
  ends[1].subscribe('n', ([n]) => heard.push(n));
  for (let n = 0; n < 200; n++) {
    ends[0].publish('n', new Uint8Array([n]));
    await clock.pass(1);
  }
  await clock.pass(100);
  assert.ok(heard.length > 120 && heard.length < 190, `${heard.length} of 200`);
  assert.deepEqual(
    heard,
    [...new Set(heard)].sort((a, b) => a - b),
  );
});

test('who is on the other side of a rift is not heard, and is not served', async () => {
  const { clock, engine, ends } = threeEnds();
  const [a, b, c] = ends;
  const heard: string[] = [];
  a.subscribe('s', () => heard.push('a'));
  b.subscribe('s', () => heard.push('b'));
  a.serve('q', 'g', async (bytes) => bytes);
  engine.part([['a'], ['b', 'c']]);
  c.publish('s', new Uint8Array());
  await clock.pass(10);
  assert.deepEqual([heard, c.connected], [['b'], true]);
  await assert.rejects(clock.run(c.request('q', new Uint8Array(), 100)), { code: 'no-answer' });
  engine.part([]);
  await clock.run(c.request('q', new Uint8Array(), 100));
});

test('a process that has ended, or does not reach the engine, hears nothing and serves nobody', async () => {
  const { clock, engine, ends } = threeEnds();
  const [a, b, c] = ends;
  a.serve('q', 'g', async () => new Uint8Array([1]));
  b.serve('q', 'g', async () => new Uint8Array([2]));
  engine.reach('a', false);
  for (let i = 0; i < 10; i++) assert.deepEqual([...(await clock.run(c.request('q', new Uint8Array(), 100)))], [2]);
  engine.gone('b');
  const unheard = { code: 'no-answer', details: { unheard: true } };
  await assert.rejects(clock.run(c.request('q', new Uint8Array(), 100)), unheard);
  engine.reach('a', true);
  assert.deepEqual([...(await clock.run(c.request('q', new Uint8Array(), 100)))], [1]);
  assert.equal(b.connected, false);
});

test('the last part of a pattern stands for one part', () => {
  const cases: [string, string, boolean][] = [
    ['front.*', 'front.a', true],
    ['front.*', 'front', false],
    ['front.*', 'front.', false],
    ['front.*', 'front.a.b', false],
    ['front.*', 'frontier.a', false],
    ['front.a', 'front.a', true],
    ['front.a', 'front.b', false],
  ];
  for (const [pattern, subject, expected] of cases)
    assert.equal(fits(pattern, subject), expected, `${pattern} ${subject}`);
});

test('a subject that is none is a mistake of this program', () => {
  const [bus] = threeEnds().ends;
  for (const subject of ['', 'a b', 'a..b', 'a.*', '>', 'a.', '.a', 'é']) {
    assert.throws(() => bus.publish(subject, new Uint8Array()), /a subject has parts/, subject);
  }
  for (const pattern of ['*.a', '>', 'a.**']) assert.throws(() => bus.subscribe(pattern, ignore), /a pattern/, pattern);
});
