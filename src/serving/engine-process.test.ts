// An engine in its child process: the same answers, aborts that reach it, a death that is told and harms nobody, and no child without a parent.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exportModel } from '../model/checkpoint-folder.ts';
import { isRunning } from '../protocol/whole-file.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { AnswerEvent, AnswerRequest } from './answers.ts';
import { openOwnEngine } from './engine-own.ts';
import { type EngineProcess, openEngineProcess } from './engine-process.ts';
import type { EngineSettings } from './engine-process-messages.ts';
import { missingLlama } from './llama-package.ts';
import { openGguf } from './open-gguf.ts';
import { prefixCache } from './prefix-cache.ts';
import { testModel, writeGguf } from './testing/engine-models.ts';
import { writeAnswer } from './write-answer.ts';

const missing = missingLlama() ?? false;
const folder = mkdtempSync(join(tmpdir(), 'potluck-engine-process-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const model = testModel();
const own = join(folder, 'model');
await exportModel(own, model);
const path = await writeGguf(join(folder, 'model.gguf'), model);
const offered = await openGguf(path);

const about = { name: 'small', licence: 'MIT', created_ms: 1, chat_template: null, places: 2, threads: 1 };
const GGUF: EngineSettings = { ...about, model: { kind: 'gguf', path, hash: offered.hash } };
const FOLDER: EngineSettings = { ...about, model: { kind: 'folder', path: own } };

const request = (changes: Partial<AnswerRequest> = {}): AnswerRequest => ({
  model: 'small',
  prompt: { kind: 'text', text: 'the hub' },
  written: [],
  max_tokens: 24,
  stop: [],
  sampling: {
    ...{ seed: 'a', temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [[256, -100]] },
  },
  top_logprobs: 2,
  echo: false,
  format: { kind: 'text' },
  ...changes,
});

async function all(events: AsyncIterable<AnswerEvent>): Promise<AnswerEvent[]> {
  const list: AnswerEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

const never = new AbortController().signal;
const textOf = (events: readonly AnswerEvent[]): number[] =>
  events.flatMap((event) => (event.kind === 'token' ? [event.id] : []));

/** What this process writes with our own decoder. */
async function expected(asked: AnswerRequest): Promise<AnswerEvent[]> {
  const runtime = await createNativeRuntime({ threads: 1 });
  const engine = await openOwnEngine(runtime, { ...model, hash: '0'.repeat(64) });
  const events = await all(writeAnswer({ engine, prefixes: prefixCache(engine) }, asked, never));
  await engine.close();
  await runtime.close();
  return events;
}

async function withChild(settings: EngineSettings, work: (child: EngineProcess) => Promise<void>): Promise<void> {
  const child = await openEngineProcess(settings, { memory_bytes: 2 ** 30 });
  try {
    await work(child);
  } finally {
    await child.close();
    assert.equal(isRunning(child.pid), false);
  }
}

test('our own decoder answers from a child as it does here', async () => {
  await withChild(FOLDER, async (child) => {
    const here = await expected(request());
    assert.equal(textOf(here).length, 24);
    assert.deepEqual(await all(child.answer(request(), never)), here);
    assert.deepEqual(child.models(), [child.model]);
    assert.equal(child.model.engine, 'own');
    assert.equal(child.cache_tokens, 320);
    assert.throws(() => child.answer(request({ model: 'other' }), never), { code: 'unknown-model' });
    await assert.rejects(all(child.answer(request({ prompt: { kind: 'ids', ids: [999] } }), never)), {
      code: 'bad-input',
    });
  });
});

test('llama.cpp answers from a child with the same tokens', { skip: missing }, async () => {
  await withChild(GGUF, async (child) => {
    assert.equal(child.model.hash, offered.hash);
    assert.match(child.class, /llama\.cpp.*3\.22\.1.*f32/);
    const here = await expected(request());
    const there = await all(child.answer(request(), never));
    assert.deepEqual(textOf(there), textOf(here));
    for (const [i, event] of there.entries()) {
      const other = here[i];
      if (event.kind !== 'token' || other.kind !== 'token') continue;
      assert.ok(Math.abs(event.logprob!.logprob - other.logprob!.logprob) < 1e-4);
      assert.deepEqual(
        event.top.map(({ id }) => id),
        other.top.map(({ id }) => id),
      );
    }
    // Two at once, and one that goes on where another device stopped.
    const [first, second] = await Promise.all([
      all(child.answer(request(), never)),
      all(child.answer(request({ written: textOf(here).slice(0, 10) }), never)),
    ]);
    assert.deepEqual(textOf(first), textOf(here));
    assert.deepEqual(textOf(second), textOf(here).slice(10));
    // A judge that has the same file finds nothing, and finds a token that the seed does not give.
    const judge = (ids: number[]) => child.judge({ request: request(), served: { ids, reason: 'length' } }, never);
    const right = await judge(textOf(here));
    assert.deepEqual([right.flaw, right.tally.draws, right.tally.differing], [null, 24, 0]);
    const wrong = textOf(here).with(5, (textOf(here)[5] + 1) % 256);
    assert.ok((await judge(wrong)).tally.differing > 0);
    await assert.rejects(child.judge({ request: request(), served: { ids: [1], reason: 'cut' } }, AbortSignal.abort()));
    child.setThreads(1);
    await assert.rejects(child.embed({ model: 'small', inputs: ['a'] }, never), { code: 'unsupported' });
  });
});

test('an abort reaches the child, and gives the place back', { skip: missing }, async () => {
  await withChild({ ...GGUF, places: 1 }, async (child) => {
    const reason = new Error('enough');
    const long = request({ max_tokens: 100 });
    for (let round = 0; round < 3; round++) {
      const controller = new AbortController();
      const seen: AnswerEvent[] = [];
      const reading = (async () => {
        for await (const event of child.answer(long, controller.signal)) {
          seen.push(event);
          if (seen.length === 5) controller.abort(reason);
        }
      })();
      await assert.rejects(reading, reason);
      assert.equal(seen.length, 5);
    }
    await assert.rejects(all(child.answer(long, AbortSignal.abort(reason))), reason);
    // A reader that leaves in the middle.
    for await (const event of child.answer(long, never)) if (event.kind === 'token') break;
    assert.equal(textOf(await all(child.answer(request(), never))).length, 24);
  });
});

test('a reader that is slow holds the child back', { skip: missing }, async () => {
  await withChild(GGUF, async (child) => {
    const events = child.answer(request({ max_tokens: 140 }), never)[Symbol.asyncIterator]();
    await events.next();
    // Another answer takes its turn meanwhile, and the slow one is whole in the end.
    assert.equal(textOf(await all(child.answer(request(), never))).length, 24);
    let count = 1;
    for (let next = await events.next(); !next.done; next = await events.next()) count++;
    assert.equal(count, 142);
  });
});

test('a child that dies is told, and every answer with it', { skip: missing }, async () => {
  const child = await openEngineProcess(GGUF);
  const events = child.answer(request({ max_tokens: 140 }), never)[Symbol.asyncIterator]();
  await events.next();
  process.kill(child.pid, 'SIGKILL');
  const rest = (async () => {
    for (let next = await events.next(); !next.done; next = await events.next());
  })();
  await assert.rejects(rest, { code: 'engine-ended', message: /has ended: .*SIGKILL/ });
  assert.match(await child.ended, /SIGKILL/);
  await assert.rejects(all(child.answer(request(), never)), { code: 'engine-ended' });
  await child.close();
});

test('an answer that is being written when the engine is closed is interrupted', { skip: missing }, async () => {
  const child = await openEngineProcess(GGUF);
  const events = child.answer(request({ max_tokens: 140 }), never)[Symbol.asyncIterator]();
  await events.next();
  const closed = child.close();
  const rest = (async () => {
    for (let next = await events.next(); !next.done; next = await events.next());
  })();
  await assert.rejects(rest, { code: 'interrupted' });
  await closed;
});

test('what cannot be loaded is said, and leaves no child', async () => {
  const broken = join(folder, 'broken.gguf');
  writeFileSync(broken, readFileSync(path).subarray(0, 5000));
  const opening = openEngineProcess({ ...GGUF, model: { kind: 'gguf', path: broken, hash: offered.hash } });
  await assert.rejects(opening, { code: 'corrupt-file', message: /347 bytes follow|the file ends at/ });
  await assert.rejects(
    openEngineProcess({ ...FOLDER, model: { kind: 'folder', path: folder } }),
    /config\.json is missing/,
  );
});

test('memory beyond the limit is refused in the child', {
  skip: missing || (process.platform !== 'linux' && 'Linux only'),
}, async () => {
  // A cache of four places of a long context: 2.1 GB.
  const large = testModel({
    max_position_embeddings: 131_072,
    hidden_size: 128,
    num_hidden_layers: 4,
    num_key_value_heads: 4,
  });
  const file = await writeGguf(join(folder, 'large.gguf'), large);
  const settings: EngineSettings = { ...GGUF, places: 4, model: { kind: 'gguf', path: file, hash: offered.hash } };
  const opening = openEngineProcess({ ...settings, context_tokens: 131_072 }, { memory_bytes: 2 ** 26 });
  await assert.rejects(opening, { code: 'too-large', message: /has no memory for 4 x 131072 tokens/ });
});

test('a child whose parent is killed ends', {
  skip: missing || (process.platform === 'win32' && 'no signals'),
}, async () => {
  const script = `
    import { openEngineProcess } from ${JSON.stringify(join(import.meta.dirname, 'engine-process.ts'))};
    const child = await openEngineProcess(${JSON.stringify(GGUF)});
    console.log(child.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(parent.stdout, 'data');
  const pid = Number(String(line));
  assert.ok(isRunning(pid));
  // Its standard error was the parent's: the end of the pipe is the end of the child.
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
});
