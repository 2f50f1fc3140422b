// The pool with devices that die, freeze, drip and lie: the caller gets one stream, the same as from one undisturbed device, or an honest error.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { AnswerEvent } from '../../serving/answers.ts';
import { STREAM_LIMITS } from './answer-stream.ts';
import { ANY_DEVICE, type Caller } from './caller.ts';
import { ask, type FakeDevice, NAME, PoolWorld, textOf, wholeText } from './testing/pool-world.ts';

/** The error that a promise rejects with. */
const failureOf = (promise: Promise<unknown>): Promise<{ code: string; message: string; details: object }> =>
  promise.then(
    () => assert.fail('expected an error'),
    (error) => error,
  );

describe('an answer of the pool', () => {
  test('comes from one device as it writes it, in order', async () => {
    const world = new PoolWorld();
    const device = world.device();
    const { events, text } = await world.clock.run(world.read());
    assert.equal(text, wholeText(ask()));
    assert.deepEqual(events[0], { kind: 'begun', prompt_tokens: 3 });
    const positions = events.flatMap((event) => (event.kind === 'token' ? [event.position] : []));
    assert.deepEqual(
      positions,
      Array.from({ length: 20 }, (_, i) => 3 + i),
    );
    const end = events.at(-1)!;
    assert.ok(end.kind === 'ended' && end.reason === 'length' && end.written_tokens === 20);
    assert.equal(device.writing, 0);
  });

  test('of a device that is killed in the middle goes on elsewhere with the same text, and the prompt is not echoed twice', async () => {
    for (const echo of [false, true]) {
      const world = new PoolWorld();
      const first = world.device({ gap_ms: 20, first_ms: 50 });
      await world.clock.run(world.read()); // it is known to be fast, so that it is the one that is asked
      world.device();
      let tokens = 0;
      const onEvent = (event: AnswerEvent): void => {
        if (event.kind === 'token' && !event.echoed && ++tokens === 9) first.die();
      };
      const request = ask({ echo });
      const { events, text } = await world.clock.run(world.read(request, { onEvent }));
      assert.equal(text, wholeText(request));
      assert.equal(events.filter((event) => event.kind === 'token' && event.echoed).length, echo ? 3 : 0);
      assert.equal(events.filter(({ kind }) => kind === 'begun').length, 1);
    }
  });

  test('of a device that stops half-way, and whose socket stays open, goes on elsewhere; what the device says later does no harm', async () => {
    const world = new PoolWorld();
    const first = world.device({ gap_ms: 20, first_ms: 50 });
    await world.clock.run(world.read());
    world.device();
    const begun_ms = world.clock.elapsed_ms();
    const onEvent = (event: AnswerEvent): void => {
      if (event.kind === 'token' && event.position === 8) first.frozen = true;
    };
    const { text } = await world.clock.run(world.read(ask(), { onEvent }));
    assert.equal(text, wholeText(ask()));
    assert.ok(world.clock.elapsed_ms() - begun_ms < 4000);
    first.frozen = false;
    await world.clock.pass(5000);
    assert.deepEqual(first.refused, []);
    assert.equal(first.writing, 0, 'it has heard that nobody waits for it');
  });

  test('in a conversation comes from a device that takes part in them; where none does, it is refused as the model list says', async () => {
    const world = new PoolWorld();
    const plain = world.device();
    const talk = (more: object = {}) =>
      ask({
        prompt: {
          ...{ kind: 'chat', messages: [{ role: 'user', content: 'hi' }], tools: [], tool_choice: 'auto' },
          ...{ parallel_tool_calls: true, ...more },
        },
      });
    const capabilities = () =>
      world.pool
        .serverFor(ANY_DEVICE)
        .models()
        .map(({ chat, tools }) => [chat, tools])[0];
    assert.deepEqual(capabilities(), [false, false]);
    const nobody = await failureOf(world.clock.run(world.read(talk())));
    assert.equal(nobody.code, 'unsupported');
    assert.match(nobody.message, /the devices that offer poems now do not take part in conversations/);
    const talker = world.device({ offer: { chat: true } });
    assert.deepEqual(capabilities(), [true, false]);
    for (let n = 0; n < 4; n++) assert.equal((await world.clock.run(world.read(talk()))).events.at(-1)?.kind, 'ended');
    assert.equal(talker.heard.filter(({ type }) => type === 'answer').length, 4);
    assert.deepEqual(plain.heard, []);

    const rows = () => world.pool.fleet().rows.map(({ chat, tools }) => `${chat} ${tools}`);
    assert.deepEqual(rows().sort(), ['false false', 'true false'], 'each row says what its device does');

    const tools = [{ name: 'look', parameters: {} }];
    const told = [{ role: 'tool', content: 'rain', tool_call_id: 'a' }];
    for (const more of [{ tools }, { messages: told }]) {
      const refused = await failureOf(world.clock.run(world.read(talk(more))));
      assert.deepEqual([refused.code, /do not call tools/.test(refused.message)], ['unsupported', true]);
    }
    await world.clock.run(world.read(talk({ tools, tool_choice: 'none' })));
    const caller = world.device({ offer: { chat: true, tools: true } });
    await world.clock.run(world.read(talk({ tools })));
    assert.equal(caller.heard.filter(({ type }) => type === 'answer').length, 1);
  });

  test('is asked for where its prompt may not fit, too: only the device knows how many tokens a text has', async () => {
    const world = new PoolWorld();
    const long = ask({ prompt: { kind: 'text', text: 'x'.repeat(40) }, max_tokens: 5 });
    world.device({ offer: { context_tokens: 24 } });
    assert.equal((await world.clock.run(world.read(long))).text, wholeText(long));
    const larger = world.device();
    for (let n = 0; n < 3; n++) await world.clock.run(world.read(long));
    assert.equal(larger.heard.filter(({ type }) => type === 'answer').length, 3, 'where it is likelier to fit');
  });

  test('that no socket of a device takes is refused as too large', async () => {
    const world = new PoolWorld();
    world.device();
    const long = ask({ prompt: { kind: 'text', text: 'é'.repeat(600_000) } });
    assert.equal((await failureOf(world.clock.run(world.read(long)))).code, 'too-large');
  });

  test('is handed over at once when the owner of a device returns', async () => {
    const world = new PoolWorld();
    const first = world.device({ gap_ms: 20, first_ms: 50 });
    await world.clock.run(world.read());
    const second = world.device();
    const onEvent = (event: AnswerEvent): void => {
      if (event.kind === 'token' && event.position === 8) first.leave();
    };
    const { text } = await world.clock.run(world.read(ask(), { onEvent }));
    assert.equal(text, wholeText(ask()));
    assert.ok(second.heard.some(({ type }) => type === 'answer'));
    assert.equal(first.writing, 0);
  });

  test('whatever devices die, freeze, leave or come: every answer is whole and the same, as long as one stays', async () => {
    const fate = fc.record({
      gap_ms: fc.integer({ min: 5, max: 400 }),
      first_ms: fc.integer({ min: 10, max: 800 }),
      after_ms: fc.integer({ min: 0, max: 4000 }),
      what: fc.constantFrom('die', 'freeze', 'leave', 'stay'),
      comes_ms: fc.integer({ min: 0, max: 2000 }),
    });
    const asked = fc.array(
      fc.record({
        seed: fc.constantFrom('a', 'bb', 'ccc'),
        max_tokens: fc.integer({ min: 1, max: 40 }),
        echo: fc.boolean(),
        at_ms: fc.integer({ min: 0, max: 1500 }),
      }),
      { minLength: 1, maxLength: 4 },
    );
    const drawn = fc.asyncProperty(fc.array(fate, { maxLength: 6 }), asked, async (fates, asks) => {
      const world = new PoolWorld();
      world.device({ places: 8, gap_ms: 100 });
      for (const { comes_ms, after_ms, what, gap_ms, first_ms } of fates) {
        world.clock.setTimeout(() => {
          const device: FakeDevice = world.device({ gap_ms, first_ms });
          world.clock.setTimeout(() => {
            if (what === 'die') device.die();
            if (what === 'leave') device.leave();
            if (what === 'freeze') device.frozen = true;
          }, after_ms);
        }, comes_ms);
      }
      const reads = asks.map(async ({ seed, at_ms, ...more }) => {
        await new Promise<void>((resolve) => void world.clock.setTimeout(resolve, at_ms));
        const request = ask({ ...more, sampling: { ...ask().sampling, seed } });
        const { text, events } = await world.read(request);
        assert.equal(text, wholeText(request));
        assert.equal(events.filter((event) => event.kind === 'token').length, more.max_tokens + (more.echo ? 3 : 0));
      });
      const all = Promise.all(reads);
      // A frozen device looks again every 100 ms for ever, so time may not run out.
      await world.clock.run(all);
    });
    await fc.assert(drawn, { numRuns: 60 });
  });

  test('is hedged where the pool is idle: the second device writes it, the first is stopped', async () => {
    const world = new PoolWorld();
    const slow = world.device({ first_ms: 20_000 });
    await world.clock.pass(10);
    const reading = world.read();
    await world.clock.pass(10);
    const other = world.device();
    assert.equal((await world.clock.run(reading)).text, wholeText(ask()));
    assert.ok(other.heard.some(({ type }) => type === 'answer'));
    await world.clock.pass(100);
    const stop = slow.heard.find(({ type }) => type === 'answer-stop');
    assert.ok(stop?.type === 'answer-stop' && stop.why === 'not-needed', JSON.stringify(stop));
  });

  test('goes to the device that has shown to be fast, and with a prompt that begins alike to the one that has read it', async () => {
    const world = new PoolWorld();
    const slow = world.device({ gap_ms: 400, first_ms: 900 });
    await world.clock.run(world.read());
    const fast = world.device({ gap_ms: 10, first_ms: 20 });
    slow.leave();
    await world.clock.run(world.read());
    slow.offer(4);
    const asked = (device: FakeDevice) => device.heard.filter(({ type }) => type === 'answer').length;
    const before = asked(fast);
    for (let i = 0; i < 3; i++) await world.clock.run(world.read());
    assert.equal(asked(fast), before + 3);
    const twin = world.device({ gap_ms: 10, first_ms: 20 });
    fast.leave();
    const long = ask({ prompt: { kind: 'ids', ids: Array.from({ length: 900 }, (_, i) => i) }, max_tokens: 4 });
    slow.leave();
    await world.clock.run(world.read(long)); // the twin reads it, for want of another
    fast.offer(4);
    const [fast_before, twin_before] = [asked(fast), asked(twin)];
    for (let i = 0; i < 3; i++) await world.clock.run(world.read(long));
    assert.deepEqual([asked(fast) - fast_before, asked(twin) - twin_before], [0, 3]);
  });
});

