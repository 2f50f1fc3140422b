// Callers of one process are answered by devices at others, as by its own: whoever dies, moves or lies, and whatever the bus loses.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { FromServingPeer } from '../../protocol/serving-from-peer.ts';
import type { AnswerEvent } from '../../serving/answers.ts';
import { ANY_DEVICE } from '../serving/caller.ts';
import { paidWorld, ticket } from '../serving/testing/paid-world.ts';
import { ask, type FakeDevice, PoolWorld, textOf, wholeText } from '../serving/testing/pool-world.ts';
import { LINK_LIMITS } from './links.ts';
import { ServingWorld } from './testing/serving-world.ts';

/** Links are dialled, and offers have come. */
const SOON_MS = 1000;
/** A process that is gone is known to be. */
const GONE_MS = LINK_LIMITS.silence_ms + 2 * LINK_LIMITS.beat_ms;

async function setUp(seed = 0) {
  const world = new PoolWorld();
  const cluster = new ServingWorld(world, seed);
  const fronts = [cluster.front('one'), cluster.front('two')];
  const gateway = cluster.gateway('gateway');
  const { clock } = world;
  return { world, cluster, clock, one: fronts[0], two: fronts[1], gateway, soon: () => clock.pass(SOON_MS) };
}
const asked = (device: FakeDevice): number => device.heard.filter(({ type }) => type === 'answer').length;
/** Calls back once, when the caller reads the ninth token. */
const inTheMiddle =
  (act: () => void) =>
  (event: AnswerEvent): void => {
    if (event.kind === 'token' && event.position === 3 + 8) act();
  };

