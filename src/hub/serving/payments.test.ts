// Who pays whom for an answer: every token that the caller got is paid once, nobody pays more than was held, and what a device only says is not believed.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type AnswerReceipt, answerHash } from '../../protocol/answer-receipt.ts';
import { packTokens, type TokenRow, unpackTokens } from '../../protocol/serving-bytes.ts';
import type { FromServingPeer } from '../../protocol/serving-from-peer.ts';
import type { ToServingPeer } from '../../protocol/serving-messages.ts';
import { bindingOf, hashOf, person } from '../../protocol/testing/example-receipt.ts';
import type { AnswerEvent } from '../../serving/answers.ts';
import { PAYMENT_LIMITS } from './payments.ts';
import { CALLER, HUB, OWNER, PRICES, paidWorld, ticket } from './testing/paid-world.ts';
import { ask, type Claimed, idAt, wholeText } from './testing/pool-world.ts';

const PLENTY = 1_000_000;
/** Of the example answer: three tokens read, twenty written. */
const WHOLE_MICRO = 3 * 2 + 20 * 5;
const parts = (added: readonly AnswerReceipt[]): (number | string)[][] =>
  added.map(({ part, input_tokens, output_tokens, charge_micro }) => [part, input_tokens, output_tokens, charge_micro]);

describe('an answer that is paid', () => {
  test('costs its caller what its device asks, and the receipt is of the very tokens', async () => {
    const { world, device, added, receipts } = await paidWorld(PLENTY);
    device();
    const paying = ticket();
    const { text } = await world.clock.run(world.read(ask(), { ticket: paying }));
    await world.clock.pass(1);
    assert.equal(text, wholeText(ask()));
    assert.deepEqual(parts(added), [[0, 3, 20, WHOLE_MICRO]]);
    const [{ caller, request, gateway, device: by, answer }] = added;
    assert.deepEqual([caller, request, gateway, by], [CALLER, paying.request, HUB.id, person(10).id]);
    const ids = Array.from({ length: 20 }, (_, i) => idAt('s', 3 + i));
    assert.equal(answer, answerHash(paying.salt, ids));
    assert.equal(receipts.available(CALLER), PLENTY - WHOLE_MICRO, 'nothing stays held');
    assert.equal(world.watched!.paying(), 0);
  });

  test('gives holders and gateway their thousandths on top, and holders of no run none', async () => {
    const { world, device, added } = await paidWorld(PLENTY, {
      split: { holders_permille: 100, gateway_permille: 50 },
    });
    device();
    await world.clock.run(world.read(ask(), { ticket: ticket() }));
    await world.clock.pass(1);
    const [{ earns_micro, holders_micro, gateway_micro }] = added;
    assert.deepEqual(
      [earns_micro, holders_micro, gateway_micro],
      [WHOLE_MICRO, 0, Math.ceil((WHOLE_MICRO * 50) / 950)],
      'the price that is listed, of which the gateway has its thousandths',
    );
  });

  test('of a device that asks nothing has no receipt and needs no credit; one that asks gets nothing from whoever pays nothing', async () => {
    const { world, device, added } = await paidWorld(0);
    const free = device({ offer: {} });
    const asking = device();
    await world.clock.run(world.read(ask(), { ticket: ticket() }));
    await world.clock.run(world.read(ask()));
    assert.deepEqual([added.length, asking.heard.filter(({ type }) => type === 'answer').length], [0, 0]);
    assert.ok(free.heard.every((message) => message.type !== 'answer' || message.pay === undefined));
    free.die();
    for (const one of [{}, { ticket: ticket() }]) {
      await assert.rejects(world.clock.run(world.read(ask(), one)), { code: 'no-credit' });
    }
  });

  test('is refused before anybody writes where the account has too little, and held while it is written', async () => {
    const { world, device, receipts } = await paidWorld(600);
    device();
    const most = ask({ max_tokens: 90 });
    const error = await world.clock.run(world.read(most, { ticket: ticket() }).catch((error) => error));
    assert.equal(error.code, 'no-credit');
    assert.match(error.message, /can spend 0\.0006 credits, and this answer may cost 0\.00065 credits/);
    const reading = world.read(ask(), { ticket: ticket() });
    await world.clock.pass(300);
    const rounding_micro = 64 * PAYMENT_LIMITS.rounding_micro;
    assert.equal(receipts.available(CALLER), 600 - WHOLE_MICRO - rounding_micro);
    // A second one is refused while the first is written.
    const again = ask({ max_tokens: 30 });
    await assert.rejects(world.clock.run(world.read(again, { ticket: ticket() })), { code: 'no-credit' });
    await world.clock.run(reading);
  });

  test('goes to cheaper devices where the dearest cost more than there is', async () => {
    const { world, device, added } = await paidWorld(500);
    const dear = device({ offer: { price_in: 2_000_000, price_out: 50_000_000 } });
    device();
    await world.clock.run(world.read(ask(), { ticket: ticket() }));
    await world.clock.pass(1000);
    const asked = dear.heard.filter(({ type }) => type === 'answer').length;
    assert.deepEqual([parts(added), asked], [[[0, 3, 20, WHOLE_MICRO]], 0]);
  });

  test('is not written by a device that this log does not know, which could not be paid', async () => {
    const { world } = await paidWorld(PLENTY);
    const stranger = person(99);
    world.device({ identity: stranger, offer: PRICES }, stranger.id);
    await assert.rejects(world.clock.run(world.read(ask(), { ticket: ticket() })), { code: 'unknown-model' });
  });
});

