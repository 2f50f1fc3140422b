// GET /v1/usage: every way in which a request can end is counted once, a holder sees its own usage only, and the operator that of all.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fired, systemClock } from '../../protocol/clock.ts';
import type { AnswerServer, OfferedModel } from '../answers.ts';
import { ServingError } from '../errors.ts';
import { type ApiOptions, openaiApi } from './app.ts';
import { keysIn, makeKey } from './keys.ts';
import { openUsageBook } from './usage-book.ts';
import { type UsageList, UsageListSchema } from './usage-form.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-usage-list-'));
after(() => rmSync(root, { recursive: true, force: true }));
const book = openUsageBook(join(root, 'usage.sqlite'), systemClock, assert.ifError);
after(() => book.close());

const MODEL: OfferedModel = {
  ...{ name: 'small', hash: '0'.repeat(64), quantisation: 'f32', engine: 'none', context_tokens: 64 },
  ...{ created_ms: 0, licence: null, chat: true, tools: false, embeddings: true },
};

/** Fails or hangs as the first message says. */
const server: AnswerServer = {
  models: () => [MODEL],
  unlisted: (name) => (name.startsWith('committee:') ? { ...MODEL, name } : null),
  async *answer({ prompt }, signal) {
    const said = prompt.kind === 'chat' ? prompt.messages[0].content : '';
    if (said === 'full') throw new ServingError('no-room', 'no place', { retry_after_ms: 1 });
    if (said === 'defect') throw new Error('a defect');
    yield { kind: 'begun', prompt_tokens: 10 };
    for (let position = 10; position < 13; position++) {
      yield { kind: 'token', position, id: 1, text: 'a', echoed: false, logprob: null, top: [] };
    }
    if (said === 'break') throw new ServingError('engine-ended', 'it broke');
    if (said === 'hang') await fired(signal).then(() => signal.throwIfAborted());
    yield { kind: 'ended', text: '', reason: 'stop', end_id: null, written_tokens: 3 };
  },
  embed: async () => ({ vectors: [Float32Array.of(1)], tokens: 4 }),
};

const UNLIMITED = { requests_per_minute: null, tokens_per_minute: null };
const made = (name: string, quota: object = {}) => makeKey(name, { ...UNLIMITED, ...quota }, 0, randomBytes);

function apiFor(keyed: readonly ReturnType<typeof made>[] | null, options: Partial<ApiOptions> = {}) {
  const records = new Map((keyed ?? []).map(({ record }) => [record.hash, record]));
  const app = openaiApi(server, {
    ...{ clock: systemClock, newId: () => '1', onError: () => {}, usage: book },
    keys: keyed && keysIn(async () => records),
    ...options,
  });
  const as = (key: string | null): Record<string, string> => (key === null ? {} : { authorization: `Bearer ${key}` });
  const chat = (key: string | null, content: string, more: object = {}) =>
    app.request('/v1/chat/completions', {
      ...{ method: 'POST', headers: as(key) },
      body: JSON.stringify({ model: 'small', messages: [{ role: 'user', content }], ...more }),
    });
  const usage = async (key: string | null, query = '') => {
    const response = await app.request(`/v1/usage${query}`, { headers: as(key) });
    return { status: response.status, body: (await response.json()) as UsageList };
  };
  return { app, chat, usage, as };
}

/** The counts of the rows of a key, by model. */
const countsIn = ({ data }: UsageList, id: string) =>
  Object.fromEntries(
    data
      .filter(({ key }) => key.id === id)
      .map(({ model, requests, input_tokens, output_tokens, errors, too_many }) => [
        model,
        [requests, input_tokens, output_tokens, errors, too_many],
      ]),
  );

