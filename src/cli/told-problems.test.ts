// What an operator reads of problems: each kind at once, the same one again as a number, and none is lost.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { type HandClock, handClock } from '../protocol/testing/hand-clock.ts';
import { openToldProblems, TOLD_LIMITS, type ToldProblems } from './told-problems.ts';

let clock: HandClock;
let told: string[];
let problems: ToldProblems;
beforeEach(() => {
  clock = handClock();
  told = [];
  problems = openToldProblems((where, message, again) => told.push(`${where}: ${message} ${again}`), clock);
});

describe('problems that are told', () => {
  test('the first at once, those like it as a number after a while, and nothing once they are over', () => {
    for (let i = 0; i < 50; i++) problems.heard('events', 'no leader');
    problems.heard('events', 'disk full');
    assert.deepEqual(told, ['events: no leader 0', 'events: disk full 0']);
    clock.move(TOLD_LIMITS.again_ms - 1);
    assert.equal(told.length, 2);
    clock.move(1);
    assert.deepEqual(told.slice(2), ['events: no leader 49']);
    problems.heard('events', 'no leader');
    assert.equal(told.length, 3);
    clock.move(TOLD_LIMITS.again_ms);
    assert.deepEqual(told.slice(3), ['events: no leader 1']);
    clock.move(2 * TOLD_LIMITS.again_ms);
    assert.equal(told.length, 4);
    problems.heard('events', 'no leader');
    assert.deepEqual(told.slice(4), ['events: no leader 0']);
  });

  test('the end tells what was not told yet, once', () => {
    for (let i = 0; i < 3; i++) problems.heard('a', 'b');
    problems.close();
    assert.deepEqual(told, ['a: b 0', 'a: b 2']);
    clock.move(2 * TOLD_LIMITS.again_ms);
    assert.equal(told.length, 2);
  });

  test('each is counted, whatever comes in whatever order', () => {
    const step = fc.oneof(fc.nat(150), fc.constant(null));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        let heard = 0;
        let counted = 0;
        const hand = handClock();
        const own = openToldProblems((_, __, again) => (counted += again === 0 ? 1 : again), hand);
        for (const kind of steps) {
          if (kind === null) hand.move(TOLD_LIMITS.again_ms / 3);
          else {
            heard++;
            own.heard('somewhere', String(kind));
          }
        }
        own.close();
        assert.equal(counted, heard);
      }),
    );
  });
});
