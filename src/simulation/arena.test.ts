// The arena: the real core and a real game agree, one seed is one history, liars are not paid, and a game that misbehaves is named.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { game } from '../games/addition-chain.ts';
import type { AnyGame } from '../games/game.ts';
import { guardGame } from '../games/guard.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Adversary } from './adversaries/adversary.ts';
import { adversariesOf, adversaryNamed } from './adversaries/registry.ts';
import { playArena } from './arena.ts';
import { ARENA_RULES, type Crowd, crowdOf } from './play-job.ts';
import { reportOn } from './play-report.ts';
import { BROKEN } from './testing/broken-games.ts';

const runtime: Runtime = {
  class: 'native-cpu',
  load: () => Promise.reject(new Error('no game here computes with tensors')),
  close: async () => {},
};
/** With it the task of each worker has an answer, and a plant is found. */
const SEED = 'test-4';
const params = game.params.parse({ bits: 12, tries: 20 });
const crowd: Crowd = { workers: 6, validators: 3, share: 0.33 };

const play = (
  adversaries: readonly Adversary[] = [],
  seed = SEED,
  own: AnyGame = game,
  rounds = 3,
  ends_when_broken = false,
  own_crowd: Crowd = crowd,
) =>
  playArena({
    ends_when_broken,
    ...{ game: guardGame(own, { perform_ms: 200, check_ms: 200 }), params, first: [], rounds, seed },
    ...{ devices: crowdOf(own_crowd, adversaries, () => runtime), rules: ARENA_RULES, plant_every: 3 },
  });
const timeless = (result: Awaited<ReturnType<typeof play>>) => ({
  ...result,
  checking: result.checking.length,
  devices: result.devices.map(({ cpu_ms, ...rest }) => rest),
});

describe('an arena', () => {
  test('of honest devices pays all of them, and nobody else', async () => {
    const { devices, honest, measured, checking } = await play();
    assert.equal(devices.length, 4 + 3);
    for (const { shares, forfeited } of devices) assert.ok(shares > 0 && forfeited === 0);
    assert.deepEqual(honest.refused, 0);
    assert.ok(honest.judged > 0);
    assert.equal(measured.length, 1 + 3);
    assert.equal(checking.length, 3);
    assert.ok(checking.every(({ work_ms, check_ms }) => work_ms > 0 && check_ms > 0));
    // In the last round something is planted, always.
    assert.ok(checking.at(-1)!.planted_ms > 0);
    assert.ok(checking.some(({ planted_ms }) => planted_ms === 0));
    assert.ok(measured.at(-1)! < measured[0]);
    assert.ok(devices.reduce((sum, { shares }) => sum + shares, 0) <= 3_000_000);
  });

  test('of 3, 10 and 30 validators: a cartel with 32 % of the stake is paid nothing and takes nothing from the honest', async () => {
    for (const validators of [3, 10, 30]) {
      const own = { workers: 6, validators, share: 1 / 3, lying_stake: 320 };
      const { devices } = await play([adversaryNamed('colluders')], SEED, game, 4, false, own);
      const staked = devices.filter(({ role }) => role === 'validator');
      const [all, lying] = [staked, staked.filter(({ adversary }) => adversary !== null)].map((some) =>
        some.reduce((sum, { stake }) => sum + stake, 0),
      );
      assert.equal(lying * 1000, 320 * all);
      for (const { adversary, role, submitted, merged, shares, forfeited, name } of devices) {
        if (role === 'validator') continue;
        assert.deepEqual([shares > 0, forfeited], [adversary === null, 0], name);
        // All three judges of a newcomer may be of the cartel: it is refused without an appeal, and loses nothing that it had.
        if (adversary === null) assert.ok(submitted - merged <= 1, name);
        else assert.equal(merged, 0, name);
      }
    }
  });

  test('of ten validators of which three say nothing: others take their places in the round, and all honest work is merged', async () => {
    for (const name of ['silent', 'ghosts']) {
      const own = { workers: 6, validators: 10, share: 1 / 3, lying_stake: 320 };
      const { devices } = await play([adversaryNamed(name)], SEED, game, 4, false, own);
      for (const { adversary, role, submitted, merged } of devices) {
        if (role === 'worker' && adversary === null) assert.deepEqual([merged, submitted > 0], [submitted, true], name);
      }
    }
  });

  test('whose rules name its validators asks nobody else; an open one does', async () => {
    const stranger = { ...crowdOf(crowd, [], () => runtime).at(-1)!, name: 'stranger', place: 'stranger' };
    for (const open of [false, true]) {
      const devices = [...crowdOf({ ...crowd, open }, [], () => runtime), { ...stranger, stake: undefined }];
      const result = await playArena({
        ...{ game, params, first: [], rounds: 3, seed: SEED, devices, rules: ARENA_RULES, plant_every: 0 },
      });
      const { units, fates } = result.devices.at(-1)!;
      assert.deepEqual([units > 0, fates], open ? [true, {}] : [false, { 'not let in: no-stake': 1 }]);
    }
  });

  test('counts all keys of a device as one person, however many they are, and whether they stay', async () => {
    for (const [name, keys, rounds] of [
      ['fresh-keys', 1 + 4, null],
      ['grinder', 1 + 4, null],
      ['ghosts', 30, null],
      ['visitors', 1, 2],
    ] as const) {
      const { devices } = await play([adversaryNamed(name)], SEED, game, 4);
      for (const { adversary, role, shares, forfeited, keys: own, units } of devices) {
        if (adversary === null) assert.ok(shares > 0 && forfeited === 0, `${name}: an honest ${role} has ${shares}`);
        else assert.equal(shares, 0, `${name} ${role}`);
        if (adversary !== null && role === 'worker') assert.equal(own, keys, name);
        // One unit of work in each round in which it is here.
        if (adversary !== null && role === 'worker' && rounds !== null) assert.equal(units, rounds, name);
      }
    }
  });

  test('is one history a seed', async () => {
    const liars = [adversaryNamed('copier-noisy'), adversaryNamed('colluders')];
    assert.deepEqual(timeless(await play(liars)), timeless(await play(liars)));
    assert.notEqual((await play(liars)).model, (await play(liars, 'another')).model);
  });

  test('pays no strategy in this game more for its cost than honesty', async () => {
    const honest = await play();
    // Who is honest to the end is no liar.
    for (const adversary of adversariesOf('addition-chain').filter(({ honest_rounds = 0 }) => honest_rounds < 3)) {
      const result = await play([adversary]);
      for (const report of reportOn(adversary, result, honest)) {
        assert.equal(report.exploit, false, `${report.verdict} ${JSON.stringify(report.fates)}`);
      }
    }
  });

  test('takes everything from whoever accepts what the owner planted, and nothing from judges who look', async () => {
    const { devices } = await play([adversaryNamed('lazy')]);
    const [lazy] = devices.filter(({ adversary }) => adversary === 'lazy');
    assert.deepEqual([lazy.shares, lazy.units], [0, 0]);
    assert.ok(lazy.forfeited > 0);
    for (const { forfeited, adversary } of devices) if (adversary === null) assert.equal(forfeited, 0);
  });

  test('shows a copying validator only what is a round old', async () => {
    const seen: number[] = [];
    const spy: Adversary = {
      ...{ name: 'spy', does: 'looks', roles: ['validator'] },
      play: (own, context) => ({
        ...own,
        async check(task, claim, device, judging) {
          seen.push(context.shown().size);
          return own.check(task, claim, device, judging);
        },
      }),
    };
    await play([spy], SEED, game, 2);
    assert.equal(seen[0], 0);
    assert.ok(seen.at(-1)! > 0);
  });
});

