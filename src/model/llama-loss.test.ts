// Learning from distributions: the gradient agrees with finite differences, a certain distribution is a target, and the loss is that of the targets.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { gradients } from '../tensor/gradient.ts';
import { Graph } from '../tensor/graph.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { noise, tensor } from '../tensor/operator-case.ts';
import { gradientError } from '../tensor/testing/gradient-check.ts';
import { meanLoss, softMeanLoss } from './llama-loss.ts';

const runtime = await createNativeRuntime({ threads: 1 });
after(() => runtime.close());

const [ROWS, WIDTH, VOCABULARY] = [5, 3, 7];
const targets = [6, 0, 3, 3, 1];
/** Three tokens a row: one named twice, one row of a single token, one where two have no weight. */
const ids = [6, 1, 2, 0, 0, 5, 3, 4, 6, 3, 0, 0, 2, 1, 5];
const weights = Float32Array.from([0.5, 0.3, 0.2, 0.25, 0.25, 0.5, 0.1, 0.1, 0.8, 1, 0, 0, 0.7, 0.2, 0.1]);

const hiddenStates = tensor([ROWS, WIDTH], 1);
const headWeights = tensor([VOCABULARY, WIDTH], 2);

for (const rows of [2, 5]) {
  test(`the gradient by hidden states and head agrees with finite differences, ${rows} rows at once`, async () => {
    const error = await gradientError(runtime, {
      inputs: [hiddenStates, headWeights],
      build: ([hidden, head], graph) => {
        const soft = {
          ids: graph.constant('int32', [ROWS, 3], ids),
          weights: graph.constant('float32', [ROWS, 3], weights),
        };
        return softMeanLoss(hidden, head, graph.constant('int32', [ROWS], targets), soft, rows).objective;
      },
    });
    assert.ok(error < 2e-4, `${error}`);
  });
}

/** Objective, loss and gradients for these distributions, and the loss and gradients of `meanLoss`. */
async function compared(ids: number[], weights: Float32Array) {
  const graph = new Graph();
  const hidden = graph.input('hidden', 'float32', [ROWS, WIDTH]);
  const head = graph.input('head', 'float32', [VOCABULARY, WIDTH]);
  const k = ids.length / ROWS;
  const target = graph.constant('int32', [ROWS], targets);
  const soft = { ids: graph.constant('int32', [ROWS, k], ids), weights: graph.constant('float32', [ROWS, k], weights) };
  const { objective, loss } = softMeanLoss(hidden, head, target, soft, 2);
  const plain = meanLoss(hidden, head, target, 2);
  graph.output('objective', objective);
  graph.output('loss', loss);
  graph.output('plain', plain);
  for (const [name, of] of [
    ['soft', objective],
    ['hard', plain],
  ] as const) {
    const [dHidden, dHead] = gradients(of, [hidden, head]);
    graph.output(`${name} hidden`, dHidden);
    graph.output(`${name} head`, dHead);
  }
  const program = await runtime.load(graph.compile());
  const input = ({ shape, data }: typeof hiddenStates) => ({ dtype: 'float32' as const, shape, data });
  const results = await program.run({ hidden: input(hiddenStates), head: input(headWeights) });
  await program.close();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, [...data]]));
}

test('a distribution that is certain of the target is the target; the loss is that of the targets in any case', async () => {
  const certain = await compared(targets, new Float32Array(ROWS).fill(1));
  assert.deepEqual(certain.objective, certain.plain);
  assert.deepEqual(certain['soft hidden'], certain['hard hidden']);
  assert.deepEqual(certain['soft head'], certain['hard head']);
  const soft = await compared(ids, weights);
  assert.deepEqual(soft.loss, soft.plain);
  assert.notDeepEqual(soft.objective, soft.plain);
  assert.notDeepEqual(soft['soft head'], soft['hard head']);
});

test('the objective is the cross-entropy by its definition', async () => {
  const { objective } = await compared(ids, weights);
  const row = (data: ArrayLike<number>, i: number) => Array.from({ length: WIDTH }, (_, j) => data[i * WIDTH + j]);
  let sum = 0;
  for (let i = 0; i < ROWS; i++) {
    const state = row(hiddenStates.data, i);
    const logits = Array.from({ length: VOCABULARY }, (_, token) =>
      row(headWeights.data, token).reduce((total, value, j) => total + value * state[j], 0),
    );
    const all = Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0));
    for (let k = 0; k < 3; k++) sum += weights[i * 3 + k] * (all - logits[ids[i * 3 + k]]);
  }
  assert.ok(Math.abs(objective[0] - sum / ROWS) < 1e-6, `${objective[0]} and ${sum / ROWS}`);
});

test('distributions of another shape are refused', () => {
  const graph = new Graph();
  const hidden = graph.input('hidden', 'float32', [ROWS, WIDTH]);
  const head = graph.input('head', 'float32', [VOCABULARY, WIDTH]);
  const target = graph.constant('int32', [ROWS], targets);
  const soft = {
    ids: graph.constant('int32', [ROWS, 3], ids),
    weights: graph.constant('float32', [ROWS, 2], noise(ROWS * 2, 3)),
  };
  assert.throws(() => softMeanLoss(hidden, head, target, soft, 2), {
    code: 'bad-shape',
    message: /a weight for each id/,
  });
});
