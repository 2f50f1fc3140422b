// The pool of sequences: whatever is appended together, in whatever pieces, gives what the whole model gives for each text alone.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Program, Runtime } from '../tensor/runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { type LlamaConfig, LlamaConfigSchema, parameterSpecs, type Weights } from './config.ts';
import { openDecodePool } from './decode-pool.ts';
import { narrowMatrix, widenRow } from './narrow-matrix.ts';
import { logitsGraph } from './testing/graphs.ts';
import { randomWeights } from './testing/random-weights.ts';

const CONTEXT = 160;
const plain = LlamaConfigSchema.parse({
  vocab_size: 101,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: CONTEXT,
  rope_theta: 1000,
});
const configs: Record<string, LlamaConfig> = {
  'grouped queries, a head of its own': plain,
  'a tied head, a window and biases': {
    ...LlamaConfigSchema.parse({ ...plain, tie_word_embeddings: true, attention_bias: true, mlp_bias: true }),
    sliding_window: 9,
  },
};

/** Text number n; all differ from their first token on. */
const textOf = (n: number): Int32Array =>
  Int32Array.from({ length: CONTEXT }, (_, i) => (i * i * 7 + 13 * n + i * n) % plain.vocab_size);

async function wholeLogits(
  runtime: Runtime,
  config: LlamaConfig,
  weights: Weights,
  text: Int32Array,
): Promise<Float32Array> {
  const program: Program = await runtime.load(logitsGraph(config, { batch: 1, context: CONTEXT }));
  await program.writeState(weights);
  const { logits } = await program.run({ tokens: { dtype: 'int32', shape: [1, CONTEXT], data: text } });
  await program.close();
  return logits.data as Float32Array;
}

/** The same runtime, of whose runs somebody hears as they begin. */
function watched(runtime: Runtime, onRun: () => void): Runtime {
  return {
    ...{ class: runtime.class, close: async () => {} },
    async load(graph) {
      const program = await runtime.load(graph);
      return Object.assign(Object.create(program) as Program, {
        run: (inputs: Parameters<Program['run']>[0]) => {
          onRun();
          return program.run(inputs);
        },
        close: () => program.close(),
        writeState: (values: Weights) => program.writeState(values),
      });
    },
  };
}

const greatest = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

function assertNear(actual: Float32Array, expected: Float32Array, within: number, what: string): void {
  assert.equal(actual.length, expected.length, what);
  const apart = greatest(actual.map((value, i) => value - expected[i])) / Math.max(1, greatest(expected));
  assert.ok(apart <= within, `${what}: ${apart} apart, at most ${within}`);
}

