// What a device shows of its finished rounds, to whom, how often, and who believes its answers.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { createIdentity, type Identity } from '../../protocol/identity.ts';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { GameError } from '../errors.ts';
import { Air } from '../memory-channel.ts';
import { type AtWork, type Desk, deskOf, type Question } from './desk.ts';
import { Kept } from './kept.ts';
import { decodeMessage, encodeMessage, hashOfPayload, type PipelineMessage, SLICE_BYTES } from './messages.ts';

const SEEDS = ['1', '2', '3'].map((name) => name.repeat(64));
const [SEED] = SEEDS;
const LONG_MS = 20_000;
const payload = Uint8Array.of(1, 2, 3);

let air: Air;
let [worker, judge]: Identity[] = [];
let [shows, asks]: Desk[] = [];
let wanted: Question['wanted'];

const here = (identity: Identity): Desk => {
  air.validators.add(identity.id);
  return deskOf({ channel: air.channel(identity) });
};
const kept = (count: number): Kept => {
  const all = new Kept(async () => null);
  for (let number = 0; number < count; number++) {
    const shown = { hash: String(number).padStart(64, '0'), signature: new Uint8Array(64), payload };
    all.received({ kind: 'activations', by: judge.id, to: worker.id, of: { origin: judge.id, number } }, shown);
  }
  return all;
};
const ask = (desk: Desk, more: Partial<Question> = {}) =>
  desk.ask(worker.id, { seed: SEED, wanted, payloads: true, time_ms: LONG_MS, ...more });

beforeEach(() => {
  air = new Air('a'.repeat(64));
  [worker, judge] = [createIdentity(), createIdentity()];
  [shows, asks] = [here(worker), here(judge)];
  wanted = [0, 1].map((number) => ({ kind: 'activations', by: judge.id, origin: judge.id, number }));
});

