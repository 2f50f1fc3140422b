// Yuma consensus: worked examples to the last bit, agreement with the description written down naively, and what may never happen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ONE, sum } from './fixed-point.ts';
import { yumaByTheBook } from './yuma.by-the-book.ts';
import { storedWeights, type YumaResult, yumaEpoch } from './yuma.ts';
import { DEFAULT_YUMA_PARAMETERS, type YumaInput, type YumaParameters } from './yuma-input.ts';
import { weightedMedian } from './yuma-median.ts';

type Cells = [number, number][];
const fill = <T>(size: number, value: T): T[] => new Array<T>(size).fill(value);

/** Two validators with 600 and 400, two workers; the second validator finds the second worker worthless. */
const EXAMPLE: YumaInput = {
  stake: [600, 400, 0, 0],
  weights: [
    [
      [2, 65_535],
      [3, 32_768],
    ],
    [[2, 65_535]],
    [],
    [],
  ],
  last_update: [90, 90, 0, 0],
  registered: [0, 0, 0, 0],
  validator_permits: [true, true, false, false],
  bonds: [[], [], [], []],
  emission: 1_000_000_000n,
  block: 1000,
  tempo: 360,
  parameters: DEFAULT_YUMA_PARAMETERS,
};

function epoch(
  changes: Partial<Omit<YumaInput, 'parameters'>> = {},
  parameters: Partial<YumaParameters> = {},
): YumaResult {
  const result = yumaEpoch({ ...EXAMPLE, ...changes, parameters: { ...EXAMPLE.parameters, ...parameters } });
  assert.ok(!('code' in result), 'code' in result ? result.message : '');
  return result;
}

