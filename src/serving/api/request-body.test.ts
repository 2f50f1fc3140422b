// Bodies that are no requests: each is refused with what was expected, and nothing of one is silently changed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { systemClock } from '../../protocol/clock.ts';
import { utf8 } from '../../protocol/hash.ts';
import type { ClosingServer } from '../answer-server.ts';
import { smallServer } from '../testing/small-server.ts';
import { openaiApi } from './app.ts';

let server: ClosingServer;
before(async () => {
  server = await smallServer();
});
after(() => server.close());

async function post(path: string, body: string | Uint8Array, headers: Record<string, string> = {}) {
  const app = openaiApi(server, { clock: systemClock, newId: () => '1', keys: null, onError: assert.ifError });
  const response = await app.request(`/v1/${path}`, { method: 'POST', body: body as BodyInit, headers });
  const { error } = (await response.json()) as { error?: { code: string; message: string; param: string | null } };
  return { status: response.status, ...error };
}

const chat = (content: unknown, more: object = {}): string =>
  JSON.stringify({ model: 'small', messages: [{ role: 'user', content }], max_tokens: 1, ...more });

test('a body in an encoding is not read, whatever is in it', async () => {
  const zipped = await post('chat/completions', gzipSync(chat('x')), { 'content-encoding': 'gzip' });
  assert.deepEqual([zipped.status, zipped.code], [415, 'unsupported_media_type']);
  assert.equal((await post('chat/completions', chat('x'), { 'content-encoding': 'br' })).status, 415);
  assert.equal((await post('chat/completions', chat('x'), { 'content-encoding': 'Identity' })).status, 200);
});

test('bytes that are no UTF-8 are refused, not replaced; a mark of byte order is no part of the text', async () => {
  const [head, tail] = chat('|').split('|');
  const broken = await post('chat/completions', Buffer.concat([utf8(head), Buffer.from([0xff]), utf8(tail)]));
  assert.deepEqual([broken.status, broken.code], [400, 'invalid_json']);
  assert.match(broken.message!, /UTF-8/);
  assert.equal((await post('chat/completions', `\ufeff${chat('é')}`)).status, 200);
});

test('half of a surrogate pair is refused with its place, a whole one is text', async () => {
  const half = await post('chat/completions', chat('a\ud83d'));
  assert.deepEqual([half.status, half.param], [400, 'messages.0.content']);
  assert.equal((await post('completions', '{"model":"small","prompt":"\\udc4b"}')).param, 'prompt');
  assert.equal((await post('chat/completions', '{"\\ud800":1}')).status, 400);
  assert.equal((await post('chat/completions', chat('👋').replace('👋', '\\ud83d\\udc4b'))).status, 200);
  // A backslash before it is text that only looks like one.
  assert.equal((await post('chat/completions', chat('\\ud83d'))).status, 200);
  const deep = `${'['.repeat(5000)}"\\ud83d"${']'.repeat(5000)}`;
  assert.equal((await post('chat/completions', deep)).status, 400);
});

test('where several kinds may stand, all are named', async () => {
  assert.equal((await post('completions', '{"model":"small"}')).message, 'prompt: expected string or array');
  const content = await post('chat/completions', chat(null));
  assert.deepEqual(
    [content.param, content.message],
    ['messages.0.content', 'messages.0.content: expected string or array'],
  );
  assert.match((await post('completions', '{"model":"small","prompt":[]}')).message!, /^prompt: .*>=1/);
});

test('a bias on a token that the model does not have is refused, not ignored', async () => {
  const refused = await post('chat/completions', chat('x', { logit_bias: { 5: 1, 257: 1 } }));
  assert.deepEqual([refused.status, refused.param], [400, 'logit_bias']);
  assert.match(refused.message!, /no token 257: expected one of 0\.\.256/);
  assert.equal((await post('chat/completions', chat('x', { logit_bias: { 256: -1 } }))).status, 200);
  const prompt = await post('completions', '{"model":"small","prompt":[999]}');
  assert.deepEqual([prompt.status, prompt.param], [400, 'prompt']);
});
