// Compliance tests for every Runtime: what each must do and must refuse. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TensorError, type TensorErrorCode } from '../errors.ts';
import type { GraphData, NamedTensor } from '../ir.ts';
import { encodeOnnx } from '../onnx.ts';
import { encodeOnnxBeside } from '../onnx-file.ts';
import type { CompiledGraph, Program, Runtime, TensorData } from '../runtime.ts';

const f32 = (name: string, shape: number[]): NamedTensor => ({ name, dtype: 'float32', shape });

/** total ← total + x·scale, and the sum of the old total: one state that moves, one frozen, one plain output. */
export function accumulator(): CompiledGraph {
  const graph: GraphData = {
    inputs: [f32('x', [2, 3]), f32('total', [2, 3]), f32('scale', [])],
    outputs: [f32('old_sum', []), f32('total_next', [2, 3])],
    constants: [],
    nodes: [
      { op: 'Mul', inputs: ['x', 'scale'], outputs: ['scaled'], attributes: {} },
      // Ordered before the sum and independent of it: a careless in-place update would read the new total here.
      { op: 'Add', inputs: ['total', 'scaled'], outputs: ['total_next'], attributes: {} },
      {
        op: 'ReduceSum',
        inputs: ['total'],
        outputs: ['old_sum'],
        attributes: { keepdims: { kind: 'int', value: 0 } },
      },
    ],
  };
  return {
    onnx: encodeOnnx(graph),
    inputs: ['x'],
    outputs: ['old_sum'],
    states: [
      { name: 'total', next: 'total_next', shape: [2, 3] },
      { name: 'scale', next: null, shape: [] },
    ],
  };
}

/** y ← x · w + z for any number of rows, with w beside the graph. */
function anyRows(w: Float32Array): CompiledGraph {
  const value = (name: string, ...dimensions: (number | string)[]) => ({ name, dtype: 'float32' as const, dimensions });
  const bytes = new Uint8Array(w.buffer, w.byteOffset, w.byteLength);
  return {
    ...encodeOnnxBeside({
      inputs: [value('x', 'rows', 16), value('z', 'rows', 32)],
      outputs: [value('y', 'rows', 32)],
      tensors: [{ name: 'w', dtype: 'float32', shape: [16, 32], bytes }],
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['product'], attributes: {} },
        { op: 'Add', inputs: ['product', 'z'], outputs: ['y'], attributes: {} },
      ],
    }),
    ...{ inputs: ['x', 'z'], outputs: ['y'], states: [] },
  };
}

/** rows ← tokens gathered from a table, then a product big enough that several threads share it. */
export function gatherAndMultiply(): CompiledGraph {
  const graph: GraphData = {
    inputs: [{ name: 'tokens', dtype: 'int32', shape: [64] }, f32('table', [32, 128]), f32('w', [128, 128])],
    outputs: [f32('y', [64, 128]), f32('w_next', [128, 128]), { name: 'echo', dtype: 'int32', shape: [64] }],
    constants: [{ name: 'one', dtype: 'int32', shape: [], data: [1] }],
    nodes: [
      { op: 'Gather', inputs: ['table', 'tokens'], outputs: ['rows'], attributes: {} },
      { op: 'MatMul', inputs: ['rows', 'w'], outputs: ['y'], attributes: {} },
      {
        op: 'Transpose',
        inputs: ['rows'],
        outputs: ['rows_t'],
        attributes: { perm: { kind: 'ints', value: [1, 0] } },
      },
      { op: 'MatMul', inputs: ['rows_t', 'y'], outputs: ['w_next'], attributes: {} },
      { op: 'Mul', inputs: ['tokens', 'one'], outputs: ['echo'], attributes: {} },
    ],
  };
  return {
    onnx: encodeOnnx(graph),
    inputs: ['tokens'],
    outputs: ['y', 'echo'],
    states: [
      { name: 'table', next: null, shape: [32, 128] },
      { name: 'w', next: 'w_next', shape: [128, 128] },
    ],
  };
}

const X: TensorData = { dtype: 'float32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };

/** Values with full mantissas, the same on every machine: their sums show any change in the order of additions. */
export function mixedValues(length: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 0.25;
  });
}

const tokens = (): TensorData => ({
  dtype: 'int32',
  shape: [64],
  data: Int32Array.from({ length: 64 }, (_, i) => (i * 7) % 32),
});

