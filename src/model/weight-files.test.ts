// Weights are read tensor by tensor: files of any size, memory for what is used, and a reason for every file that is not read.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LlamaConfigSchema, parameterSpecs } from './config.ts';
import { readWeights } from './weight-files.ts';

const config = LlamaConfigSchema.parse({
  vocab_size: 5,
  hidden_size: 4,
  intermediate_size: 6,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  tie_word_embeddings: true,
});

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'potluck-weights-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Zeros where it is missing: a hole in the file. */
  readonly value?: number;
}

/** Writes BF16 tensors one after another; those without a value take no room on the disk. Returns the size. */
async function writeSparse(path: string, tensors: readonly Tensor[]): Promise<number> {
  let offset = 0;
  const entries = tensors.map(({ name, shape }) => {
    const start = offset;
    offset += 2 * shape.reduce((a, b) => a * b, 1);
    return [name, { dtype: 'BF16', shape, data_offsets: [start, offset] }] as const;
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  const file = await open(path, 'w');
  await file.write(Buffer.concat([prefix, header]));
  for (const [i, { value }] of tensors.entries()) {
    if (value === undefined) continue;
    const [start, end] = entries[i][1].data_offsets;
    const upper = new Uint16Array((end - start) / 2).fill(new Uint32Array(Float32Array.of(value).buffer)[0] >> 16);
    await file.write(new Uint8Array(upper.buffer), 0, end - start, 8 + header.length + start);
  }
  const size = 8 + header.length + offset;
  await file.truncate(size);
  await file.close();
  return size;
}

const ours = parameterSpecs(config).map(({ name, shape }, i) => ({ name, shape, value: i + 1 }));
/** What a tied model does not need: 2.5 GiB that stay on the disk. */
const head: Tensor = { name: 'lm_head.weight', shape: [5, 268_435_456] };

test('a file of more than 2 GiB is read, and takes the memory of the tensors that are used', async (t) => {
  const dir = await folder(t);
  const size = await writeSparse(join(dir, 'model.safetensors'), [...ours.slice(0, 3), head, ...ours.slice(3)]);
  assert.ok(size > 2 ** 31);
  const before = process.memoryUsage().rss;
  const weights = await readWeights(dir, config);
  assert.ok(process.memoryUsage().rss - before < 256 * 2 ** 20);
  assert.deepEqual(
    [...weights.keys()],
    parameterSpecs(config).map(({ name }) => name),
  );
  for (const [i, values] of [...weights.values()].entries()) assert.ok(values.every((value) => value === i + 1));
});

test('a tensor longer than one piece of reading comes whole', async (t) => {
  const dir = await folder(t);
  const wide = LlamaConfigSchema.parse({ ...config, vocab_size: 200_003, hidden_size: 64, num_hidden_layers: 1 });
  const tensors = parameterSpecs(wide).map(({ name, shape }, i) => ({ name, shape, value: i + 1 }));
  await writeSparse(join(dir, 'model.safetensors'), tensors);
  const embedding = (await readWeights(dir, wide)).get('model.embed_tokens.weight')!;
  assert.equal(embedding.length, 200_003 * 64);
  assert.ok(embedding.every((value) => value === 1));
});

test('files that are shorter or longer than they say are refused by name', async (t) => {
  const dir = await folder(t);
  const path = join(dir, 'model.safetensors');
  const refused = (message: RegExp, code = 'corrupt-file') =>
    assert.rejects(readWeights(dir, config), { name: 'ModelError', code, message });
  const size = await writeSparse(path, ours);
  await truncate(path, size - 1);
  await refused(/^model.safetensors: safetensors: "model.norm.weight" lies at/);
  await truncate(path, size + 3);
  await refused(/cover \d+ of \d+ data bytes/);
  await truncate(path, 20);
  await refused(/the header has \d+ bytes, the file 20/);
  await truncate(path, 4);
  await refused(/4 bytes are too few/);
  await writeFile(path, Buffer.alloc(16, 255));
  await refused(/a header of 18446744073709551615 bytes/, 'too-large');
  await rm(path);
  await mkdir(path);
  await refused(/model.safetensors cannot be read: EISDIR/, 'missing-file');
});

test('weights beyond a limit are refused before they are read', async (t) => {
  const dir = await folder(t);
  const expected = { code: 'too-large', message: /the weights take 0.00 GB in float32, at most 0.00 GB/ };
  const bytes = 4 * parameterSpecs(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  await assert.rejects(readWeights(dir, config, bytes - 1), expected);
  await assert.rejects(readWeights(dir, config, bytes), { code: 'missing-file' });
});

test('what is there instead of safetensors is refused by its name, with what to do', async (t) => {
  for (const [name, says] of [
    ['pytorch_model.bin', /pytorch_model.bin is a pickle, which may run code.*save_pretrained/],
    ['pytorch_model.bin.index.json', /pickle/],
    ['consolidated.00.pth', /consolidated.00.pth is a pickle/],
    ['model-q4.gguf', /GGUF/],
    ['adapter_model.safetensors', /adapter.*merge/],
  ] as const) {
    const dir = await folder(t);
    await writeFile(join(dir, name), 'x');
    await assert.rejects(readWeights(dir, config), { name: 'ModelError', code: 'unsupported', message: says });
  }
  await assert.rejects(readWeights(await folder(t), config), { code: 'missing-file', message: /model.safetensors is/ });
});