describe('a desk', () => {
  test('shows what came in, whole or as its hash, and says what it does not have', async () => {
    shows.end(SEED, kept(1));
    const [found, missing] = await ask(asks);
    assert.deepEqual([found?.hash, found?.payload, missing], ['0'.repeat(64), payload, null]);
    const [hash] = await ask(asks, { payloads: false });
    assert.deepEqual([hash?.hash, hash?.payload], ['0'.repeat(64), undefined]);
  });

  test('shows nothing of a round under way, and forgets a round when the one after the next is finished', async () => {
    const all = kept(2);
    shows.begin(SEED, { handed: async () => {}, finished: () => {}, isMoved: () => false });
    assert.deepEqual(await ask(asks), [null, null]);
    for (const seed of SEEDS) shows.end(seed, all);
    assert.deepEqual(await ask(asks), [null, null]);
    for (const seed of SEEDS.slice(1)) assert.equal((await ask(asks, { seed }))[0]?.hash, '0'.repeat(64));
  });

  test('of a device that was moved shows what it had at either stage, and takes messages of the round as soon as it has begun again', async () => {
    const finished: string[] = [];
    let moved = false;
    const atWork: AtWork = {
      handed: async () => {},
      finished: (from) => void finished.push(from),
      isMoved: () => moved,
    };
    asks.begin(SEED, atWork);
    const [early, late] = [kept(1), kept(2)];
    shows.begin(SEED, { ...atWork, handed: () => assert.fail('of another stage') });
    moved = true;
    const passed: string[] = [];
    const handed = { kind: 'activations', seed: SEED, origin: judge.id, number: 5 } as const;
    const signature = new Uint8Array(64);
    const message = encodeMessage({ ...handed, payload, signature });
    const taken = air
      .channel(judge)
      .send(worker.id, message)
      .then(() => void passed.push('taken'));
    asks.tell([worker.id], { kind: 'here', seed: SEED });
    await new Promise(setImmediate);
    shows.end(SEED, early, true);
    const other = air
      .channel(createIdentity())
      .send(worker.id, encodeMessage({ ...handed, number: 6, payload, signature }));
    await new Promise(setImmediate);
    assert.deepEqual([passed, finished], [[], []], 'all of it waits, and nobody is told that it takes no more');
    moved = false;
    shows.begin(SEED, {
      ...atWork,
      async handed(_, { number }) {
        if (number === 6) throw new GameError('bad-message', 'it was meant for the stage before');
        passed.push(`handed ${number}`);
      },
    });
    await Promise.all([taken, other]);
    assert.deepEqual(passed, ['handed 5', 'taken']);
    assert.equal((await ask(asks)).filter((one) => one !== null).length, 1, 'what it had at the stage before');
    shows.end(SEED, late);
    assert.equal((await ask(asks)).filter((one) => one !== null).length, 2);
    asks.tell([worker.id], { kind: 'here', seed: SEED });
    while (finished.length === 0) await new Promise(setImmediate);
    assert.deepEqual(finished, [worker.id]);
  });

  test('has a few answers under way at once, and stops where they are not taken', async () => {
    const many = Array.from({ length: 20 }, (_, number) => ({ ...wanted[0], number }));
    let [sent, most, under_way] = [0, 0, 0];
    let breaks_at = Number.POSITIVE_INFINITY;
    const far = air.channel(worker);
    const { send } = far;
    far.send = async (...given) => {
      most = Math.max(most, ++under_way);
      await new Promise(setImmediate); // as long as the way there and back takes
      under_way--;
      if (++sent > breaks_at) throw new Error('not here');
      return send(...given);
    };
    deskOf({ channel: far }).end(SEED, kept(20));
    assert.ok((await ask(asks, { wanted: many })).every((shown) => shown !== null));
    assert.deepEqual([sent, most], [20, 8]);
    [sent, breaks_at] = [0, 2];
    await ask(asks, { wanted: many, time_ms: 50 });
    assert.ok(sent <= 10, `${sent} were sent after the third was lost`);
  });

  test('shows a round four times to each device, and no more', async () => {
    shows.end(SEED, kept(2));
    const other = here(createIdentity());
    for (let time = 0; time < 4; time++)
      assert.ok(
        (await ask(asks)).every((shown) => shown !== null),
        `${time}`,
      );
    assert.deepEqual(await ask(asks), [null, null]);
    assert.ok((await ask(other)).every((shown) => shown !== null));
  });

  test('keeps a message of a round that it does not begin for a minute: a validator never begins one', async () => {
    const clock = handClock();
    const finished: string[] = [];
    const channel = Object.assign(air.channel(judge), { clock });
    const desk = deskOf({ channel });
    const say = (number: number): Promise<void> =>
      air.channel(worker).send(judge.id, encodeMessage({ kind: 'finished', seed: SEEDS[number] }));
    const first = say(1);
    await clock.pass(59_000);
    const second = say(2);
    await clock.pass(1000);
    await first;
    const atWork: AtWork = {
      handed: async () => {},
      finished: (from) => void finished.push(from),
      isMoved: () => false,
    };
    desk.begin(SEEDS[1], atWork);
    await second;
    assert.deepEqual(finished, [], 'the first is forgotten, the second is of another round');
    await say(1);
    assert.deepEqual(finished, [worker.id]);
  });

  test('waits no longer than it was told for a device that is silent, and not at all for one that is not there', async () => {
    air.validators.delete(worker.id);
    assert.deepEqual(await ask(asks), [null, null]);
    air.validators.add(worker.id);
    air.channel(worker).listen(() => new Promise(() => {}));
    assert.deepEqual(await ask(asks, { time_ms: 30 }), [null, null]);
  });

  test('hears nobody but the device that it has asked, and each answer once', async () => {
    const asked = Promise.withResolvers<Extract<PipelineMessage, { kind: 'show' }>>();
    const channel = air.channel(worker);
    channel.listen(async (_, message) => asked.resolve(decodeMessage(message) as never));
    const answers = ask(asks);
    const question = await asked.promise;
    const answer = (at: number, digit: string) => {
      const was = { hash: digit.repeat(64), signature: new Uint8Array(64) };
      return encodeMessage({ kind: 'shown', seed: SEED, ask: question.ask, at, was });
    };
    const stranger = air.channel(createIdentity());
    await stranger.send(judge.id, answer(0, '6'));
    await channel.send(judge.id, answer(0, '7'));
    await channel.send(judge.id, answer(0, '8'));
    await channel.send(judge.id, answer(5, '9'));
    await channel.send(judge.id, answer(1, '9'));
    assert.deepEqual(
      (await answers).map((shown) => shown?.hash[0]),
      ['7', '9'],
    );
    await channel.send(judge.id, answer(1, '9')); // too late, and no harm
  });

  test('shows the state that a round began with piece by piece, each four times, and takes none that is too large', async () => {
    const part = Uint8Array.from({ length: SLICE_BYTES + 5 }, (_, i) => i % 251);
    const began = async (piece: number | null) => (piece === 1 ? part : piece === null ? Uint8Array.of(7) : null);
    shows.end(SEED, new Kept(began));
    const piece = (of: number | null, most_bytes = part.length) =>
      asks.askCarried(worker.id, SEED, { part: of, most_bytes, time_ms: LONG_MS });
    assert.deepEqual(await piece(null), Uint8Array.of(7));
    const whole = async (most_bytes?: number) => {
      const found = await piece(1, most_bytes);
      return found && hashOfPayload(found) === hashOfPayload(part);
    };
    assert.equal(await whole(), true);
    assert.equal(await piece(0), null);
    assert.equal(await whole(part.length - 1), null);
    assert.deepEqual([await whole(), await whole(), await whole()], [true, true, null]);
    assert.equal(await asks.askCarried(worker.id, SEEDS[1], { part: null, most_bytes: 9, time_ms: LONG_MS }), null);
  });
});
