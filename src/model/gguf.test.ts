// A model as GGUF: blocks of weights as Python's gguf makes them, rows where llama.cpp looks for them, and nothing that it would compute
// in another way. That llama.cpp writes the same text is tested beside its engine.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sizeOf } from '../tensor/shape.ts';
import { type LlamaConfigInput, LlamaConfigSchema, parameterSpecs } from './config.ts';
import { type GgufModel, ggufFile } from './gguf.ts';
import { type GgufHeader, ggufHeader } from './gguf-header.ts';
import { TOKEN_KINDS } from './gguf-tokenizer.ts';
import { encodeStored } from './gguf-types.ts';
import { KINDS, tokenizerJson } from './testing/vocabulary.ts';
import { byteTokenizer, type Tokenizer, tokenizerFromJson, vocabularyJson } from './tokenizer.ts';

const shape: LlamaConfigInput = {
  ...{ vocab_size: 257, hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 4 },
  ...{ num_key_value_heads: 2, max_position_embeddings: 128 },
};
const config = LlamaConfigSchema.parse(shape);

/** Every value says which tensor it belongs to, and where it stands there. */
const weightsOf = (model: GgufModel['config']): Float32Array[] =>
  parameterSpecs(model).map(({ shape }, at) => Float32Array.from({ length: sizeOf(shape) }, (_, i) => at + i / 65_536));

async function piecesOf(model: GgufModel, weights: Float32Array[]): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of ggufFile(model, weights)) pieces.push(piece);
  return pieces;
}

async function written(
  model: Partial<GgufModel> = {},
): Promise<{ header: GgufHeader; bytes: Uint8Array<ArrayBuffer> }> {
  const whole: GgufModel = { config, tokenizer: byteTokenizer(), type: 'f32', name: 'a test', ...model };
  const bytes = new Uint8Array(Buffer.concat(await piecesOf(whole, weightsOf(whole.config))));
  return { header: await ggufHeader(bytes.length, async (length) => bytes.subarray(0, length)), bytes };
}

function floatsOf(
  { header, bytes }: { header: GgufHeader; bytes: Uint8Array<ArrayBuffer> },
  name: string,
): Float32Array {
  const { type, start, end } = header.tensors.find((tensor) => tensor.name === name)!;
  assert.equal(type, 'f32');
  return new Float32Array(bytes.slice(start, end).buffer);
}

test("blocks of 8 and 4 bits have the bytes of Python's gguf", () => {
  const values = Float32Array.from({ length: 64 }, (_, i) => (((i * i * 37) % 101) - 50) / 17);
  const hex = (type: 'q8_0' | 'q4_0') => Buffer.from(encodeStored(type, values)).toString('hex');
  const eights =
    'ee2581dff8cd5eaab175f32e24d5426b4fee4a6133c00a0fd04c84772690b698358eee25a272fd4547057fb4a551b9dcbb56acbe8b145959148bbeac56bbdcb951a5b47f';
  assert.equal(hex('q8_0'), eights);
  assert.equal(hex('q4_0'), 'e235d0e6b8459e9353df07fbaa153c1fbd17e2b5fe71282474f8c0dd3ec3acca3ce3dd0c');
  const zeros = encodeStored('q4_0', new Float32Array(32));
  assert.equal(Buffer.from(zeros).toString('hex'), `0080${'88'.repeat(16)}`, 'as C divides: minus zero');
  assert.throws(() => encodeStored('f16', Float32Array.of(1e6)), { code: 'wrong-weights' });
});

test("a llama's tensors have llama.cpp's names and order of rows", async () => {
  const file = await written();
  assert.deepEqual(
    file.header.tensors.map(({ name }) => name).filter((name) => !name.startsWith('blk.1.')),
    [
      'token_embd.weight',
      ...['attn_norm', 'attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_norm', 'ffn_gate', 'ffn_up', 'ffn_down'].map(
        (name) => `blk.0.${name}.weight`,
      ),
      'output_norm.weight',
      'output.weight',
    ],
  );
  assert.deepEqual(file.header.tensors[2].dimensions, [64, 64]);
  assert.deepEqual(file.header.tensors[8].dimensions, [64, 96]);
  // Rows of a head of 16 stand as 0, 8, 1, 9, …: both of a pair side by side. Values and output stay as they are.
  const rowsOf = (name: string): number[] => {
    const values = floatsOf(file, name);
    const first = Math.floor(values[0]);
    return Array.from({ length: values.length / 64 }, (_, row) => ((values[row * 64] - first) * 65_536) / 64);
  };
  assert.deepEqual(rowsOf('blk.0.attn_q.weight').slice(14, 20), [7, 15, 16, 24, 17, 25]);
  assert.deepEqual(rowsOf('blk.1.attn_k.weight').slice(0, 5), [0, 8, 1, 9, 2]);
  assert.deepEqual(rowsOf('blk.0.attn_v.weight').slice(0, 3), [0, 1, 2]);
  const { metadata } = file.header;
  assert.equal(metadata.get('general.architecture'), 'llama');
  assert.equal(metadata.get('llama.attention.head_count_kv'), 2);
  assert.equal(metadata.get('llama.rope.dimension_count'), 16);
  assert.equal(metadata.get('llama.context_length'), 128);
});

