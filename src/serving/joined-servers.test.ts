// Several servers as one: who is asked for what, and what is nobody's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AnswerEvent, type AnswerRequest, AnswerRequestSchema } from './answers.ts';
import { joinServers } from './joined-servers.ts';
import { smallServer } from './testing/small-server.ts';

async function eventsOf(answer: AsyncIterable<AnswerEvent>): Promise<AnswerEvent[]> {
  const events: AnswerEvent[] = [];
  for await (const event of answer) events.push(event);
  return events;
}

const request = (model: string): AnswerRequest =>
  AnswerRequestSchema.parse({
    ...{ model, prompt: { kind: 'text', text: 'a' }, written: [], max_tokens: 3, stop: [], echo: false },
    ...{ top_logprobs: null, format: { kind: 'text' } },
    sampling: { seed: '1', temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [] },
  });

test('each model is asked of the server that has it; a name that nobody has is refused; all are closed', async () => {
  const signal = new AbortController().signal;
  const servers = [await smallServer({ name: 'one' }), await smallServer({ name: 'two', licence: 'MIT' })];
  const joined = joinServers(servers);
  assert.deepEqual(
    joined.models().map(({ name, licence }) => [name, licence]),
    [
      ['one', 'Apache-2.0'],
      ['two', 'MIT'],
    ],
  );
  for (const name of ['one', 'two']) {
    const events = await eventsOf(joined.answer(request(name), signal));
    assert.equal(events.at(-1)!.kind, 'ended');
    assert.equal((await joined.embed({ model: name, inputs: ['a'] }, signal)).vectors.length, 1);
  }
  await assert.rejects(eventsOf(joined.answer(request('three'), signal)), { code: 'unknown-model' });
  await assert.rejects(joined.embed({ model: 'three', inputs: ['a'] }, signal), { code: 'unknown-model' });
  await joined.close();
  for (const [i, server] of servers.entries()) {
    await assert.rejects(eventsOf(server.answer(request(['one', 'two'][i]), signal)));
  }
});
