// A token's energy from readings and tokens: nothing from a few, and what was long ago is forgotten.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTokenEnergy } from './token-energy.ts';

test('it is the joules of all readings by the tokens written, once there are enough of both', () => {
  const energy = openTokenEnergy();
  const write = (tokens: number): void => {
    for (let i = 0; i < tokens; i++) energy.wrote();
  };
  energy.took({ how: 'stated', joules: 500 }); // the model was loaded
  write(20);
  assert.equal(energy.now(), undefined);
  for (let i = 0; i < 1000; i++) {
    write(50);
    energy.took({ how: 'measured', joules: 100 });
  }
  const { how, joules } = energy.now()!;
  assert.equal(how, 'measured');
  assert.ok(Math.abs(joules - 2) < 0.05, String(joules));
});

test('without a reading nothing is said', () => {
  const energy = openTokenEnergy();
  for (let i = 0; i < 100; i++) energy.wrote();
  assert.equal(energy.now(), undefined);
});
