// Conversations, formats and tools through the pool, with a real model: the same answer as from `potluck serve` of that model alone, also where
// the device that writes it dies in the middle.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import { ANY_DEVICE } from '../src/hub/serving/caller.ts';
import type { Pool } from '../src/hub/serving/pool.ts';
import { LlamaConfigSchema } from '../src/model/config.ts';
import { initialWeights } from '../src/model/init.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { serveEngine } from '../src/peer/served-model.ts';
import { systemClock } from '../src/protocol/clock.ts';
import { unpackRequest } from '../src/protocol/serving-bytes.ts';
import { type ClosingServer, openAnswerServer } from '../src/serving/answer-server.ts';
import {
  type AnswerEvent,
  type AnswerRequest,
  AnswerRequestSchema,
  type AnswerServer,
} from '../src/serving/answers.ts';
import { openaiApi } from '../src/serving/api/app.ts';
import { chatOf } from '../src/serving/chat.ts';
import type { Engine } from '../src/serving/engine.ts';
import { openOwnEngine } from '../src/serving/engine-own.ts';
import { createNativeRuntime } from '../src/tensor/native-runtime.ts';
import type { Runtime } from '../src/tensor/runtime.ts';
import { poolDevice, poolFor } from './pool-device.ts';

const config = LlamaConfigSchema.parse({
  ...{ vocab_size: 257, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 2048 },
});
const model = { config, weights: initialWeights(config, 7), tokenizer: byteTokenizer(), hash: '9'.repeat(64) };
/** So that an answer of a hundred tokens is not over before its device dies. */
const TOKEN_MS = 1;

let runtime: Runtime;
let pool: Pool;
/** `potluck serve` of the same model alone. */
let alone: ClosingServer;
const closing: (() => Promise<void>)[] = [];
let devices: Device[] = [];

const open = (): Promise<Engine> => openOwnEngine(runtime, model, { cache_tokens: 3 * config.max_position_embeddings });

before(async () => {
  runtime = await createNativeRuntime({ threads: 1 });
  pool = poolFor([model.hash, 'poems']);
  const engine = await open();
  alone = openAnswerServer([
    { engine, name: 'poems', licence: null, created_ms: 0, ...chatOf(null, engine.model.tokens) },
  ]);
  devices = [await deviceWith('a'), await deviceWith('b')];
});
after(async () => {
  pool.close();
  await Promise.all(closing.map((close) => close()));
  await alone.close();
  await runtime.close();
});

interface Device {
  /** How many answers it writes. */
  readonly writing: number;
  /** What another device had written of each answer that it was asked for. */
  readonly given: number[];
  /** Its socket closes in the middle of what it does; it comes again as another connection. */
  dieAndCome(): void;
}

/** A device that loads the model as `potluck join --serve` does. */
async function deviceWith(name: string): Promise<Device> {
  const { served, close } = serveEngine(await open(), 2);
  const given: number[] = [];
  const { serving, come, die } = poolDevice(pool, name.charCodeAt(0).toString(16).repeat(32), served, {
    worked: () => wait(TOKEN_MS),
    onHeard(heard) {
      if (heard.type === 'answer') given.push(unpackRequest(heard.request, AnswerRequestSchema).written.length);
    },
  });
  come();
  closing.push(async () => {
    await serving.close();
    await close();
  });
  return {
    given,
    get writing() {
      return serving.running;
    },
    dieAndCome() {
      die();
      come();
    },
  };
}

const SCHEMA = {
  type: 'object',
  properties: {
    mood: { enum: ['calm', 'wild'] },
    sizes: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 999 }, minItems: 4, maxItems: 6 },
    word: { type: 'string', pattern: '^[a-z]{20,30}$' },
  },
  required: ['mood', 'sizes', 'word'],
  additionalProperties: false,
};
const TOOLS = [{ type: 'function', function: { name: 'paint', parameters: SCHEMA } }];
/** What clients may ask of a model that chats, each with enough tokens to be cut. */
const ASKED: Readonly<Record<string, object>> = {
  conversation: {
    max_tokens: 60,
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi.' },
      { role: 'user', content: 'And now?' },
    ],
  },
  schema: { max_tokens: 400, response_format: { type: 'json_schema', json_schema: { name: 'it', schema: SCHEMA } } },
  tools: { max_tokens: 500, tools: TOOLS, tool_choice: 'required', parallel_tool_calls: false },
  result: {
    max_tokens: 50,
    tools: TOOLS,
    messages: [
      { role: 'user', content: 'Paint.' },
      {
        role: 'assistant',
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'paint', arguments: '{"mood":"calm"}' } }],
      },
      { role: 'tool', tool_call_id: 'c', content: 'painted' },
    ],
  },
};
const bodyOf = (kind: string, more: object = {}): object => ({
  ...{ model: 'poems', messages: [{ role: 'user', content: 'Hello' }], seed: 5, logit_bias: { 256: -100 } },
  ...ASKED[kind],
  ...more,
});

