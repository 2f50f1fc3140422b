// Events that may not follow, or are none: each is refused by name, over WebSocket and HTTP, and leaves no trace in the log.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EventBody } from '../src/core/events.ts';
import { mergedList } from '../src/core/rounds/merged-list.ts';
import { EXAMPLE_WORDS } from '../src/core/testing/example-events.ts';
import { trainingFor } from '../src/owner/run-settings.ts';
import { encodeBody, signEvent } from '../src/protocol/envelope.ts';
import { sha256Hex } from '../src/protocol/hash.ts';
import type { Identity } from '../src/protocol/identity.ts';
import { type RunStatus, WIRE_LIMITS } from '../src/protocol/messages.ts';
import { untilStatus } from './network.ts';
import { ESSENTIALS, firstModel, hubUnderTest, joined, left, MODEL } from './raw-hub.ts';

const net = hubUnderTest();

/** An event around a body that signEvent would not make, its signature right. */
async function signRaw(
  author: Identity,
  body: Uint8Array,
  change: (event: Uint8Array) => void = () => {},
): Promise<Uint8Array> {
  const prefix = new TextEncoder().encode('potluck-event-v1\0');
  const signed = new Uint8Array(prefix.length + body.length);
  signed.set(prefix);
  signed.set(body, prefix.length);
  const signature = await author.sign(signed);
  const head =
    body.length < 24
      ? [0x40 | body.length]
      : body.length < 256
        ? [0x58, body.length]
        : [0x59, body.length >> 8, body.length & 255];
  const event = Uint8Array.from([
    0x84,
    1,
    0x58,
    32,
    ...Buffer.from(author.id, 'hex'),
    ...head,
    ...body,
    0x58,
    64,
    ...signature,
  ]);
  change(event);
  return event;
}

describe('events', () => {
  const evaluated = {
    type: 'model.evaluated',
    version: 2,
    merged_rounds: 0,
    model: firstModel,
    measured: { loss_micro: 5 },
  };
  const encoded = (more: Record<string, unknown>) =>
    encodeBody({ ...evaluated, run: net.gathering, ...more } as EventBody);
  const float = (): Uint8Array => {
    // loss_micro: 5 becomes the half float 1.5: f9 3e00.
    const body = encoded({});
    const at = Buffer.from(body).indexOf('loss_micro') + 'loss_micro'.length;
    return Uint8Array.from([...body.subarray(0, at), 0xf9, 0x3e, 0x00, ...body.subarray(at + 1)]);
  };
  const cases: [string, () => Promise<Uint8Array>, string, RegExp][] = [
    [
      'with a wrong signature',
      () => signRaw(net.vera, encoded({}), (event) => event.set([event.at(-1)! ^ 1], event.length - 1)),
      'bad-signature',
      /signature/,
    ],
    [
      'in the name of another',
      () => signRaw(net.vera, encoded({}), (event) => event.set(Buffer.from(net.ada.id, 'hex'), 4)),
      'bad-signature',
      /signature/,
    ],
    ['of an unknown type', () => signRaw(net.vera, encoded({ type: 'coin.minted' })), 'malformed', /type/],
    [
      'of an older version',
      () => signRaw(net.vera, encoded({ version: 1 })),
      'unknown-version',
      /^an older Potluck wrote this model\.evaluated: its version is 1, and this Potluck knows 2$/,
    ],
    [
      'of an unknown envelope',
      () => signRaw(net.vera, encoded({}), (event) => event.set([7], 1)),
      'unknown-version',
      /expected version 1, got 7/,
    ],
    ['with a fraction', () => signRaw(net.vera, float()), 'forbidden-value', /fraction/],
    ['with a field too many', () => signRaw(net.vera, encoded({ note: 'hi' })), 'malformed', /note/],
    [
      'with a field missing',
      () => signRaw(net.vera, encodeBody({ type: 'model.evaluated', version: 2, run: net.gathering })),
      'malformed',
      /merged_rounds/,
    ],
    ['that are nothing', async () => new Uint8Array(300), 'malformed', /event/],
    [
      'of the hub’s clock',
      () => signEvent(net.vera, { type: 'tick', version: 1, time_ms: 2 ** 50 }),
      'not-yours',
      /written by the hub/,
    ],
    [
      'that merge a round',
      () =>
        signEvent(net.vera, {
          type: 'round.merged',
          version: 2,
          run: net.working,
          round: 0,
          attempt: 0,
          ...mergedList([]),
          model: firstModel,
          bundle: null,
          checkpoint: false,
        }),
      'not-yours',
      /written by the hub/,
    ],
    [
      'that open a round',
      () => signEvent(net.vera, { type: 'round.opened', version: 1, run: net.gathering, round: 0, attempt: 0 }),
      'not-yours',
      /written by the hub/,
    ],
    [
      'that send somebody else away',
      () => signEvent(net.vera, left(net.working, net.ada.id, 0)),
      'not-the-hub',
      /signed by the peer itself/,
    ],
    [
      'that pause another’s run',
      () => signEvent(net.vera, { type: 'run.paused', version: 1, run: net.working, round: 0, attempt: 0 }),
      'not-the-owner',
      /only the owner/,
    ],
    ['of a run whose settings were never uploaded', () => signEvent(net.vera, runWith({})), 'missing-blob', /uploaded/],
    [
      'of a run of an unknown game',
      () => signEvent(net.vera, runWith({ game: 'roulette' })),
      'unknown-game',
      /roulette/,
    ],
    [
      'of a run whose game is a path',
      () => signEvent(net.vera, runWith({ game: '../hub/hub' })),
      'unknown-game',
      /this build has no game/,
    ],
  ];
  const { schedule } = trainingFor({ ...ESSENTIALS, min_workers: 1 });
  const base = {
    type: 'run.created',
    version: 3,
    ...EXAMPLE_WORDS,
    name: 'r',
    game: 'pretrain',
    params: 'e'.repeat(64),
    created_ms: 0,
  };
  const runWith = (more: Record<string, unknown>): EventBody =>
    ({ ...base, ...schedule, model: firstModel, ...more }) as EventBody;

  for (const [name, make, code, message] of cases) {
    test(name, () =>
      net.unharmed(async () => {
        const event = await make();
        const raw = await net.hello(net.vera, net.gathering, 'validator');
        const answer = await raw.event(event);
        assert.ok(answer.type === 'refused', JSON.stringify(answer));
        assert.equal(answer.code, code);
        assert.match(answer.message, message);
        raw.socket.close();
        const overHttp = await net.post(event);
        assert.equal(overHttp.status, 400);
        assert.ok(overHttp.message);
      }),
    );
  }

  test('over their size', () =>
    net.unharmed(async () => {
      const { status, code } = await net.post(new Uint8Array(WIRE_LIMITS.event_bytes + 1));
      assert.deepEqual([status, code], [413, 'too-large']);
    }));

  test('of runs whose settings or model are not what the game needs', () =>
    net.unharmed(async () => {
      const text = (value: string) => new TextEncoder().encode(value);
      const create = async (params: Uint8Array, model = firstModel) => {
        await net.put(params);
        return net.post(await signEvent(net.vera, runWith({ params: sha256Hex(params), model })));
      };
      assert.equal((await create(text('no JSON'))).code, 'bad-params');
      assert.equal((await create(text('{"batch": 1e9}'))).code, 'bad-params');
      const fitting = text(
        JSON.stringify({
          model: { ...MODEL, vocab_size: 300 },
          dataset: firstModel,
          batch: 1,
          context: 2,
          inner_steps: 1,
          learning_rate: 0.1,
          min_learning_rate: 0.1,
          warmup_steps: 0,
        }),
      );
      const other = await create(fitting);
      assert.equal(other.code, 'wrong-weights');
      assert.match(other.message!, /expected \[300, 16\]/);
    }));
});

