// Tests of boundaries: bytes of exactly one length that give back their codes, codes near their values, and what is refused.
import assert from 'node:assert/strict';
import { after, describe, it, test } from 'node:test';
import fc from 'fast-check';
import { Graph } from '../../tensor/graph.ts';
import { createNativeRuntime } from '../../tensor/native-runtime.ts';
import { noise } from '../../tensor/operator-case.ts';
import type { Runtime, TensorData, TensorMap } from '../../tensor/runtime.ts';
import { createWasmRuntime } from '../../tensor/wasm-runtime.ts';
import { LlamaConfigSchema } from '../config.ts';
import {
  BoundarySchema,
  boundaryBytes,
  decodeFloats,
  encodeFloats,
  type Layout,
  layoutOf,
  packCodes,
  scaleTable,
  unpackCodes,
} from './boundary.ts';
import { received, sent } from './boundary-graph.ts';

const bad = { code: 'bad-activations' };
const layouts = fc
  .record({
    groups: fc.integer({ min: 1, max: 5 }),
    scale_rows: fc.integer({ min: 1, max: 3 }),
    columns: fc.integer({ min: 1, max: 9 }),
    bits: fc.integer({ min: 1, max: 8 }),
  })
  .map(({ groups, ...layout }): Layout => ({ ...layout, rows: groups * layout.scale_rows }));

test('packed codes have one length and come back; another length or set bits after the last are refused', () => {
  fc.assert(
    fc.property(layouts, fc.nat(), (layout, seed) => {
      const { rows, columns, bits, scale_rows } = layout;
      const code = (most: number) => (value: number) => Math.floor(((value + 1) / 2) * most);
      const codes = Int32Array.from(noise(rows * columns, seed), code(2 ** bits));
      const scales = Int32Array.from(noise(rows / scale_rows, seed + 1), code(256));
      const bytes = packCodes(layout, { codes, scales });
      assert.equal(bytes.length, rows / scale_rows + Math.ceil((rows * columns * bits) / 8));
      assert.equal(bytes.length, boundaryBytes(layout));
      assert.deepEqual(unpackCodes(layout, bytes), { codes, scales });
      assert.throws(() => unpackCodes(layout, bytes.subarray(1)), bad);
      assert.throws(() => unpackCodes(layout, new Uint8Array(bytes.length + 1)), bad);
      if ((rows * columns * bits) % 8 === 0) return;
      bytes[bytes.length - 1] |= 0x80;
      assert.throws(() => unpackCodes(layout, bytes), bad);
    }),
  );
});

test('codes that no finite value has are not sent', () => {
  const layout = { rows: 1, columns: 2, bits: 4, scale_rows: 1 };
  const scales = Int32Array.of(7);
  for (const wrong of [-1, 16, -(2 ** 31)]) {
    assert.throws(() => packCodes(layout, { codes: Int32Array.of(3, wrong), scales }), bad);
  }
  assert.throws(() => packCodes(layout, { codes: Int32Array.of(3, 3), scales: Int32Array.of(256) }), bad);
});

test('whole values are float32, and finite', () => {
  const layout = { rows: 2, columns: 3, bits: 32, scale_rows: 1 };
  const values = noise(6, 1);
  const bytes = encodeFloats(values);
  assert.deepEqual(decodeFloats(layout, bytes), values);
  const inside = new Uint8Array(25);
  inside.set(bytes, 1);
  assert.deepEqual(decodeFloats(layout, inside.subarray(1)), values, 'from anywhere in a message');
  assert.throws(() => decodeFloats(layout, inside), { ...bad, details: { expected_bytes: 24, got_bytes: 25 } });
  assert.throws(() => encodeFloats(Float32Array.of(1, Number.NaN)), { ...bad, details: { at: 1 } });
  inside.fill(0xff);
  assert.throws(() => decodeFloats(layout, inside.subarray(1)), bad);
});

test('a layout that does not fit the model or the micro-batch is refused', () => {
  const config = LlamaConfigSchema.parse({
    ...{ vocab_size: 9, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 1 },
  });
  const layout = (more: object) => layoutOf(config, { batch: 2, context: 3 }, BoundarySchema.parse(more), 'gradients');
  assert.deepEqual(layout({ bits: 4, gradient_bits: 3, width: 8, scale_rows: 3 }), {
    rows: 6,
    columns: 8,
    bits: 3,
    scale_rows: 3,
  });
  assert.equal(layout({}).bits, 32);
  assert.throws(() => layout({ scale_rows: 4 }), { code: 'bad-config' });
  assert.throws(() => layout({ width: 9 }), { code: 'bad-config' });
  for (const wrong of [{ bits: 9 }, { bits: 0 }, { width: 0 }, { tokens: 'all' }, { bit: 4 }]) {
    assert.equal(BoundarySchema.safeParse(wrong).success, false);
  }
});

