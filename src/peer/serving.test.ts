// A device that serves: what it offers, how it sends what it writes, and how fast it gives everything back.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { answerHash, openClaim } from '../protocol/answer-receipt.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { decodeFromPeer } from '../protocol/from-peer.ts';
import { packRequest, unpackTokens } from '../protocol/serving-bytes.ts';
import type { FromServingPeer } from '../protocol/serving-from-peer.ts';
import { SERVE_LIMITS, type ToServingPeer } from '../protocol/serving-messages.ts';
import { person } from '../protocol/testing/example-receipt.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import type { AnswerEvent, AnswerRequest } from '../serving/answers.ts';
import { ServingError } from '../serving/errors.ts';
import { openServing, type ServedModel } from './serving.ts';

const HASH = 'ab'.repeat(32);
const REQUEST: AnswerRequest = {
  ...{ model: 'poems', prompt: { kind: 'ids', ids: [1, 2] }, written: [], max_tokens: 500, stop: [], echo: false },
  sampling: { seed: 's', temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [] },
  ...{ top_logprobs: null, format: { kind: 'text' } },
};
const lease = (n: number): string => n.toString(16).padStart(16, '0');
const asked = (n: number, request: object = REQUEST): ToServingPeer => ({
  ...{ type: 'answer', lease: lease(n), model: HASH, quantisation: 'f32', request: packRequest(request) },
});

const toJudge = (n: number, served: object, request: object = REQUEST): ToServingPeer => ({
  ...{ type: 'judge', lease: lease(n), model: HASH, quantisation: 'f32', asked: packRequest({ request, served }) },
});

/** A device whose model writes a token every `gap_ms`. */
function device(
  options: {
    gap_ms?: number;
    places?: number;
    failsAt?: number;
    rested?: () => Promise<void>;
    price?: { price_in: number; price_out: number };
  } = {},
) {
  const { gap_ms = 10, places = 2, failsAt = Number.POSITIVE_INFINITY } = options;
  const clock = handClock(1000);
  const sent: FromServingPeer[] = [];
  const problems: string[] = [];
  /** Tokens that the engine has computed, over all answers. */
  let computed = 0;
  const model: ServedModel = {
    ...{
      hash: HASH,
      quantisation: 'f32',
      engine: 'own',
      class: 'own',
      context_tokens: 1000,
      cache_tokens: 1100,
      places,
      ...{ chat: true, tools: false },
    },
    async *answer(request, signal): AsyncGenerator<AnswerEvent> {
      yield { kind: 'begun', prompt_tokens: 2 };
      for (let i = request.written.length; i < request.max_tokens; i++) {
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, gap_ms));
        signal.throwIfAborted();
        if (i === failsAt) throw new ServingError('engine-ended', 'it ended');
        computed++;
        yield { kind: 'token', position: 2 + i, id: i, text: `${i} `, echoed: false, logprob: null, top: [] };
      }
      yield { kind: 'ended', text: '', reason: 'length', end_id: null, written_tokens: request.max_tokens };
    },
    async judge({ request, served }, signal) {
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, 5 * gap_ms));
      signal.throwIfAborted();
      const differing = served.ids.filter((id, i) => id !== request.written.length + i).length;
      const tally = { draws: served.ids.length, margin: differing, differing, end_margin: 0, impossible: 0 };
      return { flaw: null, prompt_tokens: 2, tally, logprob_distance: null };
    },
  };
  const serving = openServing({
    ...{ clock, identity: person(7), price_in: 0, price_out: 0, region: null, ...options.price },
    send: (message) => void sent.push(decodeFromPeer(encodeMessage(message)) as FromServingPeer),
    onProblem: (code, message) => void problems.push(`${code} ${message}`),
    ...(options.rested && { worked: options.rested }),
  });
  serving.serve(model);
  serving.welcome();
  const tokens = (of: number) =>
    sent.flatMap((one) => (one.type === 'answer-tokens' && one.lease === lease(of) ? unpackTokens(one.packed) : []));
  const last = <T extends FromServingPeer['type']>(type: T) =>
    sent.findLast((one): one is Extract<FromServingPeer, { type: T }> => one.type === type);
  return { clock, sent, serving, model, tokens, last, problems, computed: () => computed };
}

