// Generation: the cache gives the logits of the full model at every position, the same seed gives the same text,
// and the stream ends where it should.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { type LlamaConfig, type LlamaConfigInput, LlamaConfigSchema, type Weights } from './config.ts';
import { type Decoder, type GenerateProgress, generate, generateWith, openDecoder } from './generate.ts';
import { logitsGraph } from './testing/graphs.ts';
import { randomWeights } from './testing/random-weights.ts';
import { byteTokenizer, type Tokenizer } from './tokenizer.ts';

const CONTEXT = 96;
const shape: LlamaConfigInput = {
  vocab_size: 257,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: CONTEXT,
  rope_theta: 1000,
};
const configs = {
  'grouped queries': LlamaConfigSchema.parse(shape),
  'tied head, wide heads': LlamaConfigSchema.parse({ ...shape, tie_word_embeddings: true, head_dim: 12 }),
  'biases and a window, which no one family has together': {
    ...LlamaConfigSchema.parse({ ...shape, attention_bias: true, mlp_bias: true }),
    rope_scaling: { rope_type: 'linear', factor: 2 } as const,
    sliding_window: 7,
  },
};

const sequence = Int32Array.from({ length: CONTEXT }, (_, i) => (i * i * 7 + 3) % 257);

/** The logits of every position of `sequence` by the graph without a cache, [CONTEXT, vocab]. */
async function fullLogits(runtime: Runtime, config: LlamaConfig, weights: Weights): Promise<Float32Array> {
  const program = await runtime.load(logitsGraph(config, { batch: 1, context: CONTEXT }));
  await program.writeState(weights);
  const { logits } = await program.run({ tokens: { dtype: 'int32', shape: [1, CONTEXT], data: sequence } });
  await program.close();
  return logits.data as Float32Array;
}

const greatest = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

function assertClose(actual: Float32Array, expected: Float32Array, what: string): void {
  assert.equal(actual.length, expected.length);
  const limit = 1e-5 * Math.max(1, greatest(expected));
  actual.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]) <= limit, `${what}, token ${i}: ${value}, expected ${expected[i]}`);
  });
}

for (const [runtimeName, start] of Object.entries({
  native: () => createNativeRuntime({ threads: 1 }),
  wasm: () => createWasmRuntime({ threads: 1 }),
})) {
  describe(`the cache on the ${runtimeName} runtime`, async () => {
    const runtime = await start();
    after(() => runtime.close());

    for (const [name, config] of Object.entries(configs)) {
      test(`${name}: the same logits as the full model, however the tokens are cut into pieces`, async () => {
        const weights = randomWeights(config);
        const full = await fullLogits(runtime, config, weights);
        const expected = (position: number) =>
          full.subarray(position * config.vocab_size, (position + 1) * config.vocab_size);
        assert.ok(greatest(expected(CONTEXT - 1)) > 1);
        const decoder = await openDecoder(runtime, { config, weights });
        // Short pieces run token by token; 40 and 70 are prefills, the second of two chunks whose last reaches past the cache.
        for (const sizes of [[1, 1, 3, 20, 1], [40, 1, 1, 5], [2, 70, 1], [96], [20, 76]]) {
          decoder.rewind();
          for (const size of sizes) {
            const from = decoder.length();
            const logits = await decoder.append(sequence.subarray(from, from + size));
            assertClose(logits, expected(from + size - 1), `pieces ${sizes}, position ${from + size - 1}`);
          }
        }
        // What was written after the point of return is not seen.
        decoder.rewind(10);
        assertClose(await decoder.append([sequence[10]]), expected(10), 'after rewind');
        await decoder.close();
      });
    }
  });
}

