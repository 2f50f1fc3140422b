// Frames between devices at different processes: taken, or told as lost; never twice, never out of order, whatever the bus does.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../protocol/random.ts';
import { RELAY_LIMITS } from '../../protocol/relay-messages.ts';
import { type HandClock, handClock } from '../../protocol/testing/hand-clock.ts';
import { decodeFar, encodeFar, FAR_LIMITS, type FarFrame } from './far-messages.ts';
import { type MemoryEngine, openMemoryEngine } from './memory-bus.ts';
import { type FarDevice, type FarFront, FarWorld, PRESENCE_LAG_MS, RUN } from './testing/far-world.ts';

const NAMES = ['a', 'b', 'c'];

interface Setup {
  readonly clock: HandClock;
  readonly engine: MemoryEngine;
  readonly world: FarWorld;
  readonly errors: unknown[];
}

function setUp(seed: number): Setup {
  const clock = handClock();
  const engine = openMemoryEngine(seededRandom('far relay', seed));
  const world = new FarWorld(clock);
  const errors: unknown[] = [];
  for (const name of NAMES)
    world.front(
      name,
      engine.open(name, clock, (error) => errors.push(error)),
    );
  return { clock, engine, world, errors };
}

/** In small steps, so that timers fire in their time; nothing here waits for a promise. */
function pass({ clock }: Setup, duration_ms: number): void {
  for (let ms = 0; ms < duration_ms; ms += 5) clock.move(5);
}

