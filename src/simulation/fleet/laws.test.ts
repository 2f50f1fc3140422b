// Whatever fleet is drawn, its seconds, tokens, bytes, energy and money are counted once, and what should change nothing changes nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseFleet } from './fleet.ts';
import { simulateFleet } from './simulate.ts';
import { drawnFleet } from './testing/drawn-fleet.ts';
import { mustObeyLaws } from './testing/laws.ts';

const RUNS = 60;

test('every fleet obeys the laws', () => {
  let trains = 0;
  fc.assert(
    fc.property(drawnFleet, (fleet) => {
      const result = simulateFleet(fleet);
      mustObeyLaws(fleet, result);
      if (result.tokens.merged > 0) trains++;
    }),
    // A fleet has hundreds of numbers: to shrink one that breaks a law takes minutes, and says little more.
    { numRuns: RUNS, endOnFailure: true },
  );
  assert.ok(trains > RUNS / 20, `only ${trains} of ${RUNS} fleets train at all`);
});

test('a fleet comes to the same again', () => {
  fc.assert(
    fc.property(drawnFleet, (fleet) => {
      assert.deepEqual(simulateFleet(fleet), simulateFleet(fleet));
    }),
    { numRuns: 10 },
  );
});

test('what is read from its own JSON is the same fleet', () => {
  fc.assert(
    fc.property(drawnFleet, (fleet) => {
      // A fleet that needs a class which holds its model, and has none, is refused in one line.
      try {
        const text = JSON.stringify(fleet);
        assert.deepEqual(parseFleet(text), JSON.parse(text));
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'bad-fleet')) throw error;
        assert.ok(!error.message.includes('\n'));
      }
    }),
    { numRuns: RUNS },
  );
});

test('ten times the devices in ten times the runs do ten times as much of everything', () => {
  fc.assert(
    fc.property(drawnFleet, (drawn) => {
      const fleet = {
        ...drawn,
        series: undefined,
        serving: undefined,
        hub: { ...drawn.hub, in_mbps: undefined, out_mbps: undefined },
      };
      const one = simulateFleet(fleet);
      const ten = simulateFleet({ ...fleet, devices: fleet.devices * 10, runs: fleet.runs * 10 });
      for (const [small, large] of [
        [one.tokens.merged, ten.tokens.merged],
        [one.energy.kwh, ten.energy.kwh],
        [one.bytes.up, ten.bytes.up],
        [one.bytes.down, ten.bytes.down],
        [one.money.paid, ten.money.paid],
      ]) {
        assert.ok(Math.abs(large - 10 * small) <= 1e-6 * Math.max(1, large), `${small} and ${large}`);
      }
    }),
    { numRuns: 25 },
  );
});