describe('a caller of the pool', () => {
  test('is refused at once where no device has room, with a time to come again', async () => {
    const world = new PoolWorld();
    world.device({ places: 1, gap_ms: 100 });
    const first = world.read();
    await world.clock.pass(500);
    const before_ms = world.clock.elapsed_ms();
    const { code, details } = await failureOf(world.read());
    assert.equal(code, 'no-room');
    assert.equal(world.clock.elapsed_ms(), before_ms, 'no time has passed');
    assert.ok((details as { retry_after_ms: number }).retry_after_ms >= 250);
    assert.equal((await failureOf(world.read(ask({ model: 'other' })))).code, 'unknown-model');
    await world.clock.run(first);
  });

  test('is refused by free tokens, not only by places', async () => {
    const world = new PoolWorld();
    world.device({ offer: { free_tokens: 22 } });
    assert.equal((await failureOf(world.read())).code, 'no-room');
    world.device({ offer: { free_tokens: 24 } });
    assert.equal((await world.clock.run(world.read())).text, wholeText(ask()));
  });

  test('that goes away stops the device within a token', async () => {
    const world = new PoolWorld();
    const device = world.device();
    const gone = new AbortController();
    const reading = world.read(ask({ max_tokens: 1000 }), {
      signal: gone.signal,
      onEvent: (event) => event.kind === 'token' && event.position === 9 && gone.abort(new Error('gone')),
    });
    assert.equal((await failureOf(world.clock.run(reading))).message, 'gone');
    assert.equal(device.writing, 0);
    assert.equal(device.heard.filter(({ type }) => type === 'answer-stop').length, 1);
    // One that only stops reading does the same.
    const server = world.pool.serverFor(ANY_DEVICE);
    const broken = (async () => {
      for await (const event of server.answer(ask({ max_tokens: 1000 }), new AbortController().signal)) {
        if (event.kind === 'token') return;
      }
    })();
    await world.clock.run(broken);
    assert.equal(device.writing, 0);
  });

  test('that does not read holds no device, and finds the rest of the answer when it reads on', async () => {
    const world = new PoolWorld();
    const device = world.device({ gap_ms: 1 });
    const request = ask({ max_tokens: 1500 });
    const events: AnswerEvent[] = [];
    const stream = world.pool.serverFor(ANY_DEVICE).answer(request, new AbortController().signal);
    const iterator = stream[Symbol.asyncIterator]();
    events.push((await world.clock.run(iterator.next())).value);
    await world.clock.pass(30_000);
    assert.equal(device.writing, 0, 'the device is free');
    const reading = (async () => {
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) events.push(next.value);
    })();
    await world.clock.run(reading);
    assert.equal(textOf(events), wholeText(request));
    const asked = device.heard.filter(({ type }) => type === 'answer').length;
    assert.ok(asked > 1 && asked <= 2 + 1500 / (STREAM_LIMITS.waiting_events - STREAM_LIMITS.read_again_events));
  });

  test('who trusts only named owners: no other device ever sees the request', async () => {
    const world = new PoolWorld();
    const [mine, stranger, revoked] = [world.device({ gap_ms: 300 }), world.device({ gap_ms: 5 }), world.device()];
    world.owners.set(mine.peer, 'me').set(stranger.peer, 'somebody').set(revoked.peer, null);
    const caller: Caller = { ...ANY_DEVICE, owners: new Set(['me', 'friend']) };
    assert.equal((await world.clock.run(world.read(ask(), { caller }))).text, wholeText(ask()));
    const cut = world.read(ask(), {
      caller,
      onEvent: (event) => event.kind === 'token' && event.position === 6 && mine.die(),
    });
    assert.equal((await failureOf(world.clock.run(cut))).code, 'interrupted');
    for (const other of [stranger, revoked]) assert.deepEqual(other.heard, []);
    assert.equal((await failureOf(world.read(ask(), { caller }))).code, 'unknown-model');
    assert.deepEqual(world.pool.serverFor(caller).models(), []);
    assert.deepEqual(
      world.pool
        .serverFor(ANY_DEVICE)
        .models()
        .map(({ name }) => name),
      [NAME, `${NAME}@1`],
    );
  });

  test('who names a price gets no dearer device, and of equally fast ones the cheapest', async () => {
    const world = new PoolWorld();
    const dear = world.device({ offer: { price_out: 500 } });
    const cheap = world.device({ offer: { price_out: 100 } });
    const caller: Caller = { ...ANY_DEVICE, most_price: 99 };
    assert.equal((await failureOf(world.read(ask(), { caller }))).code, 'unknown-model');
    await world.clock.run(world.read());
    const wasAsked = ({ heard }: FakeDevice): boolean => heard.some(({ type }) => type === 'answer');
    assert.deepEqual([wasAsked(dear), wasAsked(cheap)], [false, true]);
  });

  test('hears of it in the stream when the hub goes down, after all tokens that had come', async () => {
    const world = new PoolWorld();
    const device = world.device();
    const events: AnswerEvent[] = [];
    const reading = world.read(ask({ max_tokens: 500 }), {
      onEvent: (event) => {
        events.push(event);
        if (events.length === 7) world.pool.close();
      },
    });
    const error = await failureOf(world.clock.run(reading));
    assert.equal(error.code, 'interrupted');
    assert.match(error.message, /the hub goes down/);
    assert.ok(wholeText(ask({ max_tokens: 500 })).startsWith(textOf(events)) && events.length >= 7);
    assert.equal(device.writing, 0);
    assert.equal((await failureOf(world.read())).code, 'interrupted');
  });

  test('is told what is wrong with the request when two devices say so, not when one does', async () => {
    const refuse = (message: { type: string; lease?: string }) =>
      message.type === 'answer-begun'
        ? [{ type: 'answer-failed', lease: message.lease!, code: 'bad-input', message: 'no such token' } as const]
        : message.type === 'offer' || message.type === 'answer-taken'
          ? [message as never]
          : [];
    const world = new PoolWorld();
    world.device({ twist: refuse });
    const honest = world.device({ gap_ms: 60 });
    assert.equal((await world.clock.run(world.read())).text, wholeText(ask()));
    honest.die();
    world.device({ twist: refuse });
    assert.equal((await failureOf(world.clock.run(world.read()))).code, 'bad-input');
  });
});

