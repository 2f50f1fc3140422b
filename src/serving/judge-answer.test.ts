// Judging an answer: what was honestly served passes without a margin, and each way to serve something else is told from it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AnswerRequest } from './answers.ts';
import { faultOf, type Judged, type JudgingLimits, judgeAnswer, type ServedAnswer } from './judge-answer.ts';
import { prefixCache } from './prefix-cache.ts';
import { openTinyEngine, requestOf, TINY_CONTEXT, tinyWeights, wholeAnswer } from './testing/tiny-model.ts';
import { type ReadyModel, writeAnswer } from './write-answer.ts';

const END = 256;
const never = new AbortController().signal;
const room = { cache_tokens: 4 * TINY_CONTEXT };
const ready = async (seed: string, coarse = false): Promise<ReadyModel> => {
  const engine = await openTinyEngine(tinyWeights(seed), { ...room, quantisation: coarse ? 'q4_0' : 'f32' });
  return { engine, prefixes: prefixCache(engine) };
};
const judge = await ready('a');
const coarse = await ready('a', true);
const other = await ready('b');

/** The same weights on the same runtime: margins are 0, so that the smallest limits hold. */
const LIMITS: JudgingLimits = {
  ...{ per_draw: 1e-3, allowance: 0.05, end_margin: 0.05, logprob_distance: 1e-3 },
  ...{ usual_per_draw: 1e-3, sum: 1 },
};

async function serve(by: ReadyModel, request: AnswerRequest): Promise<ServedAnswer> {
  const { ids, written, ended } = await wholeAnswer(writeAnswer(by, request, never));
  const all = ended.end_id === null ? ids : [...ids, ended.end_id];
  const logprobs = request.top_logprobs === null ? undefined : written.map(({ logprob }) => logprob!.logprob);
  return { ids: all, reason: ended.reason === 'length' ? 'length' : 'stop', logprobs };
}
const judged = (request: AnswerRequest, served: ServedAnswer): Promise<Judged> =>
  judgeAnswer(judge, request, served, never);

const ON = { sampling: { ...requestOf({}).sampling, logit_bias: [[END, -100]] as [number, number][] }, max_tokens: 60 };

