// Tensors go into parts and come back with every bit, whatever the dtype and however they are cut, and a wrong part is found.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { sha256Hex } from '../protocol/hash.ts';
import { sizeOf } from '../tensor/shape.ts';
import { DTYPES, type Dtype, decodeValues, encodeValues, widthOf } from './dtypes.ts';
import { fetchedOnce, readParts, writeParts } from './parts.ts';
import { PART_BYTES, partsOf, type TensorSpec } from './tensor-manifest.ts';

/** A store that keeps what is put, and counts what is under way. */
function memory() {
  const blobs = new Map<string, Uint8Array>();
  const at_once = { now: 0, most: 0 };
  const turn = async (): Promise<void> => {
    at_once.most = Math.max(at_once.most, ++at_once.now);
    await new Promise((resolve) => setImmediate(resolve));
    at_once.now--;
  };
  return {
    ...{ blobs, at_once },
    put: async (bytes: Uint8Array): Promise<string> => {
      const hash = sha256Hex(bytes);
      blobs.set(hash, bytes.slice());
      await turn();
      return hash;
    },
    fetch: async (hash: string): Promise<Uint8Array> => {
      await turn();
      return blobs.get(hash)!;
    },
  };
}

/** Values that a dtype holds exactly, the same 61 bytes again and again: no part or value begins as another one does. */
const valuesFor = (dtype: Dtype, count: number, seed: number): Float32Array => {
  const bytes = Uint8Array.from({ length: 61 }, (_, i) => (i * 131 + seed * 7) & 0x3f);
  return decodeValues(dtype, Buffer.alloc(count * widthOf(dtype), bytes));
};

/** To compare long tensors: `deepEqual` takes seconds. */
const bytesOf = ({ buffer }: Float32Array): Buffer => Buffer.from(buffer as ArrayBuffer);

async function all(tensors: AsyncIterable<Float32Array>): Promise<Float32Array[]> {
  const list: Float32Array[] = [];
  for await (const values of tensors) list.push(values);
  return list;
}

test('small tensors share parts, large ones are cut; all come back bit for bit, a few parts at a time', async () => {
  const specs: TensorSpec[] = [
    { name: 'a', dtype: 'f32', shape: [3] },
    { name: 'b', dtype: 'i8', shape: [5, 7] },
    { name: 'large', dtype: 'bf16', shape: [PART_BYTES / 2 + 1, 2] },
    { name: 'c', dtype: 'f16', shape: [9] },
    { name: 'd', dtype: 'f32', shape: [] },
  ];
  const store = memory();
  const tensors = specs.map(({ dtype, shape }, i) => valuesFor(dtype, sizeOf(shape), i));
  const manifest = await writeParts(specs, tensors, store.put);
  assert.equal(manifest.parts.length, 1 + 3 + 1);
  const read = await all(readParts(manifest, store.fetch));
  assert.ok(read.every((values, i) => bytesOf(values).equals(bytesOf(tensors[i]))));
  assert.equal(read.length, tensors.length);
  assert.ok(store.at_once.most > 1 && store.at_once.most <= 2, `${store.at_once.most} at once`);
});

test('any tensors of any dtype come back', async () => {
  const tensor = fc.record({
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(tensor, { minLength: 1, maxLength: 9 }), async (list) => {
      const specs = list.map((one, i): TensorSpec => ({ name: `t${i}`, ...one }));
      const store = memory();
      const tensors = specs.map(({ dtype, shape }, i) => valuesFor(dtype, sizeOf(shape), i));
      assert.deepEqual(await all(readParts(await writeParts(specs, tensors, store.put), store.fetch)), tensors);
    }),
  );
});

test('of any tensors any come back, from the parts that hold them and no others', async () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: PART_BYTES - 3, max: PART_BYTES + 3 }));
  const list = fc.array(fc.record({ size, wanted: fc.boolean() }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(list, async (drawn) => {
      const specs = drawn.map(({ size }, i): TensorSpec => ({ name: `t${i}`, dtype: 'i8', shape: [size] }));
      const store = memory();
      const tensors = specs.map(({ shape: [count] }, i) => new Float32Array(count).fill(i + 1));
      const manifest = await writeParts(specs, tensors, store.put);
      const fetched: string[] = [];
      const fetch = (hash: string) => store.fetch(fetched[fetched.push(hash) - 1]);
      const read = await all(readParts(manifest, fetch, (tensor) => drawn[tensor].wanted));
      const wanted = tensors.filter((_, i) => drawn[i].wanted);
      assert.equal(read.length, wanted.length);
      assert.ok(read.every((values, i) => bytesOf(values).equals(bytesOf(wanted[i]))));
      const needed = partsOf(specs).map(({ pieces }) => pieces.some(({ tensor }) => drawn[tensor].wanted));
      assert.deepEqual(
        fetched,
        manifest.parts.filter((_, i) => needed[i]),
      );
    }),
    { numRuns: 6 },
  );
});

