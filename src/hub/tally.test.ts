// A tally adds up, forgets what is nothing, and stops whoever takes away more than was there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openTally } from './tally.ts';

test('a tally is what was added, without what is nothing', () => {
  const change = fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: -3, max: 3 }));
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const tally = openTally();
      const expected = new Map<string, number>();
      for (const [name, by] of changes) {
        const sum = (expected.get(name) ?? 0) + by;
        if (sum < 0) assert.throws(() => tally.add(name, by), /no more is subtracted than was added/);
        else {
          tally.add(name, by);
          expected.set(name, sum);
        }
        assert.equal(tally.of(name), expected.get(name) ?? 0);
      }
      assert.deepEqual(new Map(tally.all), new Map([...expected].filter(([, sum]) => sum > 0)));
    }),
  );
});
