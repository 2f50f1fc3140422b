// Who is connected to which process: what one says the others know, whatever the bus loses, and nothing of a process that is gone.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { seededRandom } from '../../protocol/random.ts';
import { type HandClock, handClock } from '../../protocol/testing/hand-clock.ts';
import { type MemoryEngine, openMemoryEngine } from './memory-bus.ts';
import { openPresence } from './presence.ts';
import { decodeBusMessage, encodeBusMessage, type Message, subjectsOf } from './subjects.ts';

const name = (digit: string): string => digit.repeat(64);
const [RUN, ALICE, BOB] = [name('1'), name('a'), name('b')];

let clock: HandClock;
let engine: MemoryEngine;

beforeEach(() => {
  clock = handClock();
  engine = openMemoryEngine(seededRandom('presence'));
});

/** In small steps, so that timers fire in their time. */
function pass(duration_ms: number): void {
  for (let ms = 0; ms < duration_ms; ms += 5) clock.move(5);
}

function open(instance: string) {
  const failed = (error: unknown): void => assert.fail(String(error));
  const bus = engine.open(instance, clock, failed);
  const own = { instance, url: () => `http://${instance}`, region: null };
  const presence = openPresence({ bus, subjects: subjectsOf(name('f')), clock, own, onError: failed });
  const heard: string[] = [];
  presence.listen({
    onHere: (_, peer) => heard.push(`+${peer[0]}`),
    onGone: (_, peer) => heard.push(`-${peer[0]}`),
  });
  return { presence, heard };
}

test('what one process says of its devices all know, also one that comes later', () => {
  const one = open('one');
  const two = open('two');
  one.presence.here(RUN, ALICE);
  one.presence.here(RUN, BOB);
  pass(100);
  assert.deepEqual([two.heard, two.presence.frontOf(RUN, ALICE)], [['+a', '+b'], 'one']);
  one.presence.gone(RUN, BOB);
  const three = open('three');
  pass(100);
  assert.deepEqual([two.heard, three.heard], [['+a', '+b', '-b'], ['+a']]);
  two.presence.here(RUN, ALICE); // it has moved
  pass(100);
  one.presence.gone(RUN, ALICE);
  pass(100);
  assert.equal(three.presence.frontOf(RUN, ALICE), 'two');
  assert.deepEqual(three.heard, ['+a', '+a']);
});

test('who is silent is forgotten, with all its devices, within five seconds; who ends properly at once', () => {
  const [one, two, three] = [open('one'), open('two'), open('three')];
  one.presence.here(RUN, ALICE);
  three.presence.here(RUN, BOB);
  pass(100);
  engine.gone('one');
  pass(2000);
  assert.equal(two.presence.frontOf(RUN, ALICE), 'one');
  pass(3000);
  assert.equal(two.presence.frontOf(RUN, ALICE), null);
  assert.deepEqual(two.heard, ['+a', '+b', '-a']);
  three.presence.close();
  pass(10);
  assert.deepEqual(two.heard.slice(3), ['-b']);
});

test('what was lost is asked for again', () => {
  const [one, two] = [open('one'), open('two')];
  pass(100);
  engine.weather.lost_permille = 1000;
  one.presence.here(RUN, ALICE);
  pass(100);
  engine.weather.lost_permille = 0;
  assert.equal(two.presence.frontOf(RUN, ALICE), null);
  pass(1200);
  assert.equal(two.presence.frontOf(RUN, ALICE), 'one');
});

/** A process that says what a test has it say, and answers nothing. */
function openByHand(instance: string) {
  const subjects = subjectsOf(name('f'));
  const bus = engine.open(instance, clock, (error) => assert.fail(String(error)));
  let asked = 0;
  bus.subscribe(subjects.say_again, (bytes) => {
    if (decodeBusMessage('say_again', bytes).instance === instance) asked++;
  });
  const say = (more: Partial<Message<'presence'>>): void => {
    const front = { instance, url: null, region: null };
    bus.publish(
      subjects.presence,
      encodeBusMessage('presence', { ...front, number: 0, whole: null, here: [], gone: [], ...more }),
    );
    pass(10);
  };
  return { say, asked: () => asked };
}
const WHOLE = { part: 0, of: 1 };

test('after a message that was lost a process is asked once for all, and what it says until then changes nothing', () => {
  const two = open('two');
  const one = openByHand('one');
  one.say({ whole: WHOLE, number: 4 });
  assert.equal(one.asked(), 0);
  one.say({ number: 6, here: [[RUN, ALICE]] }); // the fifth is lost
  one.say({ number: 7, here: [[RUN, BOB]] });
  one.say({ number: 8, gone: [[RUN, BOB]] });
  assert.deepEqual([two.heard, one.asked()], [[], 1]);
  pass(2000);
  assert.ok(one.asked() > 1, 'its answer may be lost as well');
  one.say({ whole: WHOLE, number: 8, here: [[RUN, ALICE]] });
  one.say({ number: 9, here: [[RUN, BOB]] });
  assert.deepEqual(two.heard, ['+a', '+b']);
});

test('a list that a process repeats brings nobody back who has moved since', () => {
  const three = open('three');
  const [one, two] = [openByHand('one'), openByHand('two')];
  one.say({ whole: WHOLE, here: [[RUN, ALICE]] });
  two.say({ whole: WHOLE, here: [[RUN, ALICE]] });
  assert.equal(three.presence.frontOf(RUN, ALICE), 'two');
  one.say({ whole: WHOLE, here: [[RUN, ALICE]] });
  assert.equal(three.presence.frontOf(RUN, ALICE), 'two');
  one.say({ whole: WHOLE, here: [] });
  assert.deepEqual([three.presence.frontOf(RUN, ALICE), three.heard], ['two', ['+a', '+a']]);
});

test('while the bus is away or stands still nobody is known to be gone', () => {
  const [one, two] = [open('one'), open('two')];
  one.presence.here(RUN, ALICE);
  pass(100);
  engine.run(false);
  pass(30_000);
  engine.run(true);
  pass(5000);
  assert.deepEqual(two.heard, ['+a']);
  engine.weather.lost_permille = 1000; // servers that stand still, which is noticed only later
  pass(6000);
  engine.run(false);
  pass(30_000);
  engine.weather.lost_permille = 0;
  engine.run(true);
  pass(5000);
  assert.deepEqual(two.heard, ['+a']);
  engine.gone('one');
  pass(5000);
  assert.deepEqual(two.heard, ['+a', '-a']);
});