test("Qwen2's rows stay, its biases come along; a tied head is not repeated", async () => {
  const qwen = LlamaConfigSchema.parse({ ...shape, model_type: 'qwen2', tie_word_embeddings: true });
  const file = await written({ config: qwen });
  const names = file.header.tensors.map(({ name }) => name);
  assert.ok(names.includes('blk.1.attn_k.bias') && !names.includes('blk.1.attn_output.bias'));
  assert.ok(!names.includes('output.weight'));
  assert.equal(file.header.metadata.get('general.architecture'), 'qwen2');
  const rows = floatsOf(file, 'blk.0.attn_q.weight');
  assert.ok(rows.every((value, i) => i === 0 || value > rows[i - 1]));
});

test('biases of queries change places with their rows', async () => {
  const biased = LlamaConfigSchema.parse({ ...shape, attention_bias: true, mlp_bias: true });
  const file = await written({ config: biased });
  const bias = floatsOf(file, 'blk.0.attn_q.bias');
  assert.deepEqual(
    Array.from(bias.subarray(0, 4), (value) => Math.round((value - bias[0]) * 65_536)),
    [0, 8, 1, 9],
  );
  assert.ok(file.header.tensors.some(({ name }) => name === 'blk.1.ffn_down.bias'));
});

test('scaled rotations: a factor for all, or one for each frequency', async () => {
  const linear = await written({ config: { ...config, rope_scaling: { rope_type: 'linear', factor: 4 } } });
  assert.equal(linear.header.metadata.get('llama.rope.scaling.factor'), 4);
  const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 } as const;
  const scaled = { ...config, rope_scaling: { ...llama3, original_max_position_embeddings: 64 } };
  const factors = floatsOf(await written({ config: scaled }), 'rope_freqs.weight');
  assert.equal(factors.length, 8);
  assert.equal(factors[0], 1);
  assert.equal(factors[7], 8);
  assert.ok(factors[1] > 1 && factors[1] < 8, `between the two: ${factors}`);
});

test('what llama.cpp computes in another way is refused before anything is written', async () => {
  const mistral = LlamaConfigSchema.parse({ ...shape, model_type: 'mistral', sliding_window: 64 });
  await assert.rejects(written({ config: mistral }), { code: 'unsupported', message: /sliding_window is 64/ });
  await written({ config: { ...mistral, sliding_window: 128 } });
  const words = ['hello', 'world'];
  for (const kind of KINDS) {
    const tokenizer = tokenizerFromJson(tokenizerJson(kind, words));
    const large = { ...config, vocab_size: Math.max(tokenizer.vocab_size, 257) };
    if (kind === 'byte-level BPE') continue;
    await assert.rejects(written({ config: large, tokenizer }), { code: 'unsupported', message: /other ids/ }, kind);
  }
});

const BYTES = JSON.parse(byteTokenizer().json);
const bpe = (change: object, model: object = {}): Tokenizer =>
  tokenizerFromJson(JSON.stringify({ ...BYTES, ...change, model: { ...BYTES.model, ...model } }));

test('a tokenizer of bytes and words is written with its merges, rows without a token as unused', async () => {
  const vocab = { ...BYTES.model.vocab, '<|endoftext|>': 256, th: 257, the: 258 };
  const tool = { ...BYTES.added_tokens[0], id: 259, content: '<tool>', special: false };
  const change = { added_tokens: [...BYTES.added_tokens, tool] };
  const tokenizer = bpe(change, { vocab, merges: ['t h', ['th', 'e']] });
  const { metadata } = (await written({ config: { ...config, vocab_size: 262 }, tokenizer })).header;
  assert.deepEqual(metadata.get('tokenizer.ggml.merges'), ['t h', 'th e']);
  assert.equal(metadata.get('tokenizer.ggml.pre'), 'gpt-2');
  assert.equal(metadata.get('tokenizer.ggml.eos_token_id'), 256);
  const tokens = metadata.get('tokenizer.ggml.tokens') as string[];
  const kinds = metadata.get('tokenizer.ggml.token_type') as number[];
  assert.deepEqual(tokens.slice(255), ['ÿ', '<|endoftext|>', 'th', 'the', '<tool>', '[PAD260]', '[PAD261]']);
  const { normal, control, user, unused } = TOKEN_KINDS;
  assert.deepEqual(kinds.slice(255), [normal, control, normal, normal, user, unused, unused]);
});

