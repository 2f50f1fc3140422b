// Graded answers: every model is asked every question, and a model that has learned from them knows who is right.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { seededRandom } from '../protocol/random.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { learn } from '../training/lessons.ts';
import { openAnswerServer } from './answer-server.ts';
import { draftOf, scoredBy } from './committee-verifiers.ts';
import { graded, gradedAnswers } from './graded-answers.ts';
import { openTinyEngine, requestOf, TINY_CONFIG, tinyWeights } from './testing/tiny-model.ts';

const never = new AbortController().signal;

test('every model answers every question as often as asked, with other seeds, and each answer is graded', async () => {
  const engine = await openTinyEngine(tinyWeights('graded'), { cache_tokens: 200 });
  const names = ['a', 'b'];
  const server = openAnswerServer(names.map((name) => ({ engine, name, licence: null, created_ms: 0 })));
  const { model: _model, prompt: _prompt, ...asked } = requestOf({ max_tokens: 3 });
  const said: { prompt: string; answer: string }[] = [];
  const isRight = async (one: { prompt: string; answer: string }): Promise<boolean> => said.push(one) % 2 === 0;
  const grading = { models: names, questions: ['one', 'two'], times: 3, asked, isRight };
  const found: { text: string; right: boolean }[] = [];
  for await (const one of gradedAnswers(server, grading, never)) found.push(one);
  assert.deepEqual(
    said.map(({ prompt }) => prompt),
    [...Array(6).fill('one'), ...Array(6).fill('two')],
  );
  assert.ok(new Set(said.map(({ answer }) => answer)).size > 4, 'each time draws anew');
  for (const [i, { text, right }] of found.entries()) {
    assert.equal(right, i % 2 === 1);
    assert.equal(text, graded(i % 6 < 3 ? 'a' : 'b', said[i].prompt, said[i].answer, right));
    assert.match(text, right ? /\n\?yes$/ : /\n\?no$/);
  }
});

test('a scorer trained on them chooses by who is right, about questions that it has not read', async () => {
  const LENGTH = 12;
  const { bos_id, encode } = byteTokenizer();
  const random = seededRandom('graded-answers.test');
  const lesson = (): number[] => {
    const model = random.below(2) ? 'a' : 'b';
    const text = graded(model, `${10 + random.below(40)}=`, `${random.below(10)}`, model === 'a');
    return [bos_id!, ...encode(text.padEnd(LENGTH, '\n'))];
  };
  const runtime = await createNativeRuntime({ threads: 1 });
  after(() => runtime.close());
  const batch = 32;
  const weights = await learn(runtime, TINY_CONFIG, {
    ...{ batch, context: LENGTH, first: initialWeights(TINY_CONFIG, 'scorer'), steps: 50 },
    adamw: { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.1, clip: 1 },
    rateOf: () => 0.01,
    batchOf() {
      const rows = Array.from({ length: batch }, lesson);
      return {
        tokens: Int32Array.from(rows.flatMap((ids) => ids.slice(0, LENGTH))),
        targets: Int32Array.from(rows.flatMap((ids) => ids.slice(1, LENGTH + 1))),
      };
    },
  });
  const engine = await openTinyEngine(weights);
  const verifier = scoredBy(openAnswerServer([{ engine, name: 'scorer', licence: null, created_ms: 0 }]), () =>
    assert.fail('the scorer says something of each'),
  );
  for (let number = 50; number < 60; number++) {
    const ended = { kind: 'ended', text: '', reason: 'stop', end_id: null, written_tokens: 1 } as const;
    const models = number % 2 === 0 ? ['a', 'b'] : ['b', 'a'];
    const drafts = models.map((model, i) => draftOf(i, model, [{ ...ended, text: `${(number + i) % 10}` }]));
    const request = requestOf({ prompt: { kind: 'text', text: `${number}=` } });
    assert.equal(drafts[(await verifier({ request, drafts }, never)).chosen].model, 'a', `${number}`);
  }
});