describe('a device that asks to be paid and cannot be', () => {
  const told = (device: { heard: readonly ToServingPeer[] }): string[] =>
    device.heard.flatMap((one) => (one.type === 'offer-refused' ? [one.code] : []));

  test('is told so once, until it asks nothing; its row says why it gets no requests', async () => {
    const { world, device, sequencer } = await paidWorld(PLENTY);
    const [bound, free] = [device(), device({ offer: {} })];
    const stranger = world.device({ identity: person(41), offer: PRICES }, person(41).id);
    stranger.offer();
    const late = person(42);
    const vouched = world.device({ identity: late, offer: PRICES }, late.id);
    await world.clock.pass(1000);
    await sequencer.submit(await bindingOf(OWNER, late));
    assert.deepEqual(told(stranger), [], 'its owner may be about to');
    await world.clock.pass(10_000);
    assert.deepEqual([bound, free, stranger, vouched].map(told), [[], [], ['not-bound'], []]);
    const unpaid = (of: { peer: string }) => world.pool.fleet().rows.find((row) => row.device === of.peer)!.unpaid;
    assert.deepEqual([bound, free, stranger].map(unpaid), [null, null, 'not-bound']);
    const [refusal] = stranger.heard.filter((one) => one.type === 'offer-refused');
    assert.match(refusal.message, /no request comes to it/);
  });

  test('because its hub charges nobody hears that, and not that its owner has said nothing', async () => {
    const { world, device } = await paidWorld(PLENTY, { charges: false });
    const [asking, free] = [device(), device({ offer: {} })];
    assert.deepEqual([asking, free].map(told), [['nobody-pays'], []]);
    assert.deepEqual(
      world.pool
        .fleet()
        .rows.map(({ price_in, unpaid }) => [price_in > 0, unpaid])
        .sort(),
      [
        [false, null],
        [true, 'nobody-pays'],
      ],
    );
  });
});