for (const [runtimeName, start] of Object.entries({
  native: () => createNativeRuntime({ threads: 1 }),
  wasm: () => createWasmRuntime({ threads: 1 }),
})) {
  describe(`on the ${runtimeName} runtime`, async () => {
    const runtime = await start();
    after(() => runtime.close());

    for (const [name, config] of Object.entries(configs)) {
      test(`${name}: any pieces, rewinds and company give the logits of the whole model`, async () => {
        const weights = randomWeights(config);
        const whole = await Promise.all([0, 1, 2].map((n) => wholeLogits(runtime, config, weights, textOf(n))));
        const pool = await openDecodePool(runtime, { config, weights });
        const row = (n: number, from: number, to = from + 1) =>
          whole[n].subarray(from * config.vocab_size, to * config.vocab_size);
        const step = fc.record({
          text: fc.integer({ min: 0, max: 2 }),
          size: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: CONTEXT })),
          back: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 20 })),
          all: fc.boolean(),
        });
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
            const sequences = [0, 1, 2].map(() => pool.open(CONTEXT));
            // Steps of different texts that follow each other are asked for at once.
            let together: Promise<void>[] = [];
            let busy = new Set<number>();
            for (const { text, size, back, all } of steps) {
              if (busy.has(text)) {
                await Promise.all(together);
                [together, busy] = [[], new Set()];
              }
              const sequence = sequences[text];
              sequence.rewind(Math.max(0, sequence.length - back));
              const from = sequence.length;
              const to = Math.min(CONTEXT, from + size);
              if (from === to) continue;
              busy.add(text);
              const asked = sequence.append(textOf(text).subarray(from, to), all ? 'all' : 'last');
              const expected = all ? row(text, from, to) : row(text, to - 1);
              together.push(asked.then((logits) => assertNear(logits, expected, 1e-5, `text ${text}, ${from}..${to}`)));
            }
            await Promise.all(together);
            for (const sequence of sequences) sequence.close();
          }),
          { numRuns: runtimeName === 'native' ? 30 : 12 },
        );
        await pool.close();
      });
    }

    test('one run for single tokens of many sequences, of different lengths too', async () => {
      const weights = randomWeights(plain);
      let runs = 0;
      const counted = watched(runtime, () => {
        runs++;
      });
      const pool = await openDecodePool(counted, { config: plain, weights });
      const lengths = [16, 30, 60, 64, 90];
      const sequences = lengths.map(() => pool.open(CONTEXT));
      await Promise.all(sequences.map((sequence, n) => sequence.append(textOf(n).subarray(0, lengths[n]), 'last')));
      runs = 0;
      const alone: Float32Array[] = [];
      for (const [n, sequence] of sequences.entries()) {
        alone.push(await sequence.append([textOf(n)[lengths[n]]], 'last'));
        sequence.rewind(lengths[n]);
      }
      assert.equal(runs, 5);
      for (const order of [
        [0, 1, 2, 3, 4],
        [4, 2, 0],
        [3, 1, 4, 0, 2],
      ]) {
        runs = 0;
        const logits = await Promise.all(order.map((n) => sequences[n].append([textOf(n)[lengths[n]]], 'last')));
        assert.equal(runs, 1);
        for (const [i, n] of order.entries()) {
          // A judge repeats on WASM what somebody else computed, and does not know in which company.
          if (runtimeName === 'wasm') assert.deepEqual(logits[i], alone[n], `text ${n} in the order ${order}`);
          else assertNear(logits[i], alone[n], 1e-5, `text ${n}`);
          sequences[n].rewind(lengths[n]);
        }
      }
      await pool.close();
    });

    // The native kernels round activations to 8 bits, which these wild weights magnify; those of WASM do not.
    const limit = runtimeName === 'native' ? 0.1 : 1e-5;
    for (const type of ['q8_0', 'q4_0'] as const) {
      test(`${type}: the logits of a model with the weights that are stored`, async () => {
        const config = LlamaConfigSchema.parse({
          ...plain,
          hidden_size: 64,
          intermediate_size: 96,
          attention_bias: true,
          mlp_bias: true,
          tie_word_embeddings: true,
        });
        const weights = randomWeights(config);
        const widened = new Map(
          parameterSpecs(config).map(({ name, shape }) => {
            const values = weights.get(name)!;
            if (shape.length < 2) return [name, values];
            const matrix = narrowMatrix(type, values, shape[0], shape[1]);
            const wide = new Float32Array(values.length);
            for (let row = 0; row < shape[0]; row++)
              widenRow(matrix, row, wide.subarray(row * shape[1], (row + 1) * shape[1]));
            return [name, wide];
          }),
        );
        const whole = await wholeLogits(runtime, config, widened, textOf(0));
        const pool = await openDecodePool(runtime, { config, weights }, type);
        const sequence = pool.open(CONTEXT);
        const logits = await sequence.append(textOf(0).subarray(0, 100), 'all');
        const expected = whole.subarray(0, 100 * config.vocab_size);
        const distance = Math.hypot(...logits.map((value, i) => value - expected[i])) / Math.hypot(...expected);
        assert.ok(distance < limit, `${distance} of the logits' length apart, at most ${limit}`);
        const next = await sequence.append([textOf(0)[100]], 'last');
        const last = whole.subarray(100 * config.vocab_size, 101 * config.vocab_size);
        const far = Math.hypot(...next.map((value, i) => value - last[i])) / Math.hypot(...last);
        assert.ok(far < limit, `${far} of the logits' length apart`);
        await pool.close();
      });
    }
  });
}

