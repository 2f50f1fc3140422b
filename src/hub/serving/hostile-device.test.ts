// Devices that do not keep to the form of answers: each is told what is wrong, gets no other answer, and its caller hears only what is right.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { packTokens, type TokenRow } from '../../protocol/serving-bytes.ts';
import type { FromServingPeer } from '../../protocol/serving-from-peer.ts';
import { ask, type FakeDevice, type Habits, PoolWorld, wholeText } from './testing/pool-world.ts';

type Tokens = Extract<FromServingPeer, { readonly type: 'answer-tokens' }>;

/** A device that changes the message with its fifth token, or any other that the test picks. */
function changing(change: (message: Tokens) => readonly FromServingPeer[], at = 4): Partial<Habits> {
  return {
    ...{ gap_ms: 20, first_ms: 30 },
    twist: (message) => (message.type === 'answer-tokens' && message.from === at ? change(message) : [message]),
  };
}

const row = (more: Partial<Record<0 | 1 | 2 | 3 | 4, unknown>> = {}): TokenRow =>
  Object.assign([7, 'x', false, null, []] as TokenRow, more);
const packed = (...rows: TokenRow[]): { packed: Uint8Array } => ({ packed: packTokens(rows) });

/** What a device may do wrong, and what it is told. */
const WRONGS: Record<
  string,
  { readonly change: (message: Tokens) => readonly FromServingPeer[]; readonly told: RegExp }
> = {
  'sends its tokens twice': { change: (message) => [message, message], told: /tokens from 4, expected 5/ },
  'leaves a token out': { change: (message) => [{ ...message, from: 5 }], told: /tokens from 5, expected 4/ },
  'sends tokens out of order': { change: (message) => [{ ...message, from: 0 }], told: /tokens from 0, expected 4/ },
  'sends bytes that are no tokens': {
    change: (message) => [{ ...message, packed: new Uint8Array(2000).fill(0x9f) }],
    told: /cannot be read/,
  },
  'sends tokens of another shape': {
    change: (message) => [{ ...message, ...packed(row({ 1: 5 })) }],
    told: /cannot be read/,
  },
  'sends none': { change: (message) => [{ ...message, ...packed() }], told: /cannot be read/ },
  'sends logprobs that nobody asked for': {
    change: (message) => [{ ...message, ...packed(row({ 3: [7, new Uint8Array(1), -1] })) }],
    told: /nobody asked for/,
  },
  "sends a prompt's token in the answer": {
    change: (message) => [{ ...message, ...packed(row({ 2: true })) }],
    told: /out of its place/,
  },
  'writes more than was asked for': {
    change: (message) => [{ ...message, ...packed(...Array.from({ length: 17 }, () => row())) }],
    told: /more than 20 tokens/,
  },
  'begins twice': {
    change: ({ lease }) => [{ type: 'answer-begun', lease, prompt_tokens: 3 }],
    told: /begins twice/,
  },
  'takes it twice': { change: ({ lease }) => [{ type: 'answer-taken', lease }], told: /taken twice/ },
  'ends it by length before that': {
    change: ({ lease }) => [
      { type: 'answer-ended', lease, text: '', reason: 'length', end_id: null, written_tokens: 4 },
    ],
    told: /by length after 4 of 20/,
  },
  'ends it after tokens that never came': {
    change: ({ lease }) => [{ type: 'answer-ended', lease, text: '', reason: 'stop', end_id: null, written_tokens: 9 }],
    told: /after 9 tokens, 4 have come/,
  },
};

/** How many answers it was asked for. */
const asked = ({ heard }: FakeDevice): number => heard.filter(({ type }) => type === 'answer').length;

