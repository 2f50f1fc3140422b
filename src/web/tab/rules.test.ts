// A tab by the rules of a process: each of its reasons to pause, the margin of a battery, hours, and that nothing else holds it up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_MEMORY } from '../../peer/owner-policy/decide.ts';
import { type Limits, NO_LIMITS } from './limits.ts';
import { type TabSees, tabPauses } from './rules.ts';

const FINE: TabSees = { battery: { charging: true, level: 0.5 }, metered: false, paused: false };
const at = (hour: number): number => new Date(2026, 10, 25, hour, 30).getTime();
const pauses = (sees: Partial<TabSees>, limits: Partial<Limits> = {}, hour = 12) =>
  tabPauses({ ...FINE, ...sees }, { ...NO_LIMITS, ...limits }, at(hour), NO_MEMORY).pauses;

test('a tab of which nothing is asked works, on battery as well', () => {
  assert.deepEqual(pauses({}), []);
  assert.deepEqual(pauses({ battery: { charging: false, level: 0.5 } }), []);
  assert.deepEqual(pauses({ battery: null }, { only_charging: true }), []);
});

test('each reason alone, and all of them in their order', () => {
  const unplugged = { battery: { charging: false, level: 0.5 } };
  assert.deepEqual(pauses({ paused: true }), ['owner']);
  assert.deepEqual(pauses({ metered: true }), ['metered']);
  assert.deepEqual(pauses({ battery: { charging: false, level: 0.19 } }), ['battery-low']);
  assert.deepEqual(pauses({ battery: { charging: true, level: 0.01 } }), []);
  assert.deepEqual(pauses(unplugged, { only_charging: true }), ['not-charging']);
  assert.deepEqual(pauses({}, { hours: { from: 22, to: 7 } }), ['hours']);
  const poor = { battery: { charging: false, level: 0.1 }, metered: true, paused: true };
  assert.deepEqual(pauses(poor, { only_charging: true, hours: { from: 22, to: 7 } }), [
    'owner',
    'metered',
    'battery-low',
    'hours',
    'not-charging',
  ]);
});

test('hours within a day, over midnight, to midnight, and the whole day', () => {
  const works = (from: number, to: number) =>
    [0, 6, 8, 12, 22, 23].filter((hour) => pauses({}, { hours: { from, to } }, hour).length === 0);
  assert.deepEqual(works(8, 22), [8, 12]);
  assert.deepEqual(works(22, 6), [0, 22, 23]);
  assert.deepEqual(works(22, 0), [22, 23]);
  assert.deepEqual(works(8, 8), [0, 6, 8, 12, 22, 23]);
});

test('a battery that was low is enough again five percent later', () => {
  let memory = NO_MEMORY;
  const found = [0.19, 0.2, 0.249, 0.25, 0.2].map((level) => {
    const made = tabPauses({ ...FINE, battery: { charging: false, level } }, NO_LIMITS, at(12), memory);
    memory = made.memory;
    return made.pauses.length;
  });
  assert.deepEqual(found, [1, 1, 1, 0, 0]);
});

test('after sleep, or when the clock is set, a tab with hours does not wait', () => {
  const limits = { ...NO_LIMITS, hours: { from: 8, to: 22 } };
  const { memory } = tabPauses(FINE, limits, at(9), NO_MEMORY);
  for (const hour of [12, 8]) assert.deepEqual(tabPauses(FINE, limits, at(hour), memory).pauses, []);
});
