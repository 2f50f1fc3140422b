// Logprobs: softmax's own, the likeliest first, and finite ones beside logits that are not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tokenLogprobs } from './logprobs.ts';

const tokens = { bytesOf: (id: number) => Uint8Array.of(id) };

test('logprobs are logarithms of probabilities, and the likeliest tokens come in order', () => {
  const probabilities = [0.1, 0.4, 0.05, 0.4, 0.05];
  const logits = Float32Array.from(probabilities, (p) => Math.log(p) + 300);
  const { logprob, top } = tokenLogprobs(logits, 2, 4, tokens);
  assert.ok(Math.abs(logprob.logprob - Math.log(0.05)) < 1e-4);
  assert.deepEqual(logprob.bytes, Uint8Array.of(2));
  assert.deepEqual(
    top.map(({ id }) => id),
    [1, 3, 0, 2],
  );
  assert.equal(top[3].logprob, logprob.logprob);
  assert.equal(tokenLogprobs(logits, 2, 0, tokens).top.length, 0);
  assert.equal(tokenLogprobs(logits, 2, 20, tokens).top.length, 5);
});

test('logits that are no numbers are no tokens', () => {
  const logits = Float32Array.of(Number.NEGATIVE_INFINITY, 0, Number.NaN, 0);
  const { logprob, top } = tokenLogprobs(logits, 1, 20, tokens);
  assert.ok(Math.abs(logprob.logprob - Math.log(0.5)) < 1e-9);
  assert.deepEqual(
    top.map(({ id }) => id),
    [1, 3],
  );
});
