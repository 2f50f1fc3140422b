// Answers: any device goes on with the same text behind what another has written, and stop strings, forms, limits and aborts end it where they should.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { sampleToken } from '../model/sampling.ts';
import type { AnswerEvent, AnswerRequest } from './answers.ts';
import type { CallReader } from './call-reader.ts';
import type { Engine, Sequence } from './engine.ts';
import { ServingError } from './errors.ts';
import { prefixCache } from './prefix-cache.ts';
import { openTinyEngine, requestOf, TINY_CONTEXT, tinyWeights, wholeAnswer } from './testing/tiny-model.ts';
import { type ReadyModel, writeAnswer } from './write-answer.ts';

const END = 256;
const CHAT = {
  ...{ kind: 'chat' as const, messages: [{ role: 'user' as const, content: 'hi' }], tools: [] },
  ...{ tool_choice: 'auto' as const, parallel_tool_calls: true },
};
const engine = await openTinyEngine(tinyWeights('a'), { cache_tokens: 4 * TINY_CONTEXT });
const ready: ReadyModel = { engine, prefixes: prefixCache(engine) };
const never = new AbortController().signal;
const answer = (request: AnswerRequest, from = ready) => wholeAnswer(writeAnswer(from, request, never));

/** The same events; logprobs as near as runs of other lengths come, whose sums round differently. */
function sameEvents(got: readonly AnswerEvent[], expected: readonly AnswerEvent[]): void {
  const logprobs = (events: readonly AnswerEvent[]): number[] =>
    events
      .flatMap((event) => (event.kind === 'token' ? [event.logprob, ...event.top] : []))
      .map((one) => one?.logprob ?? 0);
  const rest = (events: readonly AnswerEvent[]) =>
    events.map((event) => {
      if (event.kind !== 'token') return event;
      const { logprob, top } = event;
      return { ...event, logprob: logprob?.id ?? null, top: top.map(({ id }) => id) };
    });
  assert.deepEqual(rest(got), rest(expected));
  const others = logprobs(expected);
  for (const [i, value] of logprobs(got).entries())
    assert.ok(Math.abs(value - others[i]) < 1e-4, `${value}, ${others[i]}`);
}

/** A grammar of digits only, at most so many; then the end. */
function digits(most: number) {
  let count = 0;
  const mask = () => {
    const bits = new Uint32Array(Math.ceil(257 / 32));
    for (let id = 48; id < 58; id++) bits[id >>> 5] |= 1 << (id & 31);
    if (count > 0) bits[END >>> 5] |= 1 << (END & 31);
    return bits;
  };
  return {
    mask,
    accept(id: number) {
      if (id < 48 || id >= 58) throw new ServingError('bad-grammar', `${id} is no digit`);
      count++;
    },
    get finished() {
      return count >= most;
    },
  };
}