test('tokenizers whose ids would differ are refused by what differs', async () => {
  const { a: _, ...others } = BYTES.model.vocab;
  const words = { ...BYTES.model.vocab, '<|endoftext|>': 256, ab: 257 };
  const characters = { added_tokens: [], pre_tokenizer: null, decoder: { type: 'Fuse' } };
  const refusals: [Tokenizer, RegExp][] = [
    [bpe({ normalizer: { type: 'NFC' } }), /normalizer: NFC/],
    [bpe({ normalizer: { type: 'Lowercase' } }), /normalizer/],
    [bpe({ pre_tokenizer: { ...BYTES.pre_tokenizer, add_prefix_space: true } }), /pre_tokenizer/],
    [bpe({ pre_tokenizer: { ...BYTES.pre_tokenizer, use_regex: false } }), /pre_tokenizer/],
    [bpe({}, { ignore_merges: true, vocab: words, merges: ['a b'] }), /ignore_merges is true/],
    [bpe({ added_tokens: [] }, { vocab: others }), /the byte 97 has no token/],
    [tokenizerFromJson(vocabularyJson({ a: 0, b: 1 }, characters)), /pre_tokenizer/],
  ];
  for (const [tokenizer, why] of refusals) {
    await assert.rejects(written({ config: { ...config, vocab_size: 300 }, tokenizer }), {
      code: 'unsupported',
      message: why,
    });
  }
  const small = { ...config, vocab_size: 200 };
  await assert.rejects(written({ config: small }), { code: 'unsupported', message: /257 ids, the model 200/ });
});

test('quantised files: blocks where rows allow them, halves elsewhere, vectors exact', async () => {
  for (const [type, file_type] of [
    ['f16', 1],
    ['q4_0', 2],
    ['q8_0', 7],
  ] as const) {
    const odd = LlamaConfigSchema.parse({ ...shape, intermediate_size: 80 });
    const { tensors, metadata } = (await written({ type, config: odd })).header;
    const types = new Map(tensors.map((tensor) => [tensor.name, tensor.type]));
    assert.equal(types.get('blk.0.attn_q.weight'), type);
    assert.equal(types.get('token_embd.weight'), type);
    assert.equal(types.get('blk.0.ffn_down.weight'), 'f16', 'rows of 80');
    assert.equal(types.get('blk.0.attn_norm.weight'), 'f32');
    assert.equal(metadata.get('general.file_type'), file_type);
  }
});

test('licence, chat template and origin stand in the metadata', async () => {
  const { metadata } = (await written({ licence: 'MIT', chat_template: '{{ x }}', origin: { run: 'abc' } })).header;
  assert.equal(metadata.get('general.license'), 'MIT');
  assert.equal(metadata.get('tokenizer.chat_template'), '{{ x }}');
  assert.equal(metadata.get('potluck.run'), 'abc');
});

test('a tensor is asked for when the one before it is written, and none that does not fit', async () => {
  let asked = 0;
  function* counted(): Generator<Float32Array> {
    for (const values of weightsOf(config)) {
      asked++;
      yield values;
    }
  }
  const model: GgufModel = { config, tokenizer: byteTokenizer(), type: 'q8_0', name: 'a test' };
  const pieces = ggufFile(model, counted());
  await pieces.next();
  assert.equal(asked, 0);
  await pieces.next();
  assert.equal(asked, 1);
  const file = (weights: Float32Array[]) => piecesOf(model, weights);
  const weights = weightsOf(config);
  await assert.rejects(file(weights.slice(0, -1)), { code: 'wrong-weights', message: /expected 21 tensors, got 20/ });
  await assert.rejects(file([...weights, weights[0]]), { code: 'wrong-weights', message: /expected 21 tensors/ });
  await assert.rejects(file(weights.with(3, new Float32Array(7))), { code: 'wrong-weights', message: /got 7 values/ });
  await assert.rejects(file(weights.with(1, new Float32Array(64).fill(Number.NaN))), { code: 'wrong-weights' });
});