/** Codes values and decodes them again, each in a graph of its own. */
async function through(
  runtime: Runtime,
  layout: Layout,
  values: Float32Array,
  rounding?: Float32Array,
  takenOff = rounding,
) {
  const shape = [layout.rows, layout.columns];
  const input = (data: Float32Array): TensorData => ({ dtype: 'float32', shape, data });
  const there = new Graph();
  const x = there.input('x', 'float32', shape);
  sent(there, 'out', x, layout, rounding && there.input('noise', 'float32', shape));
  const coded = await once(runtime, there, { x: input(values), ...(rounding && { noise: input(rounding) }) });
  const codes = { codes: coded['out/codes'].data as Int32Array, scales: coded['out/scales'].data as Int32Array };
  const bytes = packCodes(layout, codes);
  const arrived = unpackCodes(layout, bytes);
  const here = new Graph();
  here.output('y', received(here, 'in', layout, takenOff && here.input('noise', 'float32', shape)));
  const y = await once(runtime, here, {
    'in/codes': { dtype: 'int32', shape, data: arrived.codes },
    'in/scales': { dtype: 'int32', shape: [arrived.scales.length], data: arrived.scales },
    ...(takenOff && { noise: input(takenOff) }),
  });
  return { y: y.y.data as Float32Array, scales: codes.scales, zero: coded['out/zero'].data[0] };
}

async function once(runtime: Runtime, graph: Graph, inputs: TensorMap): Promise<TensorMap> {
  const program = await runtime.load(graph.compile());
  const outputs = await program.run(inputs);
  await program.close();
  return outputs;
}

for (const [name, create] of Object.entries({ native: createNativeRuntime, wasm: createWasmRuntime })) {
  describe(`coded values on ${name}`, () => {
    const opened = create({ threads: 1 });
    after(async () => (await opened).close());

    it('are at most half a step from the values, under a scale at most 15 % above the largest', async () => {
      const layout = { rows: 6, columns: 7, bits: 4, scale_rows: 2 };
      const values = noise(42, 3).map((value, i) => value * 10 ** (Math.floor(i / 14) * 3 - 4));
      const { y, scales } = await through(await opened, layout, values);
      for (let group = 0; group < 3; group++) {
        const part = values.subarray(group * 14, (group + 1) * 14);
        const largest = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const scale = scaleTable()[scales[group]];
        assert.ok(scale >= largest && scale <= 1.16 * largest, `${scale} for ${largest}`);
        part.forEach((value, i) => {
          assert.ok(Math.abs(value - y[group * 14 + i]) <= 1.0001 * (scale / 15), `${value}: ${y[group * 14 + i]}`);
        });
      }
    });

    it('are right in the mean where they are rounded at random, and at most half a step from the values', async () => {
      const layout = { rows: 400, columns: 2, bits: 2, scale_rows: 400 };
      const values = Float32Array.from({ length: 800 }, (_, i) => (i % 2 === 0 ? 1 : 0.21));
      const uniform = noise(800, 5, 0, 1);
      const { y, scales } = await through(await opened, layout, values, uniform);
      const mean = y.filter((_, i) => i % 2 === 1).reduce((sum, value) => sum + value, 0) / 400;
      assert.ok(Math.abs(mean - 0.21) < 0.05, `${mean}`);
      const step = (2 / 3) * scaleTable()[scales[0]];
      const most = (found: Float32Array) => Math.max(...found.map((value, i) => Math.abs(value - values[i])));
      assert.ok(most(y) <= 0.5001 * step && most(y) > 0.45 * step, `${most(y)}`);
      // Who does not take the noise off has up to twice the error.
      const kept = await through(await opened, layout, values, uniform, new Float32Array(800).fill(0.5));
      assert.ok(most(kept.y) > 0.6 * step, `${most(kept.y)}`);
      const nearest = await through(await opened, layout, values);
      assert.ok(nearest.y.filter((_, i) => i % 2 === 1).every((value) => Math.abs(value - 0.21) > 0.1));
    });

    it('that are all zero, tiny or huge stay finite', async () => {
      const layout = { rows: 3, columns: 1, bits: 8, scale_rows: 1 };
      const { y, zero } = await through(await opened, layout, Float32Array.of(0, 1e-30, 3e38));
      assert.ok(Math.abs(y[0]) < 1e-11 && Math.abs(y[1]) < 1e-11, `${y}`);
      assert.ok(Math.abs(y[2] / 2 ** 11 - 1) < 1e-6, `${y[2]}`);
      assert.equal(zero, 0);
    });
  });
}
