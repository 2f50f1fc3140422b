// Checkpoints: the same weights are the same file and have the same name, an exported folder comes back whole,
// and what transformers writes in its many forms is read or refused with a reason.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { concatBytes } from '@noble/hashes/utils.js';
import { sha256Hex } from '../protocol/hash.ts';
import { seededRandom } from '../protocol/random.ts';
import { modelFile, modelTensors } from './checkpoint.ts';
import { exportModel, importModel, nameOfFolder } from './checkpoint-folder.ts';
import { type LlamaConfig, type LlamaConfigInput, LlamaConfigSchema, parameterSpecs, type Weights } from './config.ts';
import { configFromJson } from './config-json.ts';
import { roundedWeights } from './dtypes.ts';
import { writeParts } from './parts.ts';
import { encodeModelManifest } from './tensor-manifest.ts';
import { modelBlobs } from './testing/model-blobs.ts';
import { encodeSafetensors } from './testing/safetensors-file.ts';
import { byteTokenizer, tokenizerFromJson } from './tokenizer.ts';

const shape = {
  vocab_size: 257,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 32,
  rope_theta: 5000,
};
const config = LlamaConfigSchema.parse(shape);
const tied = LlamaConfigSchema.parse({ ...shape, tie_word_embeddings: true });

function someWeights(llama: LlamaConfig): Map<string, Float32Array> {
  return new Map(
    parameterSpecs(llama).map(({ name, shape }) => {
      const random = seededRandom('test weights', name);
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, Float32Array.from({ length: size }, () => random.uint32() / 2 ** 31 - 1)];
    }),
  );
}

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'potluck-checkpoint-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const arraysOf = (llama: LlamaConfig) => {
  const weights = someWeights(llama);
  return parameterSpecs(llama).map(({ name, shape }) => ({ name, shape, data: weights.get(name)! }));
};

const fileOf = (llama: LlamaConfig, weights: Weights) => concatBytes(...modelFile(llama, weights));

test('the file does not depend on the order of the map, and its hash is pinned', () => {
  const weights = someWeights(config);
  const file = fileOf(config, weights);
  assert.deepEqual(fileOf(config, new Map([...weights].reverse())), file);
  assert.equal(sha256Hex(file), '6d058423dc24434a800851446ff6c041b942464562530963220281773e0f2c34');
});

test('wrong weights are refused', () => {
  const weights = someWeights(config);
  const wrong = (change: (copy: Map<string, Float32Array>) => void, says: RegExp) => {
    const copy = new Map(weights);
    change(copy);
    assert.throws(() => modelFile(config, copy), { name: 'ModelError', code: 'wrong-weights', message: says });
  };
  wrong((copy) => copy.delete('model.norm.weight'), /"model.norm.weight" is missing/);
  wrong((copy) => copy.set('model.extra.weight', Float32Array.of(1)), /"model.extra.weight" is no weight/);
  wrong((copy) => copy.set('model.norm.weight', new Float32Array(9)), /has 9 values, expected 8/);
  wrong((copy) => copy.set('model.norm.weight', new Float32Array(8).fill(Number.NaN)), /value 0 is NaN/);
  wrong((copy) => copy.set('model.norm.weight', Float32Array.of(0, 0, 0, 0, 0, 0, 0, -Infinity)), /value 7 is -Inf/);
});

test('tensors that come one after the other give the same file; another number, length or value of them none', async (t) => {
  const weights = someWeights(config);
  const inOrder = parameterSpecs(config).map(({ name }) => weights.get(name)!);
  async function* oneByOne(tensors: readonly Float32Array[]) {
    yield* tensors;
  }
  const dir = await folder(t);
  await exportModel(dir, { config, weights: oneByOne(inOrder), tokenizer: byteTokenizer() });
  assert.deepEqual(new Uint8Array(await readFile(join(dir, 'model.safetensors'))), fileOf(config, weights));
  for (const [tensors, message] of [
    [inOrder.slice(1), /expected \d+ values of "model.embed_tokens.weight", got/],
    [inOrder.slice(0, -1), /expected (\d+) tensors, got \d+/],
    [[...inOrder, new Float32Array(1)], /expected \d+ tensors, got 1 values/],
    [
      inOrder.with(
        3,
        inOrder[3].map((value, i) => (i === 1 ? Number.NaN : value)),
      ),
      /value 1 is NaN/,
    ],
  ] as const) {
    const wrong = { config, weights: oneByOne(tensors), tokenizer: byteTokenizer() };
    await assert.rejects(exportModel(dir, wrong), { code: 'wrong-weights', message });
  }
  assert.deepEqual((await importModel(dir)).weights, weights, 'the former one is as it was');
});

