// A worker's drawer: there at once, written meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryDrawer } from '../games/memory-drawer.ts';
import { drawerCompliance } from '../games/testing/drawer-compliance.ts';
import { writeBehind } from './write-behind.ts';

drawerCompliance('write behind', async () => ({ drawer: writeBehind(memoryDrawer()).drawer }));

test('what was put is there at once, and `written` waits until it is in the drawer behind', async () => {
  const behind = memoryDrawer();
  const commits: (() => void)[] = [];
  const slow = {
    ...behind,
    put: (name: string, bytes: Uint8Array) =>
      new Promise<void>((resolve) => void commits.push(() => void behind.put(name, bytes).then(resolve))),
  };
  const { drawer, written } = writeBehind(slow);
  const one = Uint8Array.of(1);
  for (const bytes of [one, Uint8Array.of(2), one]) await drawer.put('thing', bytes);
  assert.deepEqual(await drawer.get('thing'), one);
  assert.equal(await behind.get('thing'), null);
  let done = false;
  const waiting = written().then(() => {
    done = true;
  });
  for (const commit of commits) {
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(done, false);
    assert.deepEqual(await drawer.get('thing'), one, 'the newest, whatever has come to the disk so far');
    commit();
  }
  await waiting;
  assert.deepEqual(await behind.get('thing'), one);
});

test('with more waiting for the disk than there is memory for, the next put waits until there is less', async () => {
  const behind = memoryDrawer();
  const commits: (() => void)[] = [];
  const put = () => new Promise<void>((resolve) => void commits.push(resolve));
  const { drawer } = writeBehind({ ...behind, put });
  const part = new Uint8Array(16 << 20);
  await drawer.put('1', part);
  let isIn = false;
  const second = drawer.put('2', part).then(() => {
    isIn = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isIn, false);
  commits[0]();
  await second;
});
