// A drawer that lasts as long as its device, and one over a storage that fails.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DrawerStorage, drawerOver } from './drawer.ts';
import { memoryDrawer } from './memory-drawer.ts';
import { drawerCompliance } from './testing/drawer-compliance.ts';

drawerCompliance('memory', async () => ({ drawer: memoryDrawer() }));

/** A storage that can be full. */
function storage() {
  const kept = new Map<string, Uint8Array>();
  const state = { full: false };
  const orFull = (step: () => void) => async () => {
    if (state.full) throw new Error('no room');
    step();
  };
  const disk: DrawerStorage = {
    read: async (name) => kept.get(name) ?? null,
    write: (name, bytes) => orFull(() => kept.set(name, bytes))(),
    remove: async (name) => void kept.delete(name),
  };
  return { kept, state, disk };
}

test('what cannot be written is kept meanwhile, told once, and not mistaken for what it would have replaced', async () => {
  const { kept, state, disk } = storage();
  const told: string[] = [];
  const drawer = drawerOver(disk, ({ message }) => told.push(message));
  await drawer.put('thing', Uint8Array.of(1));
  state.full = true;
  await drawer.put('thing', Uint8Array.of(2));
  await drawer.put('thing', Uint8Array.of(3));
  assert.deepEqual(await drawer.get('thing'), Uint8Array.of(3));
  assert.deepEqual(kept, new Map(), 'whoever starts again must not find the older piece');
  assert.deepEqual(told, ['no room']);
  state.full = false;
  await drawer.put('thing', Uint8Array.of(4));
  assert.deepEqual(await drawer.get('thing'), Uint8Array.of(4));
  assert.deepEqual(kept.get('thing'), Uint8Array.of(4));
  state.full = true;
  await drawer.put('other', Uint8Array.of(5));
  assert.deepEqual(told, ['no room', 'no room']);
});

test('what cannot be removed is gone for this process all the same', async () => {
  const { disk } = storage();
  const told: string[] = [];
  const drawer = drawerOver({ ...disk, remove: () => Promise.reject(new Error('read only')) }, ({ message }) =>
    told.push(message),
  );
  await drawer.put('thing', Uint8Array.of(1));
  await drawer.delete('thing');
  assert.equal(await drawer.get('thing'), null);
  assert.deepEqual(told, ['read only']);
});
