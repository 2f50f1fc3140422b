// Who is connected where, and what devices say: all processes come to know the same, over a bus that loses messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../protocol/random.ts';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { CALM_WEATHER, openMemoryEngine } from './memory-bus.ts';
import { openPresence, type Presence } from './presence.ts';
import { subjectsOf } from './subjects.ts';
import { openTalk, type Said } from './talk.ts';

const RUN = 'e'.repeat(64);
const PEERS = ['a', 'b', 'c', 'd', 'f'].map((digit) => digit.repeat(64));
const NAMES = ['one', 'two', 'three'];

function open(seed: string) {
  const clock = handClock();
  /** In small steps, so that timers fire in their time. */
  const pass = (duration_ms: number): void => {
    for (let ms = 0; ms < duration_ms; ms += 10) clock.move(10);
  };
  const engine = openMemoryEngine(seededRandom(seed));
  const subjects = subjectsOf('0'.repeat(64));
  const openOne = (name: string): Presence => {
    const bus = engine.open(name, clock, (error) => assert.fail(String(error)));
    const own = { instance: name, url: () => `http://${name}`, region: null };
    const presence = openPresence({
      bus,
      subjects,
      clock: clock,
      own,
      onError: (error) => assert.fail(String(error)),
    });
    return presence;
  };
  return { clock, pass, engine, subjects, openOne };
}

test('whatever is lost on the way, all know in the end who is where', () => {
  const step = fc.record({
    at: fc.nat(NAMES.length - 1),
    peer: fc.nat(PEERS.length - 1),
    does: fc.constantFrom('here', 'gone', 'wait'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(400), fc.nat(), (steps, lost_permille, seed) => {
      const { pass, engine, openOne } = open(String(seed));
      const all = NAMES.map(openOne);
      pass(100);
      Object.assign(engine.weather, { lost_permille, jitter_ms: 30 });
      const places = new Map<string, number>();
      for (const { at, peer, does } of steps) {
        const key = PEERS[peer];
        if (does === 'wait') pass(700);
        else if (does === 'here') {
          // A device leaves one process before it comes to another: two that have it are told apart by who says so last.
          const before = places.get(key);
          if (before !== undefined) all[before].gone(RUN, key);
          pass(200);
          all[at].here(RUN, key);
          places.set(key, at);
        } else if (places.get(key) === at) {
          all[at].gone(RUN, key);
          places.delete(key);
        }
      }
      Object.assign(engine.weather, CALM_WEATHER);
      pass(12_000);
      for (const [i, presence] of all.entries()) {
        for (const key of PEERS) {
          const at = places.get(key);
          const expected = at === undefined || at === i ? null : NAMES[at];
          assert.equal(presence.frontOf(RUN, key), expected, `${NAMES[i]} of ${key[0]}`);
        }
      }
      for (const presence of all) presence.close();
    }),
    { numRuns: 60 },
  );
});

test('thousands who are connected are told in parts, to a process that comes later too', () => {
  const { pass, openOne } = open('many');
  const one = openOne('one');
  const many = Array.from({ length: 12_001 }, (_, i) => i.toString(16).padStart(64, '0'));
  for (const peer of many) one.here(RUN, peer);
  pass(100);
  const late = openOne('late');
  pass(3000);
  assert.equal(many.filter((peer) => late.frontOf(RUN, peer) === 'one').length, many.length);
  one.close();
  late.close();
});

test('what a device says of its work reaches the other processes, its last word only, and not its own', () => {
  const { clock, pass, engine, subjects } = open('talk');
  const openOne = (name: string) => {
    const bus = engine.open(name, clock, (error) => assert.fail(String(error)));
    const talk = openTalk({ bus, subjects, clock, instance: name, onError: (error) => assert.fail(String(error)) });
    const heard: number[] = [];
    talk.listen((run, peer, message) => {
      assert.deepEqual([run, peer], [RUN, PEERS[0]]);
      if (message.type === 'progress') heard.push(message.amount);
    });
    return { talk, heard };
  };
  const [one, two] = [openOne('one'), openOne('two')];
  const progress = (amount: number): Said => ({
    ...{ type: 'progress', state: 'working', round: 0, amount, amount_per_second: 1, numbers: {} },
  });
  one.talk.said(RUN, PEERS[0], progress(1));
  one.talk.said(RUN, PEERS[0], progress(2));
  pass(1100);
  assert.deepEqual([one.heard, two.heard], [[], [2]]);
  one.talk.close();
  two.talk.close();
});
