// The fleet in words: nothing is said that was not measured, and regions come in an order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FleetRow } from '../../protocol/fleet.ts';
import { energyOf, factsOf, regionsOf } from './fleet-words.ts';

const ROW: FleetRow = {
  ...{ device: 'a'.repeat(64), model: 'b'.repeat(64), name: 'poems', quantisation: 'f32', engine: 'own', region: null },
  ...{ writing: 0, places: 2, tokens_per_second: null, round_trip_ms: 12.4, leases: 0, well: 0 },
  ...{
    judged: 0,
    refused: 0,
    price_in: 0,
    price_out: 0,
    chat: true,
    tools: true,
    doubted: false,
    energy: null,
    unpaid: null,
  },
};

test('a device of which nothing is known yet is said to be that, and one that works by its figures', () => {
  assert.deepEqual(factsOf(ROW), [
    ...['idle', 'takes 2 more', 'not measured yet', '12 ms away', 'no answer yet', 'not judged yet', 'asks nothing'],
  ]);
  assert.equal(factsOf({ ...ROW, chat: false, tools: false }).at(-1), 'goes on with texts alone');
  const busy = {
    writing: 1,
    places: 0,
    tokens_per_second: 41.6,
    leases: 100,
    well: 97,
    judged: 12,
    refused: 2,
    price_in: 400_000,
  };
  assert.deepEqual(factsOf({ ...ROW, ...busy, price_out: 3_200_000, doubted: true }), [
    ...['writes 1 answer', 'takes no more', '42 tokens/s', '12 ms away', '97 of 100 went well'],
    '10 of 12 judged answers were right',
    '0.4 credits a million tokens read, 3.2 written',
    'doubted: it was late, broke the form or was judged wrong',
  ]);
});

test('a device that nobody can pay is said to get no requests, and why', () => {
  const words = (['nobody-pays', 'not-bound', null] as const).map((unpaid) => factsOf({ ...ROW, price_in: 1, unpaid }));
  assert.match(words[0].join(), /gets no requests: .* charges nobody/);
  assert.match(words[1].join(), /gets no requests: .* whose it is/);
  assert.doesNotMatch(words[2].join(), /gets no requests/);
});

test('the largest region comes first, and devices that say none come last; a region’s speed is what was measured', () => {
  const rows = ['eu', null, null, null, 'us', 'us'].map((region, i) => ({
    ...ROW,
    region,
    tokens_per_second: i || null,
  }));
  assert.deepEqual(
    regionsOf(rows).map(({ name, rows: those, tokens_per_second }) => [name, those.length, tokens_per_second]),
    [
      ['us', 2, 9],
      ['eu', 1, 0],
      ['Region not said', 3, 6],
    ],
  );
});

test('energy is said as what it is: by the speed of those who tell, estimated where one of them is', () => {
  const row = (tokens_per_second: number | null, joules: number | null, how: 'measured' | 'stated' = 'measured') => ({
    ...{ ...ROW, tokens_per_second, energy: joules === null ? null : { how, joules } },
  });
  assert.equal(energyOf([row(10, null), row(null, 3)]), null);
  assert.deepEqual(energyOf([row(10, 1), row(30, 3), row(500, null)]), { joules: 2.5, stated: false });
  assert.deepEqual(energyOf([row(10, 1), row(10, 3, 'stated')]), { joules: 2, stated: true });
  assert.ok(factsOf(row(10, 1.2345)).includes('1.2 J a token, measured'));
  assert.ok(factsOf(row(10, 1.2345, 'stated')).includes('1.2 J a token, estimated'));
});
