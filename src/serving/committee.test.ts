// A committee gives its members' own answers, counts all of them, outlives members that fail, and refuses what it does not do.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openAnswerServer } from './answer-server.ts';
import type { AnswerEvent, AnswerRequest, AnswerServer } from './answers.ts';
import { modelNamed } from './api/models.ts';
import { countingUsage } from './api/usage.ts';
import { type CommitteeOptions, committee } from './committee.ts';
import { mostVotes, type Verifier } from './committee-verifiers.ts';
import { ServingError, type ServingErrorCode } from './errors.ts';
import { listeningApi, smallServer } from './testing/small-server.ts';
import { openTinyEngine, requestOf, TINY_CONTEXT, tinyWeights, wholeAnswer } from './testing/tiny-model.ts';

const never = new AbortController().signal;
const served = await Promise.all(
  ['a', 'b', 'c'].map(async (name) => ({
    engine: await openTinyEngine(tinyWeights(name), { cache_tokens: 4 * TINY_CONTEXT }),
    ...{ name, licence: 'MIT', created_ms: 0 },
  })),
);
const server = openAnswerServer(
  served.map((model, i) => ({
    ...model,
    engine: { ...model.engine, model: { ...model.engine.model, hash: `${i}`.repeat(64) } },
  })),
);

const picks =
  (chosen: number): Verifier =>
  async () => ({ chosen, prompt_tokens: 0 });
const asked = (change: Partial<AnswerRequest> = {}): AnswerRequest =>
  requestOf({ model: 'committee:a+b+c', max_tokens: 6, ...change });
const answer = (request: AnswerRequest, options: Partial<CommitteeOptions> = {}, over: AnswerServer = server) =>
  wholeAnswer(committee(over, { verifier: picks(0), ...options }).answer(request, never));

/** The server with some answers replaced, by how often the model was asked. */
function changed(
  change: (request: AnswerRequest, signal: AbortSignal) => AsyncIterable<AnswerEvent> | null,
): AnswerServer {
  return { ...server, answer: (request, signal) => change(request, signal) ?? server.answer(request, signal) };
}
// biome-ignore lint/correctness/useYield: what fails before its first event has none
async function* failing(what: ServingErrorCode | Error): AsyncGenerator<AnswerEvent> {
  throw typeof what === 'string' ? new ServingError(what, `made to fail: ${what}`) : what;
}

describe('an answer', () => {
  test('is the chosen member’s own, with the logprobs that were asked for and no others', async () => {
    const texts = new Set<string>();
    for (const [chosen, model] of ['a', 'b', 'c'].entries()) {
      const { text, all, written } = await answer(asked(), { verifier: picks(chosen) });
      assert.equal(all[0].kind, 'begun');
      assert.ok(
        all
          .slice(
            1,
            all.findIndex(({ kind }) => kind === 'token'),
          )
          .every(({ kind }) => kind === 'spent'),
      );
      assert.ok(written.every(({ logprob, top }) => logprob === null && top.length === 0));
      texts.add(text);
      if (chosen > 0) continue;
      assert.equal(
        text,
        (await wholeAnswer(server.answer({ ...asked(), model }, never))).text,
        'the caller’s own seed',
      );
    }
    assert.equal(texts.size, 3);
    const { written } = await answer(asked({ top_logprobs: 2 }), { verifier: picks(1) });
    assert.ok(written.every(({ logprob, top, id }) => logprob?.id === id && top.length === 2));
  });

  test('of one model several times has other seeds, and the same ones each time', async () => {
    const seen = new Set<string>();
    for (const chosen of [0, 1, 2, 1]) {
      seen.add((await answer(asked({ model: 'committee:a*3' }), { verifier: picks(chosen) })).text);
    }
    assert.equal(seen.size, 3);
  });

  test('waits for a place where there is none for all members at once', async () => {
    const wide = asked({ model: 'committee:a*8', max_tokens: TINY_CONTEXT - 8 });
    let drafts = 0;
    const verifier: Verifier = async (asked) => {
      drafts = asked.drafts.length;
      return { chosen: 7, prompt_tokens: 0 };
    };
    await answer(wide, { verifier });
    assert.equal(drafts, 8);
  });
});