test('an exported folder comes back whole, its name is that of its manifest, and nothing else is left', async (t) => {
  for (const llama of [config, tied]) {
    const dir = await folder(t);
    const model = { config: llama, weights: someWeights(llama), tokenizer: byteTokenizer() };
    const paths = await exportModel(dir, model);
    await exportModel(dir, model); // over an older export
    assert.deepEqual((await readdir(dir)).sort(), paths.map((path) => path.slice(dir.length + 1)).sort());
    assert.deepEqual(new Uint8Array(await readFile(join(dir, 'model.safetensors'))), fileOf(llama, model.weights));
    assert.equal(await nameOfFolder(dir), (await modelBlobs(llama, model.weights)).id);
    const back = await importModel(dir);
    assert.deepEqual(back.config, llama);
    assert.deepEqual(back.weights, model.weights);
    assert.equal(back.tokenizer?.json, model.tokenizer.json);
  }
});

test('a model that is kept in half the bytes is exported in them, and has its name by what config.json states', async (t) => {
  for (const [dtype, stated] of [
    ['bf16', 'bfloat16'],
    ['f16', 'float16'],
  ] as const) {
    const dir = await folder(t);
    const weights = roundedWeights(dtype, someWeights(config));
    await exportModel(dir, { config, weights, dtype, tokenizer: byteTokenizer() });
    assert.equal(JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')).torch_dtype, stated);
    const file = await readFile(join(dir, 'model.safetensors'));
    assert.ok(file.includes(`"dtype":"${dtype.toUpperCase()}"`));
    const [half, whole] = ([dtype, 'f32'] as const).map((of) => [...modelFile(config, weights, of)].slice(1));
    const size = (pieces: readonly Uint8Array[]) => pieces.reduce((sum, { length }) => sum + length, 0);
    assert.equal(size(half), size(whole) / 2);
    assert.deepEqual((await importModel(dir)).weights, weights);
    const hashOf = async (bytes: Uint8Array) => sha256Hex(bytes);
    const manifest = await writeParts(modelTensors(config, dtype), weights.values(), hashOf);
    assert.equal(await nameOfFolder(dir), sha256Hex(encodeModelManifest(manifest)));
    await assert.rejects(
      exportModel(dir, { config, weights: someWeights(config), dtype, tokenizer: byteTokenizer() }),
      {
        code: 'wrong-weights',
        message: /cannot hold/,
      },
    );
  }
});

test('the names of the beginning and the end are those of the vocabulary, whatever they decode to', async (t) => {
  const tokenizer = tokenizerFromJson(
    JSON.stringify({
      added_tokens: [
        { id: 2, content: '<S>', normalized: true, special: true },
        { id: 3, content: '</S>', normalized: true, special: true },
      ],
      normalizer: { type: 'Lowercase' },
      model: { type: 'BPE', vocab: { a: 0, b: 1 }, merges: [] },
    }),
    { bos_token: '<S>', eos_token: '</S>' },
  );
  assert.deepEqual([...tokenizer.encode('a<s>b')], [0, 2, 1]);
  assert.equal(
    tokenizer.decode([2]),
    '<s>',
    'as the Rust library decodes a token that it looks for in normalised text',
  );
  const dir = await folder(t);
  await exportModel(dir, { config, weights: someWeights(config), tokenizer });
  const { bos_token, eos_token } = JSON.parse(await readFile(join(dir, 'tokenizer_config.json'), 'utf8'));
  assert.deepEqual([bos_token, eos_token], ['<S>', '</S>']);
  const back = (await importModel(dir)).tokenizer;
  assert.deepEqual([back?.bos_id, back?.eos_id], [2, 3]);
});

test('a failed export leaves the former one as it was', async (t) => {
  const dir = await folder(t);
  const weights = someWeights(config);
  await exportModel(dir, { config, weights, tokenizer: byteTokenizer() });
  const broken = new Map(weights).set('model.norm.weight', new Float32Array(8).fill(Number.NaN));
  await assert.rejects(exportModel(dir, { config, weights: broken, tokenizer: byteTokenizer() }), {
    code: 'wrong-weights',
  });
  assert.deepEqual((await importModel(dir)).weights, weights);
  const small = LlamaConfigSchema.parse({ ...shape, vocab_size: 256 });
  await assert.rejects(exportModel(dir, { config: small, weights: someWeights(small), tokenizer: byteTokenizer() }), {
    code: 'bad-tokenizer',
  });
});

test('a model in several files is read through its index; a missing part and a path outside are refused', async (t) => {
  const dir = await folder(t);
  await exportModel(dir, { config, weights: someWeights(config), tokenizer: byteTokenizer() });
  await rm(join(dir, 'model.safetensors'));
  await assert.rejects(importModel(dir), { name: 'ModelError', code: 'missing-file' });
  const arrays = arraysOf(config);
  const parts = [arrays.slice(0, 5), arrays.slice(5)];
  const weight_map: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const file = `model-0000${index + 1}-of-00002.safetensors`;
    for (const { name } of part) weight_map[name] = file;
    await writeFile(join(dir, file), encodeSafetensors(part, { format: 'pt' }));
  }
  const index = join(dir, 'model.safetensors.index.json');
  await writeFile(index, JSON.stringify({ metadata: {}, weight_map }));
  assert.deepEqual((await importModel(dir)).weights, someWeights(config));
  await rm(join(dir, 'model-00002-of-00002.safetensors'));
  await assert.rejects(importModel(dir), { code: 'missing-file' });
  await writeFile(index, JSON.stringify({ weight_map: { 'lm_head.weight': '../secret.safetensors' } }));
  await assert.rejects(importModel(dir), { code: 'corrupt-file' });
});

