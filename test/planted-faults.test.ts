// Planted faults: each has its text in the source, and those that are planted here are found. `npm run simulate -- --bugs` plants all.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ALL_FAULTS, findFault, knownSeed } from '../src/simulation/find-faults.ts';
import { withFault } from '../src/simulation/plant.ts';
import { PLANTED_FAULTS } from '../src/simulation/planted-faults.ts';

/** To plant a fault of the rules, or of moves, loads the core anew: one in so many is, all with POTLUCK_FAULTS=all. */
const ONE_IN = process.env.POTLUCK_FAULTS === 'all' ? 1 : 4;

describe('a planted fault is found', () => {
  for (const [i, fault] of ALL_FAULTS.entries()) {
    // A few are found by the test of their own room alone.
    const byTest = 'by' in fault && fault.by === null;
    const left = 'by' in fault && (fault.by === 'rules' || fault.by === 'moves') && i % ONE_IN !== 0;
    if (byTest || left) continue;
    test(fault.name, async (t) => {
      const found = await findFault(fault, true);
      assert.ok(found?.violation, 'no history has found it');
      // A hint that other rules have made stale costs as many histories as it takes: up to a minute.
      const known = knownSeed(fault);
      if (found.seeds !== known)
        t.diagnostic(`${found.seeds} finds it, not ${known}: npm run simulate -- --bugs --record`);
    });
  }
});

test('a planted fault has its text in the source, once, and a name of its own', () => {
  for (const fault of PLANTED_FAULTS) {
    const source = readFileSync(join(import.meta.dirname, '..', 'src', fault.file), 'utf8');
    assert.notEqual(withFault(fault, source), source, fault.name);
  }
  assert.equal(new Set(ALL_FAULTS.map(({ name }) => name)).size, ALL_FAULTS.length);
  const [fault] = PLANTED_FAULTS;
  assert.equal(withFault(fault, `a ${fault.find} b`), `a ${fault.replace} b`);
  for (const source of ['', `${fault.find} ${fault.find}`]) {
    assert.throws(() => withFault(fault, source), { code: 'bad-fault', message: new RegExp(fault.name) });
  }
});