describe('a device at another process', () => {
  test('writes what callers ask, and a pool knows it as it knows its own', async () => {
    const { world, one, clock, soon, cluster } = await setUp();
    const device = world.device({}, undefined, one);
    await soon();
    assert.deepEqual(
      world.pool.fleet().rows.map(({ places }) => places),
      [4],
    );
    const { text } = await clock.run(world.read());
    assert.equal(text, wholeText(ask()));
    await soon();
    assert.deepEqual([asked(device), device.writing, device.refused, cluster.errors], [1, 0, [], []]);
    // Who came before the gateway did is known to it, too; who goes is not any more.
    const late = cluster.gateway('late', cluster.pool());
    await soon();
    assert.equal(late.pool.fleet().devices, 1);
    device.die();
    await soon();
    assert.deepEqual([late.pool.fleet().devices, world.pool.fleet().devices], [0, 0]);
  });

  test('stops when its caller goes, and hears it over the bus', async () => {
    const { world, one, clock, soon } = await setUp();
    const device = world.device({}, undefined, one);
    await soon();
    const stop = new AbortController();
    const onEvent = inTheMiddle(() => stop.abort(new Error('gone')));
    await assert.rejects(clock.run(world.read(ask(), { signal: stop.signal, onEvent })), /gone/);
    await soon();
    assert.deepEqual([device.writing, device.heard.at(-1)?.type], [0, 'answer-stop']);
  });

  test('is one of all: when its process is killed in mid-answer, another goes on, and it stays away until it comes elsewhere', async () => {
    const { world, one, two, clock, soon } = await setUp();
    const device = world.device({ gap_ms: 20, first_ms: 50 }, undefined, one);
    await soon();
    await clock.run(world.read());
    const other = world.device({}, undefined, two);
    await soon();
    const onEvent = inTheMiddle(() => one.kill());
    const { text, events } = await clock.run(world.read(ask(), { onEvent }));
    assert.equal(text, wholeText(ask()));
    assert.equal(events.filter(({ kind }) => kind === 'begun').length, 1);
    assert.deepEqual([asked(device), asked(other)], [2, 1]);
    await clock.pass(GONE_MS);
    assert.equal(world.pool.fleet().devices, 1, 'its device is not offered any more');
    const again = world.device({}, device.peer, two);
    await soon();
    assert.equal(world.pool.fleet().devices, 2);
    other.die();
    await soon();
    assert.equal((await clock.run(world.read())).text, wholeText(ask()));
    assert.equal(asked(again), 1);
  });

  test('that moves to another front end in mid-answer goes on there', async () => {
    const { world, one, two, clock, soon } = await setUp();
    const device = world.device({}, undefined, one);
    await soon();
    let moved: FakeDevice | null = null;
    const onEvent = inTheMiddle(() => {
      device.die();
      moved = world.device({}, device.peer, two);
    });
    const { text } = await clock.run(world.read(ask(), { onEvent }));
    assert.equal(text, wholeText(ask()));
    assert.equal(asked(moved!), 1);
  });

  test('stops what it writes for a gateway that is killed, and has room for others', async () => {
    const { world, one, clock, soon, cluster } = await setUp();
    const device = world.device({ places: 1, gap_ms: 500 }, undefined, one);
    const other = cluster.gateway('other', cluster.pool());
    await soon();
    const onEvent = inTheMiddle(() => {
      assert.equal(other.pool.fleet().rows[0].places, 0, 'the other pool knows that its place is taken');
      cluster.engine.gone('gateway');
    });
    world.read(ask({ max_tokens: 40 }), { onEvent }).catch(() => {});
    await clock.pass(500 * 10 + GONE_MS);
    assert.deepEqual(
      [device.writing, device.heard.at(-1)],
      [0, { type: 'answer-stop', lease: leaseOf(device), why: 'gateway-gone' }],
    );
    await soon();
    const events: AnswerEvent[] = [];
    const reading = (async () => {
      for await (const event of other.pool.serverFor(ANY_DEVICE).answer(ask(), new AbortController().signal)) {
        events.push(event);
      }
    })();
    await clock.run(reading);
    assert.equal(textOf(events), wholeText(ask()));
    assert.deepEqual(device.refused, []);
  });

  test('gets no more requests than it takes, of all gateways together', async () => {
    const { world, one, clock, soon, cluster } = await setUp();
    const other = cluster.gateway('other', cluster.pool());
    const device = world.device({ places: 2, gap_ms: 100 }, undefined, one);
    await soon();
    const first = world.read();
    await clock.pass(200);
    const places = (): number[] => [world.pool, other.pool].map((pool) => pool.fleet().rows[0].places);
    assert.deepEqual(places(), [1, 1]);
    const elsewhere = other.pool.serverFor(ANY_DEVICE);
    const second = (async () => {
      const events: AnswerEvent[] = [];
      for await (const event of elsewhere.answer(ask(), new AbortController().signal)) events.push(event);
      return textOf(events);
    })();
    await clock.pass(200);
    assert.deepEqual(places(), [0, 0]);
    await assert.rejects(clock.run(world.read()), { code: 'no-room' });
    assert.equal((await clock.run(first)).text, wholeText(ask()));
    assert.equal(await clock.run(second), wholeText(ask()));
    await soon();
    assert.deepEqual([places(), device.refused, device.writing], [[2, 2], [], 0]);
  });

  test('that does not keep to the form of answers is told so by its front end; what it says of leases that it never had is refused there', async () => {
    const { world, one, clock, soon, cluster } = await setUp();
    const twist = (message: FromServingPeer): FromServingPeer[] =>
      message.type === 'answer-tokens' && message.from === 4 ? [message, message] : [message];
    const liar = world.device({ gap_ms: 20, first_ms: 30, twist }, undefined, one);
    await soon();
    const answer = world.read().catch((error) => error);
    await clock.pass(200);
    const honest = world.device({}, undefined, one);
    assert.equal((await clock.run(answer)).text, wholeText(ask()));
    assert.match(liar.refused[0], /answer-tokens: tokens from 4, expected 5/);
    assert.equal(asked(honest), 1);
    honest.say({ type: 'answer-taken', lease: '0123456789abcdef' });
    honest.say({ ...OFFER, heard: 7 });
    await soon();
    assert.match(honest.refused[0], /expected one of this device's/);
    assert.match(honest.refused[1], /heard 7 requests, 1 were sent/);
    // Of a lease of another device, too.
    liar.say({ type: 'answer-failed', lease: leaseOf(honest), code: 'leaving', message: '' });
    await soon();
    assert.match(liar.refused.at(-1)!, /expected one of this device's/);
    assert.deepEqual(cluster.errors, []);
  });

  test('answers, though the bus loses messages: all of it comes, or the caller hears that it does not', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 1, max: 60 }), async (seed, permille) => {
        const { world, one, two, clock, soon, cluster } = await setUp(seed);
        const devices = [one, two, one].map((at) => world.device({ places: 8 }, undefined, at));
        await soon();
        Object.assign(cluster.engine.weather, { lost_permille: permille, jitter_ms: 5 });
        for (let n = 0; n < 3; n++) {
          const read: AnswerEvent[] = [];
          const error = await clock.run(world.read(ask(), { onEvent: (event) => void read.push(event) })).then(
            () => null,
            (error) => error,
          );
          const got = textOf(read);
          assert.equal(got, wholeText(ask()).slice(0, got.length));
          if (error) assert.ok(['interrupted', 'no-room', 'unknown-model'].includes(error.code), error.message);
          else assert.equal(got, wholeText(ask()));
        }
        cluster.engine.weather.lost_permille = 0;
        await clock.pass(30_000);
        assert.equal(world.pool.fleet().devices, 3);
        assert.deepEqual(
          devices.map(({ writing, refused }) => [writing, refused.length]),
          Array(3).fill([0, 0]),
        );
        assert.equal((await clock.run(world.read())).text, wholeText(ask()));
        assert.deepEqual(cluster.errors, []);
      }),
      { numRuns: 8 },
    );
  });
});