test('every value of a narrow dtype is a float32 and comes back from it; what it cannot hold is refused', () => {
  const everyHalf = new Uint8Array(Uint16Array.from({ length: 65_536 }, (_, i) => i).buffer);
  for (const dtype of ['bf16', 'f16'] as const) {
    const values = decodeValues(dtype, everyHalf);
    const finite = values.filter(Number.isFinite);
    assert.deepEqual(decodeValues(dtype, encodeValues(dtype, finite)), finite);
  }
  const integers = decodeValues(
    'i8',
    Uint8Array.from({ length: 256 }, (_, i) => i),
  );
  assert.deepEqual(integers[255], -1);
  assert.deepEqual(
    encodeValues('i8', integers),
    Uint8Array.from({ length: 256 }, (_, i) => i),
  );
  for (const [dtype, value] of [
    ['bf16', 1 + 2 ** -8],
    ['f16', 65_520],
    ['i8', 128],
    ['i8', 0.5],
    ['i8', -0],
  ] as const) {
    const refused = { code: 'wrong-weights', message: `value 1 is ${value}, which ${dtype} cannot hold` };
    assert.throws(() => encodeValues(dtype, Float32Array.of(1, value)), refused);
  }
  assert.equal(decodeValues('f16', encodeValues('f16', Float32Array.of(2 ** -24)))[0], 2 ** -24);
});

test('a part of another length, a value that is not finite, tensors that are not those announced', async () => {
  const specs: TensorSpec[] = [{ name: 'a', dtype: 'f32', shape: [3] }];
  const store = memory();
  const manifest = await writeParts(specs, [Float32Array.of(1, 2, 3)], store.put);
  const [hash] = manifest.parts;
  for (const length of [11, 13]) {
    store.blobs.set(hash, new Uint8Array(length));
    await assert.rejects(all(readParts(manifest, store.fetch)), {
      code: 'wrong-parts',
      message: /take 12 bytes, got 1/,
    });
  }
  store.blobs.set(hash, encodeValues('f32', Float32Array.of(1, Number.NaN, 3)));
  await assert.rejects(all(readParts(manifest, store.fetch)), {
    code: 'wrong-weights',
    message: /"a": value 1 is NaN/,
  });
  const wrong = { code: 'wrong-weights' };
  await assert.rejects(writeParts(specs, [new Float32Array(2)], store.put), wrong);
  await assert.rejects(writeParts(specs, [], store.put), wrong);
  await assert.rejects(writeParts(specs, [new Float32Array(3), new Float32Array(3)], store.put), wrong);
});

test('what a store or a line throws is what is heard', async () => {
  const specs: TensorSpec[] = [{ name: 'a', dtype: 'i8', shape: [3 * PART_BYTES] }];
  const full = () => Promise.reject(new Error('full'));
  await assert.rejects(writeParts(specs, [new Float32Array(3 * PART_BYTES)], full), /full/);
  const manifest = { tensors: specs, parts: Array(3).fill('f'.repeat(64)) };
  await assert.rejects(all(readParts(manifest, () => Promise.reject(new Error('away')))), /away/);
});

test('a part that was read is given back: memory holds a few, however long the model is', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const specs = Array.from(
    { length: 8 },
    (_, i): TensorSpec => ({ name: `${i}`, dtype: 'f32', shape: [PART_BYTES / 4] }),
  );
  const fetched: WeakRef<ArrayBuffer>[] = [];
  const fetch = async (): Promise<Uint8Array> => {
    const { buffer } = new Uint8Array(PART_BYTES);
    fetched.push(new WeakRef(buffer));
    return new Uint8Array(buffer);
  };
  let read = 0;
  for await (const _ of readParts({ tensors: specs, parts: specs.map(() => 'a'.repeat(64)) }, fetch)) {
    read++;
    await new Promise((resolve) => setImmediate(resolve)); // a WeakRef holds its target until the turn ends
    collect();
    const held = fetched.filter((part) => part.deref() !== undefined).length;
    assert.ok(held <= 2, `${held} parts held after ${read}`);
  }
  assert.equal(read, specs.length);
});

test('where a put fails, the others have ended when the error comes', async () => {
  const specs = ['a', 'b'].map((name): TensorSpec => ({ name, dtype: 'i8', shape: [PART_BYTES] }));
  const ended: number[] = [];
  let begun = 0;
  const put = async (): Promise<string> => {
    const number = begun++;
    if (number === 0) throw new Error('no room');
    await new Promise((resolve) => setImmediate(resolve));
    ended.push(number);
    return '';
  };
  const tensors = specs.map(() => new Float32Array(PART_BYTES));
  await assert.rejects(writeParts(specs, tensors, put), /no room/);
  assert.deepEqual([begun, ended], [2, [1]]);
});

test('a part that is in memory is not fetched again, one that is not is', async () => {
  let fetched = 0;
  const held = Uint8Array.of(1);
  const fetch = fetchedOnce(async (hash) => {
    fetched++;
    return hash === 'held' ? held : new Uint8Array(1 << 20);
  });
  assert.equal(await fetch('held'), held);
  assert.equal(await fetch('held'), held);
  assert.equal(fetched, 1);
  await fetch('gone');
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  await new Promise((resolve) => setImmediate(resolve)); // what a WeakRef was asked for lives until the turn ends
  collect();
  assert.equal((await fetch('gone')).length, 1 << 20);
  assert.equal(fetched, 3);
});