describe('the fleet', () => {
  test('is what was measured: who writes, how fast, how many leases went well, and nothing of what is asked', async () => {
    const world = new PoolWorld();
    const [fast, slow] = [world.device({ gap_ms: 20 }), world.device({ offer: { region: 'eu', price_out: 7 } })];
    assert.deepEqual(
      world.pool.fleet().rows.map(({ tokens_per_second, leases, name }) => [tokens_per_second, leases, name]),
      [
        [null, 0, NAME],
        [null, 0, NAME],
      ],
    );
    let seen: ReturnType<typeof world.pool.fleet> | null = null;
    const onEvent = (event: AnswerEvent): void => {
      if (event.kind === 'token' && event.position === 8) seen ??= world.pool.fleet();
    };
    for (let i = 0; i < 2; i++) await world.clock.run(world.read(ask(), { onEvent }));
    const writing = seen!.rows.filter((row) => row.writing > 0);
    assert.ok(seen!.answers === 1 && writing.length >= 1 && writing[0].places < 4, JSON.stringify(seen));
    const { rows, answers, devices } = world.pool.fleet();
    assert.deepEqual([answers, devices], [0, 2]);
    const measured = rows.find(({ device }) => device === fast.peer)!;
    assert.ok(measured.leases > 0 && measured.well > 0 && Math.round(measured.tokens_per_second!) > 20);
    const other = rows.find(({ device }) => device === slow.peer)!;
    assert.deepEqual([other.region, other.price_out, other.writing], ['eu', 7, 0]);
    fast.die();
    assert.deepEqual(
      world.pool.fleet().rows.map(({ device }) => device),
      [slow.peer],
    );
  });
});
