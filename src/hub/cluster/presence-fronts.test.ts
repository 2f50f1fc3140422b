// Where the processes of a hub are reached: each says so, also when it learns it late, and until it ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../protocol/random.ts';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { openMemoryEngine } from './memory-bus.ts';
import { openPresence } from './presence.ts';
import { subjectsOf } from './subjects.ts';

test('an address that a process has only once it listens is known to the others, and forgotten when it ends', async () => {
  const clock = handClock();
  const engine = openMemoryEngine(seededRandom('fronts'));
  const subjects = subjectsOf('a'.repeat(64));
  const open = (instance: string, url: () => string | null) =>
    openPresence({
      ...{ bus: engine.open(instance, clock, assert.ifError), subjects, clock, onError: assert.ifError },
      own: { instance, region: instance === 'one' ? 'eu' : null, url },
    });
  const one = open('one', () => 'http://one');
  let listens = false;
  const two = open('two', () => (listens ? 'http://two' : null));
  const urls = (): (string | null)[] => one.fronts().map(({ url }) => url);
  await clock.pass(1500);
  assert.deepEqual(urls(), ['http://one', null]);
  listens = true;
  await clock.pass(1500);
  assert.deepEqual(urls(), ['http://one', 'http://two']);
  assert.deepEqual(
    two.fronts().map(({ instance, region }) => [instance, region]),
    [
      ['two', null],
      ['one', 'eu'],
    ],
  );
  two.close();
  await clock.pass(100);
  assert.deepEqual(urls(), ['http://one']);
  one.close();
});