describe('a device that does not write to the end', () => {
  test('is paid by its last claim where it was killed, and the next one for the rest: the prompt is paid once', async () => {
    const { world, device, added } = await paidWorld(PLENTY);
    const first = device({ claim_tokens: 5 });
    let tokens = 0;
    const onEvent = (event: AnswerEvent): void => {
      if (event.kind === 'token' && ++tokens === 13) {
        first.die();
        device();
      }
    };
    const { text } = await world.clock.run(world.read(ask(), { ticket: ticket(), onEvent }));
    await world.clock.pass(1);
    assert.equal(text, wholeText(ask()));
    // It signs every five tokens: three were delivered and never claimed.
    assert.deepEqual(parts(added), [
      [0, 3, 10, 6 + 50],
      [1, 0, 7, 35],
    ]);
  });

  test('is paid to the token where its owner came back, and where the caller has gone', async () => {
    for (const how of ['leave', 'gone'] as const) {
      const { world, device, added, receipts } = await paidWorld(PLENTY);
      const first = device();
      const leaving = new AbortController();
      let tokens = 0;
      const onEvent = (event: AnswerEvent): void => {
        if (event.kind !== 'token' || ++tokens !== 13) return;
        if (how === 'gone') leaving.abort(new Error('gone'));
        else {
          first.leave();
          device();
        }
      };
      const read = world.read(ask(), { ticket: ticket(), onEvent, signal: leaving.signal });
      await world.clock.run(read.catch(() => {}));
      await world.clock.pass(1);
      assert.deepEqual(parts(added)[0], [0, 3, 13, 6 + 65], how);
      const all = how === 'gone' ? 71 : WHOLE_MICRO;
      assert.equal(receipts.available(CALLER), PLENTY - all);
    }
  });

  test('and signs nothing is not paid, and its caller not charged', async () => {
    const { world, device, added, receipts } = await paidWorld(PLENTY);
    device({ claim: () => null });
    await world.clock.run(world.read(ask(), { ticket: ticket() }));
    assert.ok(receipts.available(CALLER) < PLENTY, 'it has some time to sign');
    await world.clock.pass(PAYMENT_LIMITS.last_claim_ms + 1);
    assert.deepEqual([added.length, receipts.available(CALLER), world.watched!.paying()], [0, PLENTY, 0]);
  });

  test('of two that wrote at once, only the one that the caller read is paid', async () => {
    const { world, device, added } = await paidWorld(PLENTY);
    device();
    await world.clock.run(world.read(ask({ max_tokens: 1 }), { ticket: ticket() }));
    await world.clock.pass(1);
    added.length = 0;
    device({ first_ms: 1200 });
    device({ first_ms: 1200 });
    const slow = world.device({ identity: person(10), offer: PRICES, first_ms: 1500 }, person(10).id);
    const found = await world.clock.run(world.read(ask(), { ticket: ticket() }));
    await world.clock.pass(PAYMENT_LIMITS.last_claim_ms + 1);
    assert.equal(found.text, wholeText(ask()));
    assert.equal(
      added.reduce((sum, { output_tokens }) => sum + output_tokens, 0),
      20,
    );
    assert.equal(
      added.reduce((sum, { charge_micro }) => sum + charge_micro, 0),
      WHOLE_MICRO,
    );
    assert.ok(slow);
  });
});

