// The page's client of the pool, against the real API over a model that really answers.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { before, describe, test } from 'node:test';
import type { ClosingServer } from '../../serving/answer-server.ts';
import { type ListeningApi, listeningApi, smallServer } from '../../serving/testing/small-server.ts';
import { type PoolAddress, PoolError, poolChat, poolModels, poolText } from './pool-client.ts';

const ORDER = { writer: 'small', prompt: 'The ', max_tokens: 12, temperature: 0.7, top_p: 0.95, seed: 3 };
const ever = new AbortController().signal;

async function wholeOf(pieces: ReturnType<typeof poolText>) {
  let text = '';
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return { text, ...value };
    text += value;
  }
}

describe('the pool, as the page asks it', { concurrency: false }, () => {
  let server: ClosingServer;
  let open: ListeningApi;
  let at: PoolAddress;
  before(async () => {
    server = await smallServer();
    open = await listeningApi(server);
    at = { base_url: open.base_url, key: '' };
  });

  test('has the models that it says, and writes the same for the same seed', async () => {
    const found = await poolModels(at);
    assert.deepEqual(found.kind === 'models' && found.models.map(({ name, chat }) => [name, chat]), [['small', true]]);
    const first = await wholeOf(poolText(at, 'small', ORDER, ever));
    assert.deepEqual(await wholeOf(poolText(at, 'small', ORDER, ever)), first);
    assert.ok(first.written_tokens > 0 && first.prompt_tokens > 0 && first.text !== '', JSON.stringify(first));
    assert.equal(first.end_of_text, first.written_tokens < ORDER.max_tokens);
    assert.notEqual((await wholeOf(poolText(at, 'small', { ...ORDER, seed: 4 }, ever))).text, first.text);
  });

  test('answers in a conversation', async () => {
    const turns = [{ role: 'user', content: 'Who are you?' }] as const;
    const { text, written_tokens } = await wholeOf(poolChat(at, 'small', turns, ORDER, ever));
    assert.ok(written_tokens > 0 && text !== '');
  });

  test('is told in a sentence when it refuses, and asks for a key where one is needed', async (t) => {
    await assert.rejects(wholeOf(poolText(at, 'another', ORDER, ever)), (error: PoolError) => {
      assert.equal(error.code, 'pool-refused');
      assert.match(error.message, /no model "another": there is small/);
      return true;
    });
    const closed = await listeningApi(server, { keys: { callerOf: async () => null, all: async () => [] } });
    t.after(() => closed.close());
    assert.deepEqual(await poolModels({ base_url: closed.base_url, key: '' }), { kind: 'key-needed' });
  });

  test('takes what is no part of an answer for a refusal, with a sentence', async (t) => {
    for (const data of ['{broken', '42', '{"error":{"message":"it failed"}}']) {
      const http = createServer((_, response) => response.end(`data: ${data}\n\n`));
      await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
      t.after(() => http.close());
      const { port } = http.address() as AddressInfo;
      const asked = wholeOf(poolText({ base_url: `http://127.0.0.1:${port}`, key: '' }, 'small', ORDER, ever));
      await assert.rejects(
        asked,
        (error: PoolError) => error.code === 'pool-refused' && /[.]$|failed/.test(error.message),
      );
    }
  });

  test('stops when it is told to, with the reason', async () => {
    const stop = new AbortController();
    const pieces = poolText(at, 'small', { ...ORDER, max_tokens: 400, temperature: 0 }, stop.signal);
    await pieces.next();
    stop.abort(new Error('enough'));
    await assert.rejects(wholeOf(pieces), /enough/);
  });

  test('a hub that is away, or has no API, is no pool', async () => {
    await open.close();
    await server.close();
    assert.deepEqual(await poolModels(at), { kind: 'none' });
    await assert.rejects(wholeOf(poolText(at, 'small', ORDER, ever)), (error) => error instanceof PoolError);
  });
});
