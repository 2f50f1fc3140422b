// The conformance list (shared/reference/serving.md, section 3), each point asked by the clients that people use, of a model that really answers.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { generateText, jsonSchema, Output, streamText } from 'ai';
import OpenAI, { APIError, BadRequestError, NotFoundError } from 'openai';
import type { AnswerEvent, AnswerServer } from '../answers.ts';
import { ServingError } from '../errors.ts';
import { listeningApi, smallServer } from '../testing/small-server.ts';

const server = await smallServer();
const api = await listeningApi(server);
after(async () => {
  await api.close();
  await server.close();
  assert.deepEqual(api.errors, []);
});
const clientOf = ({ base_url }: { base_url: string }) =>
  new OpenAI({ apiKey: 'none is needed', baseURL: base_url, maxRetries: 0 });
const openai = clientOf(api);
const langchain = (more: object = {}) =>
  new ChatOpenAI({ model: 'small', apiKey: 'none', maxRetries: 0, configuration: { baseURL: api.base_url }, ...more });
const aiSdk = ({ base_url }: { base_url: string } = api) =>
  createOpenAICompatible({ name: 'potluck', baseURL: base_url, includeUsage: true, supportsStructuredOutputs: true });

/** Only letters and spaces, so that texts can be compared by eye. */
const LETTERS = Object.fromEntries(
  [...Array(257).keys()].filter((id) => !/[a-z ]/.test(String.fromCharCode(id))).map((id) => [String(id), -100]),
);
const ASKED = {
  model: 'small',
  messages: [{ role: 'user', content: 'Say something' }],
  max_tokens: 24,
  seed: 7,
  logit_bias: LETTERS,
} satisfies OpenAI.ChatCompletionCreateParams;
const textOf = async (more: object = {}): Promise<string> =>
  (await openai.chat.completions.create({ ...ASKED, ...more })).choices[0].message.content!;

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Another server that answers as this one does until it has said so many events. */
const thatDoes = (after_events: number, then: () => never): AnswerServer => ({
  ...server,
  async *answer(request, signal) {
    let left = after_events;
    for await (const event of server.answer(request, signal)) {
      if (left-- === 0) then();
      yield event;
    }
  },
});

describe('1. a chat completion', () => {
  test('has the fields that clients read', async () => {
    const before_s = Math.floor(Date.now() / 1000);
    const answer = await openai.chat.completions.create(ASKED);
    const { id, created, usage, system_fingerprint, choices, ...rest } = answer;
    assert.match(id, /^chatcmpl-[0-9a-f]+$/);
    assert.ok(created >= before_s && created <= Date.now() / 1000);
    assert.deepEqual(rest, { object: 'chat.completion', model: 'small' });
    assert.equal(system_fingerprint, 'own-f32-555555555555');
    const prompt_tokens = 1 + 'user: Say something\n\nassistant:'.length;
    assert.deepEqual(usage, { prompt_tokens, completion_tokens: 24, total_tokens: prompt_tokens + 24 });
    const [{ message, ...choice }] = choices;
    assert.deepEqual(choice, { index: 0, logprobs: null, finish_reason: 'length' });
    assert.match(message.content!, /^[a-z ]{24}$/);
    assert.deepEqual({ ...message, content: '' }, { role: 'assistant', content: '', refusal: null });
    assert.match(answer._request_id!, /^req_[0-9a-f]+$/);
  });

  test('takes content as a text or in parts, and what clients send back of an answer', async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'developer', content: 'Be brief' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Say ' },
          { type: 'text', text: 'something' },
        ],
      },
    ];
    const first = await openai.chat.completions.create({ ...ASKED, messages });
    const same = await textOf({ messages: [{ role: 'system', content: 'Be brief' }, ...ASKED.messages] });
    assert.equal(first.choices[0].message.content, same);
    const again = [...messages, first.choices[0].message, { role: 'user' as const, content: 'And then?' }];
    assert.match(await textOf({ messages: again }), /^[a-z ]+$/);
  });

  test('the AI SDK and LangChain read the same text', async () => {
    const { text, usage, finishReason } = await generateText({
      model: aiSdk()('small'),
      prompt: 'Say something',
      maxOutputTokens: 24,
      seed: 7,
      providerOptions: { potluck: { logit_bias: LETTERS } },
    });
    assert.deepEqual([text, usage.outputTokens, finishReason], [await textOf(), 24, 'length']);
    const said = await langchain({ maxTokens: 24, modelKwargs: { seed: 7, logit_bias: LETTERS } }).invoke(
      'Say something',
    );
    assert.equal(said.content, text);
    assert.equal(said.usage_metadata?.output_tokens, 24);
  });
});

