// What gateways tell each other: nothing that one holds is spent by another for longer than a message takes, and who is gone holds nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fleet } from '../../protocol/fleet.ts';
import { seededRandom } from '../../protocol/random.ts';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { openGateways } from './gateways.ts';
import { openMemoryEngine } from './memory-bus.ts';
import { subjectsOf } from './subjects.ts';

const ACCOUNT = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const FLEET: Fleet = {
  devices: 3,
  answers: 1,
  rows: [],
  day: { tokens: [1], answers: [1], no_room: [0], waiting: [0] },
};

function setUp() {
  const clock = handClock();
  const engine = openMemoryEngine(seededRandom('gateways'));
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const open = (instance: string, fleet: (() => Fleet) | null = () => FLEET) => {
    const bus = engine.open(instance, clock, onError);
    return openGateways({ bus, subjects: subjectsOf('c'.repeat(64)), clock, instance, fleet, onError });
  };
  return { clock, engine, errors, open };
}

test('what gateways hold of an account is the sum of the others, as it changes and again and again', async () => {
  const { clock, engine, errors, open } = setUp();
  const [one, two, three] = [open('one'), open('two'), open('three')];
  one.holds(ACCOUNT, 5);
  two.holds(ACCOUNT, 7);
  two.holds(OTHER, 1);
  await clock.pass(5);
  assert.deepEqual(
    [one, two, three].map(({ heldOf }) => heldOf(ACCOUNT)),
    [7, 5, 12],
  );
  two.holds(ACCOUNT, 0);
  await clock.pass(5);
  assert.deepEqual([one.heldOf(ACCOUNT), one.heldOf(OTHER)], [0, 1]);
  // A word that is lost is said again; one that came later hears of all.
  engine.weather.lost_permille = 1000;
  one.holds(ACCOUNT, 9);
  await clock.pass(5);
  engine.weather.lost_permille = 0;
  const late = open('late');
  await clock.pass(1100);
  assert.deepEqual(
    [three, late].map(({ heldOf }) => heldOf(ACCOUNT)),
    [9, 9],
  );
  engine.gone('one');
  await clock.pass(2000);
  assert.equal(three.heldOf(ACCOUNT), 9);
  await clock.pass(3000);
  assert.equal(three.heldOf(ACCOUNT), 0);
  two.close();
  await clock.pass(5);
  assert.equal(three.heldOf(OTHER), 0);
  assert.deepEqual(errors, []);
});

test('the fleets of all gateways can be read at any process, also of one that is none; who does not answer is not waited for long', async () => {
  const { clock, engine, errors, open } = setUp();
  const reader = open('reader', null);
  const [one] = [open('one'), open('two', () => ({ ...FLEET, answers: 2 }))];
  await clock.pass(1100);
  assert.deepEqual(
    (await clock.run(reader.fleets())).map(({ answers }) => answers),
    [1, 2],
  );
  assert.deepEqual(
    (await clock.run(one.fleets())).map(({ answers }) => answers),
    [2],
    'not its own',
  );
  engine.reach('two', false);
  const from_ms = clock.elapsed_ms();
  assert.equal((await clock.run(reader.fleets())).length, 1);
  assert.ok(clock.elapsed_ms() - from_ms <= 1500);
  assert.deepEqual(errors, []);
});
