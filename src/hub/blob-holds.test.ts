// A blob that is being named stays, and one that is being deleted is waited for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBlobHolds } from './blob-holds.ts';

function scene() {
  const holds = openBlobHolds();
  const done: string[] = [];
  /** Something that takes until `end` is called. */
  const slow = (name: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    return { end: resolve, work: () => promise.then(() => void done.push(name)) };
  };
  return { holds, done, slow };
}
const passed = () => new Promise(setImmediate);

test('a blob is not deleted while anybody holds it', async () => {
  const { holds, done, slow } = scene();
  const [first, second] = [slow('first'), slow('second')];
  const held = [holds.holding(['a', 'b'], first.work), holds.holding(['b', 'c'], second.work)];
  const removeB = () => holds.remove('b', async () => void done.push('removed b'));
  await removeB();
  first.end();
  await held[0];
  await removeB();
  second.end();
  await held[1];
  await removeB();
  assert.deepEqual(done, ['first', 'second', 'removed b']);
});

test('whoever wants to name a blob that is on its way out waits until it is gone', async () => {
  const { holds, done, slow } = scene();
  const removing = slow('removed');
  const removed = holds.remove('a', removing.work);
  const named = holds.holding(['a'], async () => void done.push('named'));
  await passed();
  assert.deepEqual(done, []);
  removing.end();
  await Promise.all([removed, named]);
  assert.deepEqual(done, ['removed', 'named']);
});

test('work that fails holds nothing afterwards', async () => {
  const { holds, done } = scene();
  await assert.rejects(
    holds.holding(['a'], () => Promise.reject(new Error('no'))),
    /no/,
  );
  await holds.remove('a', async () => void done.push('removed'));
  assert.deepEqual(done, ['removed']);
});
