// Tests of the sparse update: what is kept and left, that nothing is lost on the wire, and that bad bytes only ever raise TrainingErrors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ParameterSpec } from '../model/config.ts';
import { seededRandom } from '../protocol/random.ts';
import { BitEncoder } from './entropy.ts';
import { AdaptiveNumber, codeEven, codePositions, codePositionsEvenly } from './entropy-models.ts';
import { TrainingError } from './errors.ts';
import {
  compressUpdate,
  decodeUpdate,
  encodeUpdate,
  maxUpdateBytes,
  type SparseOptions,
  SparseOptionsSchema,
  type SparseUpdate,
} from './sparse.ts';
import { expectedUpdateBytes } from './sparse-size.ts';
import { tilingOf } from './sparse-tiles.ts';

/** The field's constants, not this project's defaults, which may change. */
const options = SparseOptionsSchema.parse({ kept_per_tile: 64, error_decay: 0.95, quantiser: 'ladder' });
const specs: ParameterSpec[] = [
  { name: 'embedding', shape: [65, 128], decay: true },
  { name: 'norm', shape: [128], decay: false },
  { name: 'gate', shape: [88, 128], decay: true },
];
const sizeOf = ({ shape }: ParameterSpec) => shape.reduce((a, b) => a * b, 1);

/** Differences like those of a trained model: roughly normal, stronger in some rows and columns. */
function realistic(seed: number, of: readonly ParameterSpec[] = specs): Map<string, Float32Array> {
  return new Map(
    of.map((spec) => {
      const random = seededRandom('sparse test', seed, spec.name);
      const columns = spec.shape.at(-1)!;
      const strength = Array.from({ length: sizeOf(spec) / columns + columns }, () => 0.5 + random.below(1000) / 500);
      const values = new Float32Array(sizeOf(spec));
      for (let i = 0; i < values.length; i++) {
        let normal = -6;
        for (let k = 0; k < 12; k++) normal += random.uint32() / 2 ** 32;
        values[i] = 1e-3 * normal * strength[Math.floor(i / columns)] * strength[strength.length - 1 - (i % columns)];
      }
      return [spec.name, values];
    }),
  );
}

function decoded(update: SparseUpdate, spec: ParameterSpec): Float32Array {
  const values = new Float32Array(sizeOf(spec));
  const { indices, codes, table } = update.get(spec.name)!;
  indices.forEach((index, i) => {
    values[index] = table[codes[i]];
  });
  return values;
}

function refused(bytes: Uint8Array, code: string, under: SparseOptions = options): void {
  assert.throws(
    () => decodeUpdate(specs, bytes, under),
    (error: unknown) => error instanceof TrainingError && error.code === code,
    `expected ${code}`,
  );
}

const sample = encodeUpdate(specs, compressUpdate(specs, realistic(1), new Map(), options), options);

test('tiles have the largest sides up to 64 that divide the weight, and keep in proportion', () => {
  const tiling = (shape: number[]) => {
    const { tile_rows, tile_columns, chunks, kept } = tilingOf({ name: 'w', shape, decay: true }, 64);
    return { tile_rows, tile_columns, chunks, kept };
  };
  assert.deepEqual(tiling([128, 128]), { tile_rows: 64, tile_columns: 64, chunks: 4, kept: 64 });
  assert.deepEqual(tiling([352, 128]), { tile_rows: 44, tile_columns: 64, chunks: 16, kept: 44 });
  assert.deepEqual(tiling([65, 128]), { tile_rows: 13, tile_columns: 64, chunks: 10, kept: 14 });
  assert.deepEqual(tiling([128]), { tile_rows: 1, tile_columns: 64, chunks: 2, kept: 2 });
  assert.deepEqual(tiling([67, 1]), { tile_rows: 1, tile_columns: 1, chunks: 67, kept: 1 });
});

test('the largest of decay · e + Δ are kept in every chunk, and the rest is what the receiver did not see', () => {
  for (const quantiser of ['ladder', 'sign'] as const) {
    const chosen = { ...options, quantiser };
    const delta = realistic(2);
    const error = realistic(3);
    const before = new Map(Array.from(error, ([name, values]) => [name, values.slice()]));
    const update = compressUpdate(specs, delta, error, chosen);
    for (const spec of specs) {
      const sum = before.get(spec.name)!.map((e, i) => 0.95 * e + delta.get(spec.name)![i]);
      const sent = decoded(update, spec);
      error.get(spec.name)!.forEach((rest, i) => {
        assert.equal(rest, Math.fround(sum[i] - sent[i]));
      });
      const { chunks, kept } = tilingOf(spec, 64);
      const { indices } = update.get(spec.name)!;
      assert.equal(new Set(indices).size, chunks * kept);
      // One chunk by hand: the first tile of the gate.
      if (spec.name !== 'gate') continue;
      const tile = Array.from({ length: 44 * 64 }, (_, i) => Math.floor(i / 64) * 128 + (i % 64));
      const largest = tile.toSorted((a, b) => Math.abs(sum[b]) - Math.abs(sum[a])).slice(0, kept);
      assert.deepEqual(
        [...indices.subarray(0, kept)],
        largest.sort((a, b) => a - b),
      );
    }
  }
});

