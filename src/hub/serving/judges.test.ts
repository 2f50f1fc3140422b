// Judging in the pool: who writes garbage gets no more answers, honest devices lose nothing to any single judge, and nothing is kept for long.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { packTokens, unpackTokens } from '../../protocol/serving-bytes.ts';
import type { FromServingPeer } from '../../protocol/serving-from-peer.ts';
import { ANY_DEVICE } from './caller.ts';
import { JUDGES_LIMITS } from './judges.ts';
import { ask, type FakeDevice, type Habits, PoolWorld, wholeText } from './testing/pool-world.ts';

/** Writes fast, and something else than the model does. */
const GARBAGE: Partial<Habits> = {
  ...{ gap_ms: 5, first_ms: 20 },
  twist: (message) => {
    if (message.type !== 'answer-tokens') return [message];
    const rows = unpackTokens(message.packed).map((row) => row.with(0, 7) as typeof row);
    return [{ ...message, packed: packTokens(rows) }];
  },
};
/** Says of everything that it is wrong. */
const ACCUSER: Partial<Habits> = {
  ...{ gap_ms: 200 },
  twist: (message) => [message.type === 'judged' ? { ...message, differing: message.draws, margin: 99 } : message],
};
const counted = ({ heard }: FakeDevice, type: string): number => heard.filter((one) => one.type === type).length;
const rowOf = ({ pool }: PoolWorld, { peer }: FakeDevice) => pool.fleet().rows.find(({ device }) => device === peer)!;

/** Answers one after the other, each judged before the next. */
async function answers(world: PoolWorld, count: number, of = ask()): Promise<void> {
  for (let i = 0; i < count; i++) {
    await world.clock.run(world.read(of));
    await world.clock.pass(500);
  }
}

/** Two models of one run and one of another, each served by the same device and judged by three others; the device writes an answer with a named one. */
function worldOfRuns(judge: Partial<Habits>): [PoolWorld, writes: (name: string) => Promise<void>] {
  const world = new PoolWorld();
  const judges: FakeDevice[] = [];
  for (const [run, digit] of [
    ['own', '1'],
    ['own', '2'],
    ['other', '3'],
  ] as const) {
    const model = digit.repeat(64);
    world.models.push({ hash: model, names: [`${run}${digit}`], created_ms: 0, licence: null, run });
    world.device({ gap_ms: 5, offer: { model } }, 'f'.repeat(64));
    for (const peer of ['a', 'b', 'c']) judges.push(world.device({ ...judge, offer: { model } }, peer.repeat(64)));
  }
  const writes = async (name: string): Promise<void> => {
    for (const other of judges) other.offer(0);
    const reading = world.read(ask({ model: name }));
    for (const other of judges) other.offer(4);
    await world.clock.run(reading);
    await world.clock.pass(500);
  };
  return [world, writes];
}