test('the caller pays for all that was written and read, also when it leaves before the choice', async () => {
  const request = asked();
  const usage = countingUsage([request]);
  const verifier: Verifier = async () => ({ chosen: 0, prompt_tokens: 70 });
  const events = await answer(request, { verifier });
  for (const event of events.all) usage.note({ choice: 0, event });
  const spent = events.all.findLast((event) => event.kind === 'spent')!;
  assert.ok(spent.written_tokens > events.ids.length && spent.written_tokens <= 18);
  assert.equal(spent.prompt_tokens, 3 * 8 + 70, 'three prompts, and what the verifier had read');
  assert.deepEqual(usage.total(), {
    prompt_tokens: spent.prompt_tokens,
    completion_tokens: spent.written_tokens,
    total_tokens: spent.prompt_tokens + spent.written_tokens,
  });
  const early = countingUsage([request]);
  let tokens = 0;
  for await (const event of committee(server, { verifier: mostVotes }).answer(request, never)) {
    early.note({ choice: 0, event });
    if (event.kind === 'spent' && event.written_tokens === 3) break;
    if (event.kind === 'token') tokens++;
  }
  assert.deepEqual([early.total().completion_tokens, tokens], [3, 0]);
});

describe('a member that fails', () => {
  test('is told and left out, before its first event and in the middle of its answer', async () => {
    const over = changed((request, signal) => {
      if (request.model === 'a') return failing('engine-ended');
      if (request.model !== 'b') return null;
      return (async function* () {
        let left = 3;
        for await (const event of server.answer(request, signal)) {
          if (left-- === 0) throw new TypeError('a defect');
          yield event;
        }
      })();
    });
    const failed: string[] = [];
    const { text } = await answer(asked(), { onFailed: (model) => failed.push(model) }, over);
    assert.deepEqual(failed.sort(), ['a', 'b']);
    const alone = await answer(asked(), { verifier: picks(2) });
    assert.equal(text, alone.text);
  });

  test('for want of room in the middle of its answer is not asked again', async () => {
    let asks = 0;
    const over = changed((request, signal) => {
      if (request.model !== 'a') return null;
      asks++;
      return (async function* () {
        for await (const event of server.answer(request, signal)) {
          yield event;
          throw new ServingError('no-room', 'made to fail: no-room');
        }
      })();
    });
    await answer(asked(), {}, over);
    assert.equal(asks, 1);
  });

  test('that ends without an end is no answer', async () => {
    const over = changed((request) =>
      request.model === 'a'
        ? (async function* () {
            yield { kind: 'begun', prompt_tokens: 1 } as const;
          })()
        : null,
    );
    const { text } = await answer(asked({ model: 'committee:a+b' }), {}, over);
    assert.equal(text, (await answer(asked({ model: 'committee:a+b' }), { verifier: picks(1) })).text);
  });

  test('and all the others: what the first failed with', async () => {
    await assert.rejects(
      answer(
        asked(),
        {},
        changed(() => failing('no-room')),
      ),
      {
        code: 'no-room',
        message: /none of the committee's 3 answers: made to fail/,
      },
    );
    const defect = new TypeError('a defect');
    const over = changed(() => failing(defect));
    await assert.rejects(answer(asked(), {}, over), (error) => error === defect);
  });
});

test('a caller that leaves stops all members within a token', async () => {
  const own = new AbortController();
  const reason = new Error('gone');
  let open = 0;
  let events = 0;
  const over = changed((request, signal) =>
    (async function* () {
      open++;
      try {
        for await (const event of server.answer(request, signal)) {
          events++;
          yield event;
        }
      } finally {
        open--;
      }
    })(),
  );
  const seen: AnswerEvent[] = [];
  const reading = (async () => {
    const options = { verifier: picks(0), onFailed: () => assert.fail('leaving is no failure') };
    for await (const event of committee(over, options).answer(asked({ max_tokens: 80 }), own.signal)) {
      seen.push(event);
      if (event.kind === 'spent' && event.written_tokens === 4) own.abort(reason);
    }
  })();
  await assert.rejects(reading, (error) => error === reason);
  assert.equal(open, 0);
  assert.ok(events <= 3 + 4 + 3, `${events} events`);
  const aborted = AbortSignal.abort(reason);
  await assert.rejects(
    wholeAnswer(committee(over, { verifier: picks(0) }).answer(asked(), aborted)),
    (e) => e === reason,
  );
});

test('a caller that stops reading ends members that say nothing', async () => {
  const over = changed((request, signal) =>
    request.model === 'b'
      ? (async function* () {
          yield { kind: 'begun', prompt_tokens: 8 } as const;
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        })()
      : null,
  );
  for await (const event of committee(over, { verifier: picks(0) }).answer(asked(), never)) {
    if (event.kind === 'spent' && event.written_tokens === 3) break;
  }
});

