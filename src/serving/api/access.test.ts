// Who may ask, how often, and what becomes of bad requests: points 5, 6, 10 and 14 of the conformance list, at the door and with a client.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request as nodeRequest } from 'node:http';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import OpenAI, { APIError } from 'openai';
import { type Clock, systemClock } from '../../protocol/clock.ts';
import type { ClosingServer } from '../answer-server.ts';
import type { AnswerServer } from '../answers.ts';
import { ServingError } from '../errors.ts';
import { API_LIMITS } from '../limits.ts';
import { type ListeningApi, listeningApi, smallServer } from '../testing/small-server.ts';
import { type ApiOptions, openaiApi } from './app.ts';
import { type KeyRecord, keysIn, makeKey } from './keys.ts';

let server: ClosingServer;
before(async () => {
  server = await smallServer();
});
after(() => server.close());

/** Without an end of the text, so that answers are as long as they may be. */
const ASKED = {
  ...{ model: 'small', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4, seed: 1 },
  logit_bias: { 256: -100 },
};
const UNLIMITED = { requests_per_minute: null, tokens_per_minute: null };

/** The app in this process, with a clock that only the test moves. */
function appWith(options: Partial<ApiOptions> = {}, changed: Partial<AnswerServer> = {}) {
  let now_ms = 1_800_000_000_000;
  const clock: Clock = { ...systemClock, now_ms: () => now_ms, elapsed_ms: () => now_ms };
  const errors: unknown[] = [];
  let ids = 0;
  const app = openaiApi(
    {
      models: () => server.models().map((model) => ({ ...model, tools: false, embeddings: false })),
      answer: (...asked) => server.answer(...asked),
      embed: (...asked) => server.embed(...asked),
      ...changed,
    },
    { clock, newId: () => String(ids++), keys: null, onError: (error) => errors.push(error), ...options },
  );
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    app.request(`/v1/${path}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers,
    });
  return {
    app,
    errors,
    post,
    chat: (headers?: Record<string, string>, more: object = {}) =>
      post('chat/completions', { ...ASKED, ...more }, headers),
    pass: (time_ms: number) => {
      now_ms += time_ms;
    },
  };
}

const errorIn = async (response: Response) =>
  ((await response.json()) as { error: { code: string; param: string | null; message: string; type: string } }).error;

describe('keys', () => {
  const { key, record } = makeKey('laptop', UNLIMITED, 0, randomBytes);
  const keys = keysIn(async () => new Map([[record.hash, record]]));
  const bearer = (value: string) => ({ authorization: `Bearer ${value}` });

  test('nobody without a key of this server gets in, and the record of a key does not open', async () => {
    const { app, chat } = appWith({ keys });
    assert.equal((await chat(bearer(key))).status, 200);
    const wrong = [
      {},
      bearer(''),
      bearer('sk-potluck-x'),
      bearer(record.hash),
      bearer(record.id),
      { authorization: key },
    ];
    for (const headers of wrong) {
      const response = await chat(headers);
      assert.equal(response.status, 401, JSON.stringify(headers));
      assert.equal((await errorIn(response)).code, 'invalid_api_key');
      assert.match(response.headers.get('x-request-id')!, /^req_/);
      assert.equal(response.headers.get('x-should-retry'), 'false');
    }
    for (const path of ['/v1/models', '/v1/models/small', '/v1/nothing']) {
      assert.equal((await app.request(path)).status, 401, path);
    }
    assert.equal((await app.request('/v1/openapi.json')).status, 200);
  });

  test('nothing of a key but its hash is kept', () => {
    assert.ok(!JSON.stringify(record).includes(key.slice(12, 24)));
    assert.equal(new Set(Array.from({ length: 50 }, () => makeKey('a', UNLIMITED, 0, randomBytes).key)).size, 50);
  });
});

describe('quotas', () => {
  const withQuota = (quota: Partial<KeyRecord>, changed: Partial<AnswerServer> = {}) => {
    const made = makeKey('limited', { ...UNLIMITED, ...quota }, 0, randomBytes);
    const other = makeKey('other', { ...UNLIMITED, requests_per_minute: 3 }, 0, randomBytes);
    const known = new Map([made, other].map(({ record }) => [record.hash, record]));
    const api = appWith({ keys: keysIn(async () => known) }, changed);
    const as = ({ key }: { key: string }) => ({ authorization: `Bearer ${key}` });
    return { ...api, mine: as(made), others: as(other) };
  };

  test('requests: early 429 with the time to wait, exact to the request, and nobody else waits', async () => {
    let answers = 0;
    const api = withQuota(
      { requests_per_minute: 3 },
      {
        answer: (...asked) => {
          answers++;
          return server.answer(...asked);
        },
      },
    );
    for (let left = 2; left >= 0; left--) {
      const response = await api.chat(api.mine);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('x-ratelimit-limit-requests'), '3');
      assert.equal(response.headers.get('x-ratelimit-remaining-requests'), String(left));
    }
    const refused = await api.chat(api.mine);
    assert.equal(refused.status, 429);
    assert.equal((await errorIn(refused)).code, 'rate_limit_exceeded');
    assert.equal(refused.headers.get('retry-after-ms'), '20000');
    assert.equal(refused.headers.get('retry-after'), '20');
    assert.equal(refused.headers.get('x-should-retry'), 'true');
    assert.equal(refused.headers.get('x-ratelimit-remaining-requests'), '0');
    assert.equal(answers, 3);
    assert.equal((await api.chat(api.others)).status, 200);
    api.pass(19_990);
    assert.equal((await api.chat(api.mine)).status, 429);
    api.pass(10);
    assert.equal((await api.chat(api.mine)).status, 200);
    assert.equal((await api.chat(api.mine)).status, 429);
    // Reading what there is costs nothing.
    assert.equal((await api.app.request('/v1/models', { headers: api.mine })).status, 200);
  });

  test('tokens: what was used counts, not what might have been', async () => {
    const api = withQuota({ tokens_per_minute: 100 });
    const first = await api.chat(api.mine, { max_tokens: 90 });
    const { usage } = (await first.json()) as { usage: { total_tokens: number } };
    // The prompt has more tokens than its letters let expect, and the answer fewer than a whole minute gives.
    const left = async () =>
      Number((await api.chat(api.mine, { max_tokens: 1 })).headers.get('x-ratelimit-remaining-tokens'));
    assert.ok(usage.total_tokens > 90);
    api.pass(70_000);
    assert.equal((await api.chat(api.mine, { max_tokens: 400 })).status, 200);
    // An answer of 400 tokens was begun with 100, so that minutes pass before the next.
    const refused = await api.chat(api.mine);
    assert.equal(refused.status, 429);
    const wait_ms = Number(refused.headers.get('retry-after-ms'));
    assert.ok(wait_ms > 180_000 && wait_ms < 240_000, String(wait_ms));
    api.pass(wait_ms);
    assert.equal((await api.chat(api.mine)).status, 200);
    assert.ok((await left()) < 100);
  });

  test('a prompt that no minute pays is refused for good', async () => {
    const api = withQuota({ tokens_per_minute: 10 });
    const refused = await api.chat(api.mine, { messages: [{ role: 'user', content: 'x'.repeat(100) }] });
    assert.deepEqual([refused.status, refused.headers.get('x-should-retry')], [429, 'false']);
  });

  test('whoever leaves pays for what was written', async () => {
    const api = withQuota({ tokens_per_minute: 500 });
    const response = await api.chat(api.mine, { max_tokens: 300, stream: true });
    const reader = response.body!.getReader();
    for (let i = 0; i < 5; i++) await reader.read();
    await reader.cancel();
    const left = async () => {
      const headers = (await api.app.request('/v1/models', { headers: api.mine })).headers;
      return Number(headers.get('x-ratelimit-remaining-tokens'));
    };
    // The place is given back, and with it what was reserved, as soon as the model has stopped.
    while ((await left()) < 300) await new Promise(setImmediate);
    assert.ok((await left()) < 500 - 20, String(await left()));
  });

  test('the client of OpenAI waits as long as it is told, and then gets its answer', async (t) => {
    let refusals = 2;
    const api = await listeningApi({
      ...server,
      async *answer(request, signal) {
        if (refusals-- > 0) throw new ServingError('no-room', 'all places are taken', { retry_after_ms: 60 });
        yield* server.answer(request, signal);
      },
    });
    t.after(() => api.close());
    const client = new OpenAI({ apiKey: 'none', baseURL: api.base_url, maxRetries: 2 });
    const begun_ms = performance.now();
    const answer = await client.chat.completions.create(ASKED as OpenAI.ChatCompletionCreateParamsNonStreaming);
    const took_ms = performance.now() - begun_ms;
    assert.equal(answer.choices[0].finish_reason, 'length');
    // Without retry-after-ms it waits half a second at least, each time.
    assert.ok(took_ms >= 120 && refusals === -1, `${took_ms} ms`);
    const hopeless = await client.chat.completions.create({ ...ASKED, model: 'none' } as never).then(
      () => assert.fail('answered'),
      (error: unknown) => error as APIError,
    );
    assert.ok(hopeless instanceof APIError);
  });
});

describe('pages', () => {
  test('of other origins may ask, and read what clients need', async () => {
    const { app, chat } = appWith();
    const origin = 'https://chat.example';
    const preflight = await app.request('/v1/chat/completions', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-headers': 'authorization, content-type, x-stainless-lang' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-origin'), origin);
    assert.match(preflight.headers.get('access-control-allow-headers')!, /x-stainless-lang/);
    const response = await chat({ origin });
    assert.equal(response.headers.get('access-control-allow-origin'), origin);
    assert.match(response.headers.get('access-control-expose-headers')!, /x-request-id.*retry-after-ms/);
  });

  test('whom the server does not admit gets nothing, not even a list of models', async () => {
    const { app, chat } = appWith({ admits: ({ origin }) => origin === undefined });
    assert.equal((await chat()).status, 200);
    for (const method of ['OPTIONS', 'GET', 'POST']) {
      const refused = await app.request('/v1/models', { method, headers: { origin: 'https://evil.example' } });
      assert.equal(refused.status, 403, method);
      assert.equal(refused.headers.get('access-control-allow-origin'), null);
    }
  });
});

describe('bad requests', () => {
  test('each is refused with its field, and nothing is ignored', async () => {
    const { chat, post, errors } = appWith();
    const deep = JSON.parse(`${'{"a":'.repeat(80)}1${'}'.repeat(80)}`);
    const tool = { type: 'function', function: { name: 'f' } };
    const cases: [object, string][] = [
      [{ top_k: 40 }, 'top_k'],
      [{ min_p: 0.1 }, 'min_p'],
      [{ functions: [] }, 'functions'],
      [{ store: true }, 'store'],
      [{ modalities: ['text', 'audio'] }, 'modalities.1'],
      [{ reasoning_effort: 'high' }, 'reasoning_effort'],
      [{ service_tier: 'priority' }, 'service_tier'],
      [{ n: 0 }, 'n'],
      [{ n: API_LIMITS.choices + 1 }, 'n'],
      [{ temperature: 2.1 }, 'temperature'],
      [{ temperature: '1' }, 'temperature'],
      [{ top_p: 0 }, 'top_p'],
      [{ max_tokens: 0 }, 'max_tokens'],
      [{ max_tokens: 1.5 }, 'max_tokens'],
      [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
      [{ stop: [''] }, 'stop.0'],
      [{ logit_bias: { a: 1 } }, 'logit_bias.a'],
      [{ logit_bias: { '5': 101 } }, 'logit_bias.5'],
      [{ top_logprobs: 21, logprobs: true }, 'top_logprobs'],
      [{ stream_options: { include_usage: true } }, 'stream_options'],
      [
        { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: deep } } },
        'response_format.json_schema.schema',
      ],
      [{ tools: [tool] }, 'tools'],
      [{ messages: [] }, 'messages'],
      [{ messages: undefined }, 'messages'],
      [{ messages: [{ role: 'robot', content: 'a' }] }, 'messages.0.role'],
      [{ messages: [{ role: 'user', content: 'a', name: 'me' }] }, 'messages.0.name'],
      [{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] }, 'messages.0.content.0.type'],
      [{ messages: [{ role: 'tool', content: 'a' }] }, 'messages.0.tool_call_id'],
      [{ messages: [{ role: 'tool', content: 'a', tool_call_id: 'c' }] }, 'tools'],
    ];
    for (const [more, param] of cases) {
      const response = await chat({}, more);
      const words = JSON.stringify(more).slice(0, 100);
      assert.equal(response.status, 400, words);
      const error = await errorIn(response);
      assert.deepEqual([error.param, error.type], [param, 'invalid_request_error'], `${words}: ${error.message}`);
      assert.ok(error.message.length > 5 && error.message.length < 300, error.message);
    }
    const completions: [object, string][] = [
      [{ suffix: 'end' }, 'suffix'],
      [{ best_of: 3 }, 'best_of'],
      [{ prompt: [] }, 'prompt'],
      [{ prompt: [-1] }, 'prompt.0'],
      [{ prompt: Array(API_LIMITS.prompts).fill('a'), n: 2 }, 'n'],
      [{ max_tokens: 0 }, 'max_tokens'],
    ];
    for (const [more, param] of completions) {
      const response = await post('completions', { model: 'small', prompt: 'a', ...more });
      assert.deepEqual(
        [response.status, (await errorIn(response)).param],
        [400, param],
        JSON.stringify(more).slice(0, 80),
      );
    }
    for (const body of ['', '{', '[]', 'null', '"text"', '\u0000']) {
      assert.equal((await post('chat/completions', body)).status, 400, body);
    }
    assert.deepEqual(errors, []);
  });

  test('any JSON at all is answered or refused, and never breaks the server', async () => {
    const { post, errors } = appWith({}, { answer: () => assert.fail('nothing of this is a request') });
    const paths = fc.constantFrom('chat/completions', 'completions', 'responses', 'embeddings');
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          model: fc.constant('small'),
          messages: fc.jsonValue(),
          input: fc.jsonValue({ maxDepth: 1 }).map((value) => [value, 1]),
          prompt: fc.constant({}),
        },
        { requiredKeys: ['messages', 'input', 'prompt'] },
      ),
    );
    await fc.assert(
      fc.asyncProperty(paths, anything, async (path, body) => {
        const { status } = await post(path, JSON.stringify(body));
        assert.ok(status === 400 || status === 404, `${path}: ${status}`);
      }),
      { numRuns: 200 },
    );
    assert.deepEqual(errors, []);
  });

  test('paths and methods that there are not', async () => {
    const { app } = appWith();
    const cases = [
      ['GET', 'chat/completions', 405],
      ['POST', 'models', 405],
      ['DELETE', 'usage', 405],
      ['DELETE', 'models/small', 404],
      ['POST', 'images/generations', 404],
    ] as const;
    for (const [method, path, status] of cases) {
      const response = await app.request(`/v1/${path}`, { method });
      assert.equal(response.status, status, path);
      assert.match((await errorIn(response)).code, /method_not_allowed|unknown_url/);
    }
  });

  test('a body that is too large is refused without being read to its end', async (t) => {
    const api: ListeningApi = await listeningApi(server);
    t.after(() => api.close());
    const announced = await fetch(`${api.base_url}/completions`, {
      method: 'POST',
      body: ' '.repeat(API_LIMITS.body_bytes + 1),
    });
    assert.deepEqual([announced.status, (await errorIn(announced)).code], [413, 'request_too_large']);
    // One that announces no length, and never ends.
    const status = await new Promise<number>((resolve, reject) => {
      const request = nodeRequest(`${api.base_url}/completions`, { method: 'POST' }, (response) => {
        resolve(response.statusCode!);
        request.destroy();
      });
      const more = (): void => {
        while (!request.destroyed && request.write(Buffer.alloc(1 << 20)));
        if (!request.destroyed) request.once('drain', more);
      };
      request.on('error', (error) => (error as NodeJS.ErrnoException).code !== 'ECONNRESET' && reject(error));
      more();
    });
    assert.equal(status, 413);
  });

  test('a mistake of the server is told to whoever runs it, and its words to nobody else', async () => {
    const { chat, errors } = appWith(
      {},
      {
        answer: () => {
          throw new TypeError('the secret path /home/me');
        },
      },
    );
    const response = await chat();
    assert.equal(response.status, 500);
    const { message, code } = await errorIn(response);
    assert.deepEqual([message, code], ['this server failed at the request', 'internal_error']);
    assert.equal(errors.length, 1);
  });
});

describe('10. embeddings', () => {
  const vectors = [Float32Array.of(0.6, -0.8), Float32Array.of(1, 0)];
  const embedding: Partial<AnswerServer> = {
    models: () => server.models().map((model) => ({ ...model, embeddings: true })),
    embed: async ({ inputs }) => ({ vectors: inputs.map((_, i) => vectors[i]), tokens: 5 }),
  };

  test('come as numbers, and as base64 which the client of OpenAI asks for by itself', async (t) => {
    const { post } = appWith({}, embedding);
    const plain = await post('embeddings', { model: 'small', input: ['a', 'b'] });
    const { data, usage } = (await plain.json()) as OpenAI.CreateEmbeddingResponse;
    assert.deepEqual(
      data.map(({ embedding }) => embedding),
      vectors.map((vector) => [...vector]),
    );
    assert.deepEqual(usage, { prompt_tokens: 5, total_tokens: 5 });
    const api = await listeningApi({ ...server, ...embedding } as AnswerServer);
    t.after(() => api.close());
    const client = new OpenAI({ apiKey: 'none', baseURL: api.base_url });
    const found = await client.embeddings.create({ model: 'small', input: [[1, 2], [3]] });
    assert.deepEqual(
      found.data.map(({ embedding }) => embedding),
      vectors.map((vector) => [...vector]),
    );
  });

  test('are refused where they are not made, or not as long as asked', async () => {
    assert.equal((await appWith().post('embeddings', { model: 'small', input: 'a' })).status, 400);
    const { post } = appWith({}, embedding);
    const refused = await post('embeddings', { model: 'small', input: 'a', dimensions: 1 });
    assert.deepEqual([refused.status, (await errorIn(refused)).param], [400, 'dimensions']);
    assert.equal((await post('embeddings', { model: 'small', input: 'a', dimensions: 2 })).status, 200);
    for (const input of ['', [], [''], [[]], [1.5]]) {
      assert.equal((await post('embeddings', { model: 'small', input })).status, 400, JSON.stringify(input));
    }
  });
});

test('the OpenAPI document names every path, and its schemas say what is taken', async () => {
  const { app } = appWith();
  const document = (await (await app.request('/v1/openapi.json')).json()) as {
    openapi: string;
    paths: Record<
      string,
      Record<string, { requestBody?: { content: Record<string, { schema: { properties: object } }> } }>
    >;
  };
  assert.match(document.openapi, /^3\.1/);
  assert.deepEqual(Object.keys(document.paths).sort(), [
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/embeddings',
    '/v1/models',
    '/v1/models/{model}',
    '/v1/responses',
    '/v1/usage',
  ]);
  const chat = document.paths['/v1/chat/completions'].post.requestBody!.content['application/json'].schema;
  assert.ok('messages' in chat.properties && 'logit_bias' in chat.properties);
});
