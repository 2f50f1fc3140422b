// The client of a teacher: patient with those that are busy or away, clear about those that refuse, and sure of whose tokens it gets.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { byteTokenizer, type Tokenizer, tokenizerFromJson, vocabularyJson } from '../../model/tokenizer.ts';
import { BYTE_CHARACTERS } from '../../model/tokens/byte-characters.ts';
import type { Clock } from '../../protocol/clock.ts';
import { type AnsweredToken, openTeacher, type TeacherOptions } from './teacher.ts';
import { tokenNames } from './token-names.ts';

type Handle = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A server of the test that gives each request to the next of these, and the last one again. */
async function listening(t: TestContext, ...handles: Handle[]) {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    bodies.push(body);
    handles[Math.min(bodies.length, handles.length) - 1](request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { base_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, bodies };
}

/** A clock on which every wait is over at once. */
function hurried() {
  const waits: number[] = [];
  const clock: Clock = {
    now_ms: () => 0,
    elapsed_ms: () => 0,
    setTimeout: (run, delay_ms) => {
      waits.push(delay_ms);
      return setImmediate(run);
    },
    clearTimeout: () => {},
  };
  return { clock, waits };
}

const running = new AbortController().signal;
const json =
  (status: number, value: unknown, headers: Record<string, string> = {}): Handle =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
const refusal = (status: number, message: string, headers?: Record<string, string>) =>
  json(status, { error: { message, type: 't', code: 'c' } }, headers);
const lists = (tokens: string[], top: (Record<string, number> | null)[]) => ({
  choices: [{ text: '', logprobs: { tokens, token_logprobs: tokens.map(() => -0.5), top_logprobs: top } }],
  usage: { total_tokens: 7 },
});
const GOOD = json(
  200,
  lists(
    ['a', 'bytes:\\xc3'],
    [
      { a: -0.5, b: -1 },
      { 'bytes:\\xc3': -0.1, '': -3 },
    ],
  ),
);
const question = { prompt: 'x', max_tokens: 2, echo: false, seed: 1 };

async function asked(base_url: string, more: Partial<TeacherOptions> = {}, signal = running) {
  const { clock, waits } = hurried();
  const teacher = await openTeacher({ base_url, model: 'm', key: null, clock, ...more }, signal);
  const answer = await teacher.ask(question, signal);
  return { answer, waits };
}

describe('asking', () => {
  test('sends the key and what is wanted; reads both forms of logprobs', async (t) => {
    let authorization: string | undefined;
    const keep: Handle = (request, response, body) => {
      authorization = request.headers.authorization;
      GOOD(request, response, body);
    };
    const { base_url, bodies } = await listening(t, keep);
    const { answer } = await asked(base_url, { key: 'secret' });
    assert.equal(authorization, 'Bearer secret');
    const { model, prompt, max_tokens, logprobs, temperature, top_p, echo } = JSON.parse(bodies[0]);
    assert.deepEqual([model, prompt, max_tokens, logprobs, temperature, top_p, echo], ['m', 'x', 2, 20, 1, 1, false]);
    const { ids, rows } = tokenNames(byteTokenizer(), 'm').read(answer.tokens);
    assert.deepEqual(ids, [97, 0xc3]);
    assert.deepEqual(
      rows.map((row) => row.map(([id]) => id)),
      [
        [97, 98],
        [0xc3, 256],
      ],
    );
    assert.equal(answer.spent_tokens, 7);

    const content = [
      {
        token: '\ufffd',
        bytes: [0xc3],
        logprob: -0.5,
        top_logprobs: [{ token: '\ufffd', bytes: [0xc3], logprob: -0.5 }],
      },
      { token: 'z', logprob: -2, top_logprobs: [{ token: '\ufffd', logprob: -9 }] },
    ];
    const other = await listening(t, json(200, { choices: [{ logprobs: { content } }] }));
    const read = (await asked(other.base_url)).answer;
    assert.equal(read.spent_tokens, 2, 'what came, where the endpoint counts nothing');
    assert.deepEqual(tokenNames(byteTokenizer(), 'm').read(read.tokens), {
      ids: [0xc3, 122],
      rows: [[[0xc3, Math.log(Math.exp(-0.5))]], []],
    });
  });

  test('waits as long as it is told, or twice as long each time, and asks again', async (t) => {
    const cut: Handle = (request) => void request.socket.destroy();
    const { base_url, bodies } = await listening(
      t,
      ...[refusal(429, 'slow down', { 'retry-after-ms': '1500' }), refusal(503, 'starting', { 'retry-after': '2' })],
      ...[refusal(500, 'oops'), cut, GOOD],
    );
    const said: string[] = [];
    const { waits, answer } = await asked(base_url, { onWait: (sentence) => said.push(sentence) });
    assert.equal(answer.tokens.length, 2);
    assert.deepEqual(waits, [1500, 2000, 4000, 8000]);
    assert.equal(new Set(bodies).size, 1, 'the same question');
    assert.match(said[0], /refused with 429: slow down; asking again in 2 s/);
    assert.match(said[3], /nothing answers/);
  });

  test('does not ask again where it is hopeless, where the wait is too long, and after eight tries', async (t) => {
    const gives = async (handle: Handle, code: string, says: RegExp, requests: number) => {
      const { base_url, bodies } = await listening(t, handle);
      await assert.rejects(asked(base_url), { name: 'TeacherError', code, message: says });
      assert.equal(bodies.length, requests, `${says}`);
    };
    await gives(refusal(401, 'no such key'), 'teacher-refused', /401: no such key/, 1);
    await gives(refusal(400, 'logprobs: at most 5'), 'teacher-refused', /at most 5/, 1);
    await gives(refusal(429, 'never', { 'x-should-retry': 'false' }), 'teacher-refused', /never/, 1);
    await gives(refusal(429, 'tomorrow', { 'retry-after': '86400' }), 'teacher-refused', /tomorrow/, 1);
    await gives(refusal(500, 'broken'), 'teacher-refused', /500: broken/, 8);
    await gives((_, response) => void response.end('<html>'), 'not-a-teacher', /expected JSON, got "<html>"/, 1);
    await gives(json(200, { choices: [{ text: 'hi', logprobs: null }] }), 'not-a-teacher', /with logprobs/, 1);
    await gives(json(200, lists(['a', 'b'], [{ a: -1 }])), 'not-a-teacher', /lists of 2, 2 and 1/, 1);
    await gives(json(200, lists(['a'], [{ a: 0.5 }])), 'not-a-teacher', /with logprobs/, 1);
  });

  test('is given up where nothing answers, and stopped by the person at once', async (t) => {
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const { clock, waits } = hurried();
    await assert.rejects(asked(`http://127.0.0.1:${port}/v1`, { clock }), {
      code: 'teacher-unreachable',
      message: /nothing answers at .*ECONNREFUSED/,
    });
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    const stopping = new AbortController();
    const silent = await listening(t, () => stopping.abort(new Error('enough')));
    await assert.rejects(asked(silent.base_url, {}, stopping.signal), { message: 'enough' });
  });

  test('takes the first model that is offered, or says that there is no list of models', async (t) => {
    const { base_url } = await listening(t, json(200, { object: 'list', data: [{ id: 'first' }, { id: 'second' }] }));
    const { clock } = hurried();
    assert.equal((await openTeacher({ base_url, model: null, key: null, clock }, running)).model, 'first');
    const other = await listening(t, json(200, {}));
    await assert.rejects(openTeacher({ base_url: other.base_url, model: null, key: null, clock }, running), {
      code: 'not-a-teacher',
      message: /ends with \/v1/,
    });
  });
});

/** A tokenizer of bytes that also has the piece "ab". */
function withPieces(): Tokenizer {
  const vocab = Object.fromEntries([...BYTE_CHARACTERS.map((character, byte) => [character, byte]), ['ab', 256]]);
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const parts = { added_tokens: [], pre_tokenizer: bytes, decoder: bytes };
  const json = JSON.parse(vocabularyJson(vocab, parts));
  json.model.merges = [['a', 'b']];
  return tokenizerFromJson(JSON.stringify(json));
}
const named = (names: readonly string[]): AnsweredToken[] =>
  names.map((name) => ({ name, bytes: new TextEncoder().encode(name), logprob: -1, top: [] }));

describe('whose tokens they are', () => {
  test('a token that the student does not have, and one whose bytes got lost, is refused in one sentence', () => {
    const { read } = tokenNames(byteTokenizer(), 'the teacher');
    const refused = (tokens: AnsweredToken[], says: RegExp) =>
      assert.throws(() => read(tokens), { code: 'other-tokens', message: says });
    refused(
      named(['a', ' the']),
      /the tokens of the teacher are not the student's: it has " the", which is none of the student's/,
    );
    refused([{ name: '\ufffd', bytes: null, logprob: -1, top: [] }], /take a student with the teacher's tokenizer/);
  });

  test('the same pieces cut otherwise are other tokens, as soon as there is enough text to say so', () => {
    const { read } = tokenNames(withPieces(), 'bytes');
    const cut = named([...'ab'.repeat(60)]);
    assert.equal(read(cut).ids.length, 120);
    assert.throws(() => read(cut), {
      code: 'other-tokens',
      message: /240 tokens what the student's tokenizer cuts into 120/,
    });
    const own = tokenNames(withPieces(), 'pieces');
    for (let i = 0; i < 5; i++) assert.deepEqual(own.read(named(['ab', 'a', 'c'])).ids, [256, 97, 99]);
  });

  test('likely tokens that only the teacher has are left out, and two names of one token are one', () => {
    const top = [
      { name: 'a', bytes: Uint8Array.of(97), logprob: Math.log(0.25) },
      { name: 'bytes:\\x61', bytes: Uint8Array.of(97), logprob: Math.log(0.5) },
      { name: ' the', bytes: new TextEncoder().encode(' the'), logprob: -3 },
    ];
    const { rows } = tokenNames(byteTokenizer(), 't').read([{ name: 'a', bytes: Uint8Array.of(97), logprob: -1, top }]);
    assert.equal(rows[0].length, 1);
    assert.ok(Math.abs(rows[0][0][1] - Math.log(0.75)) < 1e-12);
  });
});
