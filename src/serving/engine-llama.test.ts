// llama.cpp as an engine: our suite, our own decoder's text on the same weights, and files that lie.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { LlamaConfigInput } from '../model/config.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { openLlamaEngine } from './engine-llama.ts';
import { openOwnEngine } from './engine-own.ts';
import { missingLlama } from './llama-package.ts';
import { type TestModel, testModel, writeGguf } from './testing/engine-models.ts';
import { engineSuite, greatest, greedyText, PROMPT } from './testing/engine-suite.ts';

const missing = missingLlama() ?? false;
const folder = mkdtempSync(join(tmpdir(), 'potluck-llama-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const hash = '0'.repeat(64);

/** The greedy text of our own engine. */
async function ownText(model: TestModel): Promise<number[]> {
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    const engine = await openOwnEngine(runtime, { ...model, hash });
    const text = await greedyText(await engine.openSequence(), PROMPT);
    await engine.close();
    return text;
  } finally {
    await runtime.close();
  }
}

if (missing) {
  test('llama.cpp', { skip: missing }, () => {});
} else {
  const model = testModel();
  const path = await writeGguf(join(folder, 'plain.gguf'), model);
  const open = (sequences = 3) => openLlamaEngine(path, { hash, sequences });
  engineSuite('llama.cpp', open, { tolerance: 1e-5, expected: await ownText(model) });

  const FAMILIES: readonly (readonly [string, LlamaConfigInput['model_type'], Partial<LlamaConfigInput>])[] = [
    ['a tied head, wide heads', 'llama', { tie_word_embeddings: true, head_dim: 32, rope_theta: 500_000 }],
    ['biases everywhere', 'llama', { attention_bias: true, mlp_bias: true }],
    [
      "Llama 3.1's rotation",
      'llama',
      {
        rope_scaling: {
          ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
          original_max_position_embeddings: 32,
        },
      },
    ],
    ['a linear rotation', 'llama', { rope_scaling: { rope_type: 'linear', factor: 4 } }],
    ['Mistral', 'mistral', { sliding_window: null }],
    ['Qwen2, padded', 'qwen2', { tie_word_embeddings: true, vocab_size: 288 }],
  ];
  describe('the text is that of our own decoder, exactly', () => {
    for (const [name, model_type, changes] of FAMILIES) {
      test(name, async () => {
        const model = testModel({ model_type, ...changes });
        const engine = await openLlamaEngine(await writeGguf(join(folder, `${name}.gguf`), model), { hash });
        assert.deepEqual(await greedyText(await engine.openSequence(), PROMPT), await ownText(model));
        await engine.close();
      });
    }
  });

  test('quantised weights give nearly the same logits, and are named', async () => {
    const exact = await open(1);
    const logits = await (await exact.openSequence()).append(PROMPT.slice(0, 12));
    const spread = Math.hypot(...logits);
    for (const [type, most] of [
      ['f16', 0.01],
      ['q8_0', 0.1],
      ['q4_0', 0.7],
    ] as const) {
      const engine = await openLlamaEngine(await writeGguf(join(folder, `${type}.gguf`), model, type), { hash });
      assert.equal(engine.model.quantisation, type);
      const others = await (await engine.openSequence()).append(PROMPT.slice(0, 12));
      const apart = Math.hypot(...others.map((value, i) => value - logits[i])) / spread;
      assert.ok(apart > 1e-6 && apart < most, `${type}: ${apart} apart`);
      await engine.close();
    }
    await exact.close();
  });

  test('its tokens are those of our tokenizer', async () => {
    const engine = await open(1);
    const { tokens } = engine.model;
    const tokenizer = byteTokenizer();
    for (const text of ['', 'Hello, wörld!  \n\t 12345', '日本語 <|endoftext|> 😀', "it's  we'LL\r\n\r\n  x"]) {
      assert.deepEqual(tokens.encode(text, true), Array.from(tokenizer.encode(text)), text);
      const bytes = tokens.encode(text, false).flatMap((id) => Array.from(tokens.bytesOf(id)));
      assert.equal(Buffer.from(bytes).toString(), text);
    }
    assert.deepEqual([tokens.bos_id, tokens.end_ids, tokens.unused_ids], [256, [256], []]);
    assert.equal(tokens.bytesOf(256).length, 0);
    await engine.close();
  });

  test('options out of range are refused', async () => {
    for (const options of [
      { sequences: 0 },
      { sequences: 1e6 },
      { context_tokens: 161 },
      { threads: 0 },
      { threads: 4096 },
    ]) {
      await assert.rejects(openLlamaEngine(path, { hash, ...options }), { code: 'bad-input' }, JSON.stringify(options));
    }
  });

  test('files that lie are refused before llama.cpp sees them', async () => {
    const whole = readFileSync(path);
    const lying = async (change: (bytes: Buffer) => Buffer, code: string, message: RegExp): Promise<void> => {
      const file = join(folder, 'lying.gguf');
      writeFileSync(file, change(Buffer.from(whole)));
      await assert.rejects(openLlamaEngine(file, { hash }), { code, message });
    };
    /** Changes the number behind a key. */
    const number = (key: string, value: number) => (bytes: Buffer) => {
      bytes.writeUInt32LE(value, whole.indexOf(key) + key.length + 4);
      return bytes;
    };
    await lying((bytes) => bytes.subarray(0, -40), 'corrupt-file', /the file ends at/);
    await lying((bytes) => Buffer.concat([bytes, Buffer.alloc(64)]), 'corrupt-file', /belong to no tensor/);
    await lying(number('llama.context_length', 0), 'corrupt-file', /context_length is 0/);
    await lying(number('tokenizer.ggml.bos_token_id', 257), 'corrupt-file', /bos_token_id is 257/);
    // Well-formed, but its tensors are not those of its settings: llama.cpp itself refuses.
    await lying(number('llama.block_count', 7), 'corrupt-file', /llama\.cpp does not take the file: .*blk\.2/);
    await lying(number('llama.feed_forward_length', 128), 'corrupt-file', /llama\.cpp does not take the file/);
  });

  test('the likeliest token is where the logits say', async () => {
    const engine = await open(1);
    const logits = await (await engine.openSequence()).append([65]);
    assert.equal(logits[greatest(logits)], Math.max(...logits));
    await engine.close();
  });
}