test('a worked example, step by step: the larger stake is the median, and what it says is what both earn from', () => {
  const { exact, ...result } = epoch();
  // 0.6 and 0.4 of 2^32, cut; their sum lacks one unit, which normalising them again does not give back.
  assert.deepEqual(exact.stake, [2_576_980_377, 1_717_986_918, 0, 0]);
  assert.deepEqual(exact.active_stake, exact.stake);
  // Rows: 65535 / 98303 and 32768 / 98303 against 1 and 0. Validator 0 alone holds more than κ: its word is the median.
  assert.deepEqual(exact.consensus, [0, 0, 2_863_296_966, 1_431_670_329]);
  // Ŵ: both rows' first weights are 2863296966 now. R = [2863296965, 859002197], and I = R / (their sum).
  assert.deepEqual(exact.incentives, [0, 0, 3_303_809_363, 991_157_932]);
  // ΔB = E is [0.6, 1] and [0.4, 0], because there was no bond before; D = E · I.
  assert.deepEqual(exact.dividends, [2_973_443_552, 1_321_523_743, 0, 0]);
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

test('the same epoch by "Yuma 3": bonds follow the weights a tenth of the way, stake counts in the dividends', () => {
  const { bonds, dividends, incentives } = epoch({}, { yuma3: true });
  assert.deepEqual(incentives, [0, 0, 50_411, 15_123]);
  assert.deepEqual(bonds.slice(0, 2), [
    [
      [2, 4368],
      [3, 2184],
    ],
    [[2, 4368]],
  ]);
  assert.deepEqual(dividends, [46_260, 19_274, 0, 0]);
});

test('an exact half of the stake suffices, a little less does not', () => {
  const weights: Cells[] = [[[2, 1]], [[3, 1]], [], []];
  assert.deepEqual(epoch({ stake: [500, 500, 0, 0], weights }).consensus, [0, 0, 65_535, 65_535]);
  assert.deepEqual(epoch({ stake: [500_001, 499_999, 0, 0], weights }).consensus, [0, 0, 65_535, 65_535]);
  assert.deepEqual(epoch({ stake: [501, 499, 0, 0], weights }).consensus, [0, 0, 65_535, 0]);
});

test('the median: the middle of the list is the pivot, a score above the minority wins, none is 0', () => {
  const median = (scores: number[], stake: number[], minority: number) =>
    weightedMedian(scores, stake, minority, sum(stake));
  assert.equal(median([], [], 0), 0);
  assert.equal(median([7], [10], 5), 7);
  assert.equal(median([3, 1, 2], [1, 1, 1], 1), 2);
  // Exactly the minority lies below 2: not enough to go lower; exactly the minority lies at or below 1: go higher.
  assert.equal(median([1, 2], [5, 5], 5), 2);
  assert.equal(median([1, 2], [6, 4], 5), 1);
  assert.equal(median([0, 0, 9], [1, 1, 8], 5), 9);
  // With a minority as large as everybody, the highest wins; with none, the lowest.
  assert.equal(median([4, 8, 6], [1, 1, 1], 3), 8);
  assert.equal(median([4, 8, 6], [1, 1, 1], -1), 4);
});

test('stored weights: the largest becomes 65535, halves are rounded up, and huge scores lose nothing', () => {
  assert.deepEqual(storedWeights([0, 1, 2]), [0, 32_768, 65_535]);
  assert.deepEqual(storedWeights([0, 0]), [0, 0]);
  assert.deepEqual(storedWeights([]), []);
  assert.deepEqual(storedWeights([Number.MAX_SAFE_INTEGER, 1]), [65_535, 0]);
  assert.deepEqual(storedWeights([131_070, 1, 2]), [65_535, 1, 1]);
  const scores = fc.array(fc.oneof(fc.nat(200_000), fc.maxSafeNat()), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(scores, (list) => {
      const largest = BigInt(Math.max(1, ...list));
      const exact = list.map((score) => Number((BigInt(score) * 131_070n + largest) / (2n * largest)));
      assert.deepEqual(storedWeights(list), exact);
    }),
  );
});

test('silence for longer than the cutoff, no permit, a weight older than a registration: no voice', () => {
  // At a tempo of 360 the cutoff is 5000 blocks.
  assert.deepEqual(epoch({ block: 5090 }).active, [true, true, false, false]);
  assert.deepEqual(epoch({ block: 5091 }).active, [false, false, false, false]);
  assert.deepEqual(epoch({ last_update: [90, 900, 0, 0], block: 5091 }).consensus, [0, 0, 65_535, 0]);
  assert.deepEqual(epoch({ validator_permits: [false, true, false, false] }).consensus, [0, 0, 65_535, 0]);
  // Validator 0 spoke in the block in which uid 2 was registered: that weight is void, and its row is worker 3's alone.
  assert.deepEqual(epoch({ last_update: [90, 91, 0, 0], registered: [0, 0, 90, 0] }).consensus, [0, 0, 0, 65_535]);
  assert.deepEqual(epoch({ last_update: [90, 91, 0, 0], registered: [0, 0, 89, 0] }).consensus, [0, 0, 43_689, 21_845]);
  assert.deepEqual(epoch({}, { activity_cutoff_factor: 0 }).active, fill(4, false));
});

test('nobody weighs itself but the owner, who has a permit without stake', () => {
  const weights: Cells[] = [
    [
      [0, 65_535],
      [2, 65_535],
    ],
    [[2, 65_535]],
    [],
    [],
  ];
  assert.deepEqual(epoch({ weights }).consensus, [0, 0, 65_535, 0]);
  assert.deepEqual(epoch({ weights }, { owner_uid: 0 }).consensus, [32_767, 0, 32_767, 0]);
  assert.deepEqual(epoch({}, { owner_uid: 3 }).validator_permits, [true, true, false, true]);
});

test("permits go to the largest stakes, of equal ones to the later uid; too little stake is none, except the owner's", () => {
  const permits = (stake: number[], parameters: Partial<YumaParameters>) =>
    epoch({ stake }, parameters).validator_permits;
  assert.deepEqual(permits([5, 5, 5, 0], { max_validators: 2 }), [false, true, true, false]);
  assert.deepEqual(permits([5, 9, 1, 0], { max_validators: 2 }), [true, true, false, false]);
  assert.deepEqual(permits([5, 9, 1, 0], { max_validators: 0 }), fill(4, false));
  assert.deepEqual(permits([5, 9, 1, 0], { min_stake: 6 }), [false, true, false, false]);
  assert.deepEqual(permits([5, 9, 1, 0], { min_stake: 6, owner_uid: 2 }), [false, true, true, false]);
});

test('bonds: kept with the permit, void for a uid registered in the last tempo, slowly replaced', () => {
  const bonds: Cells[] = [[[3, 65_535]], [[2, 65_535]], [], []];
  const made = epoch({ bonds });
  // Worker 2: new shares 0.6 and 0.4 at α 0.1 beside 0 and 1: 0.06 and 0.94. Worker 3 stays with validator 0.
  assert.deepEqual(made.bonds[0], [
    [2, 4183],
    [3, 65_535],
  ]);
  assert.deepEqual(made.bonds[1], [[2, 65_535]]);
  assert.deepEqual(epoch({ bonds, registered: [0, 0, 640, 0] }).bonds[1], []);
  const lost = epoch({ bonds }, { max_validators: 1 });
  assert.deepEqual([lost.bonds[0].length, lost.bonds[1]], [2, []]);
});

test('when nobody earns: active stake is paid, then all stake, then nothing; without neurons nothing at all', () => {
  const weights: Cells[] = [[], [], [], []];
  assert.deepEqual(epoch({ weights }).emission, [599_999_999n, 399_999_999n, 0n, 0n]);
  assert.deepEqual(epoch({ weights, last_update: [0, 90, 0, 0], block: 5001 }).emission, [0n, 1_000_000_000n, 0n, 0n]);
  assert.deepEqual(epoch({ weights, block: 9000 }).emission, [599_999_999n, 399_999_999n, 0n, 0n]);
  assert.deepEqual(epoch({ stake: [0, 0, 0, 0] }).emission, fill(4, 0n));
  const lists = { stake: [], weights: [], last_update: [], registered: [], validator_permits: [], bonds: [] };
  const { exact, ...empty } = epoch(lists);
  assert.ok(Object.values(empty).every((list) => list.length === 0) && exact.stake.length === 0);
});

/** Plain objects, so that a copy is equal. */
const plain = { noNullPrototype: true };
const arbitraryEpoch: fc.Arbitrary<YumaInput> = fc.integer({ min: 1, max: 9 }).chain((size) => {
  const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: size, maxLength: size });
  const u16 = fc.oneof(fc.integer({ min: 0, max: 65_535 }), fc.constantFrom(0, 1, 65_535));
  const row = fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: size - 1 }), u16), { selector: ([uid]) => uid });
  return fc.record(
    {
      stake: list(fc.oneof(fc.nat(1000), fc.bigInt({ min: 0n, max: 2n ** 58n }))),
      weights: list(row),
      last_update: list(fc.nat(2000)),
      registered: list(fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(2000))),
      validator_permits: list(fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.boolean())),
      bonds: list(row),
      emission: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      block: fc.nat(4000),
      tempo: fc.nat(400),
      parameters: fc.record(
        {
          kappa: fc.oneof(fc.constant(32_767), u16),
          bonds_moving_average: fc.oneof(fc.constant(900_000), fc.integer({ min: 0, max: 1_000_000 })),
          bonds_penalty: fc.oneof(fc.constant(65_535), u16),
          liquid_alpha: fc
            .record({ enabled: fc.boolean(), a: u16, b: u16, steepness: fc.integer({ min: -32_767, max: 32_767 }) })
            .map(({ enabled, a, b, steepness }) => ({ enabled, lo: Math.min(a, b), hi: Math.max(a, b), steepness })),
          yuma3: fc.boolean(),
          max_validators: fc.nat(size + 1),
          min_stake: fc.nat(500),
          owner_uid: fc.oneof(fc.constant(null), fc.nat(size - 1)),
          activity_cutoff_factor: fc.constantFrom(13_889, 0, 1000),
        },
        plain,
      ),
    },
    plain,
  );
});