describe('a device that serves', () => {
  test('offers what it has room for, less what it writes, and counts what it was asked', async () => {
    const { serving, clock, last } = device();
    const asking = device({ price: { price_in: 1, price_out: 2 } }).last('offer')!;
    assert.deepEqual([asking.price_in, asking.price_out], [1, 2]);
    assert.deepEqual(last('offer'), {
      ...{ type: 'offer', model: HASH, quantisation: 'f32', engine: 'own', class: 'own', context_tokens: 1000 },
      ...{ free_tokens: 1100, places: 2, chat: true, tools: false, heard: 0, price_in: 0, price_out: 0, region: null },
    });
    serving.hear(asked(1, { ...REQUEST, max_tokens: 3 }));
    assert.equal(serving.running, 1);
    serving.hear(asked(2));
    serving.hear(asked(3));
    assert.equal(last('answer-failed')?.code, 'no-room');
    const full = last('offer')!;
    assert.deepEqual([full.places, full.heard, full.free_tokens], [0, 3, 1100 - 5 - 502]);
    await clock.pass(50);
    const later = last('offer')!;
    assert.deepEqual([later.places, later.heard, later.free_tokens], [1, 3, 1100 - 502]);
    serving.welcome();
    assert.equal(last('offer')!.heard, 0, 'a new connection counts anew');
  });

  test('says at once that a request has come, sends the first token at once, and what comes soon after it together', async () => {
    const { serving, clock, sent, tokens } = device({ gap_ms: 10 });
    serving.hear(asked(1, { ...REQUEST, max_tokens: 100 }));
    assert.equal(sent.at(-1)?.type, 'answer-taken');
    await clock.pass(12);
    assert.deepEqual(
      tokens(1).map(([id]) => id),
      [0],
    );
    await clock.pass(2000);
    const messages = sent.filter(({ type }) => type === 'answer-tokens');
    assert.ok(messages.length >= 20 && messages.length <= 30, `${messages.length} messages of 100 tokens`);
    assert.deepEqual(
      tokens(1).map(([id]) => id),
      Array.from({ length: 100 }, (_, i) => i),
    );
    let from = 0;
    for (const message of messages) {
      assert.ok(message.type === 'answer-tokens' && message.from === from);
      from += unpackTokens(message.packed).length;
    }
    const end = sent.findLastIndex(({ type }) => type === 'answer-ended');
    assert.ok(end > sent.findLastIndex(({ type }) => type === 'answer-tokens'));
  });

  test('sends fewer messages of each answer the more answers it writes, so that no hub takes it for a flood', async () => {
    const { serving, clock, sent } = device({ gap_ms: 5, places: 64 });
    for (let n = 1; n <= 64; n++) serving.hear(asked(n));
    await clock.pass(1000);
    const messages = sent.filter(({ type }) => type === 'answer-tokens').length;
    assert.ok(messages <= 64 + 220, `${messages} messages in a second`);
  });

  test('stops within a token when nobody wants the answer any more', async () => {
    const { serving, clock, computed, last } = device();
    serving.hear(asked(1));
    await clock.pass(105);
    const before = computed();
    serving.hear({ type: 'answer-stop', lease: lease(1), why: 'caller-gone' });
    await clock.pass(1000);
    assert.ok(computed() <= before + 1);
    assert.equal(serving.running, 0);
    assert.equal(last('answer-failed'), undefined);
    assert.equal(last('offer')!.places, 2);
  });

  test('hands over before a pause begins: what is written is sent, and nothing more is computed or taken until it is over', async () => {
    const { serving, clock, sent, tokens, computed, last } = device({ gap_ms: 7 });
    serving.hear(asked(1));
    await clock.pass(72);
    const before = sent.length;
    serving.pause(); // sends at once: a moment later the process may stand still
    const words = sent.slice(before).map(({ type }) => type);
    assert.deepEqual(words, ['answer-tokens', 'answer-failed', 'offer']);
    assert.equal(last('answer-failed')?.code, 'leaving');
    assert.equal(tokens(1).length, computed());
    assert.equal(last('offer')!.places, 0);
    serving.hear(asked(2));
    assert.equal(last('answer-failed')?.lease, lease(2));
    await clock.pass(1000);
    assert.equal(tokens(1).length, computed());
    serving.resume();
    assert.equal(last('offer')!.places, 2);
  });

  test("waits for its owner's rules after each token", async () => {
    let go: () => void = () => {};
    const rested = (): Promise<void> =>
      new Promise((resolve) => {
        go = resolve;
      });
    const { serving, clock, computed } = device({ rested });
    serving.hear(asked(1));
    await clock.pass(500);
    go(); // after `begun`
    await clock.pass(500);
    assert.equal(computed(), 1);
    go();
    await clock.pass(500);
    assert.equal(computed(), 2);
    serving.away();
  });

  test('forgets all when the connection is lost: the hub has given it to others', async () => {
    const { serving, clock, sent, computed } = device();
    serving.hear(asked(1));
    await clock.pass(55);
    serving.away();
    const [before, said] = [computed(), sent.length];
    await clock.pass(1000);
    assert.ok(computed() <= before + 1);
    assert.equal(sent.length, said);
  });

  test('gives back what it cannot write, with the reason, and tells its owner where that is its own fault', async () => {
    const { serving, clock, last, tokens, problems } = device({ failsAt: 5 });
    serving.hear({ ...asked(1), model: 'cd'.repeat(32) } as ToServingPeer);
    assert.equal(last('answer-failed')?.code, 'leaving');
    for (const bad of [{ ...REQUEST, extra: 1 }, { ...REQUEST, max_tokens: -1 }, [], 7]) {
      serving.hear(asked(2, bad as object));
      assert.equal(last('answer-failed')?.code, 'bad-input');
    }
    assert.equal(problems.length, 0);
    serving.hear(asked(3));
    await clock.pass(500);
    assert.equal(last('answer-failed')?.code, 'engine-ended');
    assert.equal(tokens(3).length, 5);
    assert.equal(problems.length, 1);
    assert.equal(serving.running, 0);
  });

  test('gives back an answer of which more is held back, or called, than a message may carry, so that nobody takes it for malformed', async () => {
    const call = (size: number): AnswerEvent => ({ kind: 'tool_call', name: 'a', arguments: 'x'.repeat(size) });
    const end = (text: string): AnswerEvent => ({
      ...{ kind: 'ended', text, reason: 'stop', end_id: null, written_tokens: 0 },
    });
    const told = async (events: readonly AnswerEvent[]): Promise<string | undefined> => {
      const { serving, clock, model, last } = device();
      serving.serve({
        ...model,
        async *answer() {
          yield { kind: 'begun', prompt_tokens: 2 };
          yield* events;
        },
      });
      serving.hear(asked(1));
      await clock.pass(100);
      assert.equal(serving.running, 0);
      return last('answer-failed')?.code ?? last('answer-ended')?.reason;
    };
    const { token_text, call_arguments, calls } = SERVE_LIMITS;
    const most = [...Array<AnswerEvent>(calls).fill(call(call_arguments)), end(' '.repeat(token_text))];
    assert.equal(await told(most), 'stop');
    assert.equal(await told([call(2), ...most]), 'too-large');
    assert.equal(await told([call(call_arguments + 1), end('')]), 'too-large');
    assert.equal(await told([end(' '.repeat(token_text + 1))]), 'too-large');
  });

  test('a hub that asks twice for one lease, or for thousands, gets no more than was offered', async () => {
    const { serving, clock } = device();
    for (let n = 0; n < 2000; n++) {
      serving.hear(asked(n % 1000));
      serving.hear({ type: 'answer-stop', lease: lease(5000 + n), why: 'nothing' });
    }
    assert.equal(serving.running, 2);
    serving.close();
    await clock.pass(100);
    assert.equal(serving.running, 0);
  });

  test('serves another model while it ends what it writes with the one before', async () => {
    const { serving, clock, model, last, sent } = device();
    serving.hear(asked(1, { ...REQUEST, max_tokens: 20 }));
    await clock.pass(35);
    serving.serve({ ...model, hash: 'cd'.repeat(32) });
    const offers = sent.filter((one) => one.type === 'offer').slice(-2);
    assert.deepEqual(
      offers.map((offer) => [offer.model.slice(0, 2), offer.places]),
      [
        ['ab', 0],
        ['cd', 1],
      ],
    );
    await clock.pass(500);
    assert.equal(last('answer-ended')?.written_tokens, 20);
  });

  test('judges what another one wrote, one at a time, and tells what it found', async () => {
    const { serving, clock, last, sent } = device();
    const task = { ids: [3, 4, 99], reason: 'cut' };
    serving.hear(toJudge(1, task, { ...REQUEST, written: [0, 1, 2] }));
    serving.hear(toJudge(2, task));
    const full = last('answer-failed')!;
    assert.deepEqual([full.lease, full.code], [lease(2), 'no-room']);
    assert.equal(sent.filter(({ type }) => type === 'offer').length, 1, 'judging takes no place from callers');
    await clock.pass(100);
    assert.deepEqual(last('judged'), {
      ...{ type: 'judged', lease: lease(1), prompt_tokens: 2, flaw: null, draws: 3, differing: 1, impossible: 0 },
      ...{ margin: 1, end_margin: 0, logprob_distance: null },
    });
    for (const bad of [{ ids: [-1], reason: 'cut' }, { ids: [1] }, {}]) {
      serving.hear(toJudge(3, bad));
      assert.equal(last('answer-failed')?.code, 'bad-input');
    }
    serving.hear({ ...toJudge(4, task), model: 'cd'.repeat(32) } as ToServingPeer);
    assert.deepEqual([last('answer-failed')?.lease, last('answer-failed')?.code], [lease(4), 'leaving']);
  });

  test('gives judging up for an answer that needs the place, for its owner, and when nobody waits for the verdict', async () => {
    const { serving, clock, last, tokens } = device({ places: 1 });
    const task = { ids: [0, 1], reason: 'cut' };
    serving.hear(toJudge(1, task));
    serving.hear(asked(2, { ...REQUEST, max_tokens: 3 }));
    await clock.pass(200);
    assert.deepEqual([last('answer-failed')?.lease, last('answer-failed')?.code], [lease(1), 'no-room']);
    assert.equal(tokens(2).length, 3);
    serving.hear(toJudge(3, task));
    serving.pause();
    assert.deepEqual([last('answer-failed')?.lease, last('answer-failed')?.code], [lease(3), 'leaving']);
    await clock.pass(100);
    serving.resume();
    serving.hear(toJudge(4, task));
    serving.hear({ type: 'answer-stop', lease: lease(4), why: 'late' });
    await clock.pass(100);
    serving.hear(toJudge(5, task));
    serving.away();
    await clock.pass(100);
    assert.equal(last('judged'), undefined);
    assert.equal(last('answer-failed')?.lease, lease(3));
    serving.welcome();
    serving.hear(toJudge(6, task));
    const closed = serving.close();
    await clock.pass(100);
    await closed;
    assert.equal(last('judged'), undefined);
  });
});