describe('an answer', () => {
  test('is drawn token by token from the logits of all before it', async () => {
    const request = requestOf({ max_tokens: 12, top_logprobs: 3 });
    const { ids, written, ended, all } = await answer(request);
    const sequence = await engine.openSequence();
    let logits = await sequence.append([END, ...new TextEncoder().encode('potluck')]);
    for (const [i, id] of ids.entries()) {
      assert.equal(id, sampleToken(logits, request.sampling, { position: 8 + i }));
      const sum = Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0));
      assert.ok(Math.abs(written[i].logprob!.logprob - (logits[id] - sum)) < 1e-4);
      assert.equal(written[i].top[0].id, logits.indexOf(Math.max(...logits)));
      assert.equal(written[i].position, 8 + i);
      logits = await sequence.append([id]);
    }
    await sequence.close();
    assert.deepEqual(all[0], { kind: 'begun', prompt_tokens: 8 });
    assert.deepEqual([ended.reason, ended.end_id, ended.written_tokens], ['length', null, 12]);
  });

  test('goes on with the same tokens and text wherever another device has stopped', async () => {
    const requests = fc.record({
      seed: fc.string({ maxLength: 3 }),
      prompt: fc.string({ maxLength: 10 }),
      max_tokens: fc.integer({ min: 1, max: 20 }),
      stop: fc.array(fc.string({ unit: fc.constantFrom('0', '1', '5', 'a', 'é'), minLength: 1, maxLength: 2 }), {
        maxLength: 2,
      }),
      top_p: fc.constantFrom(1, 0.9),
      penalty: fc.constantFrom(0, 0.7),
      form: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(requests, fc.double({ min: 0, max: 1, noNaN: true }), async (drawn, part) => {
        const formed: ReadyModel = {
          ...ready,
          openGrammar: ({ format }) => (format.kind === 'json' ? digits(9) : null),
        };
        const sampling = { seed: drawn.seed, temperature: 1, top_p: drawn.top_p, logit_bias: [] };
        const request = requestOf({
          prompt: { kind: 'text', text: drawn.prompt },
          ...{ max_tokens: drawn.max_tokens, stop: drawn.stop, format: { kind: drawn.form ? 'json' : 'text' } },
          sampling: { ...sampling, presence_penalty: drawn.penalty, frequency_penalty: drawn.penalty },
        });
        const whole = await answer(request, formed);
        const cut = Math.round(part * whole.ids.length);
        const rest = await answer({ ...request, written: whole.ids.slice(0, cut) }, formed);
        assert.deepEqual(rest.all.slice(1), whole.all.slice(1 + cut));
        for (const stop of drawn.stop) assert.ok(!whole.text.includes(stop));
        if (drawn.form) assert.match(whole.text, /^\d*$/);
      }),
      { numRuns: 40 },
    );
  });

  test('ends with an end token, which is no part of it, at a stop string, and where its form is finished', async () => {
    const sure = { seed: 'x', temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0 };
    const only = (id: number) => ({ sampling: { ...sure, logit_bias: [[id, 100]] as [number, number][] } });
    const ended = await answer(requestOf(only(END)));
    assert.deepEqual([ended.ids, ended.ended.reason, ended.ended.end_id], [[], 'stop', END]);
    const stopped = await answer(requestOf({ ...only(97), stop: ['aaa'] }));
    assert.deepEqual([stopped.text, stopped.ids, stopped.ended.reason], ['', [97, 97, 97], 'stop']);
    const held = await answer(requestOf({ ...only(97), stop: ['aaa'], max_tokens: 2 }));
    assert.deepEqual([held.text, held.ended.text, held.ended.reason], ['aa', 'aa', 'length']);
    const form = await answer(requestOf({ format: { kind: 'json' } }), { ...ready, openGrammar: () => digits(3) });
    assert.match(form.text, /^\d{1,3}$/);
    assert.equal(form.ended.reason, 'stop');
  });

  test('repeats the prompt where that is asked for, with its logprobs, but not behind what is written', async () => {
    for (const top_logprobs of [null, 2]) {
      const request = requestOf({ echo: true, top_logprobs, max_tokens: 3 });
      const { all, tokens, ids } = await answer(request);
      assert.deepEqual(
        tokens.map(({ position }) => position),
        [...Array(11).keys()],
      );
      const echoed = tokens.filter((event) => event.echoed);
      assert.equal(echoed.map(({ text }) => text).join(''), 'potluck');
      assert.deepEqual(
        echoed.map(({ logprob }) => logprob?.id ?? null),
        [null, ...(top_logprobs === null ? Array(7).fill(null) : new TextEncoder().encode('potluck'))],
      );
      if (top_logprobs) {
        // A prompt's logprob is the one that an answer with the same token has.
        const shorter = requestOf({ prompt: { kind: 'text', text: 'potluc' }, top_logprobs, max_tokens: 1 });
        const biased = { ...shorter.sampling, logit_bias: [[107, 100]] as [number, number][] };
        const { written } = await answer({ ...shorter, sampling: biased });
        assert.ok(Math.abs(written[0].logprob!.logprob - echoed[7].logprob!.logprob) < 1e-4);
      }
      const rest = await answer({ ...request, written: ids.slice(0, 1) });
      sameEvents(rest.all.slice(1), all.slice(1 + 8 + 1));
    }
  });

  test('ends where the context is full', async () => {
    const request = requestOf({ prompt: { kind: 'ids', ids: Array(TINY_CONTEXT - 3).fill(65) }, max_tokens: 50 });
    const { ids, ended } = await answer({ ...request, sampling: { ...request.sampling, logit_bias: [[END, -100]] } });
    assert.deepEqual([ids.length, ended.reason], [3, 'length']);
  });

  test('tells the calls that a model has made, which are no text, behind its tokens, also those that another device wrote', async () => {
    /** A call is two digits. */
    const readCalls = (): CallReader => {
      let text = '';
      return {
        push(piece) {
          text += piece;
          return piece.replaceAll(/[0-9]/g, '');
        },
        end: () => ({
          text: '',
          calls: [...text.matchAll(/\d(\d)/g)].map(([, n]) => ({ name: 'five', arguments: n })),
        }),
      };
    };
    const tools = [{ name: 'five', parameters: {} }];
    const request = requestOf({ prompt: { ...CHAT, tools }, max_tokens: 24, format: { kind: 'json' } });
    const calling: ReadyModel = { ...ready, readCalls, readChat: () => [END, 104, 105], openGrammar: () => digits(20) };
    const whole = await answer(request, calling);
    const calls = whole.all.filter(({ kind }) => kind === 'tool_call');
    assert.ok(calls.length > 0);
    assert.deepEqual([whole.text, whole.ended.reason], ['', 'tool_calls']);
    for (const cut of [1, whole.ids.length]) {
      const rest = await answer({ ...request, written: whole.ids.slice(0, cut) }, calling);
      assert.deepEqual(rest.all.slice(1), whole.all.slice(1 + cut));
    }
    const none = await answer({ ...request, prompt: { ...CHAT, tools, tool_choice: 'none' } }, calling);
    assert.match(none.text, /^\d+$/);
    await assert.rejects(answer(request, { ...calling, readCalls: undefined }), { code: 'unsupported' });
  });

  test('may be the prompt alone', async () => {
    const prompt = { kind: 'ids' as const, ids: Array(TINY_CONTEXT).fill(65) };
    const { tokens, ended } = await answer(requestOf({ prompt, max_tokens: 0, echo: true, top_logprobs: 1 }));
    assert.deepEqual([tokens.length, ended.reason, ended.written_tokens], [TINY_CONTEXT, 'length', 0]);
  });

  test('is the same for a prompt whose beginning is in the cache', async () => {
    await ready.prefixes.close();
    const fresh: ReadyModel = { engine, prefixes: prefixCache(engine) };
    let appended = 0;
    const counting: Engine = {
      ...engine,
      async openSequence(capacity) {
        const sequence = await engine.openSequence(capacity);
        return Object.create(sequence, {
          length: { get: () => sequence.length },
          append: {
            value: (tokens: ArrayLike<number>, signal: AbortSignal) => {
              appended += tokens.length;
              return sequence.append(tokens, signal);
            },
          },
          rewind: { value: (length: number) => sequence.rewind(length) },
          close: { value: () => sequence.close() },
        }) as Sequence;
      },
    };
    const kept: ReadyModel = { engine: counting, prefixes: prefixCache(counting) };
    const long = requestOf({ prompt: { kind: 'text', text: 'a conversation that grows' }, max_tokens: 5 });
    const first = await answer(long, kept);
    const next = { ...long, written: first.ids, max_tokens: 8 };
    appended = 0;
    const again = await answer(next, kept);
    assert.deepEqual(again.all, (await answer(next, fresh)).all);
    assert.ok(appended <= 1 + again.ids.length, `${appended} tokens were read`);
    await Promise.all([kept.prefixes.close(), fresh.prefixes.close()]);
  });
});

