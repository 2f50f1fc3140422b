// A real model with random weights, which writes whatever it may: held to drawn schemas and tools, each answer is valid.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { LlamaConfigSchema } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { AnswerEvent, AnswerRequest } from './answers.ts';
import { openChat } from './chat.ts';
import { CHAT_TEMPLATES } from './chat-templates.ts';
import { openOwnEngine } from './engine-own.ts';
import { ServingError } from './errors.ts';
import { grammarOf } from './grammar/forms.ts';
import type { Schema } from './grammar/schema-keywords.ts';
import { drawnSchemas } from './grammar/testing/drawn-schemas.ts';
import { wholeValue } from './grammar/whole-value.ts';
import { judgeAnswer } from './judge-answer.ts';
import { prefixCache } from './prefix-cache.ts';
import { type ReadyModel, writeAnswer } from './write-answer.ts';

const config = LlamaConfigSchema.parse({
  ...{ vocab_size: 257, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 2048 },
});
const runtime = await createNativeRuntime({ threads: 1 });
const model = { config, weights: initialWeights(config, 7), tokenizer: byteTokenizer(), hash: '9'.repeat(64) };
const engine = await openOwnEngine(runtime, model, { cache_tokens: 8192 });
const ready: ReadyModel = {
  engine,
  prefixes: prefixCache(engine),
  ...openChat(CHAT_TEMPLATES.plain, engine.model.tokens),
};
after(async () => {
  await ready.prefixes.close();
  await engine.close();
  await runtime.close();
});

/** A random model would go on with strings and arrays for ever: it is told to like what ends them, and the patterns' characters. */
const likes = [...'"]}\\ab'].map((character, i): [number, number] => [character.charCodeAt(0), i < 3 ? 5 : 3]);

function requestOf(seed: string, changes: Partial<AnswerRequest>): AnswerRequest {
  return {
    ...{
      model: 'held',
      prompt: { kind: 'text', text: 'A value: ' },
      written: [],
      max_tokens: 1500,
      stop: [],
      top_logprobs: null,
      echo: false,
    },
    sampling: { seed, temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: likes },
    format: { kind: 'json' },
    ...changes,
  };
}

interface Answered {
  readonly text: string;
  readonly ids: number[];
  readonly calls: { name: string; arguments: string }[];
  readonly reason: string;
}

async function answer(request: AnswerRequest, by = ready): Promise<Answered> {
  const events: AnswerEvent[] = [];
  for await (const event of writeAnswer(by, request, new AbortController().signal)) events.push(event);
  const ended = events[events.length - 1];
  assert.ok(ended.kind === 'ended');
  const tokens = events.filter((event) => event.kind === 'token');
  const ids = tokens.map(({ id }) => id);
  return {
    text: tokens.map(({ text }) => text).join('') + ended.text,
    ids: ended.end_id === null ? ids : [...ids, ended.end_id],
    calls: events.filter((event) => event.kind === 'tool_call'),
    reason: ended.reason,
  };
}

/** Drawn schemas that have values. */
function schemas(count: number, seed: number): Schema[] {
  const able = fc.sample(drawnSchemas, { numRuns: 2 * count, seed }).filter((schema) => {
    try {
      ready.openGrammar?.(requestOf('', { format: { kind: 'json_schema', schema } }));
      return true;
    } catch (error) {
      // No value within the schema: json-schema.test.ts says when.
      assert.ok(error instanceof ServingError, String(error));
      return false;
    }
  });
  assert.ok(able.length >= count, `${able.length} of ${2 * count} schemas have values`);
  return able.slice(0, count);
}

test('100 of 100 answers under drawn schemas are valid', async () => {
  let valid = 0;
  for (const [i, schema] of schemas(100, 1).entries()) {
    const { text, reason } = await answer(requestOf(`case ${i}`, { format: { kind: 'json_schema', schema } }));
    assert.equal(reason, 'stop', `${JSON.stringify(schema)}: ${text.length} characters without an end`);
    wholeValue(schema, text);
    valid++;
  }
  assert.equal(valid, 100);
});

test('an answer under a schema is gone on with and judged under the same masks', async () => {
  for (const [i, schema] of schemas(3, 2).entries()) {
    const request = requestOf(`handed over ${i}`, { format: { kind: 'json_schema', schema } });
    const { ids, text } = await answer(request);
    const own = ids.filter((id) => !engine.model.tokens.end_ids.includes(id));
    const written = own.slice(0, Math.floor(own.length / 2));
    const rest = await answer({ ...request, written });
    assert.deepEqual([...written, ...rest.ids], ids);
    assert.ok(text.endsWith(rest.text));
    const judged = await judgeAnswer(ready, request, { ids, reason: 'stop' }, new AbortController().signal);
    assert.equal(judged.flaw, null);
    // The same text with a byte that the form forbids.
    const forged = [...ids.slice(0, -1), 0x01];
    const caught = await judgeAnswer(ready, request, { ids: forged, reason: 'stop' }, new AbortController().signal);
    assert.notEqual(caught.flaw, null);
  }
});

test('a tool that must be called is called with valid arguments', async () => {
  for (const [i, parameters] of schemas(3, 3).entries()) {
    const tools = [{ name: 'pick', parameters }];
    for (const tool_choice of ['required', { name: 'pick' }] as const) {
      const prompt = {
        kind: 'chat',
        messages: [{ role: 'user', content: 'Pick.' }],
        tools,
        tool_choice,
        parallel_tool_calls: false,
      } as const;
      const asked = requestOf(`call ${i}`, {
        prompt: { ...prompt, messages: [...prompt.messages] },
        format: { kind: 'text' },
      });
      const { calls, reason, text } = await answer(asked);
      assert.deepEqual([calls.length, reason, text.trim()], [1, 'tool_calls', '']);
      assert.equal(calls[0].name, 'pick');
      wholeValue(parameters, calls[0].arguments);
    }
  }
});

test('an answer that its tokens or a stop string cut is no error, but says so', async () => {
  const schema = { type: 'string', minLength: 30 };
  const short = await answer(requestOf('cut', { max_tokens: 9, format: { kind: 'json_schema', schema } }));
  assert.equal(short.reason, 'length');
  const whole = await answer(requestOf('cut', { format: { kind: 'json_schema', schema } }));
  const stopped = await answer(
    requestOf('cut', { stop: [whole.text.slice(10, 12)], format: { kind: 'json_schema', schema } }),
  );
  assert.equal(stopped.reason, 'stop');
  assert.ok(whole.text.startsWith(stopped.text) && stopped.text.length <= 10);
});

test('an answer that the second look finds wrong is no answer, whatever its grammar let pass', async () => {
  const schema = { enum: ['ab'] };
  const asked = requestOf('lenient', { format: { kind: 'json_schema', schema } });
  const lenient: ReadyModel = { ...ready, openGrammar: () => openMixed({ enum: [12] }, schema) };
  await assert.rejects(answer(asked, lenient), { code: 'bad-grammar', message: /not valid by its schema/ });
  const right: ReadyModel = { ...ready, openGrammar: () => openMixed(schema, schema) };
  assert.equal((await answer(asked, right)).text.trim(), '"ab"');
});

/** A grammar of one schema whose second look is by another. */
function openMixed(written: Schema, looked: Schema) {
  const form = { kind: 'schema', schema: written } as const;
  return grammarOf(form, engine.model.tokens).open((text) => void wholeValue(looked, text));
}