describe('the pool’s judges', () => {
  test('stop a device that writes garbage after its first answer, also when it comes again, and no honest one', async () => {
    const world = new PoolWorld();
    const garbage = world.device(GARBAGE);
    const first = world.read(); // it alone is there, and is the fastest one from then on
    const honest = [1, 2, 3].map(() => world.device({ gap_ms: 50 }));
    await world.clock.run(first);
    await world.clock.pass(500);
    await answers(world, 12);
    assert.equal(world.judgings[0], 'refused');
    assert.equal(counted(garbage, 'answer'), 1);
    const row = rowOf(world, garbage);
    assert.deepEqual([row.judged, row.refused, row.doubted, row.well], [1, 1, true, 0]);
    for (const device of honest) {
      const { judged, refused, doubted } = rowOf(world, device);
      assert.deepEqual([refused, doubted], [0, false]);
      assert.equal(judged, counted(device, 'answer'));
    }
    assert.equal(world.watched!.judging(), 0);
    await world.clock.pass(600_000);
    for (const device of honest) device.offer(0);
    const [one, two] = honest;
    const reading = world.read(); // it alone has room, and so it is asked
    one.offer();
    two.offer();
    await world.clock.run(reading);
    await world.clock.pass(500);
    assert.deepEqual([counted(garbage, 'answer'), rowOf(world, garbage).refused], [2, 2]);
  });

  test('take from a device that was refused what it is writing for others, who are answered', async () => {
    const world = new PoolWorld();
    const garbage = world.device(GARBAGE);
    const reading = [world.read(), world.read(ask({ max_tokens: 400 }))];
    world.device();
    world.device();
    const [, long] = await world.clock.run(Promise.all(reading));
    assert.equal(long.events.at(-1)?.kind, 'ended');
    const stopped = garbage.heard.flatMap((one) => (one.type === 'answer-stop' ? [one.why] : []));
    assert.deepEqual(stopped, ['refused']);
    const right = wholeText(ask({ max_tokens: 400 }));
    assert.ok(long.text.endsWith(right.slice(-300)), 'the rest is written by others');
  });

  test('judge each of those who wrote one answer for its own part', async () => {
    const world = new PoolWorld();
    const garbage = world.device(GARBAGE);
    const reading = world.read(ask(), {
      onEvent: (event) => event.kind === 'token' && event.position === 8 && garbage.leave(),
    });
    const others = [world.device(), world.device(), world.device()];
    await world.clock.run(reading);
    await world.clock.pass(500);
    assert.equal(rowOf(world, garbage).refused, 1);
    assert.deepEqual(
      others.map((one) => rowOf(world, one).refused),
      [0, 0, 0],
    );
    assert.deepEqual(world.judgings.toSorted(), ['accepted', 'refused']);
  });

  test('find a device whose answers are accepted one by one, when they are too much together, and for longer each time', async () => {
    const world = new PoolWorld();
    // Judges find a little in what it writes, each time: weights of four bits would do that.
    const twist: Habits['twist'] = (message) => [message.type === 'judged' ? { ...message, margin: 0.3 } : message];
    const coarse = world.device({ gap_ms: 5 });
    const others = [1, 2, 3].map(() => world.device({ twist }));
    const found = async (): Promise<number> => {
      const before = rowOf(world, coarse).refused;
      for (let answers = 1; answers <= 30; answers++) {
        for (const other of others) other.offer(0);
        const reading = world.read();
        for (const other of others) other.offer(4);
        await world.clock.run(reading);
        await world.clock.pass(500);
        if (rowOf(world, coarse).refused > before) return answers;
      }
      return Number.POSITIVE_INFINITY;
    };
    // 0.28 above what is usual, each time, and 3 are too much; no judge's word counts for more than half of it.
    const first = await found();
    assert.ok(first >= 11 && first <= 16, `${first} answers`);
    assert.deepEqual(world.judgings.slice(-2), ['accepted', 'found']);
    assert.deepEqual(world.decisions.get(coarse.peer), [first - 1, 1]);
    assert.ok(rowOf(world, coarse).doubted);
    await world.clock.pass(600_000);
    const second = await found();
    assert.ok(second >= 11 && second <= 16, `${second} answers: its sum began anew`);
    await world.clock.pass(600_000);
    assert.ok(rowOf(world, coarse).doubted, 'twice as long');
    await world.clock.pass(600_000);
    assert.ok(!rowOf(world, coarse).doubted);
  });

  test('trust a device by run: what was accepted of one counts for its next models, and for no other run', async () => {
    const [world, writes] = worldOfRuns({});
    const drawn = async (name: string, count: number): Promise<number> => {
      const before = world.judgings.length;
      for (let i = 0; i < count; i++) await writes(name);
      return world.judgings.length - before;
    };
    assert.equal(await drawn('own1', JUDGES_LIMITS.newcomer), JUDGES_LIMITS.newcomer);
    const next = await drawn('own2', 20);
    assert.ok(next <= 5, `${next} of 20`);
    assert.equal(await drawn('other3', JUDGES_LIMITS.newcomer), JUDGES_LIMITS.newcomer);
  });

  test('add up what a device writes with all models of a run that learns on, and not with those of others', async () => {
    for (const [next, isFound] of [
      ['own2', true],
      ['other3', false],
    ] as const) {
      // 0.28 above what is usual, each time, and 3 are too much.
      const [world, writes] = worldOfRuns({
        twist: (message) => [message.type === 'judged' ? { ...message, margin: 0.3 } : message],
      });
      for (const name of ['own1', next])
        for (let i = 0; i < 8 && !world.judgings.includes('found'); i++) await writes(name);
      assert.equal(world.judgings.includes('found'), isFound);
    }
  });

  test('harm no honest device by margins that one of them alone finds, or the keys of one owner alone', async () => {
    for (const owners of [[], ['me', 'liar', 'liar', 'liar', 'you', 'they']]) {
      const world = new PoolWorld();
      const honest = world.device({ gap_ms: 5 });
      const twist: Habits['twist'] = (message) => [message.type === 'judged' ? { ...message, margin: 0.5 } : message];
      const liars = owners.length > 0 ? 3 : 1;
      const judges = [1, 2, 3, 4, 5].map((i) => world.device(i <= liars ? { twist } : {}));
      for (const [i, { peer }] of [honest, ...judges].entries()) if (owners[i]) world.owners.set(peer, owners[i]);
      for (let i = 0; i < 30; i++) {
        for (const judge of judges) judge.offer(0);
        const reading = world.read();
        for (const judge of judges) judge.offer(4);
        await world.clock.run(reading);
        await world.clock.pass(500);
      }
      assert.equal(rowOf(world, honest).refused, 0);
      assert.ok(judges.every((one) => counted(one, 'judge') > 0));
    }
  });

  test('go by what the owner of a model’s run has published', async () => {
    const world = new PoolWorld();
    world.margins = {
      ...{ per_draw_micro: 200, allowance_micro: 50_000, end_margin_micro: 100_000, logprob_distance_micro: 2000 },
      ...{ usual_per_draw_micro: 100, sum_micro: 500_000 },
    };
    const twist: Habits['twist'] = (message) => [message.type === 'judged' ? { ...message, margin: 0.06 } : message];
    const device = world.device();
    const reading = world.read();
    world.device({ twist });
    world.device({ twist });
    await world.clock.run(reading);
    await world.clock.pass(500);
    assert.equal(rowOf(world, device).refused, 1, 'the hub itself would let it pass');
  });

  test('harm nobody by one word alone: whoever accuses all is contradicted, and asked last from then on', async () => {
    const world = new PoolWorld();
    const honest = [1, 2, 3, 4].map(() => world.device());
    const accuser = world.device(ACCUSER);
    for (let i = 0; i < 40; i++) {
      for (const other of [...honest, accuser]) other.offer(other === honest[i % 4] ? 4 : 0);
      const reading = world.read();
      for (const other of [...honest, accuser]) other.offer(4);
      await world.clock.run(reading);
      await world.clock.pass(500);
    }
    for (const device of honest) {
      const { refused, doubted, leases, well } = rowOf(world, device);
      assert.deepEqual([refused, doubted, leases - well], [0, false, 0]);
    }
    assert.equal(counted(accuser, 'judge'), 1);
    assert.ok(!world.judgings.includes('refused'));
  });

  test('say nothing where one accuses and nobody else is there to ask', async () => {
    const world = new PoolWorld();
    const honest = world.device();
    world.device(ACCUSER);
    await answers(world, 3);
    await world.clock.pass(JUDGES_LIMITS.case_ms);
    const { judged, refused, doubted } = rowOf(world, honest);
    assert.deepEqual([judged, refused, doubted, world.watched!.judging()], [0, 0, false, 0]);
    assert.deepEqual([...new Set(world.judgings)], ['unjudgeable']);
  });

  test('count the keys of one owner, and all keys without one, as one word against others', async () => {
    for (const owner of ['liar', null]) {
      const world = new PoolWorld();
      const honest = world.device();
      world.owners.set(honest.peer, 'me');
      const accusers = [1, 2, 3].map(() => world.device(ACCUSER));
      for (const { peer } of accusers) world.owners.set(peer, owner);
      await answers(world, 3);
      assert.ok(accusers.some((one) => counted(one, 'judge') > 0));
      assert.equal(rowOf(world, honest).refused, 0);
      const others = ['you', 'they'].map((other) => {
        const device = world.device();
        world.owners.set(device.peer, other);
        return device;
      });
      await answers(world, 3);
      assert.equal(rowOf(world, honest).refused, 0);
      assert.ok(rowOf(world, honest).judged > 0 && others.every((one) => rowOf(world, one).refused === 0));
    }
  });

  test('are never of the key that they judge, and where nobody else is there nothing is kept', async () => {
    const world = new PoolWorld();
    const key = 'e'.repeat(64);
    const both = [world.device({}, key), world.device({}, key)];
    await answers(world, 3);
    assert.ok(both.every((one) => counted(one, 'judge') === 0));
    assert.deepEqual(world.judgings, ['unjudgeable', 'unjudgeable', 'unjudgeable']);
    assert.equal(world.watched!.judging_bytes(), 0);
  });

  test('that die, freeze, leave or talk nonsense are followed by others', async () => {
    const world = new PoolWorld();
    const garbage = world.device(GARBAGE);
    const reading = world.read();
    const judgings = (twist: Habits['twist']) => world.device({ twist });
    const dying: FakeDevice = judgings((message) => {
      if (message.type === 'judged') dying.die();
      return [message];
    });
    const frozen = judgings((message) => (message.type === 'judged' ? [] : [message]));
    const leaving: FakeDevice = judgings((message) => {
      if (message.type !== 'judged') return [message];
      leaving.offer(0);
      return [{ type: 'answer-failed', lease: message.lease, code: 'leaving', message: '' }];
    });
    const talking = judgings((message) =>
      message.type === 'judged' ? [{ ...message, draws: 3, differing: 0, margin: 0 }] : [message],
    );
    await world.clock.run(reading);
    await world.clock.pass(30_000);
    const judges = [world.device(), world.device()];
    await world.clock.pass(40_000);
    assert.equal(rowOf(world, garbage).refused, 1);
    assert.ok(judges.every((one) => counted(one, 'judge') === 1));
    for (const one of [dying, frozen, leaving, talking]) assert.ok(counted(one, 'judge') >= 1);
    assert.match(talking.refused[0], /expected the sums of all draws, got 3 draws of 20/);
    assert.equal(world.watched!.judging(), 0);
  });

  test('are believed for their own leases alone, and once', async () => {
    const world = new PoolWorld();
    const honest = world.device();
    const reading = world.read();
    const slow = world.device({ ...ACCUSER, judge_ms: 1000 });
    const thief = world.device({ places: 0 });
    await world.clock.run(reading);
    await world.clock.pass(100);
    const given = slow.heard.find(({ type }) => type === 'judge');
    assert.ok(given?.type === 'judge');
    const lie: FromServingPeer = {
      ...{ type: 'judged', lease: given.lease, prompt_tokens: 3, flaw: null, draws: 20, differing: 20, impossible: 0 },
      ...{ margin: 99, end_margin: 0, logprob_distance: null },
    };
    thief.say(lie);
    assert.match(thief.refused[0], /expected one of this device's/);
    for (let i = 0; i < 5; i++) slow.say(lie);
    await world.clock.pass(2000);
    assert.deepEqual([slow.refused, rowOf(world, honest).refused], [[], 0]);
  });

  test('find a prompt that was counted otherwise, whatever its tokens are', async () => {
    const world = new PoolWorld();
    const cutter = world.device({
      twist: (message) => [message.type === 'answer-begun' ? { ...message, prompt_tokens: 900 } : message],
    });
    const reading = world.read();
    world.device();
    world.device();
    await world.clock.run(reading);
    await world.clock.pass(500);
    assert.equal(rowOf(world, cutter).refused, 1);
  });

  test('are drawn for all of a newcomer’s answers, and for one of twenty later ones', async () => {
    const world = new PoolWorld();
    const device = world.device({ gap_ms: 5, first_ms: 5 });
    const judge = world.device({ places: 1, offer: { context_tokens: 20 } }); // reads an answer of 4, and is given none of 40
    const reads = async (count: number): Promise<number> => {
      const before = counted(judge, 'judge');
      for (let i = 0; i < count; i++) {
        await world.clock.run(world.read(ask({ prompt: { kind: 'ids', ids: [1, 2] }, max_tokens: 4 })));
        await world.clock.pass(100);
      }
      return counted(judge, 'judge') - before;
    };
    assert.equal(await reads(JUDGES_LIMITS.newcomer), JUDGES_LIMITS.newcomer);
    assert.equal(counted(device, 'answer'), JUDGES_LIMITS.newcomer);
    const later = await reads(300);
    assert.ok(later >= 5 && later <= 30, `${later} of 300`);
  });

  test('are drawn less often for a short answer to a long prompt, which a judge would have to read whole', async () => {
    const world = new PoolWorld();
    world.device({ gap_ms: 5, first_ms: 5, offer: { context_tokens: 100_000 } });
    const judge = world.device({ places: 1, offer: { context_tokens: 20 } });
    const long = world.device({ places: 0, offer: { context_tokens: 100_000 } });
    const reads = async (count: number, ids: readonly number[]): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await world.clock.run(world.read(ask({ prompt: { kind: 'ids', ids: [...ids] }, max_tokens: 4 })));
        await world.clock.pass(100);
      }
    };
    await reads(JUDGES_LIMITS.newcomer, [1, 2]);
    assert.equal(counted(judge, 'judge'), JUDGES_LIMITS.newcomer);
    await reads(200, Array(156).fill(7)); // ten times as long as what is drawn always: one of 200
    const waiting = world.judgings.filter((end) => end === 'unjudgeable').length + world.watched!.judging();
    assert.ok(waiting <= 5, `${waiting} of 200`);
    assert.equal(counted(long, 'answer'), 0);
  });

  test('that say nothing are given up after a while, and the next one is asked', async () => {
    const world = new PoolWorld();
    const garbage = world.device(GARBAGE);
    const reading = world.read();
    const silent = world.device({ twist: () => [] });
    await world.clock.run(reading);
    await world.clock.pass(1000);
    const others = [world.device(), world.device()];
    await world.clock.pass(JUDGES_LIMITS.lease_least_ms - 2000);
    assert.deepEqual(
      [...others, silent].map((one) => counted(one, 'judge')),
      [0, 0, 1],
    );
    await world.clock.pass(3000);
    assert.equal(rowOf(world, garbage).refused, 1);
    assert.equal(counted(silent, 'answer-stop'), 1);
  });

  test('that are gone are followed at once, and judge one at a time', async () => {
    const world = new PoolWorld();
    const garbage = world.device(GARBAGE);
    const reading = [world.read(), world.read(), world.read()];
    const slow = world.device({ judge_ms: 5000 });
    await world.clock.run(Promise.all(reading));
    await world.clock.pass(2000);
    assert.deepEqual([counted(slow, 'judge'), world.watched!.judging()], [1, 3]);
    slow.die();
    const [one, two] = [world.device(), world.device()];
    await world.clock.pass(1000);
    assert.ok(counted(one, 'judge') > 0 && counted(two, 'judge') > 0);
    assert.ok(rowOf(world, garbage).refused > 0);
  });

  test('look at all of a device’s answers again when it was refused, whatever its record was', async () => {
    const world = new PoolWorld();
    let isGarbage = false;
    const twist: Habits['twist'] = (message) => (isGarbage ? GARBAGE.twist!(message) : [message]);
    const device = world.device({ gap_ms: 5, twist });
    const others = [world.device(), world.device()];
    const readFrom = async (): Promise<void> => {
      for (const other of others) other.offer(0);
      const reading = world.read();
      for (const other of others) other.offer(4);
      await world.clock.run(reading);
      await world.clock.pass(500);
    };
    for (let i = 0; i < JUDGES_LIMITS.newcomer; i++) await readFrom();
    isGarbage = true;
    for (let i = 0; i < 300 && rowOf(world, device).refused === 0; i++) await readFrom();
    assert.equal(rowOf(world, device).refused, 1, 'one of twenty is enough');
    for (let i = 2; i < 6; i++) {
      await world.clock.pass(600_000 * 2 ** (i - 2)); // longer each time
      await readFrom();
      assert.equal(rowOf(world, device).refused, i);
    }
  });

  test('look as often at whoever says that its prompts are longer than they can be', async () => {
    const drawn: number[] = [];
    for (const says_tokens of [21, 80]) {
      const world = new PoolWorld();
      let isLie = false;
      const twist: Habits['twist'] = (message) => [
        isLie && message.type === 'answer-begun' ? { ...message, prompt_tokens: says_tokens } : message,
      ];
      world.device({ gap_ms: 5, first_ms: 5, twist });
      const judge = world.device({ gap_ms: 500 });
      await answers(world, JUDGES_LIMITS.newcomer);
      assert.equal(counted(judge, 'judge'), JUDGES_LIMITS.newcomer);
      judge.die(); // whatever is drawn is unjudgeable
      isLie = true;
      const before = world.judgings.length;
      const request = ask({ prompt: { kind: 'text', text: 'x'.repeat(20) }, max_tokens: 4 });
      for (let i = 0; i < 250; i++) await world.clock.run(world.read(request));
      drawn.push(world.judgings.length - before);
    }
    assert.ok(drawn[0] > 0 && drawn[0] === drawn[1], drawn.join());
  });

  test('are not asked while a caller waits for a device', async () => {
    const world = new PoolWorld();
    const mine = world.device();
    world.owners.set(mine.peer, 'me');
    const waiting = world
      .read(ask(), {
        caller: { ...ANY_DEVICE, owners: new Set(['me']) },
        onEvent: (event) => event.kind === 'token' && event.position === 6 && mine.die(),
      })
      .catch(({ code }) => code);
    world.device();
    const judge = world.device({ gap_ms: 900 });
    await world.clock.pass(1000);
    await world.clock.run(world.read());
    await world.clock.pass(5000);
    assert.equal(counted(judge, 'judge'), 0);
    assert.equal(await world.clock.run(waiting), 'interrupted');
    judge.offer();
    assert.ok(counted(judge, 'judge') > 0);
  });

  test('that are full are waited for with little in memory, and not for long', async () => {
    const world = new PoolWorld();
    const full = world.device({ places: 0 });
    world.owners.set(full.peer, 'full');
    const offer = { context_tokens: 200_000 };
    const writers = Array.from({ length: 20 }, () => world.device({ gap_ms: 1, first_ms: 1, offer }));
    for (const [i, { peer }] of writers.entries()) world.owners.set(peer, `writer ${i}`);
    const readAll = async (length: number): Promise<void> => {
      const prompt = { kind: 'ids' as const, ids: Array(length).fill(123_456) };
      for (const [i] of writers.entries()) {
        const caller = { ...ANY_DEVICE, owners: new Set(['full', `writer ${i}`]) };
        await world.clock.run(world.read(ask({ max_tokens: 2, prompt }), { caller }));
      }
    };
    for (let i = 0; i < 3; i++) await readAll(1);
    assert.equal(world.watched!.judging(), 60);
    await readAll(1);
    assert.equal(world.watched!.judging(), JUDGES_LIMITS.cases);
    full.offer(0);
    assert.equal(counted(full, 'judge'), 0);
    await world.clock.pass(JUDGES_LIMITS.case_ms);
    assert.deepEqual([world.watched!.judging(), world.watched!.judging_bytes()], [0, 0]);
    const one = { ...ANY_DEVICE, owners: new Set(['full', 'writer 0']) };
    for (let i = 0; i < 9; i++) await world.clock.run(world.read(ask({ max_tokens: 2 }), { caller: one }));
    assert.equal(world.watched!.judging(), JUDGES_LIMITS.cases_of_device);
    await readAll(140_000);
    const bytes = world.watched!.judging_bytes();
    assert.ok(bytes <= JUDGES_LIMITS.bytes && bytes > JUDGES_LIMITS.bytes / 2, `${bytes} bytes`);
    world.pool.close();
    assert.deepEqual([world.watched!.judging(), world.watched!.judging_bytes()], [0, 0]);
  });

  test('see only what the caller lets them see', async () => {
    const world = new PoolWorld();
    const [mine, friend, stranger] = [world.device({ gap_ms: 10 }), world.device(), world.device()];
    world.owners.set(mine.peer, 'me').set(friend.peer, 'friend').set(stranger.peer, 'somebody');
    const caller = { ...ANY_DEVICE, owners: new Set(['me', 'friend']) };
    for (let i = 0; i < 5; i++) {
      await world.clock.run(world.read(ask(), { caller }));
      await world.clock.pass(500);
    }
    assert.deepEqual(stranger.heard, []);
    assert.ok(rowOf(world, mine).judged > 0);
  });

  test('are asked of conversations only where they take part in them', async () => {
    const world = new PoolWorld();
    const texts = { offer: { chat: false, tools: false } };
    const talks = world.device({ gap_ms: 10, offer: { chat: true, tools: false } });
    const [one, two] = [world.device(texts), world.device(texts)];
    const chat = { tools: [], tool_choice: 'auto' as const, parallel_tool_calls: true };
    const prompt = { kind: 'chat' as const, messages: [{ role: 'user' as const, content: 'x' }], ...chat };
    for (let i = 0; i < 3; i++) await world.clock.run(world.read(ask({ prompt })));
    await world.clock.pass(500);
    assert.equal(counted(talks, 'answer'), 3);
    assert.deepEqual([counted(one, 'judge'), counted(two, 'judge')], [0, 0]);
  });
});
