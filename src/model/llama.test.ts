// That the model computes what transformers and PyTorch do (test/fixtures/make-llama-fixture.py), gradients and AdamW
// included, on every runtime; and that each composite operation's own rule agrees with finite differences.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { TensorError } from '../tensor/errors.ts';
import { Graph, type Value } from '../tensor/graph.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { type GradientCase, tensor } from '../tensor/operator-case.ts';
import type { Runtime, TensorData, TensorMap } from '../tensor/runtime.ts';
import { gradientError } from '../tensor/testing/gradient-check.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { type AdamwOptions, momentNames } from './adamw.ts';
import { type LlamaConfig, type LlamaConfigInput, LlamaConfigSchema, parameterSpecs } from './config.ts';
import { gatedSilu, projection, rmsNorm, rotary, rotation } from './llama.ts';
import { causalAttention } from './llama-attention.ts';
import { meanLoss } from './llama-loss.ts';
import { gradientGraph, logitsGraph } from './testing/graphs.ts';
import { lossGraph, trainGraph } from './train-graph.ts';

interface Sample {
  readonly norm: number;
  readonly values: readonly number[];
}
interface Case {
  readonly config: LlamaConfigInput;
  readonly logits: readonly number[];
  readonly losses: readonly number[];
  readonly gradients: Readonly<Record<string, Sample>>;
  readonly steps: readonly { readonly loss: number; readonly gradient_norm: number }[];
  readonly weights: Readonly<Record<string, Sample>>;
  readonly first: Readonly<Record<string, Sample>>;
  readonly second: Readonly<Record<string, Sample>>;
}
interface Fixture {
  readonly batch: number;
  readonly context: number;
  readonly adamw: AdamwOptions;
  readonly learning_rates: readonly number[];
  readonly cases: Readonly<Record<string, Case>>;
}
const fixture: Fixture = JSON.parse(readFileSync(new URL('../../test/fixtures/llama.json', import.meta.url), 'utf8'));
const { batch, context, adamw } = fixture;

/** Knuth's multiplicative hash, as in the script that made the fixture. */
const hash = (i: number): number => Math.imul(i, 2654435761) >>> 0;

function weightsOf(config: LlamaConfig): Map<string, Float32Array> {
  const specs = parameterSpecs(config);
  const order = specs.map(({ name }) => name).sort();
  return new Map(
    specs.map(({ name, shape }) => {
      const seed = order.indexOf(name);
      const length = shape.reduce((size, dimension) => size * dimension, 1);
      const value = (i: number): number => {
        const noise = hash(i + seed * 1009) / 2 ** 32 - 0.5;
        return shape.length === 2 ? noise * 0.6 : 1 + noise * 0.4;
      };
      return [name, Float32Array.from({ length }, (_, i) => value(i))];
    }),
  );
}

function batchOf(config: LlamaConfig): { tokens: TensorData; targets: TensorData } {
  const pick = (offset: number): TensorData => ({
    dtype: 'int32',
    shape: [batch, context],
    data: Int32Array.from({ length: batch * context }, (_, i) => {
      const [row, column] = [Math.floor(i / context), i % context];
      return hash(row * (context + 1) + column + offset) % config.vocab_size;
    }),
  });
  return { tokens: pick(0), targets: pick(1) };
}

const scalar = (value: number): TensorData => ({ dtype: 'float32', shape: [], data: Float32Array.of(value) });

/** Agreement relative to the largest of the expected values. */
function close(actual: ArrayLike<number>, expected: readonly number[], tolerance: number, what: string): void {
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i])), 0);
  // Written so that a NaN fails.
  assert.ok(worst <= tolerance * scale, `${what}: off by ${worst} of ${scale}`);
}

function closeSample(actual: Float32Array, { norm, values }: Sample, tolerance: number, what: string): void {
  close([Math.hypot(...actual)], [norm], tolerance, `${what}, norm`);
  close(actual.filter((_, i) => i % 7 === 0).slice(0, values.length), values, tolerance, what);
}

const RUNTIMES: Readonly<Record<string, () => Promise<Runtime>>> = {
  native: () => createNativeRuntime({ threads: 2 }),
  wasm: () => createWasmRuntime({ threads: 2 }),
};

