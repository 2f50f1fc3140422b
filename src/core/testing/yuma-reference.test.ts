// The reference of Yuma consensus: a worked example to the last bit, and the trajectories that subtensor's own tests expect.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_YUMA_PARAMETERS, type YumaInput, type YumaParameters, yumaEpoch } from './yuma-reference.ts';

const U16 = 65_535;

/** Two validators with 600 and 400, two workers; the second validator finds the second worker worthless. */
const EXAMPLE: YumaInput = {
  stake: [600, 400, 0, 0],
  weights: [
    [
      [2, U16],
      [3, 32_768],
    ],
    [[2, U16]],
    [],
    [],
  ],
  ...{ last_update: [90, 90, 0, 0], registered: [0, 0, 0, 0], validator_permits: [true, true, false, false] },
  bonds: [[], [], [], []],
  ...{ emission: 1_000_000_000n, block: 1000, tempo: 360, parameters: DEFAULT_YUMA_PARAMETERS },
};

const epoch = (changes: Partial<YumaInput> = {}, parameters: Partial<YumaParameters> = {}) =>
  yumaEpoch({ ...EXAMPLE, ...changes, parameters: { ...EXAMPLE.parameters, ...parameters } });

test('a worked example: the larger stake is the median, and what it says is what both earn from', () => {
  const { exact, ...result } = epoch();
  // Rows: 65535 / 98303 and 32768 / 98303 against 1 and 0. Validator 0 alone holds more than κ: its word is the median.
  assert.deepEqual(exact.consensus, [0n, 0n, 2_863_296_966n, 1_431_670_329n]);
  // ΔB = E is [0.6, 1] and [0.4, 0], because there was no bond before; D = E · I.
  assert.deepEqual(exact.dividends, [2_973_443_552n, 1_321_523_743n, 0n, 0n]);
  assert.deepEqual(result, {
    active: [true, true, true, true],
    validator_permits: [true, true, false, false],
    consensus: [0, 0, 43_689, 21_845],
    incentives: [0, 0, 50_411, 15_123],
    ranks: [0, 0, 50_411, 15_123],
    // Of worker 2's rank, 0.8333 is left: validator 1 said 1 and is heard as 0.6667.
    trust: [0, 0, 54_612, 65_535],
    validator_trust: [65_534, 43_689, 0, 0],
    dividends: [45_370, 20_164, 0, 0],
    bonds: [
      [
        [2, 65_535],
        [3, 65_535],
      ],
      [[2, 43_689]],
      [],
      [],
    ],
    server_emission: [0n, 0n, 384_614_030n, 115_385_969n],
    validator_emission: [346_154_388n, 153_845_611n, 0n, 0n],
    emission: [346_154_388n, 153_845_611n, 384_614_030n, 115_385_969n],
  });
});

test('incentives, unlike the consensus, move when a minority withholds its weight from somebody', () => {
  const weights: YumaInput['weights'] = [
    [
      [3, 1],
      [4, 1],
    ],
    [
      [3, 1],
      [4, 1],
    ],
    [[4, 1]],
    [],
    [],
  ];
  const fill = <T>(validator: T, worker: T): T[] => [validator, validator, validator, worker, worker];
  const { incentives, consensus } = epoch({
    ...{ stake: fill(1, 0), weights, bonds: fill([], []), validator_permits: fill(true, false) },
    ...{ last_update: fill(90, 90), registered: fill(0, 0) },
  });
  assert.deepEqual(consensus, [0, 0, 0, 32_767, 32_767]);
  // The third's 1 for worker 4 is clipped to 0.5, its 0 for worker 3 stays: ranks 2/3 · 0.5 against 0.5.
  assert.deepEqual(incentives, [0, 0, 0, 26_213, 39_320]);
});

test('an owner without a permit has one in this epoch already', () => {
  const validator_permits = [false, true, false, false];
  assert.deepEqual(epoch({ validator_permits }).consensus, [0, 0, 65_535, 0]);
  assert.deepEqual(epoch({ validator_permits }, { owner_uid: 0 }).consensus, epoch().consensus);
});

