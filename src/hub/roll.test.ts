// Whoever is connected is found where it is looked for, and nowhere after it has gone: compared with looking through everybody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type OnRoll, openRoll } from './roll.ts';

const said = fc.oneof(
  fc.record({
    role: fc.constantFrom('worker', 'validator'),
    peer: fc.constantFrom('p', 'q'),
    run: fc.constantFrom('r', 's'),
  }),
  fc.constant({ role: 'observer', peer: null, run: null } as const),
) as fc.Arbitrary<OnRoll>;
const step = fc.oneof(fc.constant('add' as const), fc.tuple(fc.nat(30), said), fc.nat(30));

test('the roll and a look through all connections agree', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const roll = openRoll<OnRoll>();
      const model: OnRoll[] = [];
      for (const what of steps) {
        if (what === 'add') {
          model.push({ role: null, peer: null, run: null });
          roll.add(model.at(-1)!);
        } else if (typeof what === 'number') {
          const [gone] = model.splice(what, 1);
          if (gone) roll.remove(gone);
          if (gone) roll.remove(gone); // twice is once
        } else if (model[what[0]]?.role === null) {
          roll.enter(Object.assign(model[what[0]], what[1]));
        }
        assert.deepEqual([...roll.all], model);
        for (const run of ['r', 's']) {
          for (const role of ['worker', 'validator'] as const) {
            const there = model.filter((one) => one.run === run && one.role === role);
            assert.deepEqual(new Set(roll.inRun(run, role)), new Set(there));
          }
          for (const peer of ['p', 'q']) {
            const there = model.filter((one) => one.run === run && one.peer === peer);
            assert.deepEqual(new Set(roll.withKey(run, peer)), new Set(there));
            assert.equal(roll.hasKey(run, peer), there.length > 0);
          }
        }
        assert.deepEqual(new Set(roll.observers()), new Set(model.filter(({ role }) => role === 'observer')));
        const counts = Object.fromEntries(roll.roles());
        assert.deepEqual(
          counts,
          Object.fromEntries(
            [...new Set(model.map(({ role }) => role ?? 'unnamed'))].map((role) => [
              role,
              model.filter((one) => (one.role ?? 'unnamed') === role).length,
            ]),
          ),
        );
      }
    }),
  );
});