/** Three runs of gatherAndMultiply from fixed weights: the bytes of everything that comes out. */
export async function bitsOf(runtime: Runtime): Promise<string> {
  const program = await runtime.load(gatherAndMultiply());
  await program.writeState(
    new Map([
      ['table', mixedValues(32 * 128, 1)],
      ['w', mixedValues(128 * 128, 2)],
    ]),
  );
  const pieces: Uint8Array[] = [];
  for (let i = 0; i < 3; i++) {
    const { y } = await program.run({ tokens: tokens() });
    pieces.push(new Uint8Array(y.data.buffer, y.data.byteOffset, y.data.byteLength));
  }
  const w = (await program.readState(['w'])).get('w')!;
  pieces.push(new Uint8Array(w.buffer));
  await program.close();
  return Buffer.concat(pieces).toString('base64');
}

function refused(code: TensorErrorCode, ...mentions: string[]) {
  return (error: unknown) => {
    assert.ok(error instanceof TensorError, String(error));
    assert.equal(error.code, code, error.message);
    for (const text of mentions) assert.ok(error.message.includes(text), `"${error.message}" should mention ${text}`);
    return true;
  };
}

/**
 * Registers the suite's tests for one way of making runtimes. `on: 'gpu'`: there are no threads to choose, and an index out of a table
 * is no error, because a kernel cannot stop a run.
 */