test('a leave and a join from the public log, sent again by a stranger, change nothing', async () => {
  const join = await signEvent(net.ada, joined(net.gathering, 'worker', 0));
  const leave = await signEvent(net.ada, left(net.gathering, net.ada.id, 0));
  for (const event of [join, leave, await signEvent(net.ada, joined(net.gathering, 'worker', 1))]) {
    assert.equal((await net.post(event)).status, 201);
  }
  /** Resolves when people are told that ada is here, or is not. */
  const seen = (present: boolean): Promise<RunStatus> =>
    untilStatus(
      net.hub.url,
      net.gathering,
      ({ peers }) => peers.find(({ id }) => id === net.ada.id)?.present === present,
    );
  await seen(true);
  const before = net.logged.length;
  // Answered as what it is, an event that stands in the log already, with its first receipt.
  for (const event of [leave, join]) assert.equal((await net.post(event)).status, 201);
  assert.equal(net.logged.length, before);
  const again = await net.post(
    await signEvent(net.ada, { ...left(net.gathering, net.ada.id, 0), reason: 'hub restarted' } as EventBody),
  );
  assert.deepEqual([again.status, again.code], [400, 'refused']);
  assert.match(again.message!, /expected session 1, got 0/);
  assert.equal((await net.post(await signEvent(net.ada, left(net.gathering, net.ada.id, 1)))).status, 201);
  await seen(false);
});

test('an event sent again, because its answer was lost, stands once and is answered the same', async () => {
  const event = await signEvent(net.vera, left(net.gathering, net.vera.id, 0));
  const before = net.logged.length;
  const first = await net.post(event);
  const second = await net.post(event);
  assert.deepEqual([first.status, second.status], [201, 201]);
  assert.equal(net.logged.length, before + 1);
  await net.post(await signEvent(net.vera, joined(net.gathering, 'validator', 1)));
});
