// An engine that dies is started again, after growing pauses and within a bound; whoever was answered is told, whoever asks later is answered.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exportModel } from '../model/checkpoint-folder.ts';
import { type Clock, systemClock } from '../protocol/clock.ts';
import { isRunning } from '../protocol/whole-file.ts';
import type { AnswerEvent, AnswerRequest } from './answers.ts';
import type { EngineProcess } from './engine-process.ts';
import type { EngineSettings } from './engine-process-messages.ts';
import { ServingError } from './errors.ts';
import { KEPT_LIMITS, keepEngine } from './kept-engine.ts';
import { testModel } from './testing/engine-models.ts';

const never = new AbortController().signal;
const request: AnswerRequest = {
  ...{ model: 'small', prompt: { kind: 'text', text: 'the hub' }, written: [], max_tokens: 40, stop: [] },
  sampling: {
    ...{ seed: 'a', temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [[256, -100]] },
  },
  ...{ top_logprobs: null, echo: false, format: { kind: 'text' } },
};
const about = { name: 'small', licence: 'MIT', created_ms: 1, chat_template: null, places: 2, threads: 1 };

const idsOf = async (events: AsyncIterable<AnswerEvent>): Promise<number[]> => {
  const ids: number[] = [];
  for await (const event of events) if (event.kind === 'token') ids.push(event.id);
  return ids;
};

/** Timers that wait for the test to let them fire. */
function steppedClock() {
  const waiting: { readonly run: () => void; readonly delay_ms: number }[] = [];
  let now_ms = 0;
  const clock: Clock = {
    now_ms: () => now_ms,
    elapsed_ms: () => now_ms,
    setTimeout(run, delay_ms) {
      const timer = { run, delay_ms };
      waiting.push(timer);
      return timer;
    },
    clearTimeout(timer) {
      const at = waiting.indexOf(timer as (typeof waiting)[number]);
      if (at >= 0) waiting.splice(at, 1);
    },
  };
  return {
    ...{ clock, waiting },
    pass: (time_ms: number) => {
      now_ms += time_ms;
    },
    fire: () => waiting.shift()?.run(),
  };
}

/** Children that end when the test says so. */
function openFakes() {
  const ends: ((why: string) => void)[] = [];
  const threads: number[] = [];
  let fails: Error | null = null;
  const open = async (settings: EngineSettings): Promise<EngineProcess> => {
    threads.push(settings.threads);
    if (fails) throw fails;
    const { promise, resolve } = Promise.withResolvers<string>();
    const number = ends.push(resolve);
    const child = {
      ...{ model: { name: settings.name }, class: 'a', cache_tokens: 1, places: 2, pid: number, ended: promise },
      async *answer() {},
      setThreads: (more: number) => threads.push(more),
      close: async () => resolve('closed'),
    };
    return child as unknown as EngineProcess;
  };
  const fail = (error: Error | null): void => {
    fails = error;
  };
  return { open, ends, threads, fail };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));
const fake: EngineSettings = { ...about, model: { kind: 'folder', path: '/nowhere' } };

test('a child that is killed is replaced: its answer ends with an error, the next one is answered as before', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-kept-engine-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'model');
  await exportModel(path, testModel());
  const [problem, back] = [Promise.withResolvers<string>(), Promise.withResolvers<void>()];
  const onNews = (news: string): void => {
    if (news.endsWith('has started again')) back.resolve();
    else problem.resolve(news);
  };
  const steps = steppedClock();
  const engine = await keepEngine(
    { ...about, model: { kind: 'folder', path } },
    { clock: { ...systemClock, setTimeout: steps.clock.setTimeout }, onNews },
  );
  const whole = await idsOf(engine.answer(request, never));
  assert.equal(whole.length, 40);
  const first = engine.pid!;
  const inFlight = engine.answer(request, never)[Symbol.asyncIterator]();
  await inFlight.next();
  process.kill(first, 'SIGKILL');
  const rest = (async () => {
    for (let next = await inFlight.next(); !next.done; next = await inFlight.next());
  })();
  await assert.rejects(rest, { code: 'engine-ended', message: /SIGKILL/ });
  assert.match(await problem.promise, /the engine of small has ended: .*SIGKILL.*starts again in 0\.5 s/);
  assert.equal(engine.pid, null);
  assert.throws(
    () => engine.answer(request, never),
    (error: ServingError) => error.code === 'engine-ended' && (error.details.retry_after_ms as number) >= 500,
  );
  assert.deepEqual(
    engine.models().map(({ name }) => name),
    ['small'],
  );
  assert.deepEqual(
    steps.waiting.map(({ delay_ms }) => delay_ms),
    [500],
  );
  steps.fire();
  await back.promise;
  assert.notEqual(engine.pid, first);
  assert.deepEqual(await idsOf(engine.answer(request, never)), whole);
  const second = engine.pid!;
  await engine.close();
  assert.equal(isRunning(second), false);
  assert.equal(steps.waiting.length, 0, 'a child that was closed is not started again');
});