describe('2. a stream', () => {
  test('begins with the role, ends with an empty delta, and counts only where that is asked for', async () => {
    for (const include_usage of [false, true]) {
      const chunks = await all(
        await openai.chat.completions.create({
          ...ASKED,
          stream: true,
          ...(include_usage && { stream_options: { include_usage } }),
        }),
      );
      assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
      const counted = chunks.filter(({ choices }) => choices.length === 0);
      assert.equal(counted.length, include_usage ? 1 : 0);
      if (include_usage) assert.equal(chunks.at(-1)!.usage!.completion_tokens, 24);
      const choices = chunks.filter((chunk) => chunk.choices.length > 0).map((chunk) => chunk.choices[0]);
      assert.deepEqual(choices[0].delta, { role: 'assistant', content: '' });
      const last = choices.at(-1)!;
      assert.deepEqual([last.delta, last.finish_reason], [{}, 'length']);
      for (const { finish_reason } of choices.slice(0, -1)) assert.equal(finish_reason, null);
      for (const { delta } of choices.slice(1, -1)) assert.deepEqual(Object.keys(delta), ['content']);
      assert.equal(choices.map(({ delta }) => delta.content ?? '').join(''), await textOf());
    }
  });

  test('reaches the AI SDK and LangChain in pieces', async () => {
    const { textStream, usage } = streamText({
      model: aiSdk()('small'),
      prompt: 'Say something',
      maxOutputTokens: 24,
      seed: 7,
      providerOptions: { potluck: { logit_bias: LETTERS } },
    });
    const pieces = await all(textStream);
    assert.ok(pieces.length > 5);
    assert.equal(pieces.join(''), await textOf());
    assert.equal((await usage).outputTokens, 24);
    const model = langchain({ maxTokens: 24, modelKwargs: { seed: 7, logit_bias: LETTERS } });
    const said = await all(await model.stream('Say something'));
    assert.equal(said.map(({ content }) => content).join(''), pieces.join(''));
    assert.equal(said.find(({ usage_metadata }) => usage_metadata)?.usage_metadata?.output_tokens, 24);
  });
});

