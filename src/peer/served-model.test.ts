// A run's model as a device serves it: talked to in the form of training data, whose next turn ends an answer, and held to formats.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteTokenizer } from '../model/tokenizer.ts';
import type { AnswerEvent, AnswerRequest } from '../serving/answers.ts';
import type { Engine, Sequence } from '../serving/engine.ts';
import { tokenTable } from '../serving/token-table.ts';
import { serveEngine } from './served-model.ts';

const PROMPT = 'user: Hello\n\nassistant:';

/** An engine that goes on behind the prompt with this text, whatever else is likely. */
function parrot(text: string): Engine {
  const says = new TextEncoder().encode(PROMPT + text);
  const openSequence = async (): Promise<Sequence> => {
    const read: number[] = [];
    return {
      get length() {
        return read.length;
      },
      async append(ids) {
        read.push(...Array.from(ids));
        // The beginning-of-text token is not of the text.
        assert.deepEqual(read.slice(1), [...says.slice(0, read.length - 1)]);
        return new Float32Array(257).map((_, id) => (id === says[read.length - 1] ? 50 : 0));
      },
      score: () => assert.fail('nothing is scored'),
      rewind(length) {
        read.length = length;
      },
      async close() {},
    };
  };
  const tokens = tokenTable(byteTokenizer(), 257);
  return {
    ...{ name: 'own', class: 'own', free_tokens: 1000, openSequence, async close() {} },
    model: { hash: 'a'.repeat(64), quantisation: 'f32', context_tokens: 500, tokens },
  };
}

const CHAT = {
  ...{ kind: 'chat' as const, messages: [{ role: 'user' as const, content: 'Hello' }], tools: [] },
  ...{ tool_choice: 'auto' as const, parallel_tool_calls: true },
};
async function said(text: string, more: Partial<AnswerRequest> = {}) {
  const { served, close } = serveEngine(parrot(text), 1);
  assert.deepEqual([served.chat, served.tools], [true, true]);
  const request: AnswerRequest = {
    ...{ model: 'poems', prompt: CHAT, written: [], max_tokens: 40, stop: [], echo: false, top_logprobs: null },
    sampling: { seed: 's', temperature: 0, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [] },
    format: { kind: 'text' },
    ...more,
  };
  const events: AnswerEvent[] = [];
  for await (const event of served.answer(request, new AbortController().signal)) events.push(event);
  await close();
  const end = events.at(-1);
  assert.ok(end?.kind === 'ended');
  return { text: events.map((event) => ('text' in event ? event.text : '')).join(''), reason: end.reason };
}

const TALK = ' Good day.\n\nuser: And you?\n\nassistant: Well';

test('a conversation has the form of training data, and an answer ends where the next turn would begin', async () => {
  assert.deepEqual(await said(TALK), { text: ' Good day.', reason: 'stop' });
  const written = [...new TextEncoder().encode(TALK.slice(0, 16))]; // in the middle of what sets the turns apart
  assert.deepEqual(await said(TALK, { written }), { text: '', reason: 'stop' });
  assert.deepEqual(await said(TALK, { stop: ['day'] }), { text: ' Good ', reason: 'stop' });
});

test('what is no conversation is not ended by its turns', async () => {
  const text = await said(TALK, { prompt: { kind: 'text', text: PROMPT } });
  assert.deepEqual(text, { text: TALK.slice(0, 40), reason: 'length' });
});

test('an answer is held to a format, whatever the model likes', async () => {
  const schema = { enum: [' Good', 'Bad'] };
  const text = { kind: 'text' as const, text: PROMPT };
  const held = await said('"Bad" and more', { prompt: text, format: { kind: 'json_schema', schema } });
  assert.deepEqual(held, { text: '"Bad"', reason: 'stop' });
});