describe('a claim', () => {
  const LIES: readonly [string, (claim: Claimed) => Claimed][] = [
    ['of more than its price', (claim) => ({ ...claim, earns_micro: claim.earns_micro + 1 })],
    ['of less', (claim) => ({ ...claim, earns_micro: claim.earns_micro - 1 })],
    ['of tokens that the hub has not got', (claim) => ({ ...claim, output_tokens: claim.output_tokens + 1 })],
    ['of a longer prompt', (claim) => ({ ...claim, input_tokens: claim.input_tokens + 1 })],
    ['of another answer', (claim) => ({ ...claim, answer: hashOf('other') })],
    ['of another request', (claim) => ({ ...claim, request: hashOf('other') })],
    ['of another part', (claim) => ({ ...claim, part: claim.part + 1 })],
    ['for another gateway', (claim) => ({ ...claim, gateway: person(2).id })],
    ['of another model', (claim) => ({ ...claim, model: hashOf('other') })],
    ['of another quantisation', (claim) => ({ ...claim, quantisation: 'q8_0' })],
  ];

  test('that says what the hub has not seen ends the lease, is not paid, and its device gets nothing for a while', async () => {
    for (const [what, lie] of LIES) {
      const { world, device, added } = await paidWorld(PLENTY);
      const liar = device({ claim: lie, claim_tokens: 5 });
      let tokens = 0;
      const onEvent = (event: AnswerEvent): void => {
        if (event.kind === 'token' && ++tokens === 3) device();
      };
      const { text } = await world.clock.run(world.read(ask(), { ticket: ticket(), onEvent }));
      await world.clock.pass(PAYMENT_LIMITS.last_claim_ms + 1);
      assert.equal(text, wholeText(ask()), what);
      assert.match(liar.refused[0] ?? '', /^answer-claim: /, what);
      assert.ok(
        added.every(({ device: by }) => by !== liar.peer),
        what,
      );
      assert.equal(world.pool.fleet().rows.find(({ device: of }) => of === liar.peer)!.doubted, true, what);
    }
  });

  test('is of its device alone: nobody is paid for what another key has signed', async () => {
    const { world, device, added } = await paidWorld(PLENTY);
    const thief = world.device({ identity: person(10), offer: PRICES, claim_tokens: 5 }, person(11).id);
    let tokens = 0;
    const onEvent = (event: AnswerEvent): void => {
      if (event.kind === 'token' && ++tokens === 3) device();
    };
    await world.clock.run(world.read(ask(), { ticket: ticket(), onEvent }));
    await world.clock.pass(130_000); // until no judge can refuse it
    assert.match(thief.refused.join(), /device: expected/);
    assert.deepEqual(parts(added), [[1, 0, 15, 75]]);
  });

  test('counts once, however often it is said, and not after its part is paid', async () => {
    const { world, device, added } = await paidWorld(PLENTY);
    const one = device();
    await world.clock.run(world.read(ask(), { ticket: ticket() }));
    await world.clock.pass(1);
    const lease = one.heard.find((message) => message.type === 'answer')!;
    assert.ok(lease.type === 'answer');
    for (let i = 0; i < 3; i++) await one.sign(lease.lease);
    await world.clock.pass(1);
    assert.deepEqual([added.length, one.refused], [1, []]);
  });

  test('said again before its part is paid counts once; that of an earlier answer says nothing of the next one', async () => {
    const { world, device, added, receipts } = await paidWorld(PLENTY);
    let earlier: Claimed | null = null;
    let replays = false;
    const claim = (one: Claimed): Claimed => {
      earlier ??= one;
      return replays ? earlier : one;
    };
    const one = device({ claim });
    let tokens = 0;
    const onEvent = (event: AnswerEvent): void => {
      if (event.kind !== 'token' || ++tokens !== 9) return;
      const lease = one.heard.find((message) => message.type === 'answer')!;
      for (let i = 0; i < 2; i++) void one.sign(lease.type === 'answer' ? lease.lease : '');
    };
    await world.clock.run(world.read(ask(), { ticket: ticket(), onEvent }));
    await world.clock.pass(1);
    assert.deepEqual([parts(added), one.refused], [[[0, 3, 20, WHOLE_MICRO]], []]);
    replays = true;
    const second = world.read(ask(), { ticket: ticket(), onEvent: () => {} }).catch(() => {});
    await world.clock.run(second);
    await world.clock.pass(PAYMENT_LIMITS.last_claim_ms + 1);
    assert.match(one.refused[0], /^answer-claim: request: expected/);
    assert.deepEqual([added.length, receipts.available(CALLER)], [1, PLENTY - WHOLE_MICRO]);
  });

  test("that was on its way when the lease ended is nobody's fault: its device signs again for what was taken", async () => {
    const { world, device, added } = await paidWorld(PLENTY);
    let late = false;
    let silent = true;
    const hasty = device({
      claim_tokens: 50,
      claim: (claim) => (silent ? null : claim),
      twist: (message) => {
        // Its last tokens come when the lease is over.
        if (message.type === 'answer-tokens' && message.from >= 10) late = true;
        return message.type === 'answer-tokens' && late ? [] : [message];
      },
    });
    const leaving = new AbortController();
    const reading = world.read(ask(), { ticket: ticket(), signal: leaving.signal }).catch(() => {});
    await world.clock.pass(100 + 13 * 50 - 20);
    const { lease } = hasty.heard.find((message) => message.type === 'answer')!;
    leaving.abort(new Error('gone'));
    await world.clock.pass(1);
    silent = false;
    await hasty.sign(lease); // for what it had written, when it did not know yet how much of that was taken
    await hasty.sign(lease, 10);
    await world.clock.run(reading);
    await world.clock.pass(1);
    assert.deepEqual([parts(added), hasty.refused], [[[0, 3, 10, 56]], []]);
  });

  test('comes as often as devices sign, and not more', async () => {
    const { world, device, added } = await paidWorld(PLENTY);
    const eager = device({ claim_tokens: 1, gap_ms: 5 });
    const reading = world.read(ask({ max_tokens: 40 }), { ticket: ticket() });
    await world.clock.pass(400);
    device();
    await world.clock.run(reading);
    await world.clock.pass(PAYMENT_LIMITS.last_claim_ms + 1);
    assert.match(eager.refused[0] ?? '', /faster than one a second/);
    assert.ok(added.every(({ device: by }) => by !== eager.peer));
  });
});

