// Models as ONNX files: ONNX Runtime gives the logits of our own graph, with a cache, with padding, in 8 bits, natively and in WASM.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import * as native from 'onnxruntime-node';
import * as web from 'onnxruntime-web';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { importModel } from './checkpoint-folder.ts';
import { type LlamaConfig, type LlamaConfigInput, LlamaConfigSchema, parameterSpecs, type Weights } from './config.ts';
import { BLOCK, byteBlocks } from './onnx-blocks.ts';
import { exportOnnx } from './onnx-folder.ts';
import { onnxGraph } from './onnx-graph.ts';
import { logitsGraph } from './testing/graphs.ts';
import { randomWeights } from './testing/random-weights.ts';
import { byteTokenizer, tokenizerFromJson } from './tokenizer.ts';

web.env.wasm.numThreads = 1;

const shape: LlamaConfigInput = {
  vocab_size: 257,
  hidden_size: 40, // not a multiple of a block, so that rows are filled up
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 10,
  max_position_embeddings: 48,
  rope_theta: 1000,
};
const plain = LlamaConfigSchema.parse(shape);
const configs: Readonly<Record<string, LlamaConfig>> = {
  'grouped queries': plain,
  'tied head, one head of keys each': LlamaConfigSchema.parse({
    ...shape,
    tie_word_embeddings: true,
    num_key_value_heads: 4,
  }),
  biases: LlamaConfigSchema.parse({ ...shape, attention_bias: true, mlp_bias: true }),
  'Qwen2, scaled rotation': LlamaConfigSchema.parse({
    ...shape,
    model_type: 'qwen2',
    rope_scaling: { rope_type: 'linear', factor: 2 },
  }),
  'a window': LlamaConfigSchema.parse({ ...shape, model_type: 'mistral', sliding_window: 5 }),
};

const weightsOf = (config: LlamaConfig): Weights => randomWeights(config, { spread: () => 0.5 });

const runtime = await createNativeRuntime({ threads: 1 });
after(() => runtime.close());

/** The logits of every position by our own graph, [tokens, vocabulary]. */
async function ourLogits(config: LlamaConfig, weights: Weights, tokens: readonly number[]): Promise<Float32Array> {
  const program = await runtime.load(logitsGraph(config, { batch: 1, context: tokens.length }));
  await program.writeState(weights);
  const data = Int32Array.from(tokens);
  const { logits } = await program.run({ tokens: { dtype: 'int32', shape: [1, tokens.length], data } });
  await program.close();
  return logits.data as Float32Array;
}

/** One sequence of a batch: padded on the left to the longest. */
interface Row {
  readonly padding: number;
  readonly tokens: readonly number[];
}

type Ort = Pick<typeof native, 'InferenceSession' | 'Tensor'>;

/** Reads rows of one padded length in chunks that end at `ends`, as transformers.js does; the logits of each row's own tokens. */
async function theirLogits(
  { InferenceSession, Tensor }: Ort,
  model: string | Uint8Array,
  { num_hidden_layers, num_key_value_heads, head_dim, vocab_size }: LlamaConfig,
  rows: readonly Row[],
  ends: readonly number[],
): Promise<Float32Array[]> {
  const session = await (typeof model === 'string' ? InferenceSession.create(model) : InferenceSession.create(model));
  const int64 = (values: readonly number[][]) =>
    new Tensor('int64', BigInt64Array.from(values.flat(), BigInt), [rows.length, values[0].length]);
  let cache: Record<string, native.Tensor> = {};
  for (let layer = 0; layer < num_hidden_layers; layer++) {
    for (const which of ['key', 'value']) {
      const dims = [rows.length, num_key_value_heads, 0, head_dim];
      cache[`past_key_values.${layer}.${which}`] = new Tensor('float32', new Float32Array(), dims);
    }
  }
  const found = rows.map((): number[] => []);
  let start = 0;
  for (const end of ends) {
    const columns = Array.from({ length: end }, (_, column) => column);
    const mask = rows.map(({ padding }) => columns.map((column) => (column < padding ? 0 : 1)));
    const ids = rows.map(({ padding, tokens }) =>
      columns.slice(start).map((column) => tokens[column - padding] ?? 256),
    );
    const positions = rows.map(({ padding }) => columns.slice(start).map((c) => (c < padding ? 1 : c - padding)));
    const results = await session.run({
      ...cache,
      input_ids: int64(ids),
      attention_mask: int64(mask),
      position_ids: int64(positions),
    });
    assert.deepEqual(results.logits.dims, [rows.length, end - start, vocab_size]);
    const logits = results.logits.data as Float32Array;
    for (const [row, { padding }] of rows.entries()) {
      for (const column of columns.slice(start)) {
        const at = (row * (end - start) + column - start) * vocab_size;
        if (column >= padding) for (const value of logits.subarray(at, at + vocab_size)) found[row].push(value);
      }
    }
    const present = Object.keys(cache).map((name) => [name, results[name.replace('past_key_values', 'present')]]);
    cache = Object.fromEntries(present);
    start = end;
  }
  await session.release();
  return found.map((values) => Float32Array.from(values));
}

