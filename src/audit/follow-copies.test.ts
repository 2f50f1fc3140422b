// Where an audit finds the logs that runs came from: in the copies that its caller names, and nowhere if it is told so.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openPublicLog } from '#public-log-open';
import { audit, type LocalAuditOptions } from './local-audit.ts';
import { ExampleLog } from './testing/example-log.ts';
import { folderOf } from './testing/log-folder.ts';
import { move } from './testing/moved-log.ts';

const a = new ExampleLog();
await a.begin();
await a.playRound();
const b = new ExampleLog(3, a);
const { index } = await move(a, b);

async function movesOf(t: TestContext, options: LocalAuditOptions) {
  const log = await openPublicLog(await folderOf(t, b));
  try {
    const { moves } = await audit(log, { models: false, threads: 0, ...options });
    return moves.came.map(({ followed, reason }) => ({ followed, reason }));
  } finally {
    log.close();
  }
}

test('of the named copies the one that is of the right hub is read', async (t) => {
  const from = [await folderOf(t, b), await folderOf(t, a)];
  assert.deepEqual(await movesOf(t, { from }), [{ followed: true, reason: null }]);
});

test('a copy that ends before the run left is no proof of anything', async (t) => {
  const [{ followed, reason }] = await movesOf(t, { from: [await folderOf(t, a, index)] });
  assert.equal(followed, false);
  assert.match(reason!, /an older copy, or was cut short/);
});

test('nothing is opened for whoever does not want that', async (t) => {
  assert.deepEqual(await movesOf(t, { follow: false, from: ['/nowhere'] }), [
    { followed: false, reason: 'not asked for' },
  ]);
  const [{ reason }] = await movesOf(t, { from: ['/nowhere'] });
  assert.match(reason!, /expected a hub's folder with hub\.sqlite in it, got \/nowhere/);
});