test('with liquid alpha a bond fades where a 0 is written, and is gone where nothing is', () => {
  const bonds: YumaInput['bonds'] = [[], [[3, U16]], [], []];
  const rules = { yuma3: true, liquid_alpha: { ...DEFAULT_YUMA_PARAMETERS.liquid_alpha, enabled: true } };
  const bondTo3 = (second: YumaInput['weights'][number], parameters: Partial<YumaParameters>) =>
    epoch({ bonds, weights: [EXAMPLE.weights[0], second, [], []] }, parameters).bonds[1].find(([uid]) => uid === 3);
  const written: YumaInput['weights'][number] = [
    [2, U16],
    [3, 0],
  ];
  assert.deepEqual(bondTo3([[2, U16]], rules), undefined);
  assert.ok(bondTo3(written, rules)![1] > 0);
  // A fixed α knows no difference.
  assert.deepEqual(bondTo3([[2, U16]], { yuma3: true }), bondTo3(written, { yuma3: true }));
});

/** Three validators, two workers, and whom each validator gives everything to, epoch by epoch: the setting of subtensor's tests. */
function trajectory(stakes: readonly number[], votes: readonly string[], liquid: boolean) {
  const parameters: YumaParameters = {
    ...DEFAULT_YUMA_PARAMETERS,
    ...{ bonds_moving_average: 975_000, bonds_penalty: 0, yuma3: true, max_validators: 3 },
    liquid_alpha: { enabled: liquid, lo: 6553, hi: 19_660, steepness: 1000 },
  };
  let bonds: YumaInput['bonds'] = [[], [], [], [], []];
  return votes.map((vote) => {
    const weights: YumaInput['weights'] = [
      ...[...vote].map((to) => [3, 4].map((uid, w): [number, number] => [uid, Number(to) === w + 1 ? U16 : 0])),
      ...[[], []],
    ];
    const result = yumaEpoch({
      stake: [...stakes, 0, 0],
      ...{ weights, bonds, emission: 0, block: 10, tempo: 1 },
      ...{ last_update: [10, 10, 10, 10, 10], registered: [0, 0, 0, 0, 0] },
      ...{ validator_permits: [true, true, true, false, false], parameters },
    });
    ({ bonds } = result);
    const held = bonds.slice(0, 3).map((row) => [3, 4].map((uid) => row.find(([to]) => to === uid)?.[1] ?? 0));
    return [...held.flat(), ...result.dividends.slice(0, 3)].map((share) => share / U16);
  });
}

test('the trajectories that subtensor expects of its sixth epoch, within its thousandth', () => {
  // The three validators' bonds to either worker, then their dividends.
  const cases: [string, readonly number[], readonly string[], boolean, readonly number[]][] = [
    [
      ...(['the large one moves first', [8, 1, 1], ['111', '211', '221', '222', '222', '222'], true] as const),
      [0.0588, 0.4139, 0.2157, 0.3478, 0.3089, 0.2742, 0.8418, 0.0884, 0.0697],
    ],
    [
      ...(['the large one moves second', [8, 1, 1], ['111', '121', '221', '222', '222', '222'], true] as const),
      [0.1225, 0.3478, 0.0588, 0.5426, 0.2712, 0.2742, 0.773, 0.1508, 0.0762],
    ],
    [
      ...(['the large one moves last', [8, 1, 1], ['111', '121', '122', '222', '222', '222'], true] as const),
      [0.1903, 0.2742, 0.0588, 0.643, 0.1225, 0.491, 0.6592, 0.1932, 0.1475],
    ],
    [
      ...([
        'one of three strays for an epoch',
        [33, 33, 34],
        ['111', '111', '112', '111', '111', '111'],
        true,
      ] as const),
      [0.4733, 0, 0.4733, 0, 0.3987, 0.2051, 0.3487, 0.3487, 0.3026],
    ],
    [
      ...(['the same with a fixed α', [33, 33, 34], ['111', '111', '112', '111', '111', '111'], false] as const),
      [0.1409, 0, 0.1409, 0, 0.1178, 0.0232, 0.3495, 0.3495, 0.3009],
    ],
  ];
  for (const [name, stakes, votes, liquid, expected] of cases) {
    const found = trajectory(stakes, votes, liquid).at(-1)!;
    expected.forEach((share, i) => {
      assert.ok(Math.abs(found[i] - share) <= 1e-3, `${name}: ${found} instead of ${expected}`);
    });
  }
});