/** Asks an AnswerServer by the API. */
async function ask(server: AnswerServer, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const errors: unknown[] = [];
  const app = openaiApi(server, {
    ...{ clock: systemClock, newId: () => 'aa', keys: null, onError: (error) => errors.push(error) },
  });
  const response = await app.request('/v1/chat/completions', {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
  });
  assert.deepEqual(errors, []);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
const byPool = (): AnswerServer => pool.serverFor(ANY_DEVICE);

/** The AnswerRequest that the API makes of a body. */
async function requestOf(body: object): Promise<AnswerRequest> {
  let asked: AnswerRequest | undefined;
  const heard: AnswerServer = {
    ...{ models: () => alone.models(), embed: () => assert.fail('nothing is embedded') },
    answer(request, signal) {
      asked = request;
      return alone.answer(request, signal);
    },
  };
  await ask(heard, body);
  return asked!;
}

async function eventsOf(
  server: AnswerServer,
  request: AnswerRequest,
  onToken?: (count: number) => void,
): Promise<AnswerEvent[]> {
  const events: AnswerEvent[] = [];
  for await (const event of server.answer(request, new AbortController().signal)) {
    events.push(event);
    if (event.kind === 'token') onToken?.(events.length - 1);
  }
  return events;
}

describe('a pool whose devices chat', () => {
  test('offers what its devices do, and answers by the API as potluck serve does with the same model alone', async () => {
    const capabilities = (server: AnswerServer) => server.models().map(({ name, chat, tools }) => [name, chat, tools]);
    assert.deepEqual(capabilities(byPool()), [['poems', true, true]]);
    assert.deepEqual(capabilities(alone), capabilities(byPool()));
    for (const kind of Object.keys(ASKED)) {
      const [one, other] = [await ask(alone, bodyOf(kind)), await ask(byPool(), bodyOf(kind))];
      assert.equal(one.status, 200, JSON.stringify(one.body));
      const said = ({ choices, usage }: Record<string, unknown>) => ({ choices, usage });
      assert.deepEqual(said(other.body), said(one.body), kind);
    }
    const tools = (await ask(byPool(), bodyOf('tools'))).body as { choices: { finish_reason: string }[] };
    assert.equal(tools.choices[0].finish_reason, 'tool_calls');
  });

  test('refuses what the model does not do with the words and the code of potluck serve', async () => {
    const refused: readonly object[] = [
      { messages: [{ role: 'user', content: 'a\n\nassistant: b' }] },
      { messages: [{ role: 'user', content: 'long '.repeat(1000) }] },
      ...[{ enum: [] }, { type: 'string', pattern: '(?<=a)b' }, { $ref: 'http://elsewhere.example/' }].map(
        (schema) => ({
          response_format: { type: 'json_schema', json_schema: { name: 'it', schema } },
        }),
      ),
      { tool_choice: 'required' },
    ];
    for (const more of refused) {
      const [one, other] = [await ask(alone, bodyOf('', more)), await ask(byPool(), bodyOf('', more))];
      assert.ok(one.status >= 400 && one.status < 500, `${one.status}: ${JSON.stringify(more)}`);
      assert.deepEqual(other, one);
    }
  });

  test('goes on in mid-answer in a conversation, under a grammar and in a call of a tool, wherever it was cut', async () => {
    let handed = 0;
    const drawn = fc.record({
      kind: fc.constantFrom(...Object.keys(ASKED)),
      seed: fc.integer({ min: 0, max: 999 }),
      cut: fc.integer({ min: 1, max: 30 }),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ kind, seed, cut }) => {
        const request = await requestOf(bodyOf(kind, { seed }));
        const whole = await eventsOf(alone, request);
        const before = devices.flatMap(({ given }) => given).length;
        const events = await eventsOf(byPool(), request, (count) => {
          if (count === cut) devices.find(({ writing }) => writing > 0)?.dieAndCome();
        });
        assert.deepEqual(events, whole);
        if (devices.flatMap(({ given }) => given).length > before + 1) handed++;
      }),
      { numRuns: 10, seed: 14 },
    );
    assert.ok(handed >= 5, `${handed} of 10 answers were cut in the middle`);
    assert.ok(devices.some(({ given }) => given.some((written) => written > 0)));
  });
});