/** The length of the difference relative to that of the expected. */
function distance(found: Float32Array, expected: Float32Array): number {
  assert.equal(found.length, expected.length);
  const squares = (values: Iterable<number>) => [...values].reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(found.map((value, i) => value - expected[i])) / squares(expected));
}

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'potluck-onnx-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const long = Array.from({ length: 23 }, (_, i) => (i * i * 7 + 3) % 257);
const short = long.slice(5, 16).map((token) => (token * 3 + 1) % 257);
const ROWS: readonly Row[] = [
  { padding: 0, tokens: long },
  { padding: long.length - short.length, tokens: short },
];

/** Weights as 8 bits hold them: matrices that are multiplied, and the embedding. */
function rounded(config: LlamaConfig, weights: Weights): Weights {
  return new Map(
    parameterSpecs(config).map(({ name, shape }) => {
      const values = weights.get(name)!;
      if (shape.length === 1) return [name, values];
      const [rows, columns] = shape;
      const { bytes, scales } = byteBlocks(values, rows, columns);
      const blocks = Math.ceil(columns / BLOCK);
      const value = (_: number, i: number): number => {
        const block = Math.floor(i / columns) * blocks + Math.floor((i % columns) / BLOCK);
        return (bytes[block * BLOCK + ((i % columns) % BLOCK)] - 128) * scales[block];
      };
      return [name, values.map(value)];
    }),
  );
}

for (const [name, config] of Object.entries(configs)) {
  test(`${name}: the logits of our own graph, whole and with a cache, for a padded batch, in float32 and in 8 bits`, async (t) => {
    const dir = await folder(t);
    const weights = weightsOf(config);
    await exportOnnx(dir, { config, weights, tokenizer: byteTokenizer() });
    for (const [file, same] of [
      ['model.onnx', weights],
      ['model_quantized.onnx', rounded(config, weights)],
    ] as const) {
      const expected = await Promise.all(ROWS.map(({ tokens }) => ourLogits(config, same, tokens)));
      for (const ends of [[23], [14, 15, 16, 23]]) {
        const found = await theirLogits(native, join(dir, 'onnx', file), config, ROWS, ends);
        for (const [row, logits] of found.entries()) {
          const apart = distance(logits, expected[row]);
          assert.ok(apart < 3e-6, `${file}, row ${row}, chunks to ${ends}: ${apart}`);
        }
      }
    }
  });
}

test('the WASM build of browsers reads both files', async (t) => {
  const dir = await folder(t);
  const weights = weightsOf(plain);
  await exportOnnx(dir, { config: plain, weights, tokenizer: byteTokenizer() });
  const last = long.length;
  for (const [file, same] of [
    ['model.onnx', weights],
    ['model_quantized.onnx', rounded(plain, weights)],
  ] as const) {
    const bytes = new Uint8Array(await readFile(join(dir, 'onnx', file)));
    const [found] = await theirLogits(web as unknown as Ort, bytes, plain, ROWS.slice(0, 1), [last - 1, last]);
    const apart = distance(found, await ourLogits(plain, same, long));
    assert.ok(apart < 3e-6, `${file}: ${apart}`);
  }
});

