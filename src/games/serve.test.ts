// Serving as a game: honest answers are paid by token, judges repeat what they are told to, and what was served otherwise earns nothing.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { modelTensors } from '../model/checkpoint.ts';
import { LlamaConfigSchema } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { writeParts } from '../model/parts.ts';
import { encodeModelManifest } from '../model/tensor-manifest.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Claim, Device, Judging, Round } from './game.ts';
import { memoryBlobs } from './memory-blobs.ts';
import { memoryDrawer } from './memory-drawer.ts';
import { decodeAnswers, encodeAnswers } from './serve/answers.ts';
import { servedOn } from './serve/device.ts';
import { answersToRepeat } from './serve/judge.ts';
import { amountOf, requestsOf, ServeParamsSchema } from './serve/params.ts';
import { serveRequests, writeAnswer } from './serve/write.ts';
import { game } from './serve.ts';

const END = 31;
const model = LlamaConfigSchema.parse({
  ...{ vocab_size: 32, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 },
  max_position_embeddings: 64,
});
const { blobs, put } = memoryBlobs();
const specs = modelTensors(model, 'f32');
const drawnWeights = initialWeights(model, 'serve test');
// Larger than a new model's, so that some tokens are far likelier than others.
const values = specs.map(({ name, shape }) =>
  drawnWeights.get(name)!.map((value) => (shape.length > 1 ? 6 * value : value)),
);
const weights = await put(encodeModelManifest(await writeParts(specs, values, put)));
const params = ServeParamsSchema.parse({
  ...{ model, weights, answers: 4, prompt_tokens: 5, max_tokens: 30, end_ids: [END], top_p: 0.9 },
});

const runtime = await createNativeRuntime({ threads: 1 });
after(() => runtime.close());
const never = new AbortController().signal;
function deviceOf(change: Partial<Device> = {}): Device {
  const fetchBlob = async (hash: string): Promise<Uint8Array> => {
    const bytes = blobs.get(hash);
    if (bytes) return bytes;
    throw new Error('no such blob');
  };
  return { runtime, fetchBlob, drawer: memoryDrawer(), progress: async () => {}, ...change };
}
const device = deviceOf();
const round: Round = { run: 'r', number: 1, rounds: 9, seed: 'a'.repeat(64), draw: null, last: null };
const taskOf = (peer = 'ann', change: Partial<Round> = {}) =>
  game.task(params, { ...round, ...change }, peer, game.first!(params));
const ALL: Judging = {
  ...{ runtime: 'native-cpu', repeat_permille: 1000, looks: false, place: 0.5, time_ms: 60_000 },
  earlier: async () => [],
};
const serve = async (task = taskOf()): Promise<Claim> => (await game.perform(task, device, never))!;
const claimOf = (answers: readonly (readonly number[])[]): Claim => {
  return { work: encodeAnswers(answers), amount: amountOf(params, answers), numbers: {} };
};

describe('a serving device', () => {
  test('is paid for tokens out, and less for tokens in', async () => {
    const claim = await serve();
    const answers = decodeAnswers(params, claim.work);
    const output_tokens = answers.reduce((sum, { length }) => sum + length, 0);
    assert.deepEqual(claim.numbers, { input_tokens: 20, output_tokens });
    assert.equal(claim.amount, output_tokens + 5);
    game.checkForm(params, claim.work);
    const verdict = await game.check(taskOf(), claim, device, ALL);
    assert.deepEqual([verdict.accepted, verdict.code, verdict.weight], [true, 'ok', claim.amount]);
    assert.deepEqual(verdict.numbers, { draws: output_tokens, differing: 0, margin_micro: 0 });
    const state = game.merge(params, game.first!(params), [{ work: claim.work, weight: claim.amount }]);
    assert.deepEqual(game.decodeState(params, game.encodeState(params, state)), {
      answers: 4,
      input_tokens: 20,
      output_tokens,
    });
  });

  test('hands in the answers that were whole when it was stopped, and a newcomer no more than it may', async () => {
    const whole = decodeAnswers(params, (await serve()).work);
    const stop = new AbortController();
    let done = 0;
    const stopped = deviceOf({ progress: async () => void (++done === 2 && stop.abort()) });
    const claim = await game.perform(taskOf(), stopped, stop.signal);
    assert.deepEqual(decodeAnswers(params, claim!.work), whole.slice(0, 2));
    assert.equal(await game.perform(taskOf(), device, AbortSignal.abort()), null);
    const most_amount = game.firstAmount!(params);
    const first = await serve(taskOf('ann', { most_amount }));
    assert.deepEqual(decodeAnswers(params, first.work), whole.slice(0, 2));
    assert.ok(first.amount <= most_amount);
  });

  test('gets requests of its own in each round', () => {
    const prompts = [taskOf(), taskOf('bob'), taskOf('ann', { seed: 'b'.repeat(64) })].map((task) => requestsOf(task));
    assert.equal(new Set(prompts.flat().map(({ rule }) => rule.seed)).size, 12);
    assert.equal(new Set(prompts.flat().map(({ prompt }) => prompt.join())).size, 12);
    assert.deepEqual(requestsOf(taskOf()), prompts[0]);
    assert.ok(prompts.flat().every(({ prompt }) => !prompt.includes(END)));
  });
});