describe('a device that asks to be paid', () => {
  const PRICE = { price_in: 1_000_000, price_out: 3_000_000 };
  const pay = { gateway: 'c'.repeat(64), request: 'd'.repeat(64), part: 2, salt: new Uint8Array(32).fill(9), ...PRICE };
  const paid = (n: number, request: object = REQUEST): ToServingPeer =>
    ({ ...asked(n, request), pay }) as ToServingPeer;
  const claims = (sent: readonly FromServingPeer[]) =>
    sent.flatMap((one) => (one.type === 'answer-claim' ? [openClaim(one.claim)] : []));

  test('signs what it has sent every two seconds and at the end, with the salt of the hub and its own price', async () => {
    const { serving, clock, sent } = device({ gap_ms: 100, price: PRICE });
    serving.hear(paid(1, { ...REQUEST, max_tokens: 50 }));
    await clock.pass(5200);
    const [first, second, last, ...more] = claims(sent);
    assert.deepEqual([first.output_tokens, second.output_tokens, last.output_tokens, more], [20, 40, 50, []]);
    const ids = Array.from({ length: 50 }, (_, i) => i);
    const { device: by, ...said } = last;
    assert.equal(by, person(7).id);
    const { salt, price_in: _in, price_out: _out, ...about } = pay;
    assert.deepEqual(said, {
      ...{ type: 'answer.claimed', version: 1, ...about, model: HASH, quantisation: 'f32', input_tokens: 2 },
      ...{ output_tokens: 50, answer: answerHash(salt, ids), earns_micro: 2 + 150 },
    });
    // Every token that a claim is of was sent before it.
    const at = sent.findIndex(({ type }) => type === 'answer-claim');
    const before = sent.slice(0, at).flatMap((one) => (one.type === 'answer-tokens' ? unpackTokens(one.packed) : []));
    assert.ok(before.length >= 20);
  });

  test('claims the prompt only where it has written the first token', async () => {
    const { serving, clock, sent } = device({ price: PRICE });
    serving.hear(paid(1, { ...REQUEST, written: [0, 1], max_tokens: 5 }));
    await clock.pass(100);
    assert.deepEqual(
      claims(sent).map(({ input_tokens, output_tokens, earns_micro }) => [input_tokens, output_tokens, earns_micro]),
      [[0, 3, 9]],
    );
  });

  test('whose answer nobody wants any more signs for what the hub took, and whose owner is back for what it has sent', async () => {
    const { serving, clock, sent } = device({ gap_ms: 10, price: PRICE });
    serving.hear(paid(1));
    await clock.pass(300);
    serving.hear({ type: 'answer-stop', lease: lease(1), why: 'caller-gone', took: 4 });
    await clock.pass(50);
    assert.deepEqual(
      claims(sent).map(({ output_tokens }) => output_tokens),
      [4],
    );
    serving.hear(paid(2));
    await clock.pass(300);
    serving.pause();
    await clock.pass(50);
    const [, last, ...more] = claims(sent);
    const written = sent.flatMap((one) =>
      one.type === 'answer-tokens' && one.lease === lease(2) ? unpackTokens(one.packed) : [],
    );
    assert.deepEqual([last.output_tokens, more.length], [written.length, 0]);
  });

  test('says nothing of what it wrote over a connection that is lost', async () => {
    const { serving, clock, sent } = device({ gap_ms: 10, price: PRICE });
    serving.hear(paid(1));
    await clock.pass(300);
    serving.away();
    serving.welcome();
    await clock.pass(50);
    assert.deepEqual(claims(sent), []);
  });

  test('does not write at a price that it has not offered', () => {
    const { serving, last } = device({ price: PRICE });
    serving.hear({ ...asked(1), pay: { ...pay, price_out: 1 } } as ToServingPeer);
    assert.deepEqual([last('answer-failed')?.code, serving.running], ['unpaid', 0]);
  });

  test('tells its owner once that nobody pays it', () => {
    const { serving, problems } = device({ price: PRICE });
    const refused = { type: 'offer-refused', model: HASH, code: 'nobody-pays', message: 'nobody' } as const;
    for (let i = 0; i < 3; i++) serving.hear(refused);
    assert.deepEqual(problems, ['nobody-pays nobody']);
  });

  test('writes nothing for a hub that does not say who pays', async () => {
    const { serving, last } = device({ price: PRICE });
    serving.hear(asked(1));
    assert.equal(last('answer-failed')?.code, 'unpaid');
    assert.equal(serving.running, 0);
  });
});