describe('a game that misbehaves', () => {
  const codesOf = async (name: string): Promise<string[]> => {
    const { devices } = await play([], SEED, BROKEN[name], 1);
    return [...new Set(devices.flatMap(({ fates }) => Object.keys(fates)))];
  };

  test('in the hands of a worker: the round ends without its work', async () => {
    assert.deepEqual(await codesOf('perform-throws'), ['game-threw']);
    assert.deepEqual(await codesOf('perform-nonsense'), ['game-nonsense']);
    assert.deepEqual(await codesOf('perform-never'), ['game-late']);
  });

  test("in the hands of a validator: nobody is paid for work that nobody judged; newcomers' is merged in an open run only", async () => {
    for (const [name, code] of [
      ['check-throws', 'game-threw'],
      ['check-nonsense', 'game-nonsense'],
      ['check-never', 'game-late'],
      ['check-too-generous', 'game-nonsense'],
    ]) {
      for (const open of name === 'check-throws' ? [true, false] : [true]) {
        const { devices, measured } = await play([], SEED, BROKEN[name], 1, false, { ...crowd, open });
        assert.equal(measured.length, open ? 2 : 1, name);
        for (const { role, shares, fates } of devices) {
          if (role === 'validator') assert.ok(fates[code] > 0, name);
          assert.equal(shares, 0, name);
        }
      }
    }
  });

  test('among honest devices only, where that ends the play: told by part, device and round', async () => {
    for (const [name, code, message] of [
      ['perform-throws', 'game-threw', /^addition-chain\.perform: no such thing \(honest worker \d, round 0\)$/],
      ['perform-nonsense', 'game-nonsense', /^addition-chain\.perform: work: .* \(honest worker \d, round 0\)$/],
      ['perform-never', 'game-late', /^addition-chain\.perform: expected an answer within 200 ms \(honest worker/],
      ['check-throws', 'game-threw', /^addition-chain\.check: no such thing \(honest validator \d, round 0\)$/],
      ['check-nonsense', 'game-nonsense', /^addition-chain\.check: accepted: .* \(honest validator/],
      ['sizes-nonsense', 'game-nonsense', /^addition-chain\.sizes: .* \(honest worker/],
    ] as const) {
      await assert.rejects(() => play([], SEED, BROKEN[name], 1, true), { code, message }, name);
    }
  });

  test('in the merge or in its bytes stops with its name', async () => {
    await assert.rejects(() => play([], SEED, BROKEN['merge-throws'], 1), { code: 'game-threw' });
    await assert.rejects(() => play([], SEED, BROKEN['state-nonsense'], 1), { code: 'game-nonsense' });
  });
});
