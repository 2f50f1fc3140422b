// The fleets that are shipped: each is read, runs, and obeys the laws; and what each was written to show is there.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { type Fleet, parseFleet } from './fleet.ts';
import type { FleetResult } from './result.ts';
import { simulateFleet } from './simulate.ts';
import { mustObeyLaws } from './testing/laws.ts';

const FOLDER = join(import.meta.dirname, 'scenarios');
/** Small, so that all of them take seconds: the core's own sample is what costs time. */
const COMMITTEE = { workers: 12, judges: 4, rounds: 12, skip: 6 };

function play(name: string, change: (fleet: Fleet) => Fleet = (fleet) => fleet): { fleet: Fleet; result: FleetResult } {
  const fleet = change({ ...parseFleet(readFileSync(join(FOLDER, `${name}.json`), 'utf8')), committee: COMMITTEE });
  const result = simulateFleet(fleet);
  mustObeyLaws(fleet, result);
  return { fleet, result };
}

for (const file of globSync('*.json', { cwd: FOLDER }).sort()) {
  const name = basename(file, '.json');
  test(`${name} is read, runs and obeys the laws`, () => {
    const { result } = play(name);
    assert.ok(result.tokens.merged > 0 && result.energy.kwh > 0);
  });
}

test('every model and class of a shipped fleet says where its numbers come from', () => {
  for (const file of globSync('*.json', { cwd: FOLDER })) {
    const { classes, model, round, hub, source } = parseFleet(readFileSync(join(FOLDER, file), 'utf8'));
    for (const part of [...classes, model, round, hub, { source }]) assert.ok(part.source.length > 0, file);
  }
});

test('one zone on the sun stands still at night, and three around the world never do', () => {
  const alone = play('solar', (fleet) => {
    return { ...fleet, days: 2, classes: fleet.classes.map((one) => ({ ...one, zones: [{ utc_h: 0, share: 1 }] })) };
  }).result.hours;
  assert.deepEqual(
    alone.tokens_per_s.slice(24).map((tokens) => tokens > 0),
    Array.from({ length: 24 }, (_, hour) => hour >= 6 && hour < 18),
  );
  const world = play('solar', (fleet) => ({ ...fleet, days: 2 })).result.hours;
  assert.ok(Math.min(...world.tokens_per_s.slice(24)) > 0);
});

test('what is answered is taken from training, hour by hour', () => {
  const { result } = play('clusters-near-users', (fleet) => ({ ...fleet, days: 2 }));
  const { served_tokens_per_s: served, workers } = result.hours;
  const most = served.indexOf(Math.max(...served));
  const least = served.indexOf(Math.min(...served));
  assert.ok(workers[most] < workers[least], 'fewer train when more is asked for');
  assert.equal(result.tokens.served, result.tokens.asked);
});

test('answers that nobody can give are not given', () => {
  const { result } = play('clusters-near-users', (fleet) => {
    const tokens_per_s = fleet.serving!.tokens_per_s.map((asked) => asked * 100);
    return { ...fleet, days: 1, serving: { ...fleet.serving!, tokens_per_s } };
  });
  assert.ok(result.tokens.served < result.tokens.asked);
  assert.equal(result.tokens.merged, 0, 'nobody is left to train');
});

test('ten times as many devices in one run waste more tokens, and in ten times as many runs none more', () => {
  const base = play('gaming-pcs', (fleet) => ({ ...fleet, days: 2 })).result;
  const crowded = play('gaming-pcs', (fleet) => ({ ...fleet, days: 2, devices: fleet.devices * 10 })).result;
  const divided = play('gaming-pcs', (fleet) => ({
    ...fleet,
    days: 2,
    devices: fleet.devices * 10,
    runs: fleet.runs * 10,
  })).result;
  const wasted = ({ tokens }: FleetResult): number => tokens.beyond_critical / tokens.merged;
  assert.ok(wasted(crowded) > wasted(base) + 0.1, `${wasted(crowded)} beside ${wasted(base)}`);
  assert.ok(Math.abs(wasted(divided) - wasted(base)) < 1e-6);
});