describe('generate', async () => {
  const runtime = await createNativeRuntime({ threads: 1 });
  after(() => runtime.close());
  const config = configs['grouped queries'];
  const tokenizer = byteTokenizer();
  const model = { config, weights: randomWeights(config), tokenizer };
  const collect = async (pieces: AsyncIterable<string>) => {
    const list: string[] = [];
    for await (const piece of pieces) list.push(piece);
    return list;
  };

  test('the same seed gives the same text, another seed another; temperature 0 needs none', async () => {
    const options = { prompt: 'potluck', max_tokens: 24, temperature: 1, top_p: 0.95 };
    const text = async (change: object) =>
      (await collect(generate(runtime, model, { ...options, ...change }))).join('');
    assert.equal(await text({ seed: 'a' }), await text({ seed: 'a' }));
    assert.notEqual(await text({ seed: 'a' }), await text({ seed: 'b' }));
    assert.equal(await text({ seed: 'a', temperature: 0 }), await text({ seed: 'b', temperature: 0 }));
  });

  test('greedy tokens are those of the full model', async () => {
    const runs: number[] = [256, ...new TextEncoder().encode('greedy')];
    const program = await runtime.load(logitsGraph(config, { batch: 1, context: CONTEXT }));
    await program.writeState(model.weights);
    const prompt_length = runs.length;
    for (let i = 0; i < 12; i++) {
      const data = new Int32Array(CONTEXT);
      data.set(runs);
      const { logits } = await program.run({ tokens: { dtype: 'int32', shape: [1, CONTEXT], data } });
      const at = (runs.length - 1) * config.vocab_size;
      const row = logits.data.slice(at, at + config.vocab_size);
      runs.push(row.indexOf(Math.max(...row)));
    }
    await program.close();
    const pieces = await collect(generate(runtime, model, { prompt: 'greedy', max_tokens: 12, temperature: 0 }));
    const expected = runs.slice(prompt_length);
    const end = expected.indexOf(256);
    assert.equal(pieces.join(''), tokenizer.decode(end < 0 ? expected : expected.slice(0, end)));
  });

  describe('beyond the context', () => {
    // Tokens are counted on their way out: every id is a letter.
    const letters: Tokenizer = { ...tokenizer, eos_id: null, decode: (list) => 'x'.repeat(list.length) };
    const long = 'a prompt of many more letters than the context holds, '.repeat(4);

    test('as many tokens as were asked for, however long the prompt', async () => {
      for (const prompt of ['ab', long.slice(0, CONTEXT - 1), long]) {
        const told: GenerateProgress[] = [];
        const options = { prompt, max_tokens: 2 * CONTEXT + 5, onProgress: (now: GenerateProgress) => told.push(now) };
        const pieces = await collect(generate(runtime, { ...model, tokenizer: letters }, options));
        assert.equal(pieces.join('').length, options.max_tokens);
        const prompt_tokens = prompt.length + 1;
        const read_tokens = Math.min(CONTEXT, prompt_tokens);
        assert.deepEqual(told.at(-1), {
          prompt_tokens,
          read_tokens,
          written_tokens: options.max_tokens,
          end_of_text: false,
        });
        assert.deepEqual(told[0], { ...told.at(-1), written_tokens: 0 });
      }
    });

    test('the model sees the last part of the prompt, and of a full window its last half', async () => {
      const seen: number[][] = [];
      let window: number[] = [];
      let next = 0;
      const decoder: Decoder = {
        capacity: 8,
        length: () => window.length,
        rewind: () => {
          window = [];
        },
        async append(tokens) {
          window.push(...Array.from(tokens));
          assert.ok(window.length <= 8, `${window.length} tokens`);
          seen.push([...window]);
          return new Float32Array(257).with(next++, 10);
        },
        close: async () => {},
      };
      const options = { prompt: 'abcdefghij', max_tokens: 6, temperature: 0 };
      await collect(generateWith(decoder, letters, options));
      const asked = [99, 100, 101, 102, 103, 104, 105, 106]; // c to j
      assert.deepEqual(seen, [
        asked,
        [...asked.slice(-3), 0],
        [...asked.slice(-3), 0, 1],
        [...asked.slice(-3), 0, 1, 2],
        [...asked.slice(-3), 0, 1, 2, 3],
        [...asked.slice(-3), 0, 1, 2, 3, 4],
      ]);
    });

    test('a window of one token goes on from that token', async () => {
      const one = { ...model, config: LlamaConfigSchema.parse({ ...shape, max_position_embeddings: 1 }) };
      const pieces = await collect(generate(runtime, { ...one, tokenizer: letters }, { prompt: 'ab', max_tokens: 5 }));
      assert.equal(pieces.join(''), 'xxxxx');
    });

    test('a prompt of which the tokenizer knows nothing is refused in words', async () => {
      const deaf: Tokenizer = { ...letters, bos_id: null, encode: () => [] };
      const refused = (prompt: string, message: RegExp) =>
        assert.rejects(collect(generate(runtime, { ...model, tokenizer: deaf }, { prompt, max_tokens: 5 })), {
          code: 'bad-input',
          message,
        });
      await refused('☃', /has no token for any of the prompt/);
      await refused('', /the prompt is empty/);
    });
  });

  test('rows of the model beyond the tokenizer, and ids that it does not use, are never sampled', async () => {
    const few: Tokenizer = { ...tokenizer, vocab_size: 100, unused_ids: [98, 99], bos_id: 0, eos_id: null };
    const decoder = await openDecoder(runtime, { ...model, config });
    const ids: number[] = [];
    const recorded: Decoder = {
      ...decoder,
      append: async (tokens) => {
        ids.push(...Array.from(tokens));
        const logits = await decoder.append(tokens);
        return logits.fill(99, 98); // the likeliest by far
      },
    };
    await collect(generateWith(recorded, few, { prompt: '!', max_tokens: 30, temperature: 1 }));
    assert.equal(ids.length, 31);
    assert.ok(Math.max(...ids) < 98);
    await decoder.close();
  });

  test('ends at end-of-text and after max_tokens', async () => {
    /** Writes "ab" and then end-of-text, whatever the prompt is. */
    const script = [97, 98, 256, 99];
    let length = 0;
    const decoder: Decoder = {
      capacity: 50,
      length: () => length,
      rewind: () => {
        length = 0;
      },
      async append(tokens) {
        const position = Math.max(0, length + tokens.length - 2);
        length += tokens.length;
        return new Float32Array(257).with(script[position], 10);
      },
      close: async () => {},
    };
    const options = { prompt: 'p', max_tokens: 10, temperature: 0 };
    assert.deepEqual(await collect(generateWith(decoder, tokenizer, options)), ['a', 'b']);
    assert.deepEqual(await collect(generateWith(decoder, tokenizer, { ...options, max_tokens: 1 })), ['a']);
  });

  test('an aborted generation throws its reason and frees the runtime', async () => {
    let open = 0;
    const counted: Runtime = {
      class: runtime.class,
      close: () => runtime.close(),
      async load(graph) {
        const program = await runtime.load(graph);
        open++;
        return {
          writeState: (values) => program.writeState(values),
          readState: (names) => program.readState(names),
          run: (inputs) => program.run(inputs),
          close: () => program.close().finally(() => open--),
        };
      },
    };
    const controller = new AbortController();
    const pieces: string[] = [];
    const run = async () => {
      const options = { prompt: 'a', max_tokens: 80, signal: controller.signal };
      for await (const piece of generate(counted, model, options)) {
        pieces.push(piece);
        if (pieces.length === 3) controller.abort(new Error('enough'));
      }
    };
    await assert.rejects(run, /enough/);
    assert.equal(pieces.length, 3);
    assert.equal(open, 0);
    for await (const _ of generate(counted, model, { prompt: 'long '.repeat(10), max_tokens: 9 })) break;
    assert.equal(open, 0);
  });

  test('options and tokens out of range are refused', async () => {
    const good = { prompt: 'a', max_tokens: 1 };
    for (const change of [
      { max_tokens: 0 },
      { max_tokens: 1.5 },
      { temperature: -1 },
      { temperature: Number.NaN },
      { top_p: 0 },
      { top_p: 2 },
    ]) {
      await assert.rejects(collect(generate(runtime, model, { ...good, ...change })), { code: 'bad-input' });
    }
    await assert.rejects(openDecoder(runtime, model, CONTEXT + 1), { code: 'bad-input' });
    const decoder = await openDecoder(runtime, model, 4);
    for (const tokens of [[], [257], [-1], [0.5], [1, 2, 3, 4, 5]]) {
      await assert.rejects(decoder.append(tokens), { name: 'ModelError', code: 'bad-input' });
    }
    assert.equal(decoder.length(), 0);
    assert.throws(() => decoder.rewind(1), { code: 'bad-input' });
    await decoder.close();
  });
});