test('any epoch: the bits of the description written down naively, and shares that add up', () => {
  fc.assert(
    fc.property(arbitraryEpoch, (input) => {
      const before = structuredClone(input);
      const result = yumaEpoch(input);
      assert.ok(!('code' in result), 'code' in result ? result.message : '');
      const { exact, ...shown } = result;
      assert.deepEqual(shown, yumaByTheBook(input));
      assert.deepEqual(input, before);
      for (const shares of [exact.stake, exact.active_stake, exact.incentives, exact.dividends]) {
        const all = sum(shares);
        assert.ok(all === 0 || (all <= ONE && all > ONE - 2 * shares.length), `shares add up to ${all}`);
      }
      const paid = [...result.server_emission, ...result.validator_emission].reduce((a, b) => a + b, 0n);
      assert.ok(paid <= BigInt(input.emission) && result.emission.every((amount) => amount >= 0n));
    }),
    { numRuns: 1500 },
  );
});

test('whoever lies with less than half of the stake raises nobody above what all others say, and lowers nobody', () => {
  const scores = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 4, maxLength: 4 });
  const row = (values: readonly number[]): Cells => storedWeights(values).map((weight, k) => [6 + k, weight]);
  fc.assert(
    fc.property(
      scores,
      scores,
      fc.array(fc.nat(489), { minLength: 2, maxLength: 2 }),
      fc.boolean(),
      (honest, lie, stakes, yuma3) => {
        // Uids 0-3 are honest with 1000 in all, 4 and 5 lie with less than 979: below 32767/65535 of everything.
        const common = {
          stake: [400, 300, 200, 100, ...stakes, 0, 0, 0, 0],
          last_update: fill(10, 1),
          registered: fill(10, 0),
          validator_permits: [...fill(6, true), ...fill(4, false)],
          bonds: fill(10, []),
          block: 10,
        };
        const truth = epoch({ ...common, weights: [...fill(6, row(honest)), ...fill(4, [])] }, { yuma3 });
        const lied = epoch(
          { ...common, weights: [...fill(4, row(honest)), ...fill(2, row(lie)), ...fill(4, [])] },
          { yuma3 },
        );
        assert.deepEqual(lied.consensus, truth.consensus);
      },
    ),
  );
});