test('3. a stream in which nothing happens says so, and no client minds', async (t) => {
  let go = (): void => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  const slow = await listeningApi(
    {
      ...server,
      async *answer(request, signal) {
        for await (const event of server.answer(request, signal)) {
          yield event;
          if (event.kind === 'begun') await held;
        }
      },
    },
    { keep_alive_ms: 5 },
  );
  t.after(() => slow.close());
  const raw = await fetch(`${slow.base_url}/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ ...ASKED, stream: true }),
  });
  const reader = raw.body!.pipeThrough(new TextDecoderStream()).getReader();
  let seen = '';
  while ((seen.match(/^: keep-alive$/gm) ?? []).length < 3) seen += (await reader.read()).value ?? assert.fail(seen);
  const stream = await clientOf(slow).chat.completions.create({ ...ASKED, stream: true });
  const ai = streamText({ model: aiSdk(slow)('small'), prompt: 'Say', maxOutputTokens: 3, temperature: 0 });
  const chain = langchain({ maxTokens: 3, temperature: 0, configuration: { baseURL: slow.base_url } }).stream('Say');
  go();
  await reader.cancel();
  assert.ok((await all(stream)).length > 5);
  assert.equal(await ai.finishReason, 'length');
  assert.ok((await all(await chain)).length > 1);
});

test('4. an error inside a stream is an event with a code, and no cut socket', async (t) => {
  const dying = await listeningApi(
    thatDoes(5, () => {
      throw new ServingError('engine-ended', 'the engine ended');
    }),
  );
  t.after(() => dying.close());
  let chunks = 0;
  await assert.rejects(
    async () => {
      for await (const _ of await clientOf(dying).chat.completions.create({ ...ASKED, stream: true })) chunks++;
    },
    (error) => error instanceof APIError && error.code === 'engine_ended' && error.message === 'the engine ended',
  );
  assert.equal(chunks, 5);
  const { fullStream, finishReason } = streamText({
    ...{ model: aiSdk(dying)('small'), prompt: 'Say something', temperature: 0, maxRetries: 0, onError: () => {} },
  });
  const parts = await all(fullStream);
  assert.ok(parts.some(({ type }) => type === 'error'));
  assert.equal(await finishReason, 'error');
  await assert.rejects(async () => {
    const chain = langchain({ temperature: 0, configuration: { baseURL: dying.base_url } });
    for await (const _ of await chain.stream('Say something')) chunks++;
  }, /the engine ended/);
  assert.equal(dying.errors.length, 3);
});

describe('5. errors', () => {
  test('have type, code, param and the number of the request', async () => {
    const wrong = await openai.chat.completions.create({ ...ASKED, model: 'larger' }).then(
      () => assert.fail('answered'),
      (error: unknown) => error as APIError,
    );
    assert.ok(wrong instanceof NotFoundError);
    assert.deepEqual([wrong.code, wrong.param, wrong.type], ['model_not_found', 'model', 'invalid_request_error']);
    assert.match(wrong.message, /no model "larger": there is small/);
    assert.match(wrong.requestID!, /^req_/);
  });

  test('a format that nobody knows is refused', async () => {
    const response_format = { type: 'xml' } as unknown as OpenAI.ResponseFormatText;
    await assert.rejects(openai.chat.completions.create({ ...ASKED, response_format }), (error) => {
      return error instanceof BadRequestError && error.param === 'response_format.type';
    });
  });

  test('a prompt beyond the context, with the code that tools know', async () => {
    await assert.rejects(textOf({ messages: [{ role: 'user', content: 'long '.repeat(500) }] }), {
      status: 400,
      code: 'context_length_exceeded',
    });
  });
});

describe('7. how tokens are drawn', () => {
  test('the same seed gives the same text, another seed another; temperature 0 needs none', async () => {
    assert.equal(await textOf(), await textOf());
    assert.notEqual(await textOf(), await textOf({ seed: 8 }));
    assert.equal(await textOf({ seed: 1, temperature: 0 }), await textOf({ seed: 2, temperature: 0 }));
    assert.notEqual(await textOf({ seed: undefined }), await textOf({ seed: undefined }));
  });

  test('max_completion_tokens and max_tokens mean the same; both at once must agree', async () => {
    assert.equal(await textOf({ max_tokens: undefined, max_completion_tokens: 24 }), await textOf());
    await assert.rejects(textOf({ max_completion_tokens: 5 }), { status: 400, param: 'max_tokens' });
  });

  test('a stop string is never in the text, streamed or not, as a text or as a list', async () => {
    const whole = await textOf();
    const stop = whole.slice(9, 13);
    for (const given of [stop, [stop, 'never there']]) {
      const { choices } = await openai.chat.completions.create({ ...ASKED, stop: given });
      assert.deepEqual(
        [choices[0].message.content, choices[0].finish_reason],
        [whole.slice(0, whole.indexOf(stop)), 'stop'],
      );
    }
    const stream = await openai.chat.completions.create({ ...ASKED, stop, stream: true });
    let text = '';
    for await (const { choices } of stream) text += choices[0].delta.content ?? '';
    assert.equal(text, whole.slice(0, whole.indexOf(stop)));
  });

  test('n answers at once, whole or streamed: the first is the one that comes alone', async () => {
    const { choices, usage } = await openai.chat.completions.create({ ...ASKED, n: 3 });
    assert.deepEqual(
      choices.map(({ index }) => index),
      [0, 1, 2],
    );
    assert.equal(new Set(choices.map(({ message }) => message.content)).size, 3);
    assert.equal(choices[0].message.content, await textOf());
    assert.deepEqual([usage!.completion_tokens, usage!.prompt_tokens], [72, 32]);
    const texts = ['', '', ''];
    for await (const chunk of await openai.chat.completions.create({ ...ASKED, n: 3, stream: true })) {
      for (const { index, delta } of chunk.choices) texts[index] += delta.content ?? '';
    }
    assert.deepEqual(
      texts,
      choices.map(({ message }) => message.content),
    );
  });

  test('more answers than there are places wait for those before them', async () => {
    const { choices } = await openai.chat.completions.create({ ...ASKED, max_tokens: 480, n: 6 });
    assert.equal(new Set(choices.map(({ message }) => message.content)).size, 6);
  });

  test('top_p and penalties reach the model', async () => {
    const plain = await textOf({ max_tokens: 60 });
    assert.equal(await textOf({ top_p: 1e-6 }), await textOf({ temperature: 0 }));
    const varied = await textOf({ max_tokens: 60, presence_penalty: 2, frequency_penalty: 2 });
    assert.ok(new Set(varied).size > new Set(plain).size, `${varied} / ${plain}`);
    assert.equal(await textOf({ logit_bias: { 97: 100 } }), 'a'.repeat(24));
  });

  test('logprobs with the likeliest tokens, whole and streamed', async () => {
    const asked = { ...ASKED, logprobs: true, top_logprobs: 3, temperature: 0, logit_bias: undefined };
    const { choices } = await openai.chat.completions.create(asked);
    const content = choices[0].logprobs!.content!;
    assert.equal(content.length, 24);
    for (const { token, bytes, logprob, top_logprobs } of content) {
      assert.equal(token, Buffer.from(bytes!).toString());
      assert.equal(top_logprobs.length, 3);
      // At temperature 0 the likeliest token is the one that was taken.
      assert.deepEqual([top_logprobs[0].logprob, top_logprobs[0].bytes], [logprob, bytes]);
      assert.ok(
        top_logprobs[0].logprob >= top_logprobs[1].logprob && top_logprobs[1].logprob >= top_logprobs[2].logprob,
      );
    }
    const streamed: unknown[] = [];
    for await (const chunk of await openai.chat.completions.create({ ...asked, stream: true })) {
      streamed.push(...(chunk.choices[0].logprobs?.content ?? []));
    }
    assert.deepEqual(streamed, content);
    await assert.rejects(textOf({ top_logprobs: 3 }), { status: 400, param: 'top_logprobs' });
  });
});

describe('8. answers of a form', () => {
  const schema = {
    type: 'object',
    properties: { mood: { enum: ['calm', 'wild'] }, count: { type: 'integer', minimum: 1, maximum: 99 } },
    required: ['mood', 'count'],
    additionalProperties: false,
  };
  const fits = (text: string): void => {
    const { mood, count, ...rest } = JSON.parse(text);
    assert.ok(['calm', 'wild'].includes(mood) && Number.isInteger(count) && count >= 1 && count <= 99, text);
    assert.deepEqual(rest, {});
  };
  const asked = { ...ASKED, logit_bias: undefined, max_tokens: 100 };
  const response_format = { type: 'json_schema', json_schema: { name: 'mood', schema, strict: true } } as const;

  test('a schema holds the answer, whole and streamed, from every client', async () => {
    for (const seed of [1, 2, 3]) {
      const { choices } = await openai.chat.completions.create({ ...asked, seed, response_format });
      fits(choices[0].message.content!);
      assert.equal(choices[0].finish_reason, 'stop');
    }
    let text = '';
    for await (const chunk of await openai.chat.completions.create({ ...asked, response_format, stream: true })) {
      text += chunk.choices[0].delta.content ?? '';
    }
    fits(text);
    const { output } = await generateText({
      model: aiSdk()('small'),
      prompt: 'How is it?',
      output: Output.object({ schema: jsonSchema(schema as Parameters<typeof jsonSchema>[0]) }),
    });
    fits(JSON.stringify(output));
    fits(
      JSON.stringify(
        await langchain().withStructuredOutput(schema, { name: 'mood', method: 'jsonSchema' }).invoke('?'),
      ),
    );
    const response = await openai.responses.create({
      ...{ model: 'small', input: 'How is it?', max_output_tokens: 100 },
      text: { format: { type: 'json_schema', name: 'mood', schema, strict: true } },
    });
    fits(response.output_text);
  });

  test('json_object is an object; a form that nobody can hold is refused before anything is written', async () => {
    const { choices } = await openai.chat.completions.create({
      ...{ ...asked, max_tokens: 400, response_format: { type: 'json_object' } },
    });
    if (choices[0].finish_reason === 'stop') assert.equal(typeof JSON.parse(choices[0].message.content!), 'object');
    assert.match(choices[0].message.content!, /^\s*\{/);
    const unknown = { type: 'object', properties: { a: { type: 'string', contentEncoding: 'base64' } } };
    await assert.rejects(
      textOf({ response_format: { type: 'json_schema', json_schema: { name: 'a', schema: unknown } } }),
      (error) => error instanceof BadRequestError && /contentEncoding/.test(error.message),
    );
  });
});

describe('9. tools', () => {
  const tool = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } } as const;

  test('are refused for a model whose template has no form for them', async (t) => {
    const plain = await listeningApi({
      ...server,
      models: () => server.models().map((model) => ({ ...model, tools: false })),
    });
    t.after(() => plain.close());
    const asks = (more: object) => clientOf(plain).chat.completions.create({ ...ASKED, ...more });
    for (const more of [{ tools: [tool] }, { tool_choice: 'required' }, { parallel_tool_calls: true }]) {
      await assert.rejects(asks(more), { status: 400, code: 'unsupported_parameter', param: Object.keys(more)[0] });
    }
    assert.equal((await asks({ tools: [], tool_choice: 'none' })).choices[0].message.content, await textOf());
  });

  test('a model that must call a tool calls one that there is, with arguments that fit', async () => {
    const parameters = {
      type: 'object',
      properties: { city: { enum: ['Ulm', 'Bonn'] }, days: { type: 'integer', minimum: 1, maximum: 9 } },
      required: ['city', 'days'],
      additionalProperties: false,
    };
    const tools = ['weather', 'tides'].map((name) => ({ type: 'function' as const, function: { name, parameters } }));
    const asked = { ...ASKED, tools, logit_bias: undefined, max_tokens: 300, parallel_tool_calls: false };
    const fits = (call: { function: { name: string; arguments: string } }, name?: string): void => {
      assert.ok(['weather', 'tides'].includes(call.function.name));
      if (name) assert.equal(call.function.name, name);
      const { city, days } = JSON.parse(call.function.arguments);
      assert.ok(['Ulm', 'Bonn'].includes(city) && days >= 1 && days <= 9, call.function.arguments);
    };
    const callsOf = async (more: object) => {
      const { choices } = await openai.chat.completions.create({ ...asked, ...more });
      assert.equal(choices[0].finish_reason, 'tool_calls');
      const calls = choices[0].message.tool_calls!.flatMap((call) => (call.type === 'function' ? [call] : []));
      assert.equal(calls.length, 1);
      return calls;
    };
    for (const seed of [1, 2, 3]) fits((await callsOf({ seed, tool_choice: 'required' }))[0]);
    const [call] = await callsOf({ tool_choice: { type: 'function', function: { name: 'tides' } } });
    fits(call, 'tides');
    const streamed = await openai.chat.completions
      .stream({ ...asked, tool_choice: { type: 'function', function: { name: 'tides' } } })
      .finalChatCompletion();
    assert.equal(streamed.choices[0].message.tool_calls![0].function.arguments, call.function.arguments);
    // The result goes back to the model, which says something to it.
    const messages = [
      ...ASKED.messages,
      { role: 'assistant' as const, content: null, tool_calls: [call] },
      { role: 'tool' as const, tool_call_id: call.id, content: 'High at noon' },
    ];
    assert.match(await textOf({ messages }), /^[a-z ]+$/);
    const { toolCalls } = await generateText({
      model: aiSdk()('small'),
      prompt: 'How high?',
      tools: { tides: { inputSchema: jsonSchema(parameters as Parameters<typeof jsonSchema>[0]) } },
      toolChoice: 'required',
    });
    fits({ function: { name: toolCalls[0].toolName, arguments: JSON.stringify(toolCalls[0].input) } }, 'tides');
  });

  test('a call reaches the clients with its name, its number and its arguments', async (t) => {
    // The form of a stream alone; models that call tools are tested with their templates.
    const events: AnswerEvent[] = [
      { kind: 'begun', prompt_tokens: 9 },
      { kind: 'token', position: 9, id: 1, text: 'Let me see.', echoed: false, logprob: null, top: [] },
      { kind: 'tool_call', name: 'weather', arguments: '{"city":"Ulm"}' },
      { kind: 'tool_call', name: 'weather', arguments: '{"city":"Bonn"}' },
      { kind: 'ended', text: '', reason: 'tool_calls', end_id: null, written_tokens: 1 },
    ];
    const calling = await listeningApi({
      ...server,
      async *answer() {
        yield* events;
      },
    });
    t.after(() => calling.close());
    const asked = { ...ASKED, tools: [tool], tool_choice: 'auto' as const, parallel_tool_calls: true };
    const { choices } = await clientOf(calling).chat.completions.create(asked);
    assert.deepEqual([choices[0].finish_reason, choices[0].message.content], ['tool_calls', 'Let me see.']);
    const calls = choices[0].message.tool_calls!.map((call) => call.type === 'function' && call.function.arguments);
    assert.deepEqual(calls, ['{"city":"Ulm"}', '{"city":"Bonn"}']);
    const final = await clientOf(calling).chat.completions.stream(asked).finalChatCompletion();
    assert.deepEqual(
      final.choices[0].message.tool_calls!.map((call) => call.function.arguments),
      calls,
    );
    assert.equal(new Set(final.choices[0].message.tool_calls!.map(({ id }) => id)).size, 2);
    const chain = langchain({ configuration: { baseURL: calling.base_url } }).bindTools([tool]);
    assert.deepEqual(
      (await chain.invoke('?')).tool_calls?.map(({ args }) => args),
      [{ city: 'Ulm' }, { city: 'Bonn' }],
    );
    const response = await clientOf(calling).responses.create({
      ...{ model: 'small', input: '?', tools: [{ type: 'function', name: 'weather', parameters: {}, strict: false }] },
    });
    const made = response.output.flatMap((item) => (item.type === 'function_call' ? [item.arguments] : [item.type]));
    assert.deepEqual(made, ['message', ...calls]);
  });
});

test('10. embeddings of the model itself, as numbers and as the base64 that clients ask for', async () => {
  const input = ['The tide comes in', 'The tide goes out', 'The tide comes in'];
  const { data, usage } = await openai.embeddings.create({ model: 'small', input });
  assert.equal(usage.prompt_tokens, input.join('').length);
  const [first, second, third] = data.map(({ embedding }) => embedding);
  assert.deepEqual(third, first);
  assert.notDeepEqual(second, first);
  assert.ok(Math.abs(Math.hypot(...first) - 1) < 1e-5, 'of unit length');
  const numbers = await openai.embeddings.create({ model: 'small', input: input[1], encoding_format: 'float' });
  assert.deepEqual(numbers.data[0].embedding, second);
  const chain = new OpenAIEmbeddings({ model: 'small', apiKey: 'none', configuration: { baseURL: api.base_url } });
  assert.deepEqual(await chain.embedQuery(input[0]), first);
});

describe('11. models, and completions as evaluation tools ask for them', () => {
  test('models are listed and found by name', async () => {
    const listed = await all(openai.models.list());
    assert.deepEqual(
      listed.map(({ id, object }) => [id, object]),
      [['small', 'model']],
    );
    assert.deepEqual(await openai.models.retrieve('small').then(({ id }) => id), 'small');
    await assert.rejects(openai.models.retrieve('org/none'), { status: 404, code: 'model_not_found' });
  });

  test('echo with logprobs: how likely a text is, without writing any', async () => {
    const prompt = 'The cat sat';
    const asked = { model: 'small', prompt, echo: true, logprobs: 2, max_tokens: 0 };
    const { choices, usage } = await openai.completions.create(asked);
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs!;
    assert.deepEqual([choices[0].text, tokens, usage!.completion_tokens], [prompt, [...prompt], 0]);
    assert.deepEqual(
      text_offset,
      [...prompt].map((_, i) => i),
    );
    assert.ok(token_logprobs!.every((logprob) => logprob < 0));
    assert.ok(top_logprobs!.every((top) => Object.keys(top).length === 2));
    // The same tokens as ids, as they are: nothing is known of the first.
    const ids = [...prompt].map((letter) => letter.charCodeAt(0));
    const second = await openai.completions.create({ ...asked, prompt: ids });
    assert.deepEqual(second.choices[0].logprobs!.token_logprobs![0], null);
    assert.deepEqual(second.choices[0].logprobs!.tokens, tokens);
  });

  test('several prompts with several answers each, in order, whole and streamed', async () => {
    const asked = { model: 'small', prompt: ['One', 'Two'], n: 2, seed: 3, max_tokens: 5, logit_bias: LETTERS };
    const { choices, usage } = await openai.completions.create(asked);
    assert.deepEqual(
      choices.map(({ index }) => index),
      [0, 1, 2, 3],
    );
    assert.deepEqual(usage, { prompt_tokens: 8, completion_tokens: 20, total_tokens: 28 });
    const texts = ['', '', '', ''];
    for await (const chunk of await openai.completions.create({ ...asked, stream: true })) {
      for (const { index, text } of chunk.choices) texts[index] += text;
    }
    assert.deepEqual(
      texts,
      choices.map(({ text }) => text),
    );
    const { choices: two } = await openai.completions.create({ ...asked, prompt: 'Two', n: 1 });
    assert.equal(two[0].text, texts[2]);
  });
});

describe('12. responses', () => {
  // At temperature 0, where this model does not end its text by chance.
  const asked = {
    ...{ model: 'small', input: 'Say something', instructions: 'Be brief' },
    ...{ max_output_tokens: 12, temperature: 0 },
  } as const;

  test('the typed events are in order, and the last has the whole response', async () => {
    const events = await all(await openai.responses.create({ ...asked, stream: true, store: false }));
    assert.deepEqual(
      events.map(({ sequence_number }) => sequence_number),
      [...events.keys()],
    );
    const types = events.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1]);
    assert.deepEqual(types, [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.incomplete',
    ]);
    const last = events.at(-1)!;
    assert.ok(last.type === 'response.incomplete');
    assert.equal(last.response.incomplete_details!.reason, 'max_output_tokens');
    const deltas = events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('');
    const [item] = last.response.output;
    assert.ok(item.type === 'message' && item.content[0].type === 'output_text');
    assert.equal(item.content[0].text, deltas);
    assert.equal(last.response.usage!.output_tokens, 12);
  });

  test('a conversation goes on when all of it is sent again', async () => {
    const first = await openai.responses.create({ ...asked, store: false });
    assert.equal(first.status, 'incomplete');
    const input = [
      { role: 'user' as const, content: 'Say something' },
      ...first.output,
      { role: 'user' as const, content: 'On' },
    ];
    const second = await openai.responses.create({ ...asked, input: input as OpenAI.Responses.ResponseInput });
    assert.ok(second.usage!.input_tokens > first.usage!.input_tokens);
  });

  test('nothing is stored, and what would need that is refused', async () => {
    for (const more of [{ store: true }, { previous_response_id: 'resp_1' }, { background: true }]) {
      await assert.rejects(openai.responses.create({ ...asked, ...more }), {
        status: 400,
        param: Object.keys(more)[0],
      });
    }
  });

  test('a failure is the last event', async (t) => {
    const dying = await listeningApi(
      thatDoes(3, () => {
        throw new ServingError('engine-ended', 'the engine ended');
      }),
    );
    t.after(() => dying.close());
    const events = await all(await clientOf(dying).responses.create({ ...asked, stream: true }));
    const last = events.at(-1)!;
    assert.ok(last.type === 'response.failed' && last.response.error!.message === 'the engine ended');
  });
});

test('13. when the client has gone, the model stops within a token', async (t) => {
  for (const stream of [true, false]) {
    let told = -1;
    let tokens = 0;
    let ended = (): void => {};
    const over = new Promise<void>((resolve) => {
      ended = resolve;
    });
    let begun = (): void => {};
    const first = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const watched = await listeningApi({
      ...server,
      async *answer(request, signal) {
        signal.addEventListener('abort', () => {
          told = tokens;
        });
        try {
          for await (const event of server.answer(request, signal)) {
            if (event.kind === 'token') tokens++;
            if (tokens === 3) begun();
            yield event;
          }
        } finally {
          ended();
        }
      },
    });
    t.after(() => watched.close());
    const leaving = new AbortController();
    const asked = openai.chat.completions.create.bind(clientOf(watched).chat.completions);
    const answer = (async () => {
      const found = await asked({ ...ASKED, max_tokens: 480, stream } as never, { signal: leaving.signal });
      if (stream) for await (const _ of found as unknown as AsyncIterable<unknown>);
    })();
    await first;
    leaving.abort();
    await answer.catch(() => {});
    await over;
    assert.ok(told >= 3 && tokens <= told + 1 && tokens < 480, `${tokens} tokens, ${told} when it was told`);
    assert.deepEqual(watched.errors, []);
  }
});