describe('files', () => {
  test('inputs and outputs have the names and the free dimensions that transformers.js looks for', async (t) => {
    const dir = await folder(t);
    await exportOnnx(dir, { config: plain, weights: weightsOf(plain), tokenizer: byteTokenizer() });
    const session = await native.InferenceSession.create(join(dir, 'onnx', 'model.onnx'));
    const shapes = (metadata: readonly native.InferenceSession.ValueMetadata[]) =>
      Object.fromEntries(metadata.map((value) => [value.name, value.isTensor ? value.shape : null]));
    const cached = (of: string, length: string) =>
      Object.fromEntries(
        [0, 1].flatMap((n) => ['key', 'value'].map((w) => [`${of}.${n}.${w}`, ['batch_size', 2, length, 10]])),
      );
    assert.deepEqual(shapes(session.inputMetadata), {
      input_ids: ['batch_size', 'sequence_length'],
      attention_mask: ['batch_size', 'total_sequence_length'],
      position_ids: ['batch_size', 'sequence_length'],
      ...cached('past_key_values', 'past_sequence_length'),
    });
    assert.deepEqual(shapes(session.outputMetadata), {
      logits: ['batch_size', 'sequence_length', 257],
      ...cached('present', 'total_sequence_length'),
    });
    await session.release();
  });

  test('weights that do not fit into one file lie beside it, as config.json says, and give the same logits', async (t) => {
    const [whole, parts] = [await folder(t), await folder(t)];
    const model = { config: plain, weights: weightsOf(plain), tokenizer: byteTokenizer() };
    await exportOnnx(whole, model);
    await exportOnnx(parts, model, 50_000);
    const names = (await readdir(join(parts, 'onnx'))).sort();
    const config = JSON.parse(await readFile(join(parts, 'config.json'), 'utf8'));
    const outside = config['transformers.js_config'].use_external_data_format;
    assert.ok(outside['model.onnx'] >= 2);
    const expected = Object.entries<number>(outside).flatMap(([name, count]) => [
      name,
      ...Array.from({ length: count }, (_, i) => `${name}_data${i === 0 ? '' : `_${i}`}`),
    ]);
    assert.deepEqual(names, expected.sort());
    const logits = (dir: string) => theirLogits(native, join(dir, 'onnx', 'model.onnx'), plain, ROWS, [23]);
    assert.deepEqual(await logits(parts), await logits(whole));
    assert.equal('transformers.js_config' in JSON.parse(await readFile(join(whole, 'config.json'), 'utf8')), false);
  });

  test('a tensor larger than a file may be, and weights that do not fit the settings, are refused', async (t) => {
    const dir = await folder(t);
    const model = { config: plain, weights: weightsOf(plain), tokenizer: byteTokenizer() };
    await assert.rejects(exportOnnx(dir, model, 40_000), {
      name: 'TensorError',
      code: 'too-large',
      message: /embed_tokens/,
    });
    assert.deepEqual(await readdir(join(dir, 'onnx')), []);
    const weights = new Map(model.weights).set('model.norm.weight', new Float32Array(39));
    assert.throws(() => onnxGraph(plain, weights, 'f32'), {
      name: 'ModelError',
      code: 'wrong-weights',
      message: /39 values/,
    });
  });

  test('the tokenizer begins every text as our generation does, and Potluck reads the folder back', async (t) => {
    const dir = await folder(t);
    const tokenizer = byteTokenizer();
    await exportOnnx(dir, { config: plain, weights: weightsOf(plain), tokenizer });
    const json = JSON.parse(await readFile(join(dir, 'tokenizer.json'), 'utf8'));
    assert.deepEqual(json.post_processor.special_tokens['<|endoftext|>'].ids, [256]);
    const config = JSON.parse(await readFile(join(dir, 'tokenizer_config.json'), 'utf8'));
    assert.deepEqual([config.add_bos_token, config.pad_token, config.padding_side], [true, '<|endoftext|>', 'left']);
    const read = tokenizerFromJson(JSON.stringify(json), config);
    for (const text of ['naïve café 😀', 'a<|endoftext|>b']) {
      assert.deepEqual([...read.encode(text)], [...tokenizer.encode(text)]);
    }
    await assert.rejects(importModel(dir), { code: 'missing-file' }); // the weights that it reads are in model.safetensors
  });
});

test('a byte holds the largest weight of its block exactly, and zeros stay zeros', () => {
  const weights = new Float32Array(3 * 40);
  weights.set([-0.5, 0.25, 0.1], 0);
  weights.fill(1e-44, 40, 80); // too small for a scale
  weights[119] = 3;
  const { bytes, scales } = byteBlocks(weights, 3, 40);
  assert.deepEqual([...bytes.subarray(0, 4)], [128 - 127, 128 + 64, 128 + 25, 128]);
  assert.equal(scales[0], Math.fround(0.5 / 127));
  assert.deepEqual([...new Set(bytes.subarray(64, 128))], [128]);
  assert.equal(bytes[2 * 64 + 39], 255);
  assert.deepEqual([...new Set(bytes.subarray(2 * 64 + 40))], [128]);
});