describe('names', () => {
  test('of committees are known to the API, and listed only where that is asked for', () => {
    const one = committee(server, { verifier: picks(0) });
    assert.deepEqual(one.models(), server.models());
    const offered = modelNamed(one, 'committee:a+b*2');
    assert.deepEqual(
      { ...offered, hash: offered.hash.length },
      {
        ...{ name: 'committee:a+b*2', hash: 64, quantisation: 'f32', engine: 'own', context_tokens: TINY_CONTEXT },
        ...{ created_ms: 0, licence: 'MIT', chat: false, tools: false, embeddings: false },
      },
    );
    assert.notEqual(offered.hash, modelNamed(one, 'committee:a+c*2').hash);
    const listed = committee(server, { verifier: picks(0), listed: ['committee:a+b'] });
    assert.deepEqual(
      listed.models().map(({ name }) => name),
      ['a', 'b', 'c', 'committee:a+b'],
    );
    assert.throws(() => modelNamed(one, 'd'), { code: 'unknown-model' });
  });

  test('that are none are refused', async () => {
    const one = committee(server, { verifier: picks(0) });
    for (const name of ['', 'd', 'a+', '+a', 'a+d', 'a*0', 'a*', 'a*1.5', 'a*-1', '*3', 'a *2', 'committee:a']) {
      assert.throws(() => modelNamed(one, `committee:${name}`), { code: 'unknown-model' }, name);
    }
    for (const name of ['a*9', 'a*999', 'a*4+b*5', 'a+a+a+a+a+a+a+a+a']) {
      assert.throws(() => modelNamed(one, `committee:${name}`), { code: 'too-large' }, name);
    }
    assert.throws(() => one.answer(asked({ model: 'committee:d' }), never), { code: 'unknown-model' });
    await assert.rejects(one.embed({ model: 'committee:a', inputs: ['x'] }, never), { code: 'unsupported' });
    assert.equal(
      (await wholeAnswer(one.answer(asked({ model: 'a' }), never))).all.some(({ kind }) => kind === 'spent'),
      false,
    );
  });
});

test('what a committee does not do is refused before anything is written', async () => {
  const over = changed(() => assert.fail('no member is asked'));
  const tools = [{ name: 'add', parameters: {} }];
  const messages = [{ role: 'user' as const, content: 'hello' }];
  const refused: Partial<AnswerRequest>[] = [
    { written: [1] },
    { echo: true },
    { prompt: { kind: 'ids', ids: [1, 2] } },
    { sampling: { ...asked().sampling, logit_bias: [[1, 1]] } },
    { prompt: { kind: 'chat', messages, tools, tool_choice: 'auto', parallel_tool_calls: true } },
  ];
  for (const change of refused) await assert.rejects(answer(asked(change), {}, over), { code: 'unsupported' });
  const ids = asked({ model: 'committee:a*2', prompt: { kind: 'ids', ids: [1, 2] } });
  assert.ok((await answer(ids)).written.length > 0, 'tokens of one model mean the same to all its members');
});

test('over the API: one stream without a word before the choice, and the tokens of all members in its usage', async () => {
  const small = await smallServer();
  const api = await listeningApi(committee(small, { verifier: async () => ({ chosen: 1, prompt_tokens: 30 }) }));
  const ask = (model: string, change: object) =>
    fetch(`${api.base_url}/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, prompt: 'sum', max_tokens: 8, seed: 1, ...change }),
    });
  try {
    const stream = await ask('committee:small*2', { stream: true, stream_options: { include_usage: true } });
    const chunks = (await stream.text())
      .split('\n\n')
      .filter((event) => event.startsWith('data: {'))
      .map((event) => JSON.parse(event.slice('data: '.length)));
    assert.equal(chunks.filter(({ choices }) => choices[0]?.finish_reason).length, 1);
    const { usage } = chunks.at(-1);
    assert.ok(usage.completion_tokens > 8 && usage.completion_tokens <= 16, `${usage.completion_tokens} tokens`);
    assert.equal(usage.prompt_tokens, 2 * 4 + 30, 'two prompts, and what the verifier had read');
    const whole = await (await ask('committee:small*2', {})).json();
    assert.equal(whole.choices[0].text, chunks.map(({ choices }) => choices[0]?.text ?? '').join(''));
    assert.deepEqual(whole.usage, usage);
    const several = await (await ask('committee:small*2', { n: 2 })).json();
    assert.equal(several.choices.length, 2);
    assert.ok(several.usage.completion_tokens > usage.completion_tokens);
    assert.equal((await ask('committee:small+other', {})).status, 404);
    assert.equal((await ask('committee:small*2', { echo: true })).status, 400);
    assert.deepEqual(api.errors, []);
  } finally {
    await api.close();
    await small.close();
  }
});
