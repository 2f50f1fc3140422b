// A model in stages under liars: the real game among neighbours in memory, its real repetition, the core's pay. What honest devices get for their
// work no liar gets for less, and a check that is left out is found.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { AnyGame } from '../games/game.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { type ReusingRuntime, reusingRuntime } from '../tensor/testing/reusing-runtime.ts';
import { PIPELINE_LIARS } from './adversaries/pipeline-liars.ts';
import { adversariesOf, adversaryNamed } from './adversaries/registry.ts';
import { playArena } from './arena.ts';
import type { ArenaResult } from './arena-result.ts';
import { ARENA_RULES, crowdOf } from './play-job.ts';
import { reportOn } from './play-report.ts';
import { type GameSetup, IN_STAGES, setUpPipeline } from './play-setup.ts';

const STAGES = 3;
const TEXT = Array.from({ length: 400 }, (_, i) => `Sentence ${i}: the quick brown fox jumps over ${i * 7} dogs. `);
/** Of each stage two honest devices and a liar. */
const CROWD = { workers: 3 * STAGES, validators: 2, share: 1 / 3 };

let runtime: ReusingRuntime;
let setup: GameSetup;
/** Three kinds of liars, one at each stage. */
let judged: ArenaResult;
before(async () => {
  runtime = reusingRuntime(await createNativeRuntime({ threads: 1 }));
  const settings = { ...IN_STAGES, context: 16, inner_steps: 2, evaluation_sequences: 8 };
  setup = await setUpPipeline(settings, TEXT, byteTokenizer(), {});
  judged = await play(['forward-only', 'wrong-sign', 'same-answer']);
});
after(() => runtime.close());

const play = (names: readonly string[], game: AnyGame = setup.game): Promise<ArenaResult> => {
  runtime.reclaim();
  return playArena({
    ...{ ...setup, game, rounds: 1, seed: 'stages', rules: ARENA_RULES, plant_every: 0 },
    devices: crowdOf(CROWD, names.map(adversaryNamed), () => runtime),
    ends_when_broken: names.length === 0,
  });
};
const workersOf = ({ devices }: ArenaResult, lying: boolean) =>
  devices.filter(({ role, adversary }) => role === 'worker' && (adversary !== null) === lying);

describe('a model in stages', () => {
  test('knows every one of its liars by name, and plays no other game’s', () => {
    const names = adversariesOf('pipeline').map(({ name }) => name);
    for (const { name } of PIPELINE_LIARS) assert.ok(names.includes(name), name);
    assert.ok(!adversariesOf('pretrain').some(({ name }) => name === 'forward-only'));
  });

  test('pays honest devices what they did, each of its stage, and no liar among them', async () => {
    const [honest, liars] = [workersOf(judged, false), workersOf(judged, true)];
    assert.deepEqual([honest.length, liars.length, judged.honest.refused], [6, 3, 0]);
    assert.ok(judged.honest.judged >= 12);
    for (const { name, shares, merged, units } of honest) assert.ok(shares > 0 && merged === 1 && units > 0, name);
    for (const { name, shares, submitted, fates } of liars) {
      assert.deepEqual([shares, submitted], [0, 1], `${name} ${JSON.stringify(fates)}`);
      assert.ok(fates['other-outputs'] > 0 || fates['other-update'] > 0, `${name} ${JSON.stringify(fates)}`);
    }
    const [lazy, busy] = ['same-answer', 'wrong-sign'].map(
      (name) => liars.find(({ adversary }) => adversary === name)!,
    );
    assert.ok(lazy.units < busy.units / 2, `${lazy.units} of work beside ${busy.units}`);
  });

  test('a check that repeats nothing is an exploit, and named', async () => {
    const holed: AnyGame = {
      ...setup.game,
      check: (task, claim, device, judging) =>
        setup.game.check(task, claim, device, { ...judging, repeat_permille: 0 }),
    };
    const found = await play(['same-answer'], holed);
    for (const [result, expected] of [
      [found, true],
      [judged, false],
    ] as const) {
      const [{ exploit, verdict }] = reportOn(adversaryNamed('same-answer'), result, judged);
      assert.equal(exploit, expected, verdict);
      assert.equal(/^EXPLOIT: same-answer \(worker\)/.test(verdict), expected, verdict);
    }
  });
});
