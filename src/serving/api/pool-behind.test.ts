// A pool behind one machine: what has no room here is answered there with the same text, and everything else stays here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../protocol/clock.ts';
import { openAnswerServer } from '../answer-server.ts';
import type { AnswerServer } from '../answers.ts';
import { ServingError } from '../errors.ts';
import { openTinyEngine, TINY_CONTEXT, tinyWeights } from '../testing/tiny-model.ts';
import { openaiApi } from './app.ts';
import { ANSWERED_BY_HEADER, withPoolBehind } from './pool-behind.ts';

const engine = await openTinyEngine(tinyWeights('a'), { cache_tokens: 2 * TINY_CONTEXT });
const named = (name: string): AnswerServer => openAnswerServer([{ engine, name, licence: null, created_ms: 0 }]);
const URL_OF_POOL = 'http://pool.example';
let ids = 0;
const options = { clock: systemClock, newId: () => String(ids++), keys: null, onError() {} };
const OWN = '5'.repeat(64);

/** This machine, which may be full, before a pool that calls the same model otherwise. */
function world(pool: AnswerServer = named('poems@1'), trust = 'any') {
  const forwarded: string[] = [];
  const heard: Request[] = [];
  const refused: number[] = [];
  const state = { full: false, away: false, locked: false };
  const own = named('tiny');
  const local: AnswerServer = {
    ...own,
    unlisted: (name) => (name === 'tiny*2' ? { ...own.models()[0], name } : null),
    answer(request, signal) {
      if (state.full) throw new ServingError('no-room', 'full', { retry_after_ms: 7 });
      return own.answer(request, signal);
    },
  };
  const there = openaiApi(pool, options);
  const serve = withPoolBehind(openaiApi(local, { ...options, own: [OWN], trusting: () => local }).fetch, {
    ...{ url: URL_OF_POOL, key: 'a key', trust, models: () => local.models() },
    fetch: async (input, init) => {
      const request = new Request(input, init);
      heard.push(request);
      if (state.away) throw new TypeError('fetch failed');
      if (state.locked) return Response.json({ error: { code: 'invalid_api_key' } }, { status: 401 });
      return there.fetch(request);
    },
    onForwarded: ({ model, why }) => void forwarded.push(`${model} ${why}`),
    onRefused: (status) => void refused.push(status),
  });
  const ask = (path: string, asked: object | string | Uint8Array<ArrayBuffer>, more: Record<string, string> = {}) => {
    const body = typeof asked === 'string' || asked instanceof Uint8Array ? asked : JSON.stringify(asked);
    const headers = { 'content-type': 'application/json', 'content-length': String(body.length), ...more };
    return serve(new Request(`http://localhost${path}`, { method: 'POST', headers, body }), {});
  };
  const get = (path: string) => serve(new Request(`http://localhost${path}`), {});
  return { state, forwarded, refused, heard, ask, get };
}

const REQUEST = { model: 'tiny', prompt: 'potluck', max_tokens: 12, seed: 3, temperature: 1 };
const textOf = async (answer: Response): Promise<string> =>
  ((await answer.json()) as { choices: { text: string }[] }).choices[0].text;

test('what has room here stays here', async () => {
  const { ask, forwarded, heard } = world();
  const answer = await ask('/v1/completions', REQUEST);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get(ANSWERED_BY_HEADER), null);
  assert.deepEqual([forwarded, heard], [[], []]);
});

test('what has none goes on by its hash, whole and streamed, and has the same text', async () => {
  const { state, ask, forwarded, heard } = world();
  const here = await textOf(await ask('/v1/completions', REQUEST));
  state.full = true;
  const answer = await ask('/v1/completions', REQUEST);
  assert.equal(answer.headers.get(ANSWERED_BY_HEADER), URL_OF_POOL);
  assert.equal(await textOf(answer), here);
  assert.deepEqual(forwarded, ['poems@1 server_busy']);
  assert.equal(heard.at(-1)!.headers.get('authorization'), 'Bearer a key');
  const stream = await ask('/v1/completions', { ...REQUEST, stream: true });
  assert.match(stream.headers.get('content-type')!, /^text\/event-stream/);
  const events = (await stream.text()).split('\n\n').filter((event) => event.startsWith('data: {'));
  const pieces = events.map((event) => JSON.parse(event.slice(6)).choices[0]?.text ?? '');
  assert.equal(pieces.join(''), here);
});

