// A manifest says exactly which bytes lie in which part, and a lie in any of its fields is refused by name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex } from '../protocol/hash.ts';
import type { EventValue } from '../protocol/strict-cbor.ts';
import { encodeStrict } from '../protocol/strict-cbor-encode.ts';
import { sizeOf } from '../tensor/shape.ts';
import { DTYPES, type Dtype, widthOf } from './dtypes.ts';
import type { ModelErrorCode } from './errors.ts';
import {
  decodeModelManifest,
  encodeModelManifest,
  type ModelManifest,
  PART_BYTES,
  partsOf,
  type TensorSpec,
} from './tensor-manifest.ts';

const hashes = (count: number): string[] =>
  Array.from({ length: count }, (_, part) => sha256Hex(Uint8Array.of(part & 0xff, part >> 8)));
const manifestOf = (tensors: readonly TensorSpec[]): ModelManifest => ({
  tensors,
  parts: hashes(partsOf(tensors).length),
});

/** Shapes from a few bytes to several parts. */
const anyTensors = fc
  .array(
    fc.record({
      dtype: fc.constantFrom(...DTYPES),
      shape: fc.oneof(
        fc.array(fc.integer({ min: 1, max: 64 }), { maxLength: 3 }),
        fc.tuple(fc.integer({ min: 1, max: 6000 }), fc.integer({ min: 1, max: 6000 })),
      ),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((list): TensorSpec[] => list.map((tensor, i) => ({ name: `t${i}`, ...tensor })));

test('parts hold every value once, in order, none has more than a part may, and tensors larger than a part share none', () => {
  fc.assert(
    fc.property(anyTensors, (tensors) => {
      const next = { tensor: 0, value: 0 };
      for (const { size_bytes, pieces } of partsOf(tensors)) {
        assert.ok(size_bytes > 0 && size_bytes <= PART_BYTES);
        assert.equal(
          size_bytes,
          pieces.reduce((sum, piece) => sum + piece.size_bytes, 0),
        );
        for (const { tensor, from, values, size_bytes: piece_bytes } of pieces) {
          const { dtype, shape } = tensors[tensor];
          assert.deepEqual([tensor, from], [next.tensor, next.value]);
          assert.equal(piece_bytes, values * widthOf(dtype));
          next.value += values;
          if (sizeOf(shape) * widthOf(dtype) > PART_BYTES) assert.equal(pieces.length, 1);
          if (next.value < sizeOf(shape)) assert.equal(size_bytes, PART_BYTES);
          else Object.assign(next, { tensor: next.tensor + 1, value: 0 });
        }
      }
      assert.deepEqual(next, { tensor: tensors.length, value: 0 });
    }),
  );
});

test('a manifest comes back from its one encoding, whose hash is pinned', () => {
  fc.assert(
    fc.property(anyTensors, (tensors) => {
      const manifest = manifestOf(tensors);
      assert.deepEqual(decodeModelManifest(encodeModelManifest(manifest)), manifest);
    }),
  );
  const small = manifestOf([
    { name: 'a', dtype: 'f32', shape: [2, 3] },
    { name: 'b', dtype: 'bf16', shape: [] },
  ]);
  assert.equal(
    sha256Hex(encodeModelManifest(small)),
    'de56317e360229abb47586788b9749fee9541ed7af90e9187b57404cec1e0f47',
  );
});

test('any byte changed: it is refused with a typed error, or says something else', () => {
  const bytes = encodeModelManifest(manifestOf([{ name: 'weight', dtype: 'f32', shape: [3, 5] }]));
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = bytes.slice();
      changed[at] ^= change;
      try {
        assert.deepEqual(encodeModelManifest(decodeModelManifest(changed)), changed);
      } catch (error) {
        assert.match(
          (error as { code?: string }).code ?? String(error),
          /^(bad-manifest|unsupported|too-large|wrong-parts)$/,
        );
      }
    }),
    { numRuns: 500 },
  );
});

test('every lie has its error', () => {
  const part = new Uint8Array(32).fill(7);
  const tensor = (...changed: EventValue[]): EventValue => {
    const [name = 'weight', dtype = 'f32', shape = [2, 3]] = changed;
    return [name, dtype, shape];
  };
  const refused = (code: ModelErrorCode, says: RegExp, change: { [field: string]: EventValue }): void => {
    const bytes = encodeStrict({ version: 1, tensors: [tensor()], parts: [part], ...change });
    assert.throws(() => decodeModelManifest(bytes), { name: 'ModelError', code, message: says });
  };
  assert.equal(decodeModelManifest(encodeStrict({ version: 1, tensors: [tensor()], parts: [part] })).parts.length, 1);
  refused('unsupported', /expected version 1, got 2/, { version: 2 });
  refused('unsupported', /"weight" is "f64", expected one of f32, bf16, f16, i8/, {
    tensors: [tensor('weight', 'f64')],
  });
  refused('bad-manifest', /got "size" as well/, { size: 24 });
  refused('bad-manifest', /expected lists/, { parts: 1 });
  refused('bad-manifest', /expected a tensor, got none/, { tensors: [], parts: [] });
  refused('bad-manifest', /tensor 0: expected a name, a dtype and a shape/, { tensors: [['weight', 'f32']] });
  refused('bad-manifest', /"weight" twice/, { tensors: [tensor(), tensor()] });
  refused('bad-manifest', /names of 1 to 256/, { tensors: [tensor('')] });
  refused('bad-manifest', /has the dimension 0/, { tensors: [tensor('weight', 'f32', [0])] });
  refused('bad-manifest', /has the dimension -2/, { tensors: [tensor('weight', 'f32', [-2, -3])] });
  refused('bad-manifest', /expected a shape/, { tensors: [tensor('weight', 'f32', ['2'])] });
  refused('bad-manifest', /part 0: expected a SHA-256/, { parts: [part.subarray(1)] });
  refused('too-large', /9 dimensions/, { tensors: [tensor('weight', 'f32', Array(9).fill(1))] });
  refused('too-large', /more than \d+ bytes/, { tensors: [tensor('weight', 'f32', [2 ** 40, 2 ** 40, 2 ** 40])] });
  const half: EventValue = [2 ** 33];
  refused('too-large', /up to "c"/, {
    tensors: [tensor('a', 'f32', half), tensor('b', 'f32', half), tensor('c', 'i8', [1])],
  });
  refused('wrong-parts', /fill 1 parts, got 2/, { parts: [part, part] });
  refused('wrong-parts', /fill 1 parts, got 0/, { parts: [] });
  refused('wrong-parts', /fill 2 parts, got 1/, { tensors: [tensor('weight', 'i8', [PART_BYTES + 1])] });
  assert.throws(() => decodeModelManifest(new Uint8Array(PART_BYTES + 1)), { code: 'too-large' });
  assert.throws(() => decodeModelManifest(Uint8Array.of(1)), { code: 'bad-manifest' });
});

test('what is written is held to the same', () => {
  const tensors: TensorSpec[] = [{ name: 'weight', dtype: 'f32' as Dtype, shape: [2, 3] }];
  assert.throws(() => encodeModelManifest({ tensors, parts: [] }), { code: 'wrong-parts' });
  assert.throws(() => encodeModelManifest({ tensors, parts: ['no hash'] }), { code: 'bad-manifest' });
  assert.throws(() => encodeModelManifest({ tensors: [...tensors, ...tensors], parts: hashes(1) }), {
    code: 'bad-manifest',
  });
});