test('what older versions stored beside the weights is dropped; a bias that config.json does not promise is refused', async (t) => {
  const dir = await folder(t);
  await exportModel(dir, { config: tied, weights: someWeights(tied), tokenizer: byteTokenizer() });
  const file = join(dir, 'model.safetensors');
  const head = { ...arraysOf(tied)[0], name: 'lm_head.weight' };
  const table = { name: 'model.layers.0.self_attn.rotary_emb.inv_freq', shape: [2], data: Float32Array.of(1, 0.1) };
  await writeFile(file, encodeSafetensors([...arraysOf(tied), head, table]));
  assert.deepEqual((await importModel(dir)).weights, someWeights(tied));
  const bias = { name: 'model.layers.0.self_attn.q_proj.bias', shape: [1], data: Float32Array.of(1) };
  await writeFile(file, encodeSafetensors([...arraysOf(tied), bias]));
  await assert.rejects(importModel(dir), { code: 'wrong-weights', message: /q_proj.bias" is no weight/ });
});

test('half-precision weights become float32', async (t) => {
  const dir = await folder(t);
  await exportModel(dir, { config, weights: someWeights(config), tokenizer: byteTokenizer() });
  const arrays = arraysOf(config);
  let offset = 0;
  const header: Record<string, object> = {};
  const halves = arrays.map(({ name, shape, data }) => {
    header[name] = { dtype: 'F16', shape, data_offsets: [offset, offset + data.length * 2] };
    offset += data.length * 2;
    return new Uint8Array(Float16Array.from(data).buffer);
  });
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  await writeFile(join(dir, 'model.safetensors'), Buffer.concat([prefix, json, ...halves]));
  const { weights } = await importModel(dir);
  const expected = arrays.map(({ name, data }) => [name, Float32Array.from(Float16Array.from(data))] as const);
  assert.deepEqual(weights, new Map(expected));
});

test('config.json of transformers 4 and 5 give the same configuration', () => {
  const { rope_theta, ...common } = { ...shape, model_type: 'llama', hidden_act: 'silu' };
  const four = configFromJson({ ...common, rope_theta, rope_scaling: null, torch_dtype: 'float16' });
  const five = configFromJson({ ...common, rope_parameters: { rope_theta, rope_type: 'default' }, dtype: 'float32' });
  assert.deepEqual(four, config);
  assert.deepEqual(five, config);
  const { num_key_value_heads: _, ...old } = common;
  assert.equal(configFromJson({ ...old, num_key_value_heads: null }).num_key_value_heads, 2);
});

test('families, biases and rope scaling survive export and import, in the words of transformers 4 and of 5', async (t) => {
  const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 16 };
  const changes: Partial<LlamaConfigInput>[] = [
    { attention_bias: true, mlp_bias: true, rope_scaling: { rope_type: 'llama3', ...llama3 } },
    { model_type: 'mistral', sliding_window: 5, rope_scaling: { rope_type: 'linear', factor: 2 } },
    { model_type: 'mistral' },
    { model_type: 'qwen2', tie_word_embeddings: true },
  ];
  for (const change of changes) {
    const llama = LlamaConfigSchema.parse({ ...shape, ...change });
    const dir = await folder(t);
    await exportModel(dir, { config: llama, weights: someWeights(llama), tokenizer: byteTokenizer() });
    const back = await importModel(dir);
    assert.deepEqual(back.config, llama);
    assert.deepEqual(back.weights, someWeights(llama));
    const written = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'));
    assert.equal(written.model_type, llama.model_type);
    const { rope_parameters: _, ...four } = written;
    const { rope_scaling: _scaling, rope_theta: _theta, ...five } = written;
    assert.deepEqual(configFromJson(four), llama);
    assert.deepEqual(configFromJson(five), llama);
  }
  const specs = parameterSpecs(LlamaConfigSchema.parse({ ...shape, model_type: 'qwen2' }));
  const biases = specs.filter(({ name }) => name.endsWith('.bias'));
  assert.deepEqual(
    biases.map(({ name, shape, decay }) => [name.split('.').slice(2).join('.'), shape, decay]).slice(0, 3),
    [
      ['0.self_attn.q_proj.bias', [8], false],
      ['0.self_attn.k_proj.bias', [4], false],
      ['0.self_attn.v_proj.bias', [4], false],
    ],
  );
  assert.equal(biases.length, 6);
});

test("what a config.json leaves out has its family's default in transformers", () => {
  const { num_key_value_heads: _, max_position_embeddings: _most, rope_theta: _theta, ...few } = shape;
  const wide = { ...few, num_attention_heads: 64, hidden_size: 256 };
  const shown = (value: object) => {
    const { num_key_value_heads, max_position_embeddings, rope_theta, sliding_window } = configFromJson(value);
    return [num_key_value_heads, max_position_embeddings, rope_theta, sliding_window];
  };
  assert.deepEqual(shown({ ...wide, model_type: 'llama' }), [64, 2048, 10_000, null]);
  assert.deepEqual(shown({ ...wide, model_type: 'mistral' }), [8, 131_072, 10_000, 4096]);
  assert.deepEqual(shown({ ...wide, model_type: 'mistral', sliding_window: null }), [8, 131_072, 10_000, null]);
  assert.deepEqual(shown({ ...wide, model_type: 'qwen2', sliding_window: 64 }), [32, 32_768, 10_000, null]);
});

test('what Potluck does not compute or does not know is refused by name', () => {
  const llama = { ...shape, model_type: 'llama' };
  const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
  for (const [change, says] of [
    [{ model_type: 'gpt2' }, /model_type "gpt2", expected one of llama, mistral, qwen2/],
    [{ rope_scaling: { type: 'dynamic', factor: 2 } }, /rope scaling "dynamic"/],
    [{ rope_parameters: { rope_type: 'yarn', factor: 2 } }, /rope scaling "yarn"/],
    [{ rope_scaling: { ...llama3, mscale: 2 } }, /"mscale" of rope scaling "llama3"/],
    [{ rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } }, /"partial_rotary_factor"/],
    [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor 0.5/],
    [{ hidden_act: 'gelu' }, /hidden_act "gelu"/],
    [{ quantization_config: { bits: 4 } }, /quantised/],
    [
      { architectures: ['LlamaForSequenceClassification'] },
      /LlamaForSequenceClassification.*expected \["LlamaForCausalLM"\]/,
    ],
    [{ model_type: 'qwen2', use_sliding_window: true }, /use_sliding_window true/],
    [{ model_type: 'qwen2', layer_types: ['full_attention', 'sliding_attention'] }, /layer_types/],
    [{ logit_scale: 0.5 }, /"logit_scale" is an unknown setting/],
    [{ embedding_multiplier: 12 }, /"embedding_multiplier"/],
  ] as const) {
    const expected = { name: 'ModelError', code: 'unsupported', message: says };
    assert.throws(() => configFromJson({ ...llama, ...change }), expected);
  }
  for (const change of [
    { hidden_size: 'wide' },
    { model_type: 'mistral', attention_bias: true },
    { sliding_window: 'all', model_type: 'mistral' },
    { rope_scaling: { ...llama3, high_freq_factor: 1 } },
    { rope_scaling: { rope_type: 'llama3', factor: 8 } },
    { rope_scaling: { type: 'linear', factor: 2 }, rope_parameters: { rope_type: 'default' } },
  ]) {
    assert.throws(() => configFromJson({ ...llama, ...change }), { name: 'ModelError', code: 'bad-config' });
  }
  for (const value of [null, [], 'llama', {}]) {
    assert.throws(() => configFromJson(value), { name: 'ModelError', code: 'bad-config' });
  }
  // What tools write beside it, and settings that are not asked for, are no reason.
  const harmless = { use_cache: false, attention_dropout: 0.1, pretraining_tp: 1, qk_norm: null, rope_scaling: {} };
  assert.equal(configFromJson({ ...llama, ...harmless, architectures: ['LlamaForCausalLM'] }).hidden_size, 8);
});

test('damaged files are typed errors', async (t) => {
  const dir = await folder(t);
  await assert.rejects(importModel(dir), { name: 'ModelError', code: 'missing-file' });
  await exportModel(dir, { config, weights: someWeights(config), tokenizer: byteTokenizer() });
  await writeFile(join(dir, 'tokenizer.json'), '{');
  await assert.rejects(importModel(dir), { name: 'ModelError', code: 'bad-tokenizer' });
  await rm(join(dir, 'tokenizer.json'));
  assert.equal((await importModel(dir)).tokenizer, null);
  await writeFile(join(dir, 'config.json'), 'nonsense');
  await assert.rejects(importModel(dir), { name: 'ModelError', code: 'corrupt-file' });
});
