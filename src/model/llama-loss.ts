// The head of a language model and its cross-entropy, in chunks of rows, so that the logits of a large vocabulary never exist as a whole.
import { shapeError, type Value } from '../tensor/graph.ts';
import { add, log, maximum, mul, neg, softmax, sub } from '../tensor/ops.ts';
import { gatherElements, scatterAdd } from '../tensor/ops-index.ts';
import { gemm, outerSum } from '../tensor/ops-matrix.ts';
import { concat, reduceSum, reshape, slice } from '../tensor/ops-shape.ts';

/** The smallest probability whose logarithm is taken: a loss is at most 85.2 nats, never infinite. */
const LEAST_PROBABILITY = 1e-37;
export const LARGEST_LOSS = -Math.log(LEAST_PROBABILITY);

/** One chunk: its rows, its targets as a column, and the probabilities of every token. */
interface Chunk {
  readonly hidden: Value;
  readonly target: Value;
  readonly probability: Value;
  /** The probability of the target, a column. */
  readonly picked: Value;
  readonly losses: Value;
}

function chunksOf(hidden: Value, head: Value, targets: Value, rows: number): Chunk[] {
  const [total, width] = hidden.shape;
  if (hidden.shape.length !== 2 || head.shape.length !== 2 || head.shape[1] !== width) {
    throw shapeError('crossEntropy', 'hidden states and head must share their columns', hidden, head);
  }
  if (targets.shape.join() !== String(total)) {
    throw shapeError('crossEntropy', 'one target for each row of hidden states is needed', hidden, targets);
  }
  const column = reshape(targets, [total, 1]);
  const chunks: Chunk[] = [];
  for (let start = 0; start < total; start += rows) {
    const end = Math.min(start + rows, total);
    const part = slice(hidden, 0, start, end);
    const target = slice(column, 0, start, end);
    const probability = softmax(gemm(part, head, { transB: true }));
    const picked = gatherElements(probability, target, 1);
    const losses = neg(log(maximum(picked, LEAST_PROBABILITY)));
    chunks.push({ hidden: part, target, probability, picked, losses });
  }
  return chunks;
}

/** Cross-entropy in nats of each row: hidden [n, d], head [vocabulary, d], int32 targets [n] give [n]. No gradient. */
export function tokenLosses(hidden: Value, head: Value, targets: Value, rows: number): Value {
  return hidden.graph.untaped(() => {
    const losses = chunksOf(hidden, head, targets, rows).map((chunk) => chunk.losses);
    return reshape(concat(losses, 0), [hidden.shape[0]]);
  });
}

/**
 * The sum of `tokenLosses` divided by `count`, with one gradient rule for head and loss: (softmax - one-hot) / count goes straight into the
 * products. If `count` is the number of rows it is their mean; a micro-batch divides by the rows of the whole batch.
 */
export function meanLoss(hidden: Value, head: Value, targets: Value, rows: number, count = hidden.shape[0]): Value {
  const { graph } = hidden;
  const alpha = 1 / count;
  const { chunks, loss } = graph.untaped(() => {
    const chunks = chunksOf(hidden, head, targets, rows);
    const sums = chunks.map(({ losses }) => reduceSum(losses, [0, 1]));
    return {
      chunks,
      loss: mul(
        sums.reduce((sum, part) => add(sum, part)),
        alpha,
      ),
    };
  });
  graph.record([hidden, head], [loss], ([dy]) => {
    if (!dy) return [];
    const dHidden: Value[] = [];
    const parts = chunks.map(({ hidden: part, target, picked, probability }) => {
      const before = dHidden.at(-1);
      const previous = before && slice(slice(before, 0, 0, 1), 1, 0, 1);
      const dLogits = scatterAdd(probability, target, minusOnes(picked, previous), 1);
      dHidden.push(gemm(dLogits, head, { alpha }));
      return { dLogits, part };
    });
    let dHead: Value | undefined;
    for (const { dLogits, part } of parts) dHead = outerSum(dLogits, part, { alpha, c: dHead });
    const scaled = (x: Value): Value => (dy === graph.scalar(1) ? x : mul(x, dy));
    return [scaled(concat(dHidden, 0)), scaled(dHead!)];
  });
  return loss;
}

/** Distributions to learn from instead of single tokens: of row i the token ids[i, k] has the probability weights[i, k], and all of a row sum to 1. */
export interface SoftTargets {
  /** int32 [n, k]; a token may appear twice. */
  readonly ids: Value;
  /** [n, k]; 0 where there are fewer tokens than k. */
  readonly weights: Value;
}

/**
 * Cross-entropy against distributions (arXiv 1503.02531, section 2), with one gradient rule for head and loss: (softmax - weights) / count.
 * `objective` is what is learned from; `loss` is `meanLoss` by `targets`, so that it can be compared with the loss of other models and text.
 */
export function softMeanLoss(
  hidden: Value,
  head: Value,
  targets: Value,
  soft: SoftTargets,
  rows: number,
  count = hidden.shape[0],
): { objective: Value; loss: Value } {
  const { graph } = hidden;
  if (soft.ids.shape.join() !== soft.weights.shape.join() || soft.ids.shape[0] !== hidden.shape[0]) {
    throw shapeError('softMeanLoss', 'a weight for each id of each row is needed', soft.ids, soft.weights);
  }
  const alpha = 1 / count;
  const meanOf = (sums: readonly Value[]): Value =>
    mul(
      sums.reduce((sum, part) => add(sum, part)),
      alpha,
    );
  const { chunks, objective, loss } = graph.untaped(() => {
    const chunks = chunksOf(hidden, head, targets, rows).map((chunk, i) => {
      const [first, end] = [i * rows, i * rows + chunk.hidden.shape[0]];
      const ids = slice(soft.ids, 0, first, end);
      const weights = slice(soft.weights, 0, first, end);
      const named = gatherElements(chunk.probability, ids, 1);
      return { ...chunk, ids, weights, named, aims: mul(weights, neg(log(maximum(named, LEAST_PROBABILITY)))) };
    });
    return {
      chunks,
      objective: meanOf(chunks.map(({ aims }) => reduceSum(aims, [0, 1]))),
      loss: meanOf(chunks.map(({ losses }) => reduceSum(losses, [0, 1]))),
    };
  });
  graph.record([hidden, head], [objective], ([dy]) => {
    if (!dy) return [];
    const dHidden: Value[] = [];
    let dHead: Value | undefined;
    for (const { hidden: part, probability, picked, named, ids, weights } of chunks) {
      const before = dHidden.at(-1);
      const read = add(mul(named, 0), mul(picked, 0)); // the loss has read the probabilities before their gradient takes their place
      const ready = before ? add(read, mul(slice(slice(before, 0, 0, 1), 1, 0, 1), 0)) : read;
      const dLogits = scatterAdd(probability, ids, sub(ready, weights), 1);
      dHidden.push(gemm(dLogits, head, { alpha }));
      dHead = outerSum(dLogits, part, { alpha, c: dHead });
    }
    const scaled = (x: Value): Value => (dy === graph.scalar(1) ? x : mul(x, dy));
    return [scaled(concat(dHidden, 0)), scaled(dHead!)];
  });
  return { objective, loss };
}

/**
 * -1 for every row, computed from values that must exist first. So the loss has read the probabilities before their gradient takes their
 * place in memory, and the chunk before is done with its logits.
 */
function minusOnes(picked: Value, previous: Value | undefined): Value {
  const zero = mul(picked, 0);
  return sub(previous ? add(zero, mul(previous, 0)) : zero, 1);
}
