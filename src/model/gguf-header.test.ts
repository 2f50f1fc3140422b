// The reader of GGUF headers believes nothing: whatever a file says of its sizes, it is refused with a code, or all of it lies in the file.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ModelError } from './errors.ts';
import { type GgufEntry, ggufStart, type ListedTensor } from './gguf-entries.ts';
import { type GgufHeader, ggufHeader, readGgufHeader } from './gguf-header.ts';

const ENTRIES: readonly GgufEntry[] = [
  ['general.architecture', 'string', 'llama'],
  ['general.alignment', 'u32', 32],
  ['llama.rope.freq_base', 'f32', 10_000],
  ['tokenizer.ggml.tokens', 'strings', ['a', 'ä', '']],
  ['tokenizer.ggml.token_type', 'i32s', [1, 1, -3]],
  ['tokenizer.ggml.add_bos_token', 'bool', true],
];
const TENSORS: readonly ListedTensor[] = [
  { name: 'token_embd.weight', dimensions: [32, 3], type: 8, offset: 0 }, // q8_0: 102 bytes
  { name: 'output_norm.weight', dimensions: [32], type: 0, offset: 128 },
];
const DATA_BYTES = 128 + 128;

function fileOf(entries: readonly GgufEntry[] = ENTRIES, tensors = TENSORS, data_bytes = DATA_BYTES): Uint8Array {
  return new Uint8Array(Buffer.concat([ggufStart(entries, tensors, 32), new Uint8Array(data_bytes)]));
}

/** Reads a file in memory, and holds what is asked for against its length. */
async function headerOf(bytes: Uint8Array, reads: number[] = []): Promise<GgufHeader> {
  return ggufHeader(bytes.length, async (length) => {
    assert.ok(length <= bytes.length, `${length} of ${bytes.length} bytes were asked for`);
    reads.push(length);
    return bytes.slice(0, length);
  });
}

const refused = (bytes: Uint8Array, code: string, message: RegExp): Promise<void> =>
  assert.rejects(headerOf(bytes), (error: unknown) => {
    assert.ok(error instanceof ModelError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });

test('a header says what was written', async () => {
  const bytes = fileOf();
  const { version, metadata, tensors } = await headerOf(bytes);
  assert.equal(version, 3);
  assert.deepEqual(
    [...metadata],
    ENTRIES.map(([key, , value]) => [key, value]),
  );
  assert.deepEqual(tensors, [
    {
      name: 'token_embd.weight',
      type: 'q8_0',
      dimensions: [32, 3],
      start: bytes.length - 256,
      end: bytes.length - 154,
    },
    { name: 'output_norm.weight', type: 'f32', dimensions: [32], start: bytes.length - 128, end: bytes.length },
  ]);
});

test('a long header is read in few steps, and nothing behind it', async () => {
  const tokens = Array.from({ length: 40_000 }, (_, i) => `token ${i}`);
  const data_bytes = 8 * 2 ** 20;
  const tensors = [{ name: 'w', dimensions: [data_bytes / 4], type: 0, offset: 0 }];
  const entries = [['tokens', 'strings', tokens]] as const;
  const header_bytes = ggufStart(entries, tensors, 32).length;
  const reads: number[] = [];
  const { metadata } = await headerOf(fileOf(entries, tensors, data_bytes), reads);
  assert.deepEqual(metadata.get('tokens'), tokens);
  assert.ok(reads.length <= 6, `${reads.length} reads`);
  assert.ok(reads.at(-1)! < 3 * header_bytes, `${reads.at(-1)} bytes for a header of ${header_bytes}`);
});

test('a file that ends anywhere is refused', async () => {
  const whole = fileOf();
  for (let length = 0; length < whole.length; length++) {
    await refused(whole.slice(0, length), 'corrupt-file', /the file ends at|belong to no tensor|bytes follow/);
  }
});

test('changed bytes give a header that lies in the file, or an error with a code', async () => {
  const whole = fileOf();
  const change = fc.record({ at: fc.nat(whole.length - DATA_BYTES - 1), value: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
      const bytes = whole.slice();
      for (const { at, value } of changes) bytes[at] = value;
      try {
        const { tensors } = await headerOf(bytes);
        let before = 0;
        for (const { start, end } of tensors) {
          assert.ok(start >= before && end > start && end <= bytes.length);
          before = end;
        }
      } catch (error) {
        if (!(error instanceof ModelError)) throw error;
        assert.match(error.code, /^(corrupt-file|too-large|unsupported)$/);
      }
    }),
    { numRuns: 3000 },
  );
});

