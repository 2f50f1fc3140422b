// The fleet of several gateways: nothing is counted twice, and nothing that only one of them knows is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fleet, FleetRow } from '../../protocol/fleet.ts';
import { wholeFleet } from './whole-fleet.ts';

const row = (more: Partial<FleetRow> = {}): FleetRow => ({
  ...{ device: 'a'.repeat(64), model: 'b'.repeat(64), name: 'poems', quantisation: 'f32', engine: 'own' },
  ...{ chat: true, tools: false, region: null, writing: 0, places: 4, tokens_per_second: null, round_trip_ms: 50 },
  ...{
    leases: 0,
    well: 0,
    judged: 0,
    refused: 0,
    price_in: 0,
    price_out: 0,
    unpaid: null,
    energy: null,
    doubted: false,
  },
  ...more,
});
const fleet = (more: Partial<Fleet> = {}): Fleet => ({
  ...{ devices: 0, answers: 0, rows: [], day: { tokens: [], answers: [], no_room: [], waiting: [] } },
  ...more,
});

test('a device that two gateways know is one, with what both have measured', () => {
  const one = fleet({
    ...{ devices: 2, answers: 3 },
    rows: [row({ writing: 2, places: 1, leases: 5, well: 4, tokens_per_second: 20, round_trip_ms: 9 })],
  });
  const two = fleet({
    ...{ devices: 2, answers: 1 },
    rows: [
      row({ writing: 1, places: 2, leases: 1, well: 1, judged: 2, refused: 1, tokens_per_second: 7, doubted: true }),
      row({ device: 'c'.repeat(64) }),
    ],
  });
  for (const fleets of [
    [one, two],
    [two, one],
  ]) {
    const { devices, answers, rows } = wholeFleet(fleets);
    assert.deepEqual([devices, answers, rows.length], [2, 4, 2]);
    assert.deepEqual(
      rows[0],
      row({
        ...{ writing: 3, places: 1, leases: 6, well: 5, judged: 2, refused: 1, doubted: true },
        ...{ tokens_per_second: 20, round_trip_ms: 9 },
      }),
    );
  }
});

test('what a gateway has measured that has not asked a device as often is not lost', () => {
  const [asked] = wholeFleet([
    fleet({ rows: [row({ leases: 3 })] }),
    fleet({ rows: [row({ leases: 1, tokens_per_second: 5 })] }),
  ]).rows;
  assert.deepEqual([asked.leases, asked.tokens_per_second], [4, 5]);
});

test('the day is that of all, also of those that began later', () => {
  const day = (tokens: number[]) => ({ tokens, answers: tokens, no_room: tokens.map(() => 0), waiting: tokens });
  const whole = wholeFleet([fleet({ day: day([1, 2, 3]) }), fleet({ day: day([10]) })]);
  assert.deepEqual(whole.day, day([1, 2, 13]));
  assert.deepEqual(wholeFleet([]), fleet());
});
