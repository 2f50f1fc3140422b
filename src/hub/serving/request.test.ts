// What the pool refuses of a request before any device gets it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnswerRequest, OfferedModel } from '../../serving/answers.ts';
import type { ServingError } from '../../serving/errors.ts';
import { checkRequest } from './request.ts';

const MODEL: OfferedModel = {
  ...{ name: 'small', hash: '0'.repeat(64), quantisation: 'f32', engine: 'none', context_tokens: 64 },
  ...{ created_ms: 0, licence: null, chat: false, tools: false, embeddings: false },
};
const REQUEST: AnswerRequest = {
  ...{ model: 'small', prompt: { kind: 'text', text: 'x' }, written: [], max_tokens: 4, stop: [] },
  ...{ top_logprobs: null, echo: false, format: { kind: 'text' } },
  sampling: { seed: '1', temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [] },
};

test('echo goes with an answer from its beginning: who goes on behind written tokens is told so', () => {
  for (const fine of [{ echo: true }, { written: [1] }, {}]) checkRequest({ ...REQUEST, ...fine }, MODEL);
  assert.throws(
    () => checkRequest({ ...REQUEST, echo: true, written: [1] }, MODEL),
    (error: ServingError) => error.code === 'bad-input' && error.message.startsWith('echo: '),
  );
});
