// What a judge keeps of workers that it follows: whole, for one more round, within a limit, and nothing of what was not proven.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Weights } from '../../model/config.ts';
import type { Drawer } from '../drawer.ts';
import { memoryDrawer } from '../memory-drawer.ts';
import { keepInSlot, piecesIn, takeCarried } from '../pretrain/carried.ts';
import { FollowedStates } from './followed.ts';

const SPECS = ['a', 'b'].map((name) => ({ name, shape: [3], decay: true, init: 'zeros' as const }));
const STATE_BYTES = 3 * 4 * 6;

/** A drawer, and the names of what is in it. */
function watchedDrawer(): { drawer: Drawer; names: Set<string> } {
  const inner = memoryDrawer();
  const names = new Set<string>();
  const drawer: Drawer = {
    get: (name) => inner.get(name),
    async put(name, bytes) {
      names.add(name);
      await inner.put(name, bytes);
    },
    async delete(name) {
      names.delete(name);
      await inner.delete(name);
    },
  };
  return { drawer, names };
}

/** Steps, then a tensor for each weight of each group, all values `value` and up. */
async function* tensors(value: number): AsyncGenerator<Float32Array> {
  yield Float32Array.of(value);
  for (let i = 0; i < 6; i++) yield new Float32Array(3).fill(value + i);
}

const read = async (states: FollowedStates, hash: string) => {
  const found: [string, string, number][] = [];
  const taken = await takeCarried(
    SPECS,
    states.find(hash)!.pieces,
    async () => true,
    (group, name, values) => void found.push([group, name, values[0]]),
  );
  return { found, taken };
};

test('what is kept of a worker is read back: moments, error feedback, steps', async () => {
  const { drawer } = watchedDrawer();
  const states = new FollowedStates(drawer);
  await states.keep(SPECS, 'left', { round: 4, apart: 0.5 }, tensors(10));
  assert.equal(states.find('left')!.apart, 0.5);
  assert.equal(states.find('left')!.round, 4);
  const { found, taken } = await read(states, 'left');
  const groups = ['first', 'second', 'error'];
  assert.deepEqual(
    found,
    groups.flatMap((group, i) => [
      [group, 'a', 10 + 2 * i],
      [group, 'b', 11 + 2 * i],
    ]),
  );
  assert.equal(taken!.steps, 10);
  const first = (weights: Weights): [string, number][] => [...weights].map(([name, values]) => [name, values[0]]);
  assert.deepEqual(first(await taken!.error(['b'])), [['b', 15]]);
  assert.deepEqual(first(await taken!.error(['b', 'a'])), [
    ['a', 14],
    ['b', 15],
  ]);
});

test('it is kept for one more round, each under a name of its own', async () => {
  const { drawer, names } = watchedDrawer();
  const states = new FollowedStates(drawer);
  for (const [hash, round] of [
    ['one', 0],
    ['other', 0],
    ['next', 1],
  ] as const) {
    await states.keep(SPECS, hash, { round, apart: 0 }, tensors(round));
  }
  assert.ok(states.find('one') && states.find('other') && states.find('next'));
  assert.equal((await read(states, 'one')).taken!.steps, 0);
  assert.equal((await read(states, 'next')).taken!.steps, 1);
  const { size } = names;
  await states.keep(SPECS, 'later', { round: 2, apart: 0 }, tensors(2));
  assert.equal(states.find('one') ?? states.find('other'), undefined);
  assert.ok(states.find('next'));
  assert.equal(names.size, (size / 3) * 2, 'nothing is left of the others');
});

test('what there is no room for goes, the oldest first', async () => {
  const { drawer, names } = watchedDrawer();
  const states = new FollowedStates(drawer, 2 * STATE_BYTES);
  for (const hash of ['one', 'two', 'three']) await states.keep(SPECS, hash, { round: 0, apart: 0 }, tensors(1));
  assert.deepEqual(
    ['one', 'two', 'three'].map((hash) => states.find(hash) !== undefined),
    [false, true, true],
  );
  assert.equal(names.size, 2 * 2);
});

test('a state that is shown is kept where it is proven, and nothing of one that is not', async () => {
  const shown = memoryDrawer();
  const hash = bytesToHex(await keepInSlot(SPECS, shown, 'own', tensors(7)));
  const { drawer, names } = watchedDrawer();
  const states = new FollowedStates(drawer);
  assert.equal(await states.keepShown(SPECS, 'another', 3, piecesIn(shown, 'own')), null);
  const cut = async (part: number | null) => (part === null ? piecesIn(shown, 'own')(part) : null);
  assert.equal(await states.keepShown(SPECS, hash, 3, cut), null);
  assert.equal(names.size, 0);
  assert.equal(states.find(hash), undefined);
  const found = await states.keepShown(SPECS, hash, 3, piecesIn(shown, 'own'));
  assert.deepEqual([found!.round, found!.apart], [3, 0]);
  assert.equal((await read(states, hash)).taken!.steps, 7);
});
