// A token's energy from readings and tokens: nothing from a few, and what was long ago is forgotten.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTokenEnergy } from './token-energy.ts';

const TARIFF = { price_per_kwh: 0.3, wear_per_hour: 0.02 };

test('it is the joules of all readings by the tokens written, once there are enough of both', () => {
  const energy = openTokenEnergy(() => 0);
  const write = (tokens: number): void => {
    for (let i = 0; i < tokens; i++) energy.wrote();
  };
  energy.took({ ...TARIFF, how: 'stated', joules: 500 }); // the model was loaded
  write(20);
  assert.equal(energy.now(), undefined);
  for (let i = 0; i < 1000; i++) {
    write(50);
    energy.took({ ...TARIFF, how: 'measured', joules: 100 });
  }
  const { how, joules } = energy.now()!;
  assert.equal(how, 'measured');
  assert.ok(Math.abs(joules - 2) < 0.05, String(joules));
});

test('without a reading nothing is said', () => {
  const energy = openTokenEnergy(() => 0);
  for (let i = 0; i < 100; i++) energy.wrote();
  assert.equal(energy.now(), undefined);
  assert.equal(energy.cost(), null);
});

test('what tokens cost is their energy and prompts at the tariff, with the time in which some were written, and nothing below it', () => {
  let now_ms = 0;
  const energy = openTokenEnergy(() => now_ms);
  energy.read(1000);
  for (let i = 0; i < 200; i++) energy.wrote();
  now_ms = 10_000;
  energy.took({ ...TARIFF, how: 'measured', joules: 99.9999 });
  now_ms = 20_000; // it waits
  energy.took({ ...TARIFF, how: 'measured', joules: 0 });
  assert.deepEqual(energy.cost(), {
    ...{ energy_millijoules: 99_000, micro_per_kwh: 300_000, worked_ms: 9900, wear_micro_per_hour: 20_000 },
    ...{ input_tokens: 980, output_tokens: 196 },
  });
  energy.took({ ...TARIFF, price_per_kwh: null, how: 'measured', joules: 1 });
  assert.equal(energy.cost(), null);
  energy.took({ ...TARIFF, price_per_kwh: -0.1, how: 'measured', joules: 1 });
  assert.equal(energy.cost()!.micro_per_kwh, 0);
});