describe('an answer that is paid, of devices at other processes', () => {
  test('pays each of them for the tokens that the caller got, once, also where a front end is killed', async () => {
    const { world, device, added, receipts } = await paidWorld(1_000_000);
    const cluster = new ServingWorld(world);
    const [one, two] = [cluster.front('one'), cluster.front('two')];
    cluster.gateway('gateway');
    const first = device({ gap_ms: 20, first_ms: 50, claim_tokens: 8 }, one);
    await world.clock.pass(SOON_MS);
    await world.clock.run(world.read(ask(), { ticket: ticket() }));
    const others = [device({}, two), device({}, two)]; // of which one judges what the other writes
    await world.clock.pass(SOON_MS);
    assert.deepEqual(
      added.map(({ input_tokens, output_tokens }) => [input_tokens, output_tokens]),
      [[3, 20]],
    );
    const { text } = await world.clock.run(
      world.read(ask(), { ticket: ticket(), onEvent: inTheMiddle(() => one.kill()) }),
    );
    assert.equal(text, wholeText(ask()));
    await world.clock.pass(30_000);
    const [, ...parts] = added;
    const of = (who: FakeDevice) => parts.filter(({ device }) => device === who.peer);
    assert.deepEqual([parts.length, of(first).length, others.flatMap(of).length], [2, 1, 1]);
    const [lost] = of(first);
    assert.deepEqual([lost.part, lost.input_tokens, lost.output_tokens], [0, 3, 8], 'what it had signed');
    const [rest] = others.flatMap(of);
    assert.deepEqual([rest.part, rest.input_tokens], [1, 0]);
    assert.ok(rest.output_tokens > 0 && rest.output_tokens <= 20 - 9, 'no token is paid twice');
    const spent = added.reduce((sum, { charge_micro }) => sum + charge_micro, 0);
    await world.clock.pass(1);
    assert.equal(receipts.available(added[0].caller), 1_000_000 - spent, 'nothing stays held');
  });
});

const OFFER: Extract<FromServingPeer, { type: 'offer' }> = {
  ...{ type: 'offer', model: 'ab'.repeat(32), quantisation: 'f32', engine: 'own', class: 'own cpu' },
  ...{ context_tokens: 4096, free_tokens: 1e6, places: 4, chat: false, tools: false, heard: 0 },
  ...{ price_in: 0, price_out: 0, region: null },
};
const leaseOf = ({ heard }: FakeDevice): string =>
  heard.flatMap((message) => (message.type === 'answer' ? [message.lease] : [])).at(-1)!;

test('a gateway uses the devices of its own region while they have room, those of its own process too, and then the others', async () => {
  const world = new PoolWorld();
  const cluster = new ServingWorld(world);
  const south = cluster.front('south', 'south');
  const unsaid = cluster.front('unsaid', null);
  const north = cluster.front('north', 'north');
  const here = cluster.gateway('gateway', world.pool, 'north');
  const places = { places: 1 };
  const away = [world.device(places, undefined, south), world.device(places, undefined, unsaid)];
  const own = [world.device(places, undefined, north), world.device(places, undefined, here)];
  await world.clock.pass(SOON_MS);
  const reading = [];
  for (const expected of [1, 2, 2, 2]) {
    reading.push(world.read());
    await world.clock.pass(150);
    assert.equal(
      own.reduce((sum, device) => sum + asked(device), 0),
      expected,
    );
  }
  assert.deepEqual(away.map(asked), [1, 1]);
  for (const one of reading) assert.equal((await world.clock.run(one)).text, wholeText(ask()));
});