test('counts and lengths that lie are refused before anything of that size is allocated', async () => {
  const whole = fileOf();
  const view = (change: (view: DataView) => void): Uint8Array => {
    const bytes = whole.slice();
    change(new DataView(bytes.buffer));
    return bytes;
  };
  const at = (text: string): number => Buffer.from(whole).indexOf(text);
  const tokens = at('tokenizer.ggml.tokens') + 'tokenizer.ggml.tokens'.length;
  const before = process.memoryUsage().arrayBuffers;
  await refused(
    view((v) => v.setBigUint64(8, 99_999n, true)),
    'corrupt-file',
    /tensors are 99999/,
  );
  await refused(
    view((v) => v.setBigUint64(8, 2n ** 63n, true)),
    'too-large',
    /tensors: 9223372036854775808/,
  );
  await refused(
    view((v) => v.setBigUint64(16, 4096n, true)),
    'corrupt-file',
    /metadata are 4096/,
  );
  await refused(
    view((v) => v.setBigUint64(24, 2n ** 40n, true)),
    'too-large',
    /the length of a key/,
  );
  await refused(
    view((v) => v.setBigUint64(tokens + 8, 4_000_000n, true)),
    'corrupt-file',
    /items .* are 4000000/,
  );
  await refused(
    view((v) => v.setBigUint64(tokens + 8, 2n ** 50n, true)),
    'too-large',
    /the items of/,
  );
  await refused(
    view((v) => v.setBigUint64(tokens + 16, 2n ** 27n, true)),
    'corrupt-file',
    /takes 134217728 bytes/,
  );
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
});

test('what no honest file says is refused by name', async () => {
  const entry = ENTRIES[0];
  const [embedding, norm] = TENSORS;
  const tensors = (...list: ListedTensor[]): Uint8Array => fileOf(ENTRIES, list);
  await refused(fileOf([entry, entry]), 'corrupt-file', /general\.architecture occurs twice/);
  await refused(
    tensors(embedding, { ...norm, name: embedding.name }),
    'corrupt-file',
    /"token_embd.weight" occurs twice/,
  );
  await refused(tensors(embedding, { ...norm, offset: 96 }), 'corrupt-file', /lies at 96 .* expected 128/);
  const apart = fileOf(ENTRIES, [embedding, { ...norm, offset: 160 }], DATA_BYTES + 32);
  await refused(apart, 'corrupt-file', /lies at 160 .* expected 128/);
  await refused(tensors({ ...embedding, dimensions: [31, 3] }, norm), 'corrupt-file', /rows of 31 values/);
  await refused(tensors({ ...embedding, dimensions: [0, 3] }, norm), 'corrupt-file', /dimensions/);
  await refused(tensors({ ...embedding, dimensions: [2 ** 39, 2 ** 39] }, norm), 'corrupt-file', /dimensions/);
  await refused(tensors({ ...embedding, dimensions: [32, 1, 1, 1, 3] }, norm), 'corrupt-file', /5 dimensions/);
  await refused(tensors({ ...embedding, dimensions: [] }, norm), 'corrupt-file', /0 dimensions/);
  await refused(tensors({ ...embedding, type: 4 }, norm), 'unsupported', /stored as type 4/);
  await refused(fileOf(ENTRIES, TENSORS, DATA_BYTES + 32), 'corrupt-file', /32 bytes at the end belong to no tensor/);
  for (const alignment of [0, 4, 24, 2 ** 20]) {
    await refused(fileOf([['general.alignment', 'u32', alignment]]), 'corrupt-file', /general\.alignment/);
  }
  const bytes = fileOf();
  const key = 'tokenizer.ggml.add_bos_token';
  bytes[Buffer.from(bytes).indexOf(key) + key.length + 4] = 2;
  await refused(bytes, 'corrupt-file', /add_bos_token is 2, expected 0 or 1/);
  bytes[4] = 1;
  await refused(bytes, 'unsupported', /version 1/);
  bytes[0] = 0;
  await refused(bytes, 'corrupt-file', /does not begin with "GGUF"/);
});

test('a list of lists is refused: what reads it elsewhere would recurse', async () => {
  const bytes = fileOf();
  const key = Buffer.from(bytes).indexOf('tokenizer.ggml.tokens') + 'tokenizer.ggml.tokens'.length;
  new DataView(bytes.buffer).setUint32(key + 4, 9, true);
  await refused(bytes, 'corrupt-file', /is a list of type 9/);
});

test('a file is read from disk, a missing one has its code', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-gguf-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'a.gguf');
  writeFileSync(path, fileOf());
  assert.equal((await readGgufHeader(path)).tensors.length, 2);
  await assert.rejects(readGgufHeader(join(folder, 'b.gguf')), { code: 'missing-file' });
  await assert.rejects(readGgufHeader(folder), { code: /missing-file|corrupt-file/ });
});