describe('what ends badly', () => {
  test('an abort ends it within a token, with its reason, and its place is given back', async () => {
    await ready.prefixes.close();
    const alone: ReadyModel = { engine, prefixes: prefixCache(engine) };
    const free = engine.free_tokens;
    const stop = new AbortController();
    let count = 0;
    const reading = (async () => {
      for await (const event of writeAnswer(alone, requestOf({}), stop.signal)) {
        if (event.kind === 'token' && ++count === 3) stop.abort(new Error('gone'));
      }
    })();
    await assert.rejects(reading, /gone/);
    assert.equal(count, 3);
    for await (const event of writeAnswer(alone, requestOf({}), never)) if (event.kind === 'token') break;
    const failing = broken('append');
    await assert.rejects(answer(requestOf({}), { engine: failing, prefixes: prefixCache(failing) }), /broken/);
    await alone.prefixes.close();
    assert.equal(engine.free_tokens, free);
  });

  /** The engine, but this call of its sequences fails. */
  function broken(call: 'append'): Engine {
    const openSequence = async (capacity?: number) => {
      const sequence = await engine.openSequence(capacity);
      const fails = () => Promise.reject(new Error('broken'));
      return Object.create(sequence, {
        length: { get: () => sequence.length },
        [call]: { value: fails },
        close: { value: () => sequence.close() },
      }) as Sequence;
    };
    return { ...engine, openSequence };
  }

  test('requests that cannot be answered are refused with a reason', async () => {
    const refused = (change: Partial<AnswerRequest>, code: string, from = ready) =>
      assert.rejects(answer(requestOf(change), from), { name: 'ServingError', code });
    await refused({ prompt: { kind: 'ids', ids: [] } }, 'bad-input');
    await refused({ prompt: { kind: 'ids', ids: [257] } }, 'bad-input');
    await refused({ prompt: { kind: 'ids', ids: Array(TINY_CONTEXT).fill(1) } }, 'too-large');
    await refused({ prompt: CHAT }, 'unsupported');
    await refused({ format: { kind: 'json' } }, 'unsupported');
    await refused({ written: [END] }, 'bad-input');
    await refused({ written: [300] }, 'bad-input');
    await refused({ written: [-1] }, 'bad-input');
    await refused({ written: [1, 2, 3], max_tokens: 2 }, 'bad-input');
    await refused({ written: [97, 97], stop: ['a'] }, 'bad-input');
    const form = { ...ready, openGrammar: () => digits(3) };
    await refused({ written: [97], format: { kind: 'json' } }, 'bad-grammar', form);
    await refused({ written: [48, 48, 48, 48], format: { kind: 'json' } }, 'bad-input', form);
  });
});
