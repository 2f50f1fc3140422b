// Who brought how much: parts that add up, a colour that stays, and "you" always by name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerView } from '../../protocol/messages.ts';
import { broughtBy, dishesOf, percent } from './brought.ts';

const peer = (id: string, credit_amount: number, more: Partial<PeerView> = {}): PeerView => ({
  ...{ id, name: id, role: 'worker', runtime: 'wasm', present: true, credit_amount, progress: null },
  ...{ merged_submissions: 1, refused_submissions: 0, bytes_up: 0, bytes_down: 0, ...more },
});

test('the parts are the whole, the largest first, and who brought nothing is not among them', () => {
  const { parts, unit, devices } = broughtBy([peer('a', 100), peer('b', 300), peer('c', 0)], null);
  assert.deepEqual([unit, devices], ['checked', 2]);
  assert.deepEqual(
    parts.map((part) => [part.peer?.id, part.share]),
    [
      ['b', 0.75],
      ['a', 0.25],
    ],
  );
});

test('of many, seven are named, you too, and everybody else is one part', () => {
  const crowd = Array.from({ length: 100 }, (_, i) => peer(`p${i}`, 1000 - i));
  const { parts } = broughtBy(crowd, 'p99');
  assert.equal(parts.length, 9);
  assert.deepEqual([parts[7].peer?.id, parts[7].you], ['p99', true]);
  assert.deepEqual([parts[8].peer, parts[8].dish, parts[8].devices], [null, 'rest', 92]);
  assert.ok(Math.abs(parts.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
});

test('eight are all named: nobody is "1 other"', () => {
  const parts = broughtBy(
    Array.from({ length: 8 }, (_, i) => peer(`p${i}`, 10)),
    null,
  ).parts;
  assert.equal(parts.length, 8);
  assert.ok(parts.every(({ peer }) => peer !== null));
});

test('a colour belongs to a device from when it comes, whoever brings more later, and validators take none', () => {
  const [ada, vera, ben] = [peer('ada', 1), peer('vera', 0, { role: 'validator' }), peer('ben', 9)];
  assert.deepEqual(
    [...dishesOf([ada, vera, ben])],
    [
      ['ada', 0],
      ['ben', 1],
    ],
  );
  assert.deepEqual(
    broughtBy([ada, vera, ben], null).parts.map(({ dish }) => dish),
    [1, 0],
  );
});

test('where nobody has checked any work, pieces are counted', () => {
  const { parts, unit } = broughtBy([peer('a', 0, { merged_submissions: 3 }), peer('b', 0)], null);
  assert.equal(unit, 'pieces');
  assert.deepEqual(
    parts.map(({ amount }) => amount),
    [3, 1],
  );
  assert.deepEqual(broughtBy([], null), { parts: [], unit: 'pieces', devices: 0 });
});

test('per cent is never nothing of something', () => {
  assert.deepEqual([0.5, 0.0996, 0.0123, 0.0000001].map(percent), ['50 %', '10 %', '1.2 %', '< 0.1 %']);
});