describe('between two processes', () => {
  let setup: Setup;
  let fronts: FarFront[];
  let alice: FarDevice;
  let bob: FarDevice;

  beforeEach(() => {
    setup = setUp(0);
    fronts = [...setup.world.fronts.values()];
    [alice, bob] = [setup.world.device(1), setup.world.device(2)];
    alice.connect(fronts[0]);
    bob.connect(fronts[1]);
    pass(setup, PRESENCE_LAG_MS);
  });
  const soon = (): void => pass(setup, 10);
  const windowIs = (device: FarDevice, to: FarDevice): number => {
    const { last, taken } = device.sent.get(to.key)!;
    return last - taken;
  };

  test('a frame comes as it is, and the word that it was taken goes back', () => {
    for (let n = 0; n < 3; n++) alice.send(bob);
    soon();
    assert.deepEqual(
      bob.waiting.map(({ number }) => number),
      [101, 102, 103],
    );
    bob.take(2);
    soon();
    assert.equal(windowIs(alice, bob), 1);
    bob.take(1);
    bob.send(alice);
    soon();
    assert.deepEqual([windowIs(alice, bob), alice.waiting.length, alice.losses], [0, 1, []]);
  });

  test('a device is held to its window and its order by the process that it is connected to', () => {
    const send = (number: number) => () =>
      fronts[0].relay.hear(alice.line!, { type: 'relay', to: bob.key, number, sealed: new Uint8Array(1) });
    for (let n = 0; n < RELAY_LIMITS.window_frames; n++) alice.send(bob);
    assert.throws(send(101 + RELAY_LIMITS.window_frames), /at most 16 frames that 000000000000 has not taken/);
    soon();
    bob.take(1);
    soon();
    assert.throws(send(101), /expected frame 117, got 101/);
    alice.send(bob);
    soon();
    assert.equal(bob.waiting.length, RELAY_LIMITS.window_frames);
  });

  test('who does not read is busy, which the sender hears', () => {
    bob.line!.channel.queued_bytes = RELAY_LIMITS.queued_bytes;
    alice.send(bob);
    soon();
    assert.deepEqual([alice.losses, bob.waiting.length], [['busy'], 0]);
    bob.line!.channel.queued_bytes = 0;
    alice.send(bob);
    soon();
    assert.equal(bob.waiting.length, 1);
  });

  test('the end of a receiver is told, and of a sender forgotten', () => {
    alice.send(bob);
    bob.send(alice);
    soon();
    bob.disconnect();
    soon();
    assert.deepEqual(alice.losses, ['gone']);
    alice.take(1);
    soon();
    assert.equal(windowIs(bob, alice), 0);
  });

  test('a receiver that has moved to a third process, or to the sender’s own, gets what follows', () => {
    alice.send(bob);
    soon();
    bob.connect(fronts[2]);
    pass(setup, PRESENCE_LAG_MS);
    assert.deepEqual(alice.losses, ['gone']);
    alice.send(bob);
    soon();
    assert.equal(bob.waiting.length, 1);
    bob.take(1);
    soon();
    bob.connect(fronts[0]);
    alice.send(bob);
    assert.equal(bob.waiting.length, 1);
    bob.take(1);
    assert.deepEqual([windowIs(alice, bob), alice.losses.length], [0, 1]);
  });

  test('a process that vanishes loses what was under way, within the time in which it is noticed', () => {
    alice.send(bob);
    soon();
    setup.engine.gone('b');
    setup.world.vanish('b');
    pass(setup, FAR_LIMITS.check_ms + 100);
    assert.deepEqual(alice.losses, ['gone']);
  });

  test('a process that nobody hears any more loses it, too', () => {
    alice.send(bob);
    soon();
    setup.engine.part([['a'], ['b', 'c']]);
    alice.send(bob);
    pass(setup, FAR_LIMITS.silence_ms + FAR_LIMITS.check_ms + 100);
    assert.deepEqual(alice.losses, ['gone']);
    setup.engine.part([]);
    alice.send(bob);
    soon();
    assert.deepEqual(
      bob.waiting.map(({ number }) => number),
      [101, 103],
    );
    bob.take(2);
    soon();
    assert.equal(windowIs(alice, bob), 0);
  });

  test('a receiver that takes its time loses nothing', () => {
    alice.send(bob);
    pass(setup, 10 * FAR_LIMITS.silence_ms);
    bob.take(1);
    soon();
    assert.deepEqual([alice.losses, windowIs(alice, bob)], [[], 0]);
  });

  test('words that are lost are asked for', () => {
    alice.send(bob);
    soon();
    setup.engine.weather.lost_permille = 1000;
    bob.take(1);
    soon();
    setup.engine.weather.lost_permille = 0;
    assert.equal(windowIs(alice, bob), 1);
    pass(setup, 2 * FAR_LIMITS.check_ms + 10);
    assert.deepEqual([alice.losses, windowIs(alice, bob)], [[], 0]);
  });

  test('the last frame of all is told as lost when the bus has lost it', () => {
    alice.send(bob);
    soon();
    setup.engine.weather.lost_permille = 1000;
    alice.send(bob);
    setup.engine.weather.lost_permille = 0;
    bob.take(1);
    pass(setup, 2 * FAR_LIMITS.check_ms + 10);
    assert.deepEqual([alice.losses, bob.waiting.length], [['gone'], 0]);
  });

  test('without a bus nobody is there', () => {
    setup.engine.run(false);
    alice.send(bob);
    assert.deepEqual(alice.losses, ['not-here']);
  });

  test('a bound on partners; those that have taken everything make room', () => {
    const others = Array.from({ length: RELAY_LIMITS.partners + 1 }, (_, i) => setup.world.device(100 + i));
    for (const other of others) other.connect(fronts[1]);
    pass(setup, PRESENCE_LAG_MS);
    for (const other of others) alice.send(other);
    soon();
    assert.deepEqual(alice.losses, ['too-many-partners']);
    others[0].take(1);
    soon();
    alice.send(others.at(-1)!);
    soon();
    assert.equal(others.at(-1)!.waiting.length, 1);
  });

  test('lanes on which nothing is under way are forgotten on both sides, and begin anew', () => {
    alice.send(bob);
    soon();
    bob.take(1);
    pass(setup, FAR_LIMITS.idle_ms + 2 * FAR_LIMITS.check_ms);
    alice.send(bob);
    soon();
    bob.take(1);
    soon();
    assert.deepEqual([alice.losses, windowIs(alice, bob)], [[], 0]);
  });

  test('what is no message between processes is reported, and nothing else', () => {
    const bus = setup.engine.open('stranger', setup.clock, () => {});
    const end = encodeFar({ type: 'end', front: 'a', lane: 1 });
    const wrong = [[1, 2, 3], [], [0, 0], [0], [255, 255, 1], [...end, 1], [...end.subarray(0, -1)]];
    for (const bytes of wrong) bus.publish('relay.b', new Uint8Array(bytes));
    soon();
    assert.equal(fronts[1].errors.length, wrong.length);
    for (const error of fronts[1].errors) assert.match(String(error), /message: /);
    alice.send(bob);
    soon();
    assert.equal(bob.waiting.length, 1);
  });

  test('who does not take part is told by the relay of its own process', () => {
    assert.throws(
      () =>
        fronts[0].relay.hear(
          { ...alice.line!, peer: null },
          { type: 'relay', to: bob.key, number: 1, sealed: new Uint8Array(1) },
        ),
      /of a key/,
    );
    assert.equal(RUN.length, 64);
  });
});