const attentionCase = (heads: number, shared: number, query_blocks: number, window: number | null = null) => ({
  inputs: [tensor([1, heads, 4, 2], 1), tensor([1, shared, 4, 2], 2), tensor([1, shared, 4, 2], 3)],
  build: ([q, k, v]: readonly Value[]) => causalAttention(q, k, v, { query_blocks, window }),
});
const lossCase = (rows: number): GradientCase => ({
  inputs: [tensor([5, 3], 1), tensor([7, 3], 2)],
  build: ([hidden, head], graph) => meanLoss(hidden, head, graph.constant('int32', [5], [6, 0, 3, 3, 1]), rows),
});
const PARTS: Readonly<Record<string, GradientCase>> = {
  rmsNorm: {
    inputs: [tensor([2, 2, 4], 1), tensor([4], 2)],
    build: ([x, weight]) => rmsNorm(x, weight, 1e-5),
  },
  rotary: {
    inputs: [tensor([2, 3, 4], 1)],
    build: ([x], graph) =>
      rotary(x, rotation(graph, LlamaConfigSchema.parse({ ...fixtureConfig(), head_dim: 4 }), 3, 0.5)),
  },
  gatedSilu: { inputs: [tensor([2, 3], 1, -3, 3), tensor([2, 3], 2)], build: ([gate, up]) => gatedSilu(gate, up) },
  'attention, one block': attentionCase(2, 2, 1),
  'attention, grouped queries': attentionCase(4, 2, 1),
  'attention, grouped queries in blocks': attentionCase(2, 1, 2),
  'attention, a block for every query': attentionCase(2, 2, 4),
  'attention, a window of two keys': attentionCase(4, 2, 1, 2),
  'attention, a window of two keys, in blocks': attentionCase(2, 1, 2, 2),
  'a projection with its bias': {
    inputs: [tensor([3, 4], 1), tensor([5, 4], 2), tensor([5], 3)],
    build: ([x, weight, bias]) =>
      projection(
        x,
        new Map([
          ['p.weight', weight],
          ['p.bias', bias],
        ]),
        'p',
      ),
  },
  'loss, whole': lossCase(5),
  'loss in chunks, the last one shorter': lossCase(2),
};

function fixtureConfig(): LlamaConfigInput {
  return Object.values(fixture.cases)[0].config;
}

for (const [runtimeName, create] of Object.entries(RUNTIMES)) {
  describe(`the Llama family on ${runtimeName}`, async () => {
    const runtime = await create();
    after(() => runtime.close());

    for (const [name, part] of Object.entries(PARTS)) {
      it(`gradient of ${name}`, async () => {
        const error = await gradientError(runtime, part);
        assert.ok(error < 2e-3, `off by ${error}`);
      });
    }

    for (const [name, expected] of Object.entries(fixture.cases)) {
      const config = LlamaConfigSchema.parse(expected.config);

      it(`${name}: logits and losses are those of transformers`, async () => {
        const { tokens, targets } = batchOf(config);
        const logits = await runtime.load(logitsGraph(config, { batch, context }));
        await logits.writeState(weightsOf(config));
        close((await logits.run({ tokens })).logits.data, expected.logits, 1e-5, 'logits');
        await logits.close();
        const losses = await runtime.load(lossGraph(config, { batch, context }));
        await losses.writeState(weightsOf(config));
        close((await losses.run({ tokens, targets })).losses.data, expected.losses, 1e-5, 'losses');
        await losses.close();
      });

      for (const options of [{}, { query_blocks: 2, loss_rows: 7 }, { micro_batch: 1 }]) {
        it(`${name}: gradients are PyTorch's, with ${JSON.stringify(options)}`, async () => {
          const program = await runtime.load(gradientGraph(config, { batch, context, ...options }));
          await program.writeState(weightsOf(config));
          const outputs = await program.run(batchOf(config));
          close(outputs.loss.data, [expected.steps[0].loss], 1e-5, 'loss');
          for (const { name: parameter } of parameterSpecs(config)) {
            const gradient = outputs[`gradient/${parameter}`].data as Float32Array;
            closeSample(gradient, expected.gradients[parameter], 2e-5, `gradient of ${parameter}`);
          }
          await program.close();
        });
      }

      it(`${name}: six steps of AdamW with clipping and decay are PyTorch's`, async () => {
        const program = await runtime.load(trainGraph(config, { batch, context, ...adamw }));
        await program.writeState(weightsOf(config));
        for (const [i, { loss, gradient_norm }] of expected.steps.entries()) {
          assert.ok(gradient_norm > adamw.clip, 'the fixture must clip');
          const outputs: TensorMap = await program.run({
            ...batchOf(config),
            learning_rate: scalar(fixture.learning_rates[i]),
            bias_correction1: scalar(1 - adamw.beta1 ** (i + 1)),
            bias_correction2: scalar(1 - adamw.beta2 ** (i + 1)),
          });
          close(outputs.loss.data, [loss], 2e-5, `loss of step ${i}`);
          close(outputs.gradient_norm.data, [gradient_norm], 5e-5, `gradient norm of step ${i}`);
        }
        for (const { name: parameter } of parameterSpecs(config)) {
          const { first, second } = momentNames(parameter);
          const states = await program.readState([parameter, first, second]);
          closeSample(states.get(parameter)!, expected.weights[parameter], 1e-4, parameter);
          closeSample(states.get(first)!, expected.first[parameter], 2e-4, first);
          closeSample(states.get(second)!, expected.second[parameter], 2e-4, second);
        }
        await program.close();
      });
    }
  });
}

describe('causalAttention', () => {
  it('refuses heads that do not share keys evenly, and blocks that do not divide the context', () => {
    const graph = new Graph();
    const q = graph.input('q', 'float32', [1, 4, 6, 2]);
    const k = graph.input('k', 'float32', [1, 3, 6, 2]);
    assert.throws(
      () => causalAttention(q, k, k, { query_blocks: 1, window: null }),
      /causalAttention: .*\[1, 4, 6, 2\] and \[1, 3, 6, 2\]/,
    );
    assert.throws(
      () => causalAttention(q, q, q, { query_blocks: 4, window: null }),
      (error) => error instanceof TensorError && error.code === 'bad-argument',
    );
  });
});
