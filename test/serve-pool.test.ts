// The pool with real processes and a real model: a device that is killed, or stopped, in mid-answer is replaced, and the caller reads on.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type Hub, openHub } from '../src/hub/hub.ts';
import { ANY_DEVICE } from '../src/hub/serving/caller.ts';
import type { AnswerEvent, AnswerRequest } from '../src/serving/answers.ts';
import { ServingError } from '../src/serving/errors.ts';
import { network, type Potluck } from './network.ts';
import { createPoems } from './served-run.ts';

/** The prompt's eight bytes come before it. */
const MIDDLE = 8 + 20;

/** So that a signal comes in the middle of an answer, on a busy machine too. */
const SLOWLY = ['--duty', '0.4'];

interface Pool {
  readonly hub: Hub;
  /** `potluck serve` of the run's model alone; the address of its API. */
  alone(): Promise<string>;
  /** Starts a process that serves, and waits until the hub has its offer. */
  device(name: string): Promise<Potluck>;
  /** How often another device has gone on with an answer. */
  handOvers(): Promise<number>;
  /** @param onMiddle called when the caller has read twenty tokens */
  read(onMiddle?: () => void): Promise<AnswerEvent[]>;
}

/** A hub in this process, with a run whose first model is served before anybody trains it. */
async function poolOf(t: TestContext): Promise<Pool> {
  const net = network(t);
  const hub = await openHub({ folder: join(net.folder, 'hub'), host: '127.0.0.1', port: 0 });
  t.after(() => hub.close());
  await createPoems(hub.url);
  return {
    hub,
    async alone() {
      const potluck = net.start('serve', `poems@${hub.url}`, '--port', '0', '--json');
      return String((await potluck.line((line) => line.type === 'serving')).url);
    },
    async device(name) {
      const before = await devicesAt(hub);
      const potluck = net.join(hub.url, name, '--serve-only', ...SLOWLY);
      await potluck.line((line) => line.type === 'serves');
      while ((await devicesAt(hub)) === before) await wait(10); // its offer is on its way
      return potluck;
    },
    handOvers: () => counted(hub, 'potluck_pool_leases_total{why="hand-over"}'),
    async read(onMiddle) {
      const events: AnswerEvent[] = [];
      for await (const event of hub.pool.serverFor(ANY_DEVICE).answer(REQUEST, new AbortController().signal)) {
        events.push(event);
        if (event.kind === 'token' && event.position === MIDDLE) onMiddle?.();
      }
      return events;
    },
  };
}

/** How many devices offer to serve, as whoever watches the hub sees it. */
const devicesAt = (hub: Hub): Promise<number> => counted(hub, 'potluck_pool_devices');
async function counted(hub: Hub, name: string): Promise<number> {
  const metrics = await (await fetch(new URL('/metrics', hub.url))).text();
  const line = metrics.split('\n').find((one) => one.startsWith(`${name} `));
  return line ? Number(line.split(' ')[1]) : 0;
}

const REQUEST: AnswerRequest = {
  ...{
    model: 'poems',
    prompt: { kind: 'text', text: 'Line 7 o' },
    written: [],
    max_tokens: 100,
    stop: [],
    echo: false,
  },
  sampling: { seed: 'a', temperature: 1, top_p: 0.95, presence_penalty: 0, frequency_penalty: 0.2, logit_bias: [] },
  ...{ top_logprobs: null, format: { kind: 'text' } },
};

/** A device that stood still has yet to hear that nobody waits for what it wrote: until then the pool is full, and says for how long. */
async function readWhenThereIsRoom(pool: Pool): Promise<AnswerEvent[]> {
  for (;;) {
    try {
      return await pool.read();
    } catch (error) {
      if (!(error instanceof ServingError && error.code === 'no-room')) throw error;
      await wait(Number(error.details.retry_after_ms));
    }
  }
}

test('a device that is killed in mid-answer, and one that stands still, are replaced: the caller gets the undisturbed answer', async (t) => {
  const pool = await poolOf(t);
  const first = await pool.device('first');
  const undisturbed = await pool.read();
  assert.ok(undisturbed.filter(({ kind }) => kind === 'token').length > 40, 'it can be cut in the middle');

  const second = await pool.device('second');
  // The first has a record, so that it is the one that is asked.
  const killed = await pool.read(() => first.process.kill('SIGKILL'));
  assert.deepEqual(killed, undisturbed, 'the same events, as if nothing had happened');
  assert.equal(await pool.handOvers(), 1);

  // The same devices, as any client of the API has them.
  const ask = (more: object): Promise<Response> => {
    const body = JSON.stringify({ model: 'poems', prompt: 'Line 7 o', max_tokens: 12, seed: 5, ...more });
    const headers = { 'content-type': 'application/json' };
    return fetch(new URL('/v1/completions', pool.hub.url), { method: 'POST', headers, body });
  };
  const completion = async () =>
    (await (await ask({})).json()) as { choices: { text: string }[]; usage: { completion_tokens: number } };
  const [once, again] = [await completion(), await completion()];
  assert.ok(once.usage.completion_tokens > 0);
  assert.equal(once.choices[0].text, again.choices[0].text);

  // A conversation under a schema, as `potluck serve` has it with the same model.
  const talked = async (url: string): Promise<unknown> => {
    const schema = { enum: ['calm', 'wild'] };
    const body = JSON.stringify({
      ...{ model: 'poems', messages: [{ role: 'user', content: 'Hello' }], seed: 5, max_tokens: 40 },
      response_format: { type: 'json_schema', json_schema: { name: 'mood', schema } },
    });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${url}/chat/completions`, { method: 'POST', headers, body });
    const { choices, usage } = (await response.json()) as {
      choices: { message: { content: string } }[];
      usage: object;
    };
    assert.match(choices[0].message.content, /^\s*"(calm|wild)"\s*$/);
    return { choices, usage };
  };
  const [there, here] = [`${pool.hub.url}/v1`, await pool.alone()];
  assert.deepEqual(await talked(there), await talked(here));

  const vectors = async (url: string): Promise<readonly number[][]> => {
    const body = JSON.stringify({ model: 'poems', input: ['Line 7', 'Hello'] });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${url}/embeddings`, { method: 'POST', headers, body });
    const { data } = (await response.json()) as { data: { embedding: number[] }[] };
    return data.map(({ embedding }) => embedding);
  };
  assert.deepEqual(await vectors(there), await vectors(here));

  const third = await pool.device('third');
  const stopped = await pool.read(() => second.process.kill('SIGSTOP'));
  assert.deepEqual(stopped, undisturbed);
  assert.ok((await pool.handOvers()) >= 2);

  second.process.kill('SIGCONT');
  third.process.kill('SIGINT');
  assert.equal(await third.ended, 0);
  assert.deepEqual(await readWhenThereIsRoom(pool), undisturbed, 'the one that stood still serves again');

  // A hub that is ended says so in the streams that it cuts.
  const stream = (await ask({ stream: true, max_tokens: 80 })).body!;
  let text = '';
  let closing: Promise<void> | null = null;
  for await (const part of stream.pipeThrough(new TextDecoderStream() as never) as unknown as AsyncIterable<string>) {
    text += part;
    closing ??= pool.hub.close();
  }
  await closing;
  assert.match(text, /data: \{"error":\{"message":"the hub goes down/);
  assert.doesNotMatch(text, /\[DONE\]/);
});
