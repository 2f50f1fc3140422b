// Runs that others have published: what they tell of their devices and models goes in (published/*.json, each number with its source), and what
// they tell of their speed and bytes must come out within 15 %. No constant was fitted so that one of them comes out.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Fleet, parseFleet, updateBytes } from './fleet.ts';
import type { FleetResult } from './result.ts';
import { simulateFleet } from './simulate.ts';
import { mustObeyLaws } from './testing/laws.ts';

const WITHIN = 0.15;

function within(got: number, published: number, what: string, part = WITHIN): void {
  const off = got / published - 1;
  assert.ok(Math.abs(off) <= part, `${what}: published ${published}, got ${got} (${(100 * off).toFixed(1)} %)`);
}

function play(name: string): { fleet: Fleet; result: FleetResult } {
  const fleet = parseFleet(readFileSync(join(import.meta.dirname, 'published', `${name}.json`), 'utf8'));
  const result = simulateFleet(fleet);
  mustObeyLaws(fleet, result);
  return { fleet, result };
}

/** arXiv 2412.01152, table 2: 38 minutes for 100 inner steps; the all-reduce and what it leaves for computing. */
const INTELLECT = {
  steps_s: 38 * 60,
  global: { reduce_s: 469, used: 0.83 },
  usa: { reduce_s: 103, used: 0.957 },
  days: 42,
};

test('INTELLECT-1: the time of 100 steps follows from the model, the batch and the utilisation of the cards', () => {
  const { fleet, result } = play('intellect-1-global');
  const [{ time_shares }] = result.classes;
  within(time_shares.training * result.rounds.mean_s, INTELLECT.steps_s, 'seconds of 100 steps');
  assert.equal(fleet.model.inner_steps, 100);
});

test('INTELLECT-1 around the world: round, utilisation and tokens a second follow from the slowest line of the ring', () => {
  const { fleet, result } = play('intellect-1-global');
  const { steps_s, global } = INTELLECT;
  within(result.rounds.mean_s, steps_s + global.reduce_s, 'seconds of a round');
  within(result.classes[0].time_shares.training, global.used, 'the part of the time that computes');
  const tokens_per_s = (14 * 100 * fleet.model.batch_tokens) / (steps_s + global.reduce_s);
  within(result.tokens.per_s, tokens_per_s, 'tokens a second of 14 nodes');
});

test('INTELLECT-1 in the USA: its utilisation lies between those of the slowest and the fastest line that the report names', () => {
  const slow = play('intellect-1-global').result.classes[0].time_shares.training;
  const fast = play('intellect-1-fast-lines').result.classes[0].time_shares.training;
  assert.ok(slow < INTELLECT.usa.used && INTELLECT.usa.used < fast, `${slow} to ${fast}`);
});

test('INTELLECT-1: 400 times fewer bytes than an exchange of float32 gradients after each step', () => {
  const { fleet, result } = play('intellect-1-global');
  const { model, devices } = fleet;
  const each_step = ((2 * (devices - 1)) / devices) * 4 * model.parameters;
  within((model.inner_steps * each_step) / result.bytes_a_worker_round.up, 400, 'times fewer bytes');
});

test('INTELLECT-1: its 42 days are between those of 14 nodes and of 4 all the time; the series of nodes is published as a picture only', () => {
  const all = play('intellect-1-global').result.finished_after_days!;
  assert.ok(all < INTELLECT.days && INTELLECT.days < (all * 14) / 4, `${all} days with 14 nodes`);
  const growing = play('intellect-1-growing').result.finished_after_days!;
  assert.ok(
    growing < INTELLECT.days,
    `growing evenly it computes for ${growing} days; restarts and faults are not simulated`,
  );
});

/** arXiv 2603.08163, section 4.3: a window of 20 minutes, 70 s of communication, 94.5 % used; 4.1: more than 146 times fewer bytes; 4.4: 16.9 peers. */
const COVENANT = { window_s: 1200, communication_s: 70, used: 0.945, fewer: 146, peers: 16.9, line: { up_mbps: 110 } };

test('Covenant-72B: round, utilisation, tokens a second and bytes', () => {
  const { fleet, result } = play('covenant-72b');
  within(result.rounds.mean_s, COVENANT.window_s + COVENANT.communication_s, 'seconds of a round', 0.01);
  within(result.classes[0].time_shares.training, COVENANT.used, 'the part of the time that computes', 0.01);
  const { up, down, dense } = result.bytes_a_worker_round;
  within(dense / up, COVENANT.fewer, 'times fewer bytes than dense float32', 0.01);
  within(down, COVENANT.peers * up, 'what a peer downloads: everybody’s update');
  const a_round = COVENANT.peers * 30 * 192 * 2048;
  within(result.tokens.per_s, a_round / (COVENANT.window_s + COVENANT.communication_s), 'tokens a second');
  within(result.rounds.count, fleet.model.tokens / a_round, 'rounds for 1.1e12 tokens');
});

test('Covenant-72B: its communication time is what was measured, because the lines that it names do not carry its bytes in it', () => {
  const { fleet } = play('covenant-72b');
  const alone_s = (updateBytes(fleet.model) * 8) / (COVENANT.line.up_mbps * 1e6);
  assert.ok(alone_s > 2 * COVENANT.communication_s, `uploading alone takes ${alone_s} s`);
});

test('BOINC: 700,000 devices average 93 PFLOPS, as their times of running, allowing and getting multiply', () => {
  const { fleet, result } = play('boinc');
  const [{ present }] = result.classes;
  within(present / fleet.devices, 0.61, 'the part of the time that a device gives');
  within(present * fleet.classes[0].flops, 93e15, 'flops', 0.01);
  assert.ok(result.classes[0].time_shares.training > 0.75, 'most of it is computed with');
});

test('Folding@home’s surge: uploads become the bottleneck, and more devices bring hardly more', () => {
  const { result, fleet } = play('folding-at-home');
  const { hours } = result;
  const at = (day: number) => ({
    tokens: hours.tokens_per_s[day * 24],
    present: hours.present[day * 24],
    round_s: hours.round_s[day * 24],
  });
  const [before, spring, late] = [at(10), at(20), at(40)];
  // 23 times the devices of before bring less than 15 times the work, and the last 1.75 times bring less than 1.4 times.
  assert.ok(late.present / before.present > 23);
  assert.ok(late.tokens / before.tokens < 15, `${late.tokens / before.tokens}`);
  assert.ok(late.tokens / spring.tokens < 1.4, `${late.tokens / spring.tokens}`);
  // On lines that take any amount the work grows with the devices.
  const free = simulateFleet({ ...fleet, hub: { ...fleet.hub, in_mbps: undefined } });
  const [less, more] = [10, 40].map((day) => free.hours.tokens_per_s[day * 24]);
  within(more / less, late.present / before.present, 'work without a bottleneck', 0.01);
  // What comes in is never more than the line takes.
  for (const bytes of hours.hub_bytes_per_s) assert.ok(bytes * 8 <= fleet.hub.in_mbps! * 1e6 * 1.05, `${bytes}`);
});