describe('what judges say', () => {
  test('decides whether a part is paid: it waits for them, and whoever is refused gets nothing', async () => {
    for (const isHonest of [true, false]) {
      const { world, device, added, receipts } = await paidWorld(PLENTY);
      const paying = ticket();
      const sent: number[] = [];
      const twist = (message: FromServingPeer): FromServingPeer[] => {
        if (message.type !== 'answer-tokens' || isHonest) return [message];
        const rows = unpackTokens(message.packed).map(([id, ...rest]): TokenRow => [id ^ 1, ...rest]);
        sent.push(...rows.map(([id]) => id));
        return [{ ...message, packed: packTokens(rows) }];
      };
      const claim = (one: Claimed): Claimed =>
        isHonest ? one : { ...one, answer: answerHash(paying.salt, sent.slice(0, one.output_tokens)) };
      device({ twist, claim });
      const reading = world.read(ask(), { ticket: paying });
      for (const owner of ['a', 'b']) world.owners.set(device({ judge_ms: 500 }).peer, owner);
      await world.clock.run(reading);
      await world.clock.pass(100);
      assert.equal(added.length, 0, 'it waits for its verdict');
      assert.equal(receipts.available(CALLER), PLENTY - WHOLE_MICRO, 'what it may cost stays held, and no more');
      await world.clock.pass(2000);
      assert.deepEqual(world.judgings, [isHonest ? 'accepted' : 'refused']);
      assert.deepEqual(parts(added), isHonest ? [[0, 3, 20, WHOLE_MICRO]] : []);
      assert.equal(receipts.available(CALLER), isHonest ? PLENTY - WHOLE_MICRO : PLENTY);
    }
  });
});

test('a hub that closes pays what was claimed until then', async () => {
  const { world, device, added } = await paidWorld(PLENTY);
  device({ claim_tokens: 5 });
  const reading = world.read(ask(), { ticket: ticket() }).catch((error) => error);
  await world.clock.pass(700);
  await world.pool.close();
  assert.equal((await world.clock.run(reading)).code, 'interrupted');
  assert.deepEqual(parts(added), [[0, 3, 10, 56]]);
});

test('whatever devices do, no caller pays more than was held, and no token is paid twice', async () => {
  const moments = fc.array(fc.record({ at: fc.nat(30), what: fc.constantFrom('die', 'leave', 'freeze', 'come') }), {
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(moments, fc.integer({ min: 1, max: 40 }), fc.nat(45), async (happenings, max_tokens, gone_at) => {
      const { world, device, added, problems } = await paidWorld(PLENTY);
      const here = [device(), device()];
      const leaving = new AbortController();
      let tokens = 0;
      const onEvent = (event: AnswerEvent): void => {
        if (event.kind !== 'token') return;
        if (++tokens === gone_at) leaving.abort(new Error('gone'));
        for (const { at, what } of happenings) {
          if (at !== tokens) continue;
          if (what === 'come' && here.length < 4) here.push(device());
          const one = here.find(({ writing }) => writing > 0);
          if (what === 'die') one?.die();
          if (what === 'leave') one?.leave();
          if (what === 'freeze' && one) one.frozen = true;
        }
      };
      const request = ask({ max_tokens });
      const options = { ticket: ticket(), onEvent, signal: leaving.signal };
      await world.clock.run(world.read(request, options).catch(() => {}));
      await world.clock.pass(130_000);
      const written = added.reduce((sum, { output_tokens }) => sum + output_tokens, 0);
      assert.ok(written <= Math.max(tokens, gone_at === 0 ? tokens : tokens + 1), `${written} of ${tokens} are paid`);
      const paid_micro = added.reduce((sum, { charge_micro }) => sum + charge_micro, 0);
      assert.ok(paid_micro <= 6 + 5 * max_tokens);
      assert.ok(added.filter(({ input_tokens }) => input_tokens > 0).length <= 1);
      assert.deepEqual([problems, world.watched!.paying()], [[], 0]);
    }),
    { numRuns: 25 },
  );
});