test('the ladder cuts at 1.5 standard deviations, and its table holds the means', () => {
  const spec: ParameterSpec = { name: 'w', shape: [8], decay: false };
  const values = Float32Array.of(-4, -4, -1, 0, 1, 4, 4, 0);
  // All eight are kept: mean 0, unbiased deviation √(66/7) = 3.07, step 4.61: bounds at −6.9, −2.3, 2.3.
  const update = compressUpdate([spec], new Map([['w', values]]), new Map(), { ...options, kept_per_tile: 4096 });
  const { codes, table } = update.get('w')!;
  assert.deepEqual([...codes], [1, 1, 2, 2, 2, 3, 3, 2]);
  assert.deepEqual([...table], [0, -4, 0, 4]);
});

test('ties are broken by position, zeros are sent like anything else', () => {
  const spec: ParameterSpec = { name: 'w', shape: [64, 64], decay: true };
  for (const value of [0, 1, -3]) {
    const delta = new Map([['w', new Float32Array(4096).fill(value)]]);
    const update = compressUpdate([spec], delta, new Map(), options);
    assert.deepEqual(
      [...update.get('w')!.indices],
      Array.from({ length: 64 }, (_, i) => i),
    );
    assert.deepEqual(decodeUpdate([spec], encodeUpdate([spec], update, options), options), update);
  }
});

test('what is not sent in one round is sent in a later one', () => {
  const spec: ParameterSpec = { name: 'w', shape: [64, 64], decay: true };
  const error = new Map<string, Float32Array>();
  const nothing = new Map([['w', new Float32Array(4096)]]);
  const target = realistic(4, [spec]).get('w')!;
  const lossless = { ...options, error_decay: 1 };
  const received = decoded(compressUpdate([spec], new Map([['w', target]]), error, lossless), spec);
  for (let round = 0; round < 300; round++) {
    const sent = decoded(compressUpdate([spec], nothing, error, lossless), spec);
    for (let i = 0; i < 4096; i++) received[i] += sent[i];
  }
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
  assert.ok(norm(received.map((v, i) => v - target[i])) < 0.02 * norm(target));
});

test('differences that are not finite, or do not fit, are refused and leave the error feedback alone', () => {
  const error = realistic(5);
  const before = structuredClone(error);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const delta = realistic(6);
    delta.get('gate')![77] = bad;
    assert.throws(
      () => compressUpdate(specs, delta, error, options),
      (e: unknown) => e instanceof TrainingError && e.code === 'not-finite',
    );
  }
  const short = realistic(6).set('gate', new Float32Array(3));
  assert.throws(
    () => compressUpdate(specs, short, error, options),
    (e: unknown) => e instanceof TrainingError && e.code === 'wrong-shape',
  );
  assert.deepEqual(error, before);
});

test('at 64 of 4096 an update is 215 times smaller than dense float32, and comes back without loss', () => {
  const model: ParameterSpec[] = [
    { name: 'q', shape: [128, 128], decay: true },
    { name: 'gate', shape: [352, 128], decay: true },
    { name: 'down', shape: [128, 352], decay: true },
  ];
  for (const quantiser of ['ladder', 'sign'] as const) {
    const chosen = { ...options, quantiser };
    const update = compressUpdate(model, realistic(7, model), new Map(), chosen);
    const bytes = encodeUpdate(model, update, chosen);
    const dense = 4 * model.reduce((sum, spec) => sum + sizeOf(spec), 0);
    assert.ok(dense / bytes.length >= 215, `${quantiser}: ${(dense / bytes.length).toFixed(1)}×`);
    assert.deepEqual(decodeUpdate(model, bytes, chosen), update);
  }
});

const anySpecs = fc
  .array(
    fc.oneof(
      fc.integer({ min: 1, max: 200 }).map((n) => [n]),
      fc.tuple(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 90 })),
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((shapes) => shapes.map((shape, i): ParameterSpec => ({ name: `w${i}`, shape, decay: shape.length > 1 })));