export function runtimeSuite(
  name: string,
  create: (threads: number) => Promise<Runtime>,
  on: 'cpu' | 'gpu' = 'cpu',
): void {
  describe(`${name} as a Runtime`, () => {
    let runtime: Runtime;
    before(async () => {
      runtime = await create(1);
    });
    after(() => runtime.close());

    async function started(scale = 1): Promise<Program> {
      const program = await runtime.load(accumulator());
      await program.writeState(new Map([['scale', Float32Array.of(scale)]]));
      return program;
    }

    async function totalOf(program: Program): Promise<number[]> {
      return [...(await program.readState(['total'])).get('total')!];
    }

    test('states start as zeros and advance with every run; a frozen state stays', async () => {
      const program = await started(10);
      assert.deepEqual(await totalOf(program), [0, 0, 0, 0, 0, 0]);
      const sums: number[] = [];
      for (let i = 0; i < 3; i++) sums.push((await program.run({ x: X })).old_sum.data[0]);
      assert.deepEqual(sums, [0, 210, 420], 'the output is computed from the state before the run');
      assert.deepEqual(await totalOf(program), [30, 60, 90, 120, 150, 180]);
      assert.deepEqual([...(await program.readState(['scale'])).get('scale')!], [10]);
      await program.close();
    });

    test('outputs have their dtype and shape, states are not among them', async () => {
      const program = await started();
      const outputs = await program.run({ x: X });
      assert.deepEqual(Object.keys(outputs), ['old_sum']);
      assert.equal(outputs.old_sum.dtype, 'float32');
      assert.deepEqual(outputs.old_sum.shape, []);
      await program.close();
      const gather = await runtime.load(gatherAndMultiply());
      const { y, echo } = await gather.run({ tokens: tokens() });
      assert.deepEqual([y.dtype, y.shape, echo.dtype], ['float32', [64, 128], 'int32']);
      assert.deepEqual(echo.data, tokens().data);
      await gather.close();
    });

    test('writeState and run leave the caller its arrays; readState gives copies', async () => {
      const program = await started();
      const shared = new Float32Array(20).fill(7);
      const view = shared.subarray(2, 8);
      await program.writeState(new Map([['total', view]]));
      view.fill(-1);
      assert.deepEqual(await totalOf(program), [7, 7, 7, 7, 7, 7]);
      const read = (await program.readState(['total'])).get('total')!;
      read.fill(99);
      assert.deepEqual(await totalOf(program), [7, 7, 7, 7, 7, 7]);
      const first = await program.run({ x: X });
      await program.run({ x: X });
      assert.equal(first.old_sum.data[0], 42, 'an output stays what it was when the next run is done');
      assert.deepEqual([...X.data], [1, 2, 3, 4, 5, 6]);
      assert.equal(read[0], 99);
      await program.close();
    });

    test('a state written after a run takes the place of the one the run made', async () => {
      const program = await started();
      await program.run({ x: X });
      await program.writeState(new Map([['total', new Float32Array(6)]]));
      await program.run({ x: X });
      assert.deepEqual(await totalOf(program), [1, 2, 3, 4, 5, 6]);
      await program.close();
    });

    test('calls that are not awaited are queued in order', async () => {
      const program = await started();
      const runs = [program.run({ x: X }), program.run({ x: X })];
      const between = program.readState(['total']);
      const reset = program.writeState(new Map([['total', new Float32Array(6)]]));
      const last = program.run({ x: X });
      assert.deepEqual([...(await between).get('total')!], [2, 4, 6, 8, 10, 12]);
      assert.equal((await last).old_sum.data[0], 0);
      assert.deepEqual(
        (await Promise.all(runs)).map((outputs) => outputs.old_sum.data[0]),
        [0, 21],
      );
      await reset;
      await program.close();
    });

    test('two programs keep their own states', async () => {
      const [a, b] = [await started(1), await started(2)];
      await Promise.all([a.run({ x: X }), b.run({ x: X }), b.run({ x: X })]);
      assert.deepEqual(await totalOf(a), [1, 2, 3, 4, 5, 6]);
      await a.close();
      assert.deepEqual(await totalOf(b), [4, 8, 12, 16, 20, 24]);
      await b.close();
    });

    test('refuses unknown names, and sets nothing when one of several is wrong', async () => {
      const program = await started();
      const total = new Float32Array(6).fill(5);
      const bad = new Map([
        ['total', total],
        ['ghost', total],
      ]);
      await assert.rejects(program.writeState(bad), refused('unknown-name', 'ghost'));
      await assert.rejects(program.readState(['ghost']), refused('unknown-name', 'ghost'));
      await assert.rejects(program.run({ x: X, ghost: X }), refused('unknown-name', 'ghost'));
      await assert.rejects(program.run({ x: X, total: X }), refused('unknown-name', 'total'));
      await assert.rejects(program.run({}), refused('missing-input', 'x'));
      assert.deepEqual(await totalOf(program), [0, 0, 0, 0, 0, 0]);
      await program.close();
    });

    test('refuses wrong lengths, dtypes and shapes', async () => {
      const program = await started();
      await assert.rejects(
        program.writeState(new Map([['total', new Float32Array(5)]])),
        refused('bad-length', '6', '5'),
      );
      const doubles = new Float64Array(6) as unknown as Float32Array;
      await assert.rejects(program.writeState(new Map([['total', doubles]])), refused('bad-dtype', 'total'));
      const short: TensorData = { ...X, dtype: 'float32', data: new Float32Array(4) };
      await assert.rejects(program.run({ x: short }), refused('bad-length', '6', '4'));
      const integers: TensorData = { dtype: 'int32', shape: [2, 3], data: new Int32Array(6) };
      await assert.rejects(program.run({ x: integers }), refused('bad-dtype', 'float32', 'int32'));
      const turned = { ...X, shape: [3, 2] } as TensorData;
      await assert.rejects(program.run({ x: turned }), refused('bad-shape', '[2,3]', '[3,2]'));
      assert.deepEqual(await totalOf(program), [0, 0, 0, 0, 0, 0]);
      await program.close();
    });

    test('an index out of the table fails the run where kernels can say so; the program goes on', async () => {
      const program = await runtime.load(gatherAndMultiply());
      const beyond: TensorData = { dtype: 'int32', shape: [64], data: new Int32Array(64).fill(32) };
      const run = program.run({ tokens: beyond });
      await (on === 'gpu' ? run : assert.rejects(run, refused('run-failed')));
      await program.run({ tokens: tokens() });
      await program.close();
    });

    test('refuses bytes that are no model, a cut model, and names that the model does not have', async () => {
      const good = accumulator();
      const junk = Uint8Array.from({ length: 300 }, (_, i) => (i * 89) % 251);
      for (const onnx of [new Uint8Array(0), junk, good.onnx.slice(0, good.onnx.length >> 1)]) {
        await assert.rejects(runtime.load({ ...good, onnx }), refused('bad-model'));
      }
      await assert.rejects(runtime.load({ ...good, inputs: ['x', 'ghost'] }), refused('unknown-name', 'ghost'));
      await assert.rejects(runtime.load({ ...good, outputs: ['ghost'] }), refused('unknown-name', 'ghost'));
      await assert.rejects(runtime.load({ ...good, inputs: [] }), refused('missing-input', 'x'));
      const twice = { ...good, inputs: ['x', 'total'] };
      await assert.rejects(runtime.load(twice), refused('bad-graph', 'total'));
      const shapes = good.states.map((state) => ({ ...state, shape: [6] }));
      await assert.rejects(runtime.load({ ...good, states: shapes }), refused('bad-shape', '[6]', '[2,3]'));
    });

    test('free dimensions: runs of any length, with weights beside the graph and inputs in shared memory', async () => {
      const w = Float32Array.from({ length: 16 * 32 }, (_, i) => (i % 7) - 3);
      const kept = w.slice();
      const program = await runtime.load(anyRows(w));
      assert.deepEqual(w, kept);
      const rows = (count: number, width: number, buffer: ArrayBufferLike): TensorData => {
        const data = new Float32Array(buffer).map((_, i) => (i % 5) - 2);
        new Float32Array(buffer).set(data);
        return { dtype: 'float32', shape: [count, width], data: new Float32Array(buffer) };
      };
      for (const count of [1, 5, 3]) {
        const x = rows(count, 16, new SharedArrayBuffer(count * 64));
        const z = rows(count, 32, new ArrayBuffer(count * 128));
        const { y } = await program.run({ x, z });
        assert.deepEqual(y.shape, [count, 32]);
        const expected = z.data.map((value, i) => {
          const [row, column] = [Math.floor(i / 32), i % 32];
          return Array.from({ length: 16 }, (_, k) => x.data[row * 16 + k] * w[k * 32 + column]).reduce(
            (a, b) => a + b,
            value,
          );
        });
        assert.deepEqual([...y.data], [...expected]);
      }
      const [three, two] = [rows(3, 16, new ArrayBuffer(192)), rows(2, 32, new ArrayBuffer(256))];
      await assert.rejects(program.run({ x: three, z: two }), refused('bad-shape', 'z'));
      const wide = { ...three, shape: [6, 8] } as TensorData;
      await assert.rejects(program.run({ x: wide, z: two }), refused('bad-shape', 'x'));
      await program.close();
      await assert.rejects(runtime.load({ ...anyRows(w), beside: new Map() }), refused('bad-model'));
    });

    test('inputs in the same shared memory are read anew in each run, also after one that failed', async () => {
      const program = await runtime.load(anyRows(Float32Array.from({ length: 512 }, (_, i) => Number(i % 33 === 0))));
      const shared = (rows: number, width: number): TensorData => ({
        ...{ dtype: 'float32', shape: [rows, width] },
        data: new Float32Array(new SharedArrayBuffer(rows * width * 4)),
      });
      // w is a diagonal of ones, so the first 16 of a row of y are x + z.
      const firstOf = async (x: TensorData, z: TensorData): Promise<number> => (await program.run({ x, z })).y.data[0];
      const [x, z] = [shared(2, 16), shared(2, 32)];
      for (const [ofX, ofZ] of [
        [1, 10],
        [2, 10],
        [3, 30],
      ]) {
        x.data[0] = ofX;
        z.data[0] = ofZ;
        assert.equal(await firstOf(x, z), ofX + ofZ);
      }
      // The same memory in another shape, and other memory of the same shape.
      const one = (of: TensorData, width: number): TensorData =>
        ({ ...of, shape: [1, width], data: of.data.subarray(0, width) }) as TensorData;
      assert.equal(await firstOf(one(x, 16), one(z, 32)), 33);
      const other = shared(2, 16);
      other.data[0] = 5;
      assert.equal(await firstOf(other, z), 35);
      // What follows a run that failed may name what that run should have brought.
      const wrong = program.run({ x, z: shared(3, 32) });
      const [, after] = await Promise.allSettled([wrong, program.run({ x, z })]);
      await assert.rejects(wrong, refused('bad-shape'));
      if (after.status === 'fulfilled') assert.equal(after.value.y.data[0], 33);
      assert.equal(await firstOf(x, z), 33);
      await program.close();
    });

    test('the same inputs give the same bits twice', async () => {
      assert.equal(await bitsOf(runtime), await bitsOf(runtime));
    });

    test('a closed program refuses calls, closing again is fine, the runtime goes on', async () => {
      const program = await started();
      await program.close();
      await program.close();
      await assert.rejects(program.run({ x: X }), refused('closed'));
      await assert.rejects(program.readState(['total']), refused('closed'));
      await assert.rejects(program.writeState(new Map()), refused('closed'));
      await (await started()).close();
    });

    test('closing a runtime lets queued calls finish, then refuses', async () => {
      const other = await create(1);
      const program = await other.load(accumulator());
      const last = program.run({ x: X });
      const closing = other.close();
      assert.equal((await last).old_sum.data[0], 0);
      await closing;
      await other.close();
      await assert.rejects(program.run({ x: X }), refused('closed'));
      await assert.rejects(other.load(accumulator()), refused('closed'));
      await program.close();
    });

    const threaded = { skip: on === 'gpu' };
    test('one and two threads give the same bits', threaded, async () => {
      const two = await create(2);
      try {
        assert.equal(await bitsOf(two), await bitsOf(runtime));
      } finally {
        await two.close();
      }
    });

    test('a senseless number of threads is refused', threaded, async () => {
      for (const threads of [0, -1, 1.5, Number.NaN, 100_000]) {
        await assert.rejects(create(threads), refused('bad-argument', String(threads)));
      }
    });
  });
}