describe('a judge', () => {
  test('accepts what was served as asked, however it ended, and measures no margin', async () => {
    const sampling = requestOf({}).sampling;
    const requests: Partial<AnswerRequest>[] = [
      ON,
      { sampling: { ...sampling, top_p: 0.8, temperature: 0.7, presence_penalty: 0.5, frequency_penalty: 0.3 } },
      { sampling: { ...sampling, temperature: 0 } },
      { sampling: { ...sampling, logit_bias: [[END, 4]] }, max_tokens: 50 },
      { sampling: { ...sampling, logit_bias: [[97, 20]] }, stop: ['aa'], max_tokens: 50 },
    ];
    const reasons = new Set<string>();
    for (const change of requests) {
      const request = requestOf(change);
      const served = await serve(judge, request);
      const found = await judged(request, served);
      assert.equal(faultOf(found, LIMITS), null);
      assert.deepEqual([found.tally.draws, found.tally.differing], [served.ids.length, 0]);
      assert.deepEqual([found.prompt_tokens, found.logprob_distance], [8, null]);
      reasons.add(`${served.reason} ${served.ids.includes(END)}`);
    }
    assert.deepEqual([...reasons].sort(), ['length false', 'stop false', 'stop true']);
  });

  test("ends a conversation where its form's next turn begins, as whoever served it did, and no other text", async () => {
    const messages = [{ role: 'user' as const, content: 'hi' }];
    const prompt = {
      kind: 'chat' as const,
      messages,
      tools: [],
      tool_choice: 'auto' as const,
      parallel_tool_calls: true,
    };
    const talking: ReadyModel = { ...judge, readChat: () => [END, 104, 105], chatStops: ['aa'] };
    const request = requestOf({
      prompt,
      sampling: { ...ON.sampling, logit_bias: [...ON.sampling.logit_bias, [97, 20]] },
    });
    const served = await serve(talking, request);
    assert.deepEqual([served.reason, served.ids.length < 24], ['stop', true]);
    assert.equal(faultOf(await judgeAnswer(talking, request, served, never), LIMITS), null);
    const further = { ...served, ids: [...served.ids, 97] };
    assert.equal((await judgeAnswer(talking, request, further, never)).flaw, 'past-the-end');
    const text = { ...request, prompt: { kind: 'ids' as const, ids: [END, 104, 105] } };
    assert.equal((await serve(talking, text)).reason, 'length');
  });

  test('accepts what a caller cut, and what two devices wrote one after the other', async () => {
    const request = requestOf(ON);
    const { ids } = await serve(judge, request);
    assert.equal((await judged(request, { ids: ids.slice(0, 7), reason: 'cut' })).flaw, null);
    assert.equal((await judged(request, { ids: [], reason: 'cut' })).flaw, null);
    const rest = await serve(judge, { ...request, written: ids.slice(0, 7) });
    assert.equal(faultOf(await judged(request, { ...rest, ids: [...ids.slice(0, 7), ...rest.ids] }), LIMITS), null);
  });

  test('judges whoever went on behind the tokens of another for its own part alone', async () => {
    const request = requestOf(ON);
    const lie = (await serve(other, request)).ids.slice(0, 7);
    const after = { ...request, written: lie };
    const rest = await serve(judge, after);
    const found = await judged(after, rest);
    assert.deepEqual([faultOf(found, LIMITS), found.tally.draws, found.tally.differing], [null, rest.ids.length, 0]);
    assert.equal(rest.ids.length, ON.max_tokens - lie.length);
    assert.equal(faultOf(await judged(after, await serve(other, after)), LIMITS), 'margin');
    assert.equal((await judged(after, { ...rest, ids: [...rest.ids, 97] })).flaw, 'past-the-end');
    await assert.rejects(judged({ ...after, written: [257] }, rest), { code: 'bad-input' });
    const over = { ...request, written: Array(60).fill(97) };
    assert.equal((await judged(over, { ids: [], reason: 'length' })).flaw, null);
    assert.equal((await judged(over, { ids: [97], reason: 'length' })).flaw, 'past-the-end');
  });

  test('tells coarser weights, other weights, another seed and another rule from what was asked', async () => {
    const request = requestOf({ ...ON, sampling: { ...ON.sampling, top_p: 0.9 } });
    const lies: Record<string, [ReadyModel, AnswerRequest]> = {
      'coarser weights': [coarse, request],
      'other weights': [other, request],
      'another seed': [judge, { ...request, sampling: { ...request.sampling, seed: 'other' } }],
      'top_p ignored': [judge, { ...request, sampling: { ...request.sampling, top_p: 1 } }],
      'a shorter prompt': [judge, { ...request, prompt: { kind: 'ids', ids: [END, 99, 107] } }],
    };
    for (const [name, [by, asked]] of Object.entries(lies)) {
      const found = await judged(request, await serve(by, asked));
      assert.equal(faultOf(found, LIMITS), 'margin', `${name}: ${JSON.stringify(found)}`);
    }
  });

  test("tells somebody else's text, whatever logprobs come with it, and false logprobs beside a true text", async () => {
    const request = requestOf({ ...ON, top_logprobs: 0 });
    const foreign = await serve(other, request);
    // The judge's own logprobs of that text: what a prefill attack sends along.
    const echo = {
      ...request,
      prompt: { kind: 'ids' as const, ids: [END, ...Buffer.from('potluck'), ...foreign.ids] },
    };
    const read = await wholeAnswer(writeAnswer(judge, { ...echo, echo: true, max_tokens: 1 }, never));
    const logprobs = read.tokens.slice(8, -1).map(({ logprob }) => logprob!.logprob);
    const attack = await judged(request, { ...foreign, logprobs });
    assert.ok(attack.logprob_distance! < 1e-3);
    assert.equal(faultOf(attack, LIMITS), 'margin');

    const honest = await serve(judge, request);
    assert.equal(faultOf(await judged(request, honest), LIMITS), null);
    const coarser = honest.logprobs!.map((value, i) => value - 0.02 * (i % 2));
    assert.equal(faultOf(await judged(request, { ...honest, logprobs: coarser }), LIMITS), 'logprobs');
    const surer = honest.logprobs!.map((value) => value / 2);
    assert.equal(faultOf(await judged(request, { ...honest, logprobs: surer }), LIMITS), 'logprobs');
    for (const wrong of [
      honest.logprobs!.slice(1),
      honest.logprobs!.with(0, Number.NaN),
      honest.logprobs!.with(0, 1),
    ]) {
      assert.equal((await judged(request, { ...honest, logprobs: wrong })).flaw, 'bad-logprobs');
    }
    const absurd = honest.logprobs!.with(0, Number.NEGATIVE_INFINITY);
    assert.equal(faultOf(await judged(request, { ...honest, logprobs: absurd }), LIMITS), 'logprobs');

    const ending = requestOf({ top_logprobs: 0, max_tokens: 40, sampling: { ...ON.sampling, logit_bias: [[END, 4]] } });
    const ended = await serve(judge, ending);
    assert.deepEqual([ended.ids.at(-1), ended.logprobs!.length], [END, ended.ids.length - 1]);
    assert.equal(faultOf(await judged(ending, ended), LIMITS), null, 'no caller gets the logprob of an end token');
    assert.equal((await judged(ending, { ...ended, logprobs: ended.logprobs!.slice(1) })).flaw, 'bad-logprobs');
  });

  test('finds what goes past the end, ends too soon, or was never to be drawn', async () => {
    const sampling = { ...requestOf({}).sampling, logit_bias: [[END, 4]] as [number, number][] };
    const request = requestOf({ sampling, max_tokens: 40 });
    const served = await serve(judge, request);
    assert.equal(served.ids.at(-1), END);
    const flawOf = async (change: Partial<ServedAnswer>, from = request): Promise<string | null> =>
      faultOf(await judged(from, { ...served, ...change }), LIMITS);
    assert.equal(await flawOf({ ids: [...served.ids, 97] }), 'past-the-end');
    assert.equal(await flawOf({ ids: [...served.ids, END] }), 'past-the-end');
    assert.equal(await flawOf({ reason: 'length' }), 'wrong-end');
    assert.equal(await flawOf({ ids: served.ids.slice(0, -1) }), 'wrong-end');
    assert.equal(await flawOf({ ids: [] }), 'wrong-end');
    assert.equal(await flawOf({ ids: served.ids.with(0, 257) }), 'impossible-token');
    assert.equal(await flawOf({ ids: served.ids.with(0, -1) }), 'impossible-token');
    assert.equal(await flawOf({ ids: served.ids.with(0, 0.5) }), 'impossible-token');

    const nothing = requestOf({ max_tokens: 0 });
    assert.equal(await flawOf({ ids: [97], reason: 'length' }, nothing), 'past-the-end');
    assert.equal(await flawOf({ ids: [], reason: 'length' }, nothing), null);
    const whole = requestOf(ON);
    const long = await serve(judge, whole);
    assert.equal(await flawOf({ ...long, ids: [...long.ids, 97] }, whole), 'past-the-end');
    const text = Buffer.from(long.ids.filter((id) => id < 128)).toString();
    const stop = [text[3]];
    assert.equal(await flawOf({ ...long, ids: long.ids }, { ...whole, stop }), 'past-the-end');
  });

  test('finds an answer that goes on where the model had ended it, however long it goes on', async () => {
    const sampling = { ...requestOf({}).sampling, logit_bias: [[END, 4]] as [number, number][] };
    const request = requestOf({ sampling, max_tokens: 80 });
    const ended = await serve(judge, request);
    // It takes the next best token instead of each end.
    const padded = await serve(judge, { ...request, sampling: { ...sampling, logit_bias: [[END, -100]] } });
    assert.deepEqual(padded.ids.slice(0, ended.ids.length - 1), ended.ids.slice(0, -1));
    const found = await judged(request, padded);
    assert.equal(faultOf(found, { ...LIMITS, per_draw: 1, allowance: 100 }), 'end');
  });

  test('ends when its signal fires, and gives its place back', async () => {
    const gone = AbortSignal.abort(new Error('gone'));
    await assert.rejects(judgeAnswer(judge, requestOf(ON), { ids: [1, 2], reason: 'cut' }, gone), /gone/);
    await judge.prefixes.close();
    assert.equal(judge.engine.free_tokens, room.cache_tokens);
  });
});