test('every update comes back from its bytes, and never exceeds its bound', () => {
  const anyOptions = fc.record({
    kept_per_tile: fc.integer({ min: 2, max: 4096 }),
    quantiser: fc.constantFrom('ladder' as const, 'sign' as const),
  });
  fc.assert(
    fc.property(anySpecs, anyOptions, fc.integer(), fc.boolean(), (of, chosen, seed, flat) => {
      const under = { ...options, ...chosen };
      const delta = realistic(seed, of);
      if (flat) for (const values of delta.values()) values.fill(seed % 3, 0, Math.ceil(values.length / 2));
      const update = compressUpdate(of, delta, new Map(), under);
      const bytes = encodeUpdate(of, update, under);
      assert.ok(bytes.length <= maxUpdateBytes(of, under));
      assert.deepEqual(decodeUpdate(of, bytes, under), update);
    }),
    { numRuns: 60 },
  );
});

test('positions that fit no model are written evenly, within the bound', () => {
  // Each chunk keeps another row: against everything that rows and columns before it taught.
  const spec: ParameterSpec = { name: 'w', shape: [64, 64 * 64], decay: true };
  const delta = new Float32Array(64 * 64 * 64);
  for (let chunk = 0; chunk < 64; chunk++) {
    for (let column = 0; column < 64; column++) delta[chunk * 64 * 64 + chunk * 64 + column] = 1 + column;
  }
  const update = compressUpdate([spec], new Map([['w', delta]]), new Map(), options);
  const bytes = encodeUpdate([spec], update, options);
  assert.ok(bytes.length <= maxUpdateBytes([spec], options));
  assert.deepEqual(decodeUpdate([spec], bytes, options), update);
});

test('each way of being wrong has its own code', () => {
  const altered = (at: number, byte: number) => sample.with(at, byte);
  refused(altered(0, 0x51), 'bad-magic');
  refused(altered(4, 2), 'unknown-version');
  refused(altered(5, 7), 'unknown-version');
  refused(altered(9, sample[9] ^ 1), 'wrong-count');
  refused(sample, 'wrong-count', { ...options, kept_per_tile: 128 });
  refused(sample.subarray(0, 9), 'truncated');
  refused(sample.subarray(0, -1), 'truncated');
  refused(new Uint8Array(), 'truncated');
  refused(Uint8Array.of(...sample, 0), 'trailing-bytes');
  refused(new Uint8Array(maxUpdateBytes(specs, options) + 1), 'too-large');
  // Trailing bytes that the header owns up to are still not the update's encoding.
  const longer = Uint8Array.of(...sample, 0);
  new DataView(longer.buffer).setUint32(10, longer.length - 14);
  refused(longer, 'not-canonical');
});

test('updates that compressUpdate cannot have made are not encoded', () => {
  const wrong = (change: (tensor: { indices: Uint32Array; codes: Uint8Array; table: Float32Array }) => void) => {
    const update = structuredClone(decodeUpdate(specs, sample, options)) as Map<string, never>;
    change(update.get('gate')!);
    return () => encodeUpdate(specs, update, options);
  };
  const code = (expected: string) => (error: unknown) => error instanceof TrainingError && error.code === expected;
  assert.throws(
    wrong(({ indices }) => indices.fill(0)),
    code('bad-index'),
  );
  assert.throws(
    wrong(({ indices }) => indices.set([88 * 128], indices.length - 1)),
    code('bad-index'),
  );
  assert.throws(
    wrong(({ codes }) => codes.set([4])),
    code('bad-code'),
  );
  assert.throws(
    wrong(({ table }) => table.fill(Number.NaN)),
    code('not-finite'),
  );
  assert.throws(
    wrong(({ table }) => table.fill(Number.NEGATIVE_INFINITY)),
    code('not-finite'),
  );
  assert.throws(
    wrong(({ table }) => table.fill(0.1)),
    code('not-canonical'),
  );
});

test('infinite and undefined values in a table are refused when read', () => {
  for (const fraction of [0, 1]) {
    const encoder = new BitEncoder();
    codeEven(encoder, 0b0001, 4); // code 0 alone is used,
    codeEven(encoder, 0x0ff, 9); // with the exponent of infinities and NaN
    codeEven(encoder, fraction, 7);
    const body = encoder.finish();
    const bytes = Uint8Array.of(...sample.subarray(0, 5), 0, 0, 0, 0, 64, 0, 0, 0, body.length, ...body);
    assert.throws(
      () => decodeUpdate([{ name: 'w', shape: [64, 64], decay: true }], bytes, options),
      (error: unknown) => error instanceof TrainingError && error.code === 'not-finite',
    );
  }
});

