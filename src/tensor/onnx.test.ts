// Tests of the ONNX encoder and its strict reader: round trips, the wire format's corners, and bytes that must be refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { TensorError } from './errors.ts';
import type { Attribute, Constant, DType, GraphData, NamedTensor } from './ir.ts';
import { createNativeRuntime } from './native-runtime.ts';
import { elementCount, encodeOnnx } from './onnx.ts';
import { decodeOnnx } from './onnx-reader.ts';
import { encodeVarint, Message, WIRE } from './protobuf.ts';
import { accumulator } from './testing/runtime-compliance.ts';

/** The value of a varint by its definition: seven bits a byte, two's complement over 64 bits. */
function readVarint(bytes: Uint8Array): number {
  let value = 0n;
  bytes.forEach((byte, i) => {
    value |= BigInt(byte & 127) << BigInt(7 * i);
  });
  return Number(BigInt.asIntN(64, value));
}

describe('varints', () => {
  test('the examples of the protobuf documentation', () => {
    assert.deepEqual([...encodeVarint(0)], [0]);
    assert.deepEqual([...encodeVarint(150)], [0x96, 0x01]);
    assert.deepEqual([...encodeVarint(-2)], [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
  });

  test('every safe integer comes back, in the shortest form', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const bytes = encodeVarint(value);
        assert.equal(readVarint(bytes), value);
        bytes.forEach((byte, i) => {
          assert.equal(byte >= 128, i < bytes.length - 1, 'all bytes but the last carry the continuation bit');
        });
        assert.ok(bytes.length === 1 || bytes[bytes.length - 1] !== 0);
        assert.ok(bytes.length <= 10);
      }),
      {
        examples: [[0], [127], [128], [2 ** 31], [2 ** 32], [Number.MAX_SAFE_INTEGER], [-1], [Number.MIN_SAFE_INTEGER]],
      },
    );
  });

  test('what is no safe integer is refused', () => {
    for (const value of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.throws(() => encodeVarint(value), TensorError);
    }
  });
});

test('a message is its fields in their order, whatever their sizes, and nested ones are their bytes', () => {
  const value = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ minLength: 60, maxLength: 200 }),
    fc.integer({ min: 4000, max: 4200 }).map((length) => new Uint8Array(length).fill(7)),
  );
  type Field = string | Uint8Array | readonly Field[];
  const { field } = fc.letrec<{ field: Field }>((tie) => ({
    field: fc.oneof({ depthSize: 'small' }, value, fc.array(tie('field'), { maxLength: 4 })),
  }));
  const written = (fields: readonly Field[]): Message => {
    const message = new Message();
    for (const [i, of] of fields.entries()) {
      if (typeof of === 'string') message.text(i + 1, of);
      else if (of instanceof Uint8Array) message.bytes(i + 1, of);
      else message.message(i + 1, written(of));
    }
    return message;
  };
  const expected = (fields: readonly Field[]): Uint8Array =>
    Buffer.concat(
      fields.flatMap((of, i) => {
        const bytes = typeof of === 'string' ? Buffer.from(of) : of instanceof Uint8Array ? of : expected(of);
        return [encodeVarint((i + 1) * 8 + WIRE.bytes), encodeVarint(bytes.length), bytes];
      }),
    );
  fc.assert(
    fc.property(fc.array(field, { maxLength: 20 }), (fields) => {
      const message = written(fields);
      assert.deepEqual(Buffer.from(message.finish()), expected(fields));
      assert.deepEqual(Buffer.concat(message.pieces), expected(fields));
      assert.equal(message.length, expected(fields).length);
    }),
    { examples: [[['é', 'aÿ']]] },
  );
});

/** Plain objects, as the reader makes them. */
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields, { noNullPrototype: true });

const shapes = fc.array(fc.nat({ max: 4 }), { maxLength: 3 });
const dtypes = fc.constantFrom<DType>('float32', 'int32', 'int64', 'bool');
const names = fc.string({ maxLength: 6, unit: 'grapheme' });
const float32 = fc.float({ noNaN: true });

const attributes: fc.Arbitrary<Attribute> = fc.oneof(
  record({ kind: fc.constant('int' as const), value: fc.maxSafeInteger() }),
  record({ kind: fc.constant('ints' as const), value: fc.array(fc.maxSafeInteger(), { maxLength: 4 }) }),
  record({ kind: fc.constant('float' as const), value: float32 }),
  record({ kind: fc.constant('string' as const), value: names }),
);

const values: fc.Arbitrary<NamedTensor> = record({ name: names, dtype: dtypes, shape: shapes });

const constants: fc.Arbitrary<Constant> = fc.tuple(names, dtypes, shapes).chain(([name, dtype, shape]) => {
  const count = elementCount(shape);
  const list = <T>(element: fc.Arbitrary<T>) => fc.array(element, { minLength: count, maxLength: count });
  const data: fc.Arbitrary<Constant['data']> =
    dtype === 'float32'
      ? list(float32).map((numbers) => Float32Array.from(numbers))
      : dtype === 'int32'
        ? list(fc.integer()).map((numbers) => Int32Array.from(numbers))
        : list(dtype === 'bool' ? fc.nat({ max: 1 }) : fc.maxSafeInteger());
  return data.map((some) => ({ name, dtype, shape, data: some }));
});

