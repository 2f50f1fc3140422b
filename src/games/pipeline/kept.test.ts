// What a worker keeps of a round to show it: found by whoever knows a part of it, within its bounds.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Kept, type Transfer } from './kept.ts';

const [ADA, BOB, CLEO] = ['a', 'b', 'c'].map((name) => name.repeat(64));
const of = { origin: ADA, number: 3 };
const given: Transfer = { kind: 'activations', by: ADA, to: BOB, of };
const wanted = { kind: 'activations', by: ADA, ...of } as const;
const shown = (hash: string, size = 1) => ({
  ...{ hash: hash.repeat(64), signature: new Uint8Array(64), payload: new Uint8Array(size) },
});

describe('what is kept of a round', () => {
  test('is found by who handed on what, to whom, and its hash', () => {
    const kept = new Kept(async () => null);
    kept.received(given, shown('1'));
    kept.sent({ ...given, to: CLEO }, shown('2'));
    assert.equal(kept.count, 2);
    assert.equal(kept.find({ ...wanted, to: BOB })?.hash, '1'.repeat(64));
    assert.equal(kept.find({ ...wanted, to: CLEO })?.hash, '2'.repeat(64));
    assert.equal(kept.find({ ...wanted, hash: '2'.repeat(64) })?.hash, '2'.repeat(64));
    for (const other of [{ by: BOB }, { number: 4 }, { origin: BOB }, { kind: 'gradient' as const }, { to: ADA }]) {
      assert.equal(kept.find({ ...wanted, ...other }), undefined, JSON.stringify(other));
    }
    assert.equal(kept.find({ ...wanted, to: BOB, hash: '2'.repeat(64) }), undefined);
  });

  test('what was sent goes without its bytes where there is no room, and takes it once however many got it', () => {
    const kept = new Kept(async () => null, { all: 100, sent: 10 });
    const twice = shown('1', 6);
    kept.sent(given, twice);
    kept.sent({ ...given, to: CLEO }, twice);
    kept.sent({ ...given, of: { origin: ADA, number: 4 } }, shown('2', 5));
    kept.sent({ ...given, of: { origin: ADA, number: 5 } }, shown('3', 4));
    const bytes = (number: number, to = BOB) => kept.find({ ...wanted, number, to })?.payload?.length;
    assert.deepEqual([bytes(3), bytes(3, CLEO), bytes(4), bytes(5)], [6, 6, undefined, 4]);
    assert.equal(kept.find({ ...wanted, number: 4 })?.hash, '2'.repeat(64));
    // Who asks by the hash alone gets a copy that has its bytes.
    kept.sent({ ...given, to: CLEO, of: { origin: ADA, number: 4 } }, shown('2', 0));
    assert.equal(bytes(4, CLEO), 0);
    assert.equal(kept.find({ ...wanted, number: 4 })?.payload?.length, 0);
  });

  test('is full when what came in fills it, never by what was sent', () => {
    const kept = new Kept(async () => null, { all: 10, sent: 100 });
    kept.sent(given, shown('1', 50));
    kept.received(given, shown('2', 9));
    assert.equal(kept.full, false);
    kept.received({ ...given, of: { origin: ADA, number: 4 } }, shown('3', 1));
    assert.equal(kept.full, true);
  });
});