test('pauses double, and the fifth death in ten minutes is the last', async () => {
  const { clock, waiting, fire, pass } = steppedClock();
  const { open, ends } = openFakes();
  const said: string[] = [];
  const engine = await keepEngine(fake, { clock, open, onNews: (message) => said.push(message) });
  const pauses: number[] = [];
  for (let death = 1; death < KEPT_LIMITS.most_deaths; death++) {
    ends.at(-1)!('crash');
    await settled();
    pauses.push(waiting[0].delay_ms);
    pass(waiting[0].delay_ms);
    fire();
    await settled();
    assert.equal(engine.pid, death + 1);
  }
  assert.deepEqual(pauses, [500, 1000, 2000, 4000]);
  ends.at(-1)!('crash');
  await settled();
  assert.equal(waiting.length, 0);
  assert.match(said.at(-1)!, /5 times in 10 minutes and stays down/);
  assert.throws(
    () => engine.answer(request, never),
    (error: ServingError) => error.code === 'engine-ended' && error.details.retry_after_ms === undefined,
  );
  await engine.close();
});

test('deaths of long ago do not count', async () => {
  const { clock, waiting, fire, pass } = steppedClock();
  const { open, ends } = openFakes();
  const engine = await keepEngine(fake, { clock, open });
  for (let death = 0; death < 2 * KEPT_LIMITS.most_deaths; death++) {
    ends.at(-1)!('crash');
    await settled();
    assert.equal(waiting[0].delay_ms, KEPT_LIMITS.first_pause_ms);
    fire();
    await settled();
    pass(KEPT_LIMITS.window_ms);
  }
  assert.ok(engine.pid !== null);
  await engine.close();
});

test('a start that fails is a death too, and later children have the threads that were set last', async () => {
  const { clock, waiting, fire } = steppedClock();
  const { open, ends, threads, fail } = openFakes();
  const engine = await keepEngine(fake, { clock, open });
  engine.setThreads(3);
  ends[0]('crash');
  await settled();
  fail(new ServingError('too-large', 'no memory'));
  fire();
  await settled();
  assert.equal(waiting[0].delay_ms, 1000);
  assert.throws(() => engine.answer(request, never), { code: 'engine-ended', message: /no memory/ });
  fail(null);
  fire();
  await settled();
  assert.ok(engine.pid !== null);
  assert.deepEqual(threads, [1, 3, 3, 3]);
  await engine.close();
});

test('one that is closed while its child is dead, or is being started, leaves none', async () => {
  const { clock, waiting, fire } = steppedClock();
  const { open, ends } = openFakes();
  const dead = await keepEngine(fake, { clock, open });
  ends[0]('crash');
  await settled();
  await dead.close();
  assert.equal(waiting.length, 0);
  assert.throws(() => dead.answer(request, never), { code: 'interrupted' });
  const starting = await keepEngine(fake, { clock, open });
  ends[1]('crash');
  await settled();
  fire();
  await starting.close();
  assert.equal(starting.pid, null);
  assert.equal(waiting.length, 0);
});

test('a file that has changed meanwhile is not served under the hash that it had', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-kept-file-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'model.gguf');
  writeFileSync(path, 'as it was offered');
  const { clock, fire } = steppedClock();
  const { open, ends } = openFakes();
  let hear: (message: string) => void = () => {};
  const heard = () =>
    new Promise<string>((resolve) => {
      hear = resolve;
    });
  const hash = createHash('sha256').update('as it was offered').digest('hex');
  const settings: EngineSettings = { ...fake, model: { kind: 'gguf', path, hash } };
  const engine = await keepEngine(settings, { clock, open, onNews: (message) => hear(message) });
  writeFileSync(path, 'another one');
  ends[0]('crash');
  await settled();
  let news = heard();
  fire();
  assert.match(
    await news,
    /no longer the one that was offered: SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}; it starts again/,
  );
  assert.deepEqual([ends.length, engine.pid], [1, null]);
  rmSync(path);
  news = heard();
  fire();
  assert.match(await news, /got ENOENT; it starts again/);
  writeFileSync(path, 'as it was offered');
  news = heard();
  fire();
  assert.match(await news, /has started again/);
  assert.deepEqual([ends.length, engine.pid], [2, 2]);
  await engine.close();
});