const graphs: fc.Arbitrary<GraphData> = record({
  nodes: fc.array(
    record({
      op: fc.string({ minLength: 1, maxLength: 8 }),
      inputs: fc.array(names, { maxLength: 3 }),
      outputs: fc.array(names, { maxLength: 2 }),
      attributes: fc.dictionary(names, attributes, { maxKeys: 3, noNullPrototype: true }),
    }),
    { maxLength: 4 },
  ),
  inputs: fc.array(values, { maxLength: 3 }),
  outputs: fc.array(values, { maxLength: 3 }),
  constants: fc.array(constants, { maxLength: 3 }),
});

describe('encodeOnnx and decodeOnnx', () => {
  test('every graph comes back as it was', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        assert.deepEqual(decodeOnnx(encodeOnnx(graph)), graph);
      }),
    );
  });

  test('changed, cut and random bytes are a graph or a TensorError, never anything else', () => {
    const good = accumulator().onnx;
    const damaged = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat({ max: good.length }).map((length) => good.slice(0, length)),
      fc.array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), { maxLength: 5 }).map((changes) => {
        const bytes = good.slice();
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      }),
    );
    fc.assert(
      fc.property(damaged, (bytes) => {
        try {
          decodeOnnx(bytes);
        } catch (error) {
          assert.ok(error instanceof TensorError && error.code === 'bad-model', String(error));
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('values kept in another file and operators of another domain are refused', () => {
    const graph: GraphData = { nodes: [], inputs: [], outputs: [], constants: [] };
    const withField = (path: number[], field: number[]): Uint8Array => {
      let inner = Uint8Array.from(field);
      for (const number of path.toReversed()) inner = Uint8Array.from([number * 8 + 2, inner.length, ...inner]);
      return Uint8Array.from([...encodeOnnx(graph).filter((_, i) => i < 2), ...inner, 0x42, 4, 0x0a, 0, 0x10, 21]);
    };
    assert.deepEqual(decodeOnnx(withField([7], [])), graph, 'the bytes built here are otherwise right');
    const external = [2 * 8, 1, 14 * 8, 1]; // data_type FLOAT, data_location EXTERNAL
    assert.throws(() => decodeOnnx(withField([7, 5], external)), /field 14/);
    const contrib = [4 * 8 + 2, 1, 65, 7 * 8 + 2, 1, 66]; // op_type "A", domain "B"
    assert.throws(() => decodeOnnx(withField([7, 1], contrib)), /default domain/);
  });

  test('constants that do not fit their type are refused', () => {
    const encode = (constant: Constant) => encodeOnnx({ nodes: [], inputs: [], outputs: [], constants: [constant] });
    assert.throws(() => encode({ name: 'c', dtype: 'float32', shape: [2], data: [1] }), /holds 2 values, got 1/);
    assert.throws(() => encode({ name: 'c', dtype: 'int64', shape: [], data: [0.5] }), /int64.*0.5/);
    assert.throws(() => encode({ name: 'c', dtype: 'int32', shape: [], data: [2 ** 31] }), /int32/);
    assert.throws(() => encode({ name: 'c', dtype: 'bool', shape: [], data: [2] }), /bool/);
  });
});

test('ONNX Runtime reads constants of every type and attributes of every kind', async () => {
  const graph: GraphData = {
    inputs: [{ name: 'x', dtype: 'float32', shape: [3] }],
    outputs: [
      { name: 'y', dtype: 'float32', shape: [2, 3] },
      { name: 'n', dtype: 'int32', shape: [1] },
    ],
    constants: [
      { name: 'shape', dtype: 'int64', shape: [2], data: [1, -1] },
      { name: 'mask', dtype: 'bool', shape: [3], data: [1, 0, 1] },
      { name: 'indices', dtype: 'int32', shape: [1, 3], data: Int32Array.of(1, 1, 1) },
      { name: 'zero', dtype: 'float32', shape: [2, 3], data: new Float32Array(6) },
      { name: 'minus', dtype: 'int32', shape: [1], data: Int32Array.of(-7) },
    ],
    nodes: [
      { op: 'LeakyRelu', inputs: ['x'], outputs: ['a'], attributes: { alpha: { kind: 'float', value: 0.5 } } },
      { op: 'Where', inputs: ['mask', 'a', 'x'], outputs: ['b'], attributes: {} },
      { op: 'Reshape', inputs: ['b', 'shape'], outputs: ['c'], attributes: {} },
      {
        op: 'ScatterElements',
        inputs: ['zero', 'indices', 'c'],
        outputs: ['y'],
        attributes: { axis: { kind: 'int', value: 0 }, reduction: { kind: 'string', value: 'add' } },
      },
      { op: 'Transpose', inputs: ['minus'], outputs: ['n'], attributes: { perm: { kind: 'ints', value: [0] } } },
    ],
  };
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    const program = await runtime.load({ onnx: encodeOnnx(graph), inputs: ['x'], outputs: ['y', 'n'], states: [] });
    const { y, n } = await program.run({ x: { dtype: 'float32', shape: [3], data: Float32Array.of(-2, -4, 6) } });
    assert.deepEqual([...y.data], [0, 0, 0, -1, -4, 6]);
    assert.deepEqual([...n.data], [-7]);
  } finally {
    await runtime.close();
  }
});