test('a model that is not here is asked for by its name, and the list has both', async () => {
  const { ask, get, forwarded } = world();
  const answer = await ask('/v1/completions', { ...REQUEST, model: 'poems@1' });
  assert.equal(answer.status, 200);
  assert.deepEqual(forwarded, ['poems@1 model_not_found']);
  const { data } = (await (await get('/v1/models')).json()) as { data: { id: string }[] };
  assert.deepEqual(
    data.map(({ id }) => id),
    ['tiny', 'poems@1'],
  );
});

test('a pool that has other weights under any name does not get what this machine is asked', async () => {
  const other = await openTinyEngine(tinyWeights('b'));
  const model = { ...other.model, hash: '8'.repeat(64) };
  const pool = openAnswerServer([{ engine: { ...other, model }, name: 'tiny', licence: null, created_ms: 0 }]);
  const { state, ask, forwarded } = world(pool);
  state.full = true;
  const answer = await ask('/v1/completions', REQUEST);
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get('retry-after-ms'), '7');
  assert.deepEqual(forwarded, []);
});

test('where the pool has not the model either, what this machine said holds: it may have room later', async () => {
  const { state, ask, forwarded } = world();
  state.full = true;
  const answer = await ask('/v1/completions', { ...REQUEST, model: 'tiny*2' });
  assert.deepEqual(forwarded, ['tiny*2 server_busy']);
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get('retry-after-ms'), '7');
});

test("a hub that does not take this machine's key is its operator's to hear of: no caller's key is wrong", async () => {
  const { state, ask, refused } = world();
  state.locked = true;
  assert.equal((await ask('/v1/completions', { ...REQUEST, model: 'poems@1' })).status, 404);
  assert.deepEqual(refused, [401]);
});

test('a body that is no UTF-8 is refused, and not mended on its way', async () => {
  const { ask } = world();
  const body = new TextEncoder().encode(JSON.stringify({ ...REQUEST, prompt: '~' }));
  body[body.indexOf(0x7e)] = 0xff;
  const answer = await ask('/v1/completions', body);
  assert.deepEqual([answer.status, (await answer.json()).error.code], [400, 'invalid_json']);
});

test('what is wrong with a request is said here, and a pool that is away changes nothing', async () => {
  const { state, ask, get, forwarded } = world();
  assert.equal((await ask('/v1/completions', { ...REQUEST, nonsense: 1 })).status, 400);
  assert.equal((await ask('/v1/completions', 'no JSON')).status, 400);
  assert.deepEqual(forwarded, []);
  state.away = true;
  assert.equal((await ask('/v1/completions', { ...REQUEST, model: 'poems@1' })).status, 404);
  state.full = true;
  assert.equal((await ask('/v1/completions', REQUEST)).status, 429);
  const { data } = (await (await get('/v1/models')).json()) as { data: object[] };
  assert.equal(data.length, 1);
});

test('what only devices of named owners may read does not go on, however full this machine is', async () => {
  const { state, ask, forwarded } = world();
  state.full = true;
  for (const trust of ['mine', OWN]) {
    const answer = await ask('/v1/completions', REQUEST, { 'potluck-trust': trust });
    assert.deepEqual([answer.status, answer.headers.get('potluck-owners')], [429, OWN]);
  }
  assert.deepEqual(forwarded, []);
});

test('whose devices may read it is said to the hub', async () => {
  const { ask, heard } = world(undefined, 'mine');
  await ask('/v1/completions', { ...REQUEST, model: 'poems@1' });
  assert.equal(heard.at(-1)!.headers.get('potluck-trust'), 'mine');
});
