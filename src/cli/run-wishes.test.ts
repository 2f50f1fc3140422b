// What a device is asked to work for: a case a line, and what contradicts itself is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RunFlags, type RunWish, wishesOf } from './run-wishes.ts';

const HUB = 'http://h:7700';
const flags = (...run: string[]): RunFlags => ({ run, anyRun: false });
const ANY: RunFlags = { run: [], anyRun: true };
const shown = (wishes: readonly RunWish[]): string =>
  wishes.map(({ run, share }) => `${run === null ? 'any' : (run ?? 'the only')} ${share}`).join(', ');

test('from the command line', () => {
  const cases: [RunFlags, string][] = [
    [flags(), 'the only 1'],
    [flags('poems'), 'poems 1'],
    [flags('lr=3'), 'lr=3 1'], // one run has all of the time, whatever it is called
    [ANY, 'any 1'],
    [flags('poems=70', 'plays=30'), 'poems 70, plays 30'],
    [flags('a=b=70', 'c=2.5'), 'a=b 70, c 2.5'],
    [flags('poems', 'plays'), 'poems 1, plays 1'],
  ];
  for (const [given, wishes] of cases) assert.equal(shown(wishesOf(HUB, given, null)), wishes);
});

test('from what is set, of several hubs', () => {
  const set = [
    { hub: HUB, run: 'poems', share: 70 },
    { hub: 'http://g', run: null, share: 30 },
  ];
  assert.equal(shown(wishesOf(undefined, flags(), set)), 'poems 70, any 30');
  assert.equal(shown(wishesOf(HUB, flags(), set)), 'the only 1'); // what is said counts
});

test('what contradicts itself, or is not enough, is refused with what was expected', () => {
  const cases: [string | undefined, RunFlags, RegExp][] = [
    [HUB, { run: ['a'], anyRun: true }, /--run and --any-run contradict each other/],
    [HUB, flags('a=70', 'b'), /expected a share of 1 to 100 .* got "b"/],
    [HUB, flags('a=70', 'b=0'), /got "b=0"/],
    [HUB, flags('a=70', 'b=101'), /got "b=101"/],
    [undefined, ANY, /expected the address of the hub/],
    [undefined, flags('a'), /expected the address of the hub/],
    [undefined, flags(), /runs that are set by "potluck device set runs"/],
  ];
  for (const [url, given, says] of cases) assert.throws(() => wishesOf(url, given, null), says);
});
