// safetensors files: what is written can be read, is the same bytes every time, and every corruption is a typed error.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ModelError, type ModelErrorCode } from './errors.ts';
import { decodeSafetensors, encodeSafetensors } from './testing/safetensors-file.ts';

/** A file from any header text and any data, also from wrong ones. */
function fileOf(header: string | Uint8Array, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

const refused = (bytes: Uint8Array, code: ModelErrorCode, says: RegExp) =>
  assert.throws(
    () => decodeSafetensors(bytes),
    (error: unknown) => error instanceof ModelError && error.code === code && says.test(error.message),
  );

const entry = (dtype: string, shape: number[], data_offsets: number[]) => ({ dtype, shape, data_offsets });

test('the bytes of a small file are pinned: any other machine writes the same', () => {
  const file = encodeSafetensors([{ name: 'a', shape: [2], data: Float32Array.of(1, -0) }], { format: 'pt' });
  const header = '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  assert.deepEqual(file, fileOf(padded, Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0x80)));
});

test('F32, F16 and BF16 become the same float32 values', () => {
  const values = [1.5, -2, 0.09375, 0];
  const f32 = new Uint8Array(Float32Array.from(values).buffer);
  const f16 = new Uint8Array(Float16Array.from(values).buffer);
  const bf16 = new Uint8Array(values.flatMap((v) => [...new Uint8Array(Float32Array.of(v).buffer).subarray(2)]));
  const file = fileOf(
    JSON.stringify({ h: entry('F16', [4], [0, 8]), b: entry('BF16', [2, 2], [8, 16]), f: entry('F32', [4], [16, 32]) }),
    Uint8Array.of(...f16, ...bf16, ...f32),
  );
  const decoded = decodeSafetensors(file);
  assert.deepEqual([...decoded.keys()], ['h', 'b', 'f']);
  for (const { data } of decoded.values()) assert.deepEqual([...data], values);
  assert.deepEqual(decoded.get('b')?.shape, [2, 2]);
});

test('each corruption has its error', () => {
  const eight = new Uint8Array(8);
  refused(new Uint8Array(7), 'corrupt-file', /too few/);
  refused(Uint8Array.of(200, 0, 0, 0, 0, 0, 0, 0, 1), 'corrupt-file', /header has 200 bytes, the file 9/);
  refused(new Uint8Array(16).fill(255), 'too-large', /header of 18446744073709551615/);
  refused(fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), 'corrupt-file', /not UTF-8/);
  refused(fileOf('{"a":'), 'corrupt-file', /not JSON/);
  refused(fileOf('[]'), 'corrupt-file', /not an object/);
  refused(fileOf('{"a":null}'), 'corrupt-file', /lacks a dtype/);
  refused(fileOf(JSON.stringify({ a: entry('I64', [1], [0, 8]) }), eight), 'unsupported', /I64.*expected one of F32/);
  refused(fileOf(JSON.stringify({ a: entry('toString', [1], [0, 8]) }), eight), 'unsupported', /toString/);
  refused(fileOf(JSON.stringify({ a: entry('F32', [4], [0, 16]) }), eight), 'corrupt-file', /\[0, 16\] of 8/);
  refused(fileOf(JSON.stringify({ a: entry('F32', [2], [-8, 0]) }), eight), 'corrupt-file', /\[-8, 0\]/);
  refused(fileOf(JSON.stringify({ a: entry('F32', [3], [0, 8]) }), eight), 'corrupt-file', /needs 12 bytes and has 8/);
  refused(fileOf(JSON.stringify({ a: entry('F32', [-2], [0, 8]) }), eight), 'corrupt-file', /dimension -2/);
  refused(fileOf(JSON.stringify({ a: entry('F32', [0.5, 4], [0, 8]) }), eight), 'corrupt-file', /dimension 0.5/);
  refused(fileOf(JSON.stringify({ a: entry('F32', Array(9).fill(1), [0, 4]) }), eight), 'corrupt-file', /9 dimensions/);
  const huge = entry('F32', [2 ** 40, 2 ** 40], [0, 8]);
  refused(fileOf(JSON.stringify({ a: huge }), eight), 'corrupt-file', /more elements/);
  const overlapping = { a: entry('F32', [2], [0, 8]), b: entry('F32', [1], [4, 8]) };
  refused(fileOf(JSON.stringify(overlapping), eight), 'corrupt-file', /overlaps/);
  refused(fileOf(JSON.stringify({ a: entry('F32', [1], [4, 8]) }), eight), 'corrupt-file', /belong to no tensor/);
  refused(fileOf(JSON.stringify({ a: entry('F32', [1], [0, 4]) }), eight), 'corrupt-file', /cover 4 of 8/);
  const twice = `{"a":${JSON.stringify(entry('F32', [2], [0, 8]))},"\\u0061":${JSON.stringify(entry('F32', [2], [0, 8]))}}`;
  refused(fileOf(twice, eight), 'corrupt-file', /"a" occurs twice/);
});

test('a writer that would make an unreadable file is refused', () => {
  const data = Float32Array.of(1);
  assert.throws(() => encodeSafetensors([{ name: 'a', shape: [2], data }]), { code: 'corrupt-file' });
  assert.throws(() => encodeSafetensors([{ name: '__metadata__', shape: [1], data }]), { code: 'corrupt-file' });
  const twice = [
    { name: 'a', shape: [1], data },
    { name: 'a', shape: [1], data },
  ];
  assert.throws(() => encodeSafetensors(twice), { code: 'corrupt-file' });
});

const tensors = fc.uniqueArray(
  fc
    .tuple(fc.string({ unit: 'grapheme' }), fc.array(fc.nat(4), { maxLength: 3 }), fc.integer())
    .filter(([name]) => name !== '__metadata__')
    .map(([name, shape, seed]) => {
      const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
        Math.fround((seed + i) / 7),
      );
      return { name, shape, data };
    }),
  { selector: ({ name }) => name, maxLength: 6 },
);

test('what is encoded decodes to the same tensors in the same order', () => {
  fc.assert(
    fc.property(tensors, (list) => {
      const file = encodeSafetensors(list);
      const decoded = [...decodeSafetensors(file)].map(([name, { shape, data }]) => ({ name, shape, data }));
      // Integer-like names move to the front of a parsed object, so names are compared as a set.
      const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
      assert.deepEqual(decoded.sort(byName), [...list].sort(byName));
      assert.equal(new DataView(file.buffer).getUint32(0, true) % 8, 0);
    }),
  );
});

test('a file with changed or missing bytes is read or refused with a ModelError, nothing else', () => {
  const change = fc.tuple(fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(tensors, fc.array(change, { maxLength: 4 }), fc.nat(), (list, changes, cut) => {
      const file = encodeSafetensors(list);
      for (const [at, value] of changes) file[at % file.length] = value;
      try {
        decodeSafetensors(cut % 2 ? file : file.subarray(0, cut % file.length));
      } catch (error) {
        assert.ok(error instanceof ModelError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