describe('a pool', async () => {
  const runtime = await createNativeRuntime({ threads: 1 });
  after(() => runtime.close());
  const weights = randomWeights(plain);
  const model = { config: plain, weights };

  test('sequences that leave their company, one after another, and the last of all go on', async () => {
    let onRun = (): void => {};
    const heard = watched(runtime, () => onRun());
    const pool = await openDecodePool(heard, model);
    // The second fills a block of its cache when it is left alone.
    const lengths = [70, 62, 90];
    const sequences = lengths.map(() => pool.open(CONTEXT));
    const alone = await Promise.all(
      lengths.map(async (length, n) => {
        const other = pool.open(CONTEXT);
        const logits = await other.append(textOf(n).subarray(0, length + 5), 'last');
        other.close();
        return logits;
      }),
    );
    const append = (n: number, from: number, to: number) => sequences[n].append(textOf(n).subarray(from, to), 'last');
    await Promise.all(lengths.map((length, n) => append(n, 0, length)));
    await Promise.all(lengths.map((length, n) => append(n, length, length + 1)));
    // The second and the third go on in other memory than the first, which stays idle.
    await Promise.all([1, 2].map((n) => append(n, lengths[n] + 1, lengths[n] + 2)));
    onRun = () => sequences[2].close();
    assertNear(await append(1, 64, 67), alone[1], 1e-5, 'the one that was left in the middle of a run');
    onRun = () => {};
    assertNear(await append(0, 71, 75), alone[0], 1e-5, 'the one that was idle');
    await pool.close();
  });

  test('a text that is given up in the middle is as before, and another goes on', async () => {
    const pool = await openDecodePool(runtime, model);
    const [long, other] = [pool.open(CONTEXT), pool.open(CONTEXT)];
    const alone = await long.append(textOf(1).subarray(0, 10), 'last');
    const stop = new AbortController();
    const given = long.append(textOf(1).subarray(10, 150), 'last', stop.signal);
    const going = other.append(textOf(2).subarray(0, 5), 'last').then(() => stop.abort(new Error('enough')));
    await assert.rejects(given, /enough/);
    await going;
    assert.deepEqual([long.length, other.length], [10, 5]);
    long.rewind(0);
    assertNear(await long.append(textOf(1).subarray(0, 10), 'last'), alone, 1e-6, 'after that');
    await assert.rejects(long.append([1], 'last', AbortSignal.abort(new Error('at once'))), /at once/);
    await pool.close();
  });

  test('what is out of range, and what comes while another append is under way, is refused', async () => {
    const pool = await openDecodePool(runtime, model);
    const sequence = pool.open(8);
    for (const ids of [[], [101], [-1], [0.5], Array(9).fill(1)]) {
      await assert.rejects(sequence.append(ids, 'last'), { name: 'ModelError', code: 'bad-input' });
    }
    const first = sequence.append([1, 2], 'last');
    await assert.rejects(sequence.append([3], 'last'), /under way/);
    assert.throws(() => sequence.rewind(0), /under way/);
    await first;
    for (const length of [-1, 3, 0.5, Number.NaN]) assert.throws(() => sequence.rewind(length), { code: 'bad-input' });
    assert.equal(sequence.length, 2);
    sequence.close();
    await assert.rejects(sequence.append([1], 'last'), /closed/);
    await pool.close();
    await assert.rejects(pool.open(8).append([1], 'last'), /closed/);
  });

  test('one that is closed answers whoever waits', async () => {
    const pool = await openDecodePool(runtime, model);
    const waiting = [0, 1, 2].map((n) => pool.open(CONTEXT).append(textOf(n).subarray(0, 150), 'last'));
    const ends = Promise.allSettled(waiting);
    await pool.close();
    for (const { status } of await ends) assert.equal(status, 'rejected');
  });

  test('weights of another shape are refused, and the weights are their owner’s again after loading', async () => {
    await assert.rejects(openDecodePool(runtime, { config: plain, weights: new Map([...weights].slice(1)) }), {
      code: 'wrong-weights',
    });
    const own: Weights = new Map([...weights].map(([name, values]) => [name, values.slice()]));
    const pool = await openDecodePool(runtime, { config: plain, weights: own });
    const sequence = pool.open(CONTEXT);
    const before = await sequence.append([1, 2, 3], 'last');
    for (const values of own.values()) values.fill(0);
    sequence.rewind(0);
    assert.deepEqual(await sequence.append([1, 2, 3], 'last'), before);
    await pool.close();
  });
});