test('an update has one encoding: method 1 where that is smaller, and tables of the codes that occur', () => {
  const spec: ParameterSpec = { name: 'w', shape: [64, 64], decay: true };
  /** The first 64 positions, all with code 0, which stands for 1; `used`: for which codes the table has a value, those beyond it zero. */
  const written = (method: 0 | 1, used: number): Uint8Array => {
    const encoder = new BitEncoder();
    const [ranges, tables, codes] = [new AdaptiveNumber(9), new AdaptiveNumber(4), new AdaptiveNumber(2)];
    const put = (model: AdaptiveNumber, value: number, width: number) =>
      method === 1 ? model.code(encoder, value) : codeEven(encoder, value, width);
    put(tables, used, 4);
    for (let code = 0; code < 4; code++) {
      if ((used & (1 << code)) === 0) continue;
      put(ranges, code === 0 ? 0x7f : 0, 9);
      codeEven(encoder, 0, 7);
    }
    const positions = Uint32Array.from({ length: 64 }, (_, i) => i);
    (method === 1 ? codePositions : codePositionsEvenly)(encoder, tilingOf(spec, 64), positions, false);
    for (let i = 0; i < 64; i++) put(codes, 0, 2);
    const body = encoder.finish();
    return Uint8Array.of(
      ...sample.subarray(0, 5),
      method,
      0,
      0,
      0,
      64,
      0,
      0,
      body.length >> 8,
      body.length & 255,
      ...body,
    );
  };
  const update = decodeUpdate([spec], written(1, 0b0001), options);
  assert.deepEqual(update.get('w')!.table, Float32Array.of(1, 0, 0, 0));
  assert.deepEqual(encodeUpdate([spec], update, options), written(1, 0b0001));
  for (const other of [
    written(0, 0b0001),
    written(1, 0b0011),
    written(1, 0b0000),
    Uint8Array.of(...written(1, 1), 0),
  ]) {
    assert.throws(
      () => decodeUpdate([spec], other, options),
      (error: unknown) => error instanceof TrainingError && ['not-canonical', 'trailing-bytes'].includes(error.code),
    );
  }
});

test('arbitrary bytes and altered bits raise TrainingErrors and nothing else', () => {
  const onlyTyped = (bytes: Uint8Array) => {
    try {
      assert.deepEqual(encodeUpdate(specs, decodeUpdate(specs, bytes, options), options), bytes);
    } catch (error) {
      if (!(error instanceof TrainingError)) throw error;
    }
  };
  const header = [...sample.subarray(0, 10)];
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), onlyTyped));
  const behindHeader = fc.tuple(fc.integer({ min: 0, max: 1 }), fc.uint8Array({ maxLength: 700 }));
  fc.assert(
    fc.property(behindHeader, ([method, body]) => {
      const bytes = Uint8Array.of(...header, 0, 0, 0, 0, ...body);
      bytes[5] = method;
      new DataView(bytes.buffer).setUint32(10, body.length);
      onlyTyped(bytes);
    }),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: sample.length * 8 - 1 }), (bit) => {
      const bytes = sample.slice();
      bytes[bit >> 3] ^= 1 << (bit & 7);
      // One encoding for one update: an altered bit is refused, or it is another update, honestly encoded.
      try {
        const update = decodeUpdate(specs, bytes, options);
        assert.notDeepEqual(update, decodeUpdate(specs, sample, options));
        assert.deepEqual(encodeUpdate(specs, update, options), bytes);
      } catch (error) {
        assert.ok(error instanceof TrainingError);
      }
    }),
    { numRuns: 200 },
  );
});

test('options outside their ranges, and unknown ones, are refused', () => {
  for (const bad of [
    { kept_per_tile: 1 },
    { kept_per_tile: 4097 },
    { error_decay: 1.1 },
    { outer_step: 0 },
    { k: 64 },
  ]) {
    assert.equal(SparseOptionsSchema.safeParse(bad).success, false);
  }
});

test('what an update takes is known before there is one', () => {
  const random = seededRandom('size of an update');
  const normal = (): number => {
    const [a, b] = [random.below(2 ** 24) + 1, random.below(2 ** 24)].map((value) => value / 2 ** 24);
    return Math.sqrt(-2 * Math.log(a)) * Math.cos(2 * Math.PI * b);
  };
  for (const quantiser of ['sign', 'ladder'] as const) {
    const settings = SparseOptionsSchema.parse({ quantiser });
    const delta = new Map(specs.map((spec) => [spec.name, Float32Array.from({ length: sizeOf(spec) }, normal)]));
    const { length } = encodeUpdate(specs, compressUpdate(specs, delta, new Map(), settings), settings);
    const expected = expectedUpdateBytes(specs, settings);
    assert.ok(Math.abs(length / expected - 1) < 0.1, `${length} bytes, expected ${expected}`);
  }
});