describe('a device that', () => {
  for (const [what, { change, told }] of Object.entries(WRONGS)) {
    test(`${what} is told so, is not asked again, and another one goes on`, async () => {
      const world = new PoolWorld();
      const liar = world.device(changing(change));
      const reading = world.read();
      world.device({ gap_ms: 60 });
      const { text, events } = await world.clock.run(reading);
      const isLie = what === 'writes more than was asked for';
      // What it had written before is judged by those who judge answers; what is of another form never reaches the caller.
      if (!isLie) assert.equal(text, wholeText(ask()));
      assert.equal(events.filter(({ kind }) => kind === 'token').length, 20);
      assert.ok(liar.refused.length > 0 && told.test(liar.refused[0]), liar.refused.join());
      liar.offer(4);
      await world.clock.run(world.read());
      assert.equal(asked(liar), 1, 'it gets no other answer');
    });
  }

  test('says another number of prompt tokens than the one before it does not go on', async () => {
    const world = new PoolWorld();
    const first = world.device({ gap_ms: 20, first_ms: 30 });
    await world.clock.run(world.read());
    const liar = world.device({
      twist: (message) => [message.type === 'answer-begun' ? { ...message, prompt_tokens: 4 } : message],
    });
    const reading = world.read(ask(), {
      onEvent: (event) => {
        if (event.kind === 'token' && event.position === 8) {
          first.die();
          world.clock.setTimeout(() => world.device(), 300);
        }
      },
    });
    assert.equal((await world.clock.run(reading)).text, wholeText(ask()));
    assert.ok(liar.heard.some((one) => one.type === 'answer-stop' && one.why === 'other-count'));
  });

  test('begins with a false number of prompt tokens, and leaves, takes no trust from those who would go on', async () => {
    const world = new PoolWorld();
    const liar = world.device({
      twist: (message) =>
        message.type !== 'answer-begun'
          ? [message]
          : [
              { ...message, prompt_tokens: 4 },
              { type: 'answer-failed', lease: message.lease, code: 'leaving', message: '' },
            ],
    });
    const reading = world.read().catch(({ code }) => code);
    const honest = [1, 2].map(() => world.device());
    await world.clock.pass(1000);
    liar.die();
    for (const { peer, heard, refused } of honest) {
      const { doubted, leases } = world.pool.fleet().rows.find(({ device }) => device === peer)!;
      assert.ok(heard.some(({ type }) => type === 'answer'));
      assert.deepEqual([refused, doubted, leases], [[], false, 0]);
    }
    assert.equal(await world.clock.run(reading), 'interrupted');
    assert.equal((await world.clock.run(world.read())).text, wholeText(ask()));
  });

  test('counts more tokens of a prompt than it can have is refused before its caller pays for them', async () => {
    const world = new PoolWorld();
    const liar = world.device({
      offer: { context_tokens: 1e7 },
      twist: (message) => [message.type === 'answer-begun' ? { ...message, prompt_tokens: 5000 } : message],
    });
    const reading = world.read();
    world.device();
    const { events } = await world.clock.run(reading);
    assert.deepEqual(events[0], { kind: 'begun', prompt_tokens: 3 });
    assert.match(liar.refused[0], /a prompt of 5000 tokens, of 4099 at most/);
  });

  test("speaks for a lease of another device, or for one that never was, changes nothing of anybody's answer", async () => {
    const world = new PoolWorld();
    const honest = world.device();
    const thief = world.device({ gap_ms: 900 });
    const reading = world.read(ask(), {
      onEvent: (event) => {
        if (event.kind !== 'token' || event.position !== 8) return;
        const given = [...honest.heard, ...thief.heard].find(({ type }) => type === 'answer');
        const lease = given?.type === 'answer' ? given.lease : '';
        for (const one of [lease, 'f'.repeat(16)]) {
          const other = asked(honest) > 0 ? thief : honest;
          other.say({ type: 'answer-tokens', lease: one, from: 5, ...packed(row()) });
          other.say({ type: 'answer-ended', lease: one, text: 'bad', reason: 'stop', end_id: null, written_tokens: 5 });
          other.say({ type: 'answer-failed', lease: one, code: 'leaving', message: '' });
          assert.equal(other.refused.length, 3);
          assert.match(other.refused[0], /expected one of this device's/);
          other.refused.length = 0;
        }
      },
    });
    assert.equal((await world.clock.run(reading)).text, wholeText(ask()));
  });

  test('answers after its lease has ended is heard by nobody, and when it does not stop it is told so', async () => {
    const world = new PoolWorld();
    let late = '';
    const device = world.device({
      gap_ms: 20,
      twist: (message) => {
        if (message.type === 'answer-ended') late = message.lease;
        return [message];
      },
    });
    await world.clock.run(world.read());
    const more: FromServingPeer = { type: 'answer-tokens', lease: late, from: 20, ...packed(row()) };
    for (let i = 0; i < 64; i++) device.say(more);
    assert.deepEqual(device.refused, [], 'they may have been on their way');
    for (let i = 0; i < 10; i++) device.say(more);
    assert.equal(device.refused.length, 10);
  });

  test('offers what the hub does not know, or counts requests that it never got, is refused', async () => {
    const world = new PoolWorld();
    const unknown = world.device({ offer: { model: 'f'.repeat(64) } });
    const [refusal] = unknown.heard;
    assert.ok(refusal.type === 'offer-refused' && refusal.code === 'unknown-model');
    const ahead = world.device({ offer: { heard: 1 } });
    assert.match(ahead.refused[0], /heard 1 requests, 0 were sent/);
    await assert.rejects(world.read(), { code: 'unknown-model' });
  });

  test('drips holds no lease: another one goes on, and it gets no answer while others are free', async () => {
    const world = new PoolWorld();
    const honest = world.device({ gap_ms: 300 });
    for (let i = 0; i < 3; i++) await world.clock.run(world.read());
    honest.offer(0);
    const drip = world.device({ gap_ms: 850, first_ms: 100 }); // within three times what is usual
    const begun_ms = world.clock.elapsed_ms();
    const reading = world.read(ask({ max_tokens: 60 }));
    await world.clock.pass(1000);
    honest.offer(4);
    assert.equal((await world.clock.run(reading)).text, wholeText(ask({ max_tokens: 60 })));
    const took_ms = world.clock.elapsed_ms() - begun_ms;
    assert.ok(took_ms < 60 * 850 * 0.8, `the caller has waited ${took_ms} ms`);
    assert.equal(asked(drip), 1);
    for (let i = 0; i < 3; i++) await world.clock.run(world.read());
    assert.equal(asked(drip), 1);
  });

  test('says anything at all: the pool refuses it or goes on, and never fails', () => {
    const lease = fc.constantFrom('0'.repeat(16), '0100000001000000', 'f'.repeat(16));
    const small = fc.nat({ max: 30 });
    const anything: fc.Arbitrary<FromServingPeer> = fc.oneof(
      fc.record({ type: fc.constant('answer-taken' as const), lease }),
      fc.record({ type: fc.constant('answer-begun' as const), lease, prompt_tokens: small }),
      fc.record({
        type: fc.constant('answer-tokens' as const),
        lease,
        from: small,
        packed: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(packTokens([row()]))),
      }),
      fc.record({
        ...{ type: fc.constant('answer-ended' as const), lease, text: fc.string({ maxLength: 5 }) },
        ...{
          reason: fc.constantFrom('stop' as const, 'length' as const),
          written_tokens: small,
          end_id: fc.constantFrom(null, 7),
        },
      }),
      fc.record({
        ...{ type: fc.constant('answer-failed' as const), lease, message: fc.string({ maxLength: 5 }) },
        code: fc.constantFrom('leaving', 'no-room', 'bad-input', 'nonsense'),
      }),
    );
    const drawn = fc.asyncProperty(fc.array(anything, { maxLength: 20 }), async (words) => {
      const world = new PoolWorld();
      world.device({ gap_ms: 70 });
      const liar = world.device({ gap_ms: 10, first_ms: 10, twist: () => [] });
      const reading = world.read();
      for (const [i, word] of words.entries()) world.clock.setTimeout(() => liar.say(word), 5 * i);
      const { events } = await world.clock.run(reading);
      assert.equal(events.at(-1)?.kind, 'ended');
    });
    return fc.assert(drawn, { numRuns: 150 });
  });
});