const device = fc.nat({ max: 4 });
const front = fc.nat({ max: NAMES.length - 1 });
const Act = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant('send' as const), from: device, to: device, frames: fc.nat({ max: 20 }) }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('take' as const), by: device, frames: fc.nat({ max: 20 }) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat({ max: 60 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('move' as const), who: device, to: front }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), who: device }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('part' as const), alone: front }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('heal' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const), running: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deaf' as const), who: front, reaches: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('long' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const), which: front }) },
);
type Act = typeof Act extends fc.Arbitrary<infer A> ? A : never;

function perform(act: Act, setup: Setup, devices: readonly FarDevice[]): void {
  const { world, engine, clock, errors } = setup;
  const fronts = [...world.fronts.values()];
  switch (act.do) {
    case 'send':
      for (let n = 0; n < act.frames && act.from !== act.to; n++) devices[act.from].send(devices[act.to]);
      break;
    case 'take':
      devices[act.by].take(act.frames);
      break;
    case 'pass':
      pass(setup, act.ms);
      break;
    case 'move':
      devices[act.who].connect(fronts[act.to % fronts.length]);
      break;
    case 'leave':
      devices[act.who].disconnect();
      break;
    case 'part':
      engine.part([[fronts[act.alone % fronts.length].name]]);
      break;
    case 'heal':
      engine.part([]);
      break;
    case 'stop':
      engine.run(act.running);
      break;
    case 'deaf':
      engine.reach(fronts[act.who % fronts.length].name, act.reaches);
      break;
    case 'long':
      pass(setup, 1500);
      break;
    case 'die': {
      const { name } = fronts[act.which % fronts.length];
      engine.gone(name);
      world.vanish(name);
      const next = `${name}x`;
      world.front(
        next,
        engine.open(next, clock, (error) => errors.push(error)),
      );
    }
  }
}

test('a message between processes is read as it was written', () => {
  const hash = 'c'.repeat(64);
  const about = { front: 'a', lane: 7 };
  const frame = { type: 'frame', ...about, run: hash, from: hash, to: hash, first: 1, number: 2 } as const;
  for (const message of [
    { ...frame, sealed: new Uint8Array([1, 2, 3]) },
    { ...frame, sealed: new Uint8Array() },
    { ...frame, sealed: new Uint8Array(RELAY_LIMITS.sealed_bytes) },
    { type: 'check', ...about, number: 3 },
    { type: 'word', ...about, taken: 2 ** 40, opened: false, lost: 'gone' },
  ] as const) {
    const { sealed, ...said } = decodeFar(new Uint8Array(encodeFar(message))) as FarFrame;
    assert.deepEqual(sealed ? { ...said, sealed } : said, message);
  }
  const longer = encodeFar({ ...frame, sealed: new Uint8Array(RELAY_LIMITS.sealed_bytes + 1) });
  assert.throws(() => decodeFar(longer), /expected up to 60000 bytes behind "frame", got 60001/);
});

test('whatever the bus, processes and devices do: in order, once, and taken or told as lost', () => {
  fc.assert(
    fc.property(fc.array(Act, { maxLength: 120 }), fc.nat(), fc.nat({ max: 200 }), (acts, seed, lost_permille) => {
      const setup = setUp(seed);
      const { world, engine } = setup;
      Object.assign(engine.weather, { delay_ms: 2, jitter_ms: 20, lost_permille });
      const devices = Array.from({ length: 5 }, (_, i) => world.device(i));
      const fronts = [...world.fronts.values()];
      devices.forEach((one, i) => {
        one.connect(fronts[i % fronts.length]);
      });
      pass(setup, PRESENCE_LAG_MS);
      for (const act of acts) perform(act, setup, devices);
      // In peace everything comes to its end.
      engine.weather.lost_permille = 0;
      engine.part([]);
      engine.run(true);
      for (const { name } of world.fronts.values()) engine.reach(name, true);
      for (let n = 0; n < 8; n++) {
        pass(setup, FAR_LIMITS.check_ms);
        for (const one of devices) if (one.line) one.take(1000);
      }
      for (const one of devices) {
        for (const [to, { last, taken }] of one.sent) assert.equal(taken, last, `what went to ${to} has an end`);
      }
      // And devices can talk again.
      for (const one of devices) if (!one.line) one.connect([...world.fronts.values()][0]);
      pass(setup, PRESENCE_LAG_MS);
      const before = devices.map(({ losses }) => losses.length);
      for (const one of devices) for (const other of devices) if (one !== other) one.send(other);
      pass(setup, 60);
      for (const one of devices) one.take(1000);
      pass(setup, 60);
      assert.deepEqual(
        devices.map(({ losses }) => losses.length),
        before,
      );
      for (const { errors } of world.fronts.values()) assert.deepEqual(errors, []);
      assert.deepEqual(setup.errors, []);
    }),
    { numRuns: 150 },
  );
});