describe('a judge', () => {
  test('repeats the first answers as far as it is told to, and looks at one that was drawn', () => {
    const judging = (change: Partial<Judging>) => ({ ...ALL, repeat_permille: 0, ...change });
    assert.deepEqual(answersToRepeat(4, ALL), [0, 1, 2, 3]);
    assert.deepEqual(answersToRepeat(4, judging({})), []);
    assert.deepEqual(answersToRepeat(4, judging({ repeat_permille: 300 })), [0, 1]);
    assert.deepEqual(answersToRepeat(4, judging({ looks: true, place: 0.5 })), [2]);
    assert.deepEqual(answersToRepeat(4, judging({ looks: true, place: 0.999999 })), [3]);
    assert.deepEqual(answersToRepeat(4, judging({ repeat_permille: 300, looks: true, place: 0 })), [0, 1]);
  });

  test('refuses what was not drawn from the model as asked, as made up', async () => {
    const task = taskOf();
    const honest = decodeAnswers(params, (await serve()).work);
    const others = decodeAnswers(params, (await serve(taskOf('bob'))).work);
    const cold = await serveRequests(task, device, never, async (request) => {
      const warm = { ...request, rule: { ...request.rule, top_p: 1, temperature: 1.6 } };
      return writeAnswer(await servedOn(device, params), params, warm, never);
    });
    const lies: Record<string, Claim> = {
      'somebody else’s answers': claimOf(others),
      'answers in another order': claimOf(honest.toReversed()),
      'another temperature': cold!,
    };
    for (const [name, claim] of Object.entries(lies)) {
      const verdict = await game.check(task, claim, device, ALL);
      assert.deepEqual([verdict.accepted, verdict.fraud, verdict.weight], [false, true, 0], name);
      assert.equal(verdict.code, 'margin', name);
    }
  });

  test('accuses nobody whose margins are only a little beyond the limits', async () => {
    const lie = claimOf(decodeAnswers(params, (await serve(taskOf('bob'))).work));
    const { evidence } = await game.check(taskOf(), lie, device, ALL);
    const { margin } = (evidence as { tally: { margin: number } }).tally;
    const under = async (part: number) => {
      const limits = { per_draw: 1e-9, allowance: part * margin, end_margin: 100 };
      const { accepted, fraud, weight } = await game.check(
        { ...taskOf(), params: { ...params, limits } },
        lie,
        device,
        ALL,
      );
      return [accepted, fraud, weight];
    };
    assert.deepEqual(await under(1.01), [true, false, lie.amount]);
    assert.deepEqual(await under(0.99), [false, false, 0]);
    assert.deepEqual(await under(0.68), [false, false, 0]);
    assert.deepEqual(await under(0.65), [false, true, 0]);
  });

  test('refuses what tells by itself that it was not served', async () => {
    const honest = await serve();
    const answers = decodeAnswers(params, honest.work);
    const codeOf = async (claim: Claim): Promise<string> => {
      const verdict = await game.check(taskOf(), claim, device, { ...ALL, repeat_permille: 0 });
      assert.deepEqual([verdict.accepted, verdict.fraud, verdict.weight], [false, true, 0]);
      return verdict.code;
    };
    assert.equal(await codeOf({ ...honest, amount: honest.amount + 1 }), 'not-what-it-says');
    assert.equal(await codeOf(claimOf([[...answers[0], END]])), 'wrong-end');
    assert.equal(await codeOf(claimOf([[END, 3]])), 'wrong-end');
    assert.equal(await codeOf(claimOf([answers[0], [1, 2, 3]])), 'wrong-end');
    for (const text of ['', '[]', '[[]]', '[[99]]', '[[1.5]]', '{}', `[${'[31],'.repeat(4)}[31]]`]) {
      const work = new TextEncoder().encode(text);
      assert.equal(await codeOf({ ...honest, work }), 'bad-form');
      assert.throws(() => game.checkForm(params, work), { code: 'bad-work' });
    }
  });

  test('finds an answer that goes on where it should have ended', async () => {
    const long = { ...params, end_bias: 3, limits: { ...params.limits, per_draw: 1, allowance: 100 } };
    const task = game.task(long, round, 'ann', game.first!(long));
    const judge = deviceOf();
    const claim = (await game.perform(task, judge, never))!;
    const answers = decodeAnswers(long, claim.work);
    const ended = answers.findIndex(({ length }) => length < 30);
    assert.ok(ended >= 0);
    const padded = { ...long, end_bias: -100 };
    const asked = requestsOf(task).map(({ rule, ...rest }) => ({
      ...rest,
      rule: { ...rule, logit_bias: [[END, -100] as const] },
    }));
    const served = await servedOn(judge, padded);
    const more = await writeAnswer(served, padded, asked[ended], never);
    assert.deepEqual(more!.slice(0, answers[ended].length - 1), answers[ended].slice(0, -1));
    const lie = answers.with(ended, more!);
    const made = { ...claim, work: encodeAnswers(lie), amount: amountOf(long, lie) };
    assert.equal((await game.check(task, made, judge, ALL)).code, 'end');
    assert.equal((await game.check(task, claim, judge, ALL)).code, 'ok');
  });
});