test('what is malformed is refused in a sentence, never thrown', () => {
  const cases: [string, unknown, RegExp][] = [
    ['input', null, /expected an object/],
    ['stake', [-1, 0, 0, 0], /stake: expected whole amounts/],
    ['stake', [1.5, 0, 0, 0], /stake/],
    ['stake', [2n ** 63n - 1n, 1, 0, 0], /less than 2\^63 together/],
    ['stake', [1, 0, 0], /expected 3 entries/],
    ['stake', 7, /expected a list/],
    ['weights', [[[4, 1]], [], [], []], /uids below 4, got 4/],
    ['weights', [[[2, 65_536]], [], [], []], /0 to 65535, got 65536/],
    [
      'weights',
      [
        [
          [2, 1],
          [2, 2],
        ],
        [],
        [],
        [],
      ],
      /uid 2 comes twice/,
    ],
    ['weights', [[[2]], [], [], []], /pairs/],
    ['weights', [null, [], [], []], /list of \[uid, u16\]/],
    ['bonds', [[[2, Number.NaN]], [], [], []], /bonds\[0\]/],
    ['last_update', [1, 2, 3, -4], /last_update\[3\]/],
    ['registered', [1, 2, 3, undefined], /registered\[3\]/],
    ['validator_permits', [1, 0, 0, 0], /booleans/],
    ['emission', 2n ** 64n, /emission/],
    ['block', -1, /block/],
    ['tempo', 0.5, /tempo/],
    ['parameters', undefined, /liquid_alpha/],
    ['parameters', { ...DEFAULT_YUMA_PARAMETERS, kappa: 65_536 }, /kappa/],
    ['parameters', { ...DEFAULT_YUMA_PARAMETERS, owner_uid: 4 }, /owner_uid/],
    [
      'parameters',
      { ...DEFAULT_YUMA_PARAMETERS, liquid_alpha: { enabled: true, lo: 2, hi: 1, steepness: 1 } },
      /at most hi 1/,
    ],
  ];
  for (const [field, value, message] of cases) {
    const input = field === 'input' ? value : { ...EXAMPLE, [field]: value };
    const result = yumaEpoch(input as YumaInput);
    assert.ok('code' in result, `${field} ${String(value)} was not refused`);
    assert.equal(result.code, 'bad-epoch');
    assert.match(result.message, message);
  }
});
