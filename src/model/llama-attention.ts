// Causal attention with grouped queries (arXiv 2305.13245), in blocks of queries, so that most of the masked half is skipped.
import { TensorError } from '../tensor/errors.ts';
import { type Graph, shapeError, type Value } from '../tensor/graph.ts';
import { add, mul, softmax, sub } from '../tensor/ops.ts';
import { matmul } from '../tensor/ops-matrix.ts';
import { concat, reduceSum, reshape, slice, transposeLast } from '../tensor/ops-shape.ts';

/** Added to the scores of later positions. exp of it is 0 in float32, and, unlike -Infinity, it never makes a NaN. */
const MASKED = -1e30;

export interface AttentionOptions {
  /** Blocks of queries, each of which sees only the keys up to its end. Must divide the context. */
  readonly query_blocks: number;
  /** How many keys each query sees, up to its own (arXiv 2004.05150, section 3.1); null for all. */
  readonly window: number | null;
}

/**
 * softmax(q · kᵀ + mask) · v for q [batch, heads, context, head_dim], already scaled, and k and v [batch, kv_heads, …].
 * Head h reads key head floor(h · kv_heads / heads). The gradient is FlashAttention's: rowsum(dO · O) replaces the
 * product of the probabilities with their gradients (arXiv 2205.14135, appendix B).
 */
export function causalAttention(q: Value, k: Value, v: Value, { query_blocks, window }: AttentionOptions): Value {
  const [batch, heads, context, head_dim] = q.shape;
  const shared = k.shape[1];
  if (q.shape.length !== 4 || heads % shared !== 0 || k.shape.join() !== [batch, shared, context, head_dim].join()) {
    throw shapeError(
      'causalAttention',
      'queries and keys must be [batch, heads, context, head_dim], with the heads of queries a multiple of those of keys',
      q,
      k,
    );
  }
  if (v.shape.join() !== k.shape.join()) throw shapeError('causalAttention', 'keys and values must agree', k, v);
  if (!Number.isInteger(query_blocks) || context % query_blocks !== 0) {
    throw new TensorError('bad-argument', `causalAttention: query_blocks must divide ${context}, got ${query_blocks}`);
  }
  const { graph } = q;
  const group = heads / shared;
  const rows = context / query_blocks;
  // The queries of a group are stacked, so that they share one product with their keys.
  const queryBlock = (x: Value, i: number): Value =>
    reshape(slice(reshape(x, [batch, shared, group, context, head_dim]), 3, i * rows, (i + 1) * rows), [
      batch,
      shared,
      group * rows,
      head_dim,
    ]);
  const indices = Array.from({ length: query_blocks }, (_, i) => i);
  const join = (blocks: readonly Value[]): Value =>
    reshape(
      concat(
        blocks.map((block) => reshape(block, [batch, shared, group, rows, head_dim])),
        3,
      ),
      q.shape,
    );

  const blocks = graph.untaped(() =>
    indices.map((i) => {
      const keys = (i + 1) * rows;
      const [qi, ki, vi] = [queryBlock(q, i), slice(k, 2, 0, keys), slice(v, 2, 0, keys)];
      const scores = reshape(matmul(qi, transposeLast(ki)), [batch, shared, group, rows, keys]);
      const p = reshape(softmax(add(scores, mask(graph, { first: i * rows, rows, keys, window }))), [
        batch,
        shared,
        group * rows,
        keys,
      ]);
      return { qi, ki, vi, p, o: matmul(p, vi) };
    }),
  );
  const y = graph.untaped(() => join(blocks.map(({ o }) => o)));

  graph.record([q, k, v], [y], ([dy]) => {
    if (!dy) return [];
    const parts = blocks.map(({ qi, ki, vi, p, o }, i) => {
      const dO = queryBlock(dy, i);
      const dP = matmul(dO, transposeLast(vi));
      const dS = mul(p, sub(dP, reduceSum(mul(dO, o), [-1], true)));
      return { dq: matmul(dS, ki), dk: matmul(transposeLast(dS), qi), dv: matmul(transposeLast(p), dO) };
    });
    // Block i has gradients for the first (i + 1) · rows keys only.
    const total = (pieces: readonly Value[]): Value =>
      concat(
        indices.map((segment) =>
          pieces
            .slice(segment)
            .map((piece) => slice(piece, 2, segment * rows, (segment + 1) * rows))
            .reduce((sum, piece) => add(sum, piece)),
        ),
        2,
      );
    return [join(parts.map(({ dq }) => dq)), total(parts.map(({ dk }) => dk)), total(parts.map(({ dv }) => dv))];
  });
  return y;
}

interface MaskShape {
  readonly first: number;
  readonly rows: number;
  readonly keys: number;
  readonly window: number | null;
}

/** [rows, keys]: 0 where the query at `first` + row may see the key, otherwise MASKED. */
function mask(graph: Graph, { first, rows, keys, window }: MaskShape): Value {
  const data = new Float32Array(rows * keys);
  for (let row = 0; row < rows; row++) {
    const query = first + row;
    data.fill(MASKED, row * keys + query + 1, (row + 1) * keys);
    if (window !== null && query >= window) data.fill(MASKED, row * keys, row * keys + query - window + 1);
  }
  const name = `causal mask ${first} ${rows} ${keys} ${window}`;
  return graph.memoised(name, () => graph.constant('float32', [rows, keys], data));
}