test('however a request ends, it counts once', async () => {
  const one = made('one', { requests_per_minute: 9 });
  const { chat, usage, app, as } = apiFor([one]);
  const { key, record } = one;
  const streamed = async (content: string) => (await chat(key, content, { stream: true })).text();
  await chat(key, 'well');
  await streamed('well');
  assert.match(await streamed('break'), /engine_ended/);
  assert.equal((await chat(key, 'break')).status, 503);
  assert.equal((await chat(key, 'defect')).status, 500);
  assert.equal((await chat(key, 'full')).status, 429);
  assert.equal((await chat(key, 'x', { model: 'none' })).status, 404);
  assert.equal((await chat(key, 'x', { n: 0 })).status, 400);
  const embedded = await app.request('/v1/embeddings', {
    ...{ method: 'POST', headers: as(key), body: JSON.stringify({ model: 'small', input: 'x' }) },
  });
  assert.equal(embedded.status, 200);
  // The tenth request of a minute.
  assert.equal((await chat(key, 'x')).status, 429);
  const { body } = await usage(key);
  assert.deepEqual(UsageListSchema.parse(body), body);
  assert.deepEqual([body.of, body.keys], ['key', []]);
  // What was refused before its model was known stands by itself.
  assert.deepEqual(countsIn(body, record.id), { '': [3, 0, 0, 2, 1], small: [7, 44, 12, 3, 1] });
});

test('whoever leaves has made no error, and pays for what was written', async () => {
  const one = made('leaver');
  const { usage, app, as } = apiFor([one]);
  const gone = new AbortController();
  const response = await app.request('/v1/chat/completions', {
    ...{ method: 'POST', headers: as(one.key), signal: gone.signal },
    body: JSON.stringify({ model: 'small', messages: [{ role: 'user', content: 'hang' }], stream: true }),
  });
  const reader = response.body!.getReader();
  for (let events = 0; events < 4; events++) await reader.read();
  gone.abort();
  const counts = async () => countsIn((await usage(one.key)).body, one.record.id).small;
  while ((await counts())[1] === 0) await new Promise(setImmediate);
  assert.deepEqual(await counts(), [1, 10, 3, 0, 0]);
});

test('a holder sees its own; nobody without a key sees any, but whoever runs the server all', async () => {
  const [ada, bob] = [made('ada'), made('bob')];
  const { chat, usage } = apiFor([ada, bob]);
  await chat(ada.key, 'well');
  await chat(bob.key, 'well');
  const seen = (body: UsageList) => new Set(body.data.map(({ key }) => key.name));
  assert.deepEqual(seen((await usage(ada.key)).body), new Set(['ada']));
  assert.equal((await usage(null)).status, 401);
  assert.equal((await usage('sk-potluck-x')).status, 401);
  const operator = apiFor([ada, bob], { isOperator: () => true });
  const { body } = await operator.usage(null);
  assert.deepEqual([body.of, body.keys.map(({ name }) => name)], ['all', ['ada', 'bob']]);
  assert.ok(seen(body).has('ada') && seen(body).has('bob') && seen(body).has(null), 'also of keys that are no more');
  // With a key, the operator too is the key's holder; a wrong one does not make an operator.
  assert.deepEqual(seen((await operator.usage(ada.key)).body), new Set(['ada']));
  assert.equal((await operator.usage('sk-potluck-x')).status, 401);
  const open = apiFor(null);
  await open.chat(null, 'well');
  const all = (await open.usage(null)).body;
  assert.ok(countsIn(all, 'anybody').small[0] > 0 && countsIn(all, ada.record.id).small[0] > 0);
});

test('names that callers make up are not kept, and a query that means nothing is refused', async () => {
  const one = made('maker');
  const { chat, usage } = apiFor([one]);
  for (const words of ['a+b', 'b+a', 'a*3']) await chat(one.key, 'x', { model: `committee:${words}` });
  assert.deepEqual(Object.keys(countsIn((await usage(one.key)).body, one.record.id)), ['committee']);
  for (const days of ['0', '401', '-1', 'x', '1.5']) assert.equal((await usage(one.key, `?days=${days}`)).status, 400);
  assert.equal((await usage(one.key, '?days=1')).body.data.length, 1);
  assert.equal((await apiFor([one], { usage: undefined }).usage(one.key)).status, 404);
});
