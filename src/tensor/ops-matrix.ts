// Matrix products: batched MatMul, and Gemm, which transposes and scales at no extra cost.
import { shapeError, type Value } from './graph.ts';
import { dtypeError, reshape, sumTo, transpose, transposeLast } from './ops-shape.ts';
import { shapeText } from './shape.ts';

/** A batched product over the last two axes; leading axes broadcast. */
export function matmul(a: Value, b: Value): Value {
  if (a.dtype !== 'float32') throw dtypeError('MatMul', 'float32', a);
  if (b.dtype !== 'float32') throw dtypeError('MatMul', 'float32', b);
  if (a.shape.length < 2 || b.shape.length < 2 || a.shape.at(-1) !== b.shape.at(-2)) {
    throw shapeError('MatMul', 'columns of the first must equal rows of the second', a, b);
  }
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const rank = Math.max(batchA.length, batchB.length);
  const batch = Array.from({ length: rank }, (_, i) => {
    const left = batchA[i - rank + batchA.length] ?? 1;
    const right = batchB[i - rank + batchB.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) throw shapeError('MatMul', 'leading axes must broadcast', a, b);
    return Math.max(left, right);
  });
  const shape = [...batch, a.shape.at(-2)!, b.shape.at(-1)!];
  const [y] = a.graph.node('MatMul', [a, b], [{ dtype: 'float32', shape }]);
  a.graph.record([a, b], [y], ([dy], wanted) => [
    dy && wanted[0] ? sumTo(matmul(dy, transposeLast(b)), a.shape) : null,
    dy && wanted[1] ? sumTo(matmul(transposeLast(a), dy), b.shape) : null,
  ]);
  return y;
}

export interface GemmOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
  /** Added to the product; broadcasts to its shape. */
  readonly c?: Value;
}

/** alpha · A′ · B′ + C for matrices, where ′ is an optional transposition. */
export function gemm(a: Value, b: Value, { transA = false, transB = false, alpha = 1, c }: GemmOptions = {}): Value {
  for (const value of c ? [a, b, c] : [a, b]) if (value.dtype !== 'float32') throw dtypeError('Gemm', 'float32', value);
  if (a.shape.length !== 2 || b.shape.length !== 2) throw shapeError('Gemm', 'both must be matrices', a, b);
  const [m, k] = transA ? a.shape.toReversed() : a.shape;
  const [k2, n] = transB ? b.shape.toReversed() : b.shape;
  if (k !== k2) {
    const how = `transA ${transA} and transB ${transB}`;
    throw shapeError('Gemm', `with ${how} the inner dimensions must agree`, a, b);
  }
  if (c && !broadcastsTo(c.shape, [m, n])) throw shapeError('Gemm', `C must broadcast to [${m}, ${n}]`, c);
  const [y] = a.graph.node('Gemm', c ? [a, b, c] : [a, b], [{ dtype: 'float32', shape: [m, n] }], {
    ...(transA && { transA: { kind: 'int', value: 1 } as const }),
    ...(transB && { transB: { kind: 'int', value: 1 } as const }),
    ...(alpha !== 1 && { alpha: { kind: 'float', value: alpha } as const }),
  });
  a.graph.record(c ? [a, b, c] : [a, b], [y], ([dy], wanted) => {
    if (!dy) return [];
    let da: Value | null = null;
    let db: Value | null = null;
    if (wanted[0]) {
      da = transA ? gemm(b, dy, { transA: transB, transB: true, alpha }) : gemm(dy, b, { transB: !transB, alpha });
    }
    if (wanted[1]) {
      if (!transB) db = gemm(a, dy, { transA: !transA, alpha });
      else db = transA ? gemm(dy, a, { transA: true, transB: true, alpha }) : outerSum(dy, a, { alpha });
    }
    return [da, db, c && wanted[2] ? sumTo(dy, c.shape) : null];
  });
  return y;
}

/**
 * From this width on it pays to transpose a matrix before a product and not in it: ONNX Runtime's products take about a
 * tenth longer with a transposed first operand, whatever the width of the other.
 */
const LEAST_TRANSPOSED_WIDTH = 256;

/** The original of each result of `transposed`. */
const sources = new WeakMap<Value, Value>();

/**
 * A matrix transposed by a node of its own. The node uses three axes, because ONNX Runtime would fold a two-axis
 * transposition into the adjacent product.
 */
export function transposed(x: Value): Value {
  const [rows, columns] = x.shape;
  if (rows % 2 !== 0) return transpose(x, [1, 0]);
  return x.graph.memoised(`transposed ${x.name}`, () => {
    const y = reshape(transpose(reshape(x, [2, rows / 2, columns]), [2, 0, 1]), [columns, rows]);
    sources.set(y, x);
    return y;
  });
}

/** The matrix of which `transposed` made this value; null for any other value. Sums of many are cheaper before the transposition than after. */
export function beforeTransposed(y: Value): Value | null {
  return sources.get(y) ?? null;
}

/**
 * alpha · Aᵀ · B, the sum of outer products of rows: the gradient of a weight. A transposed first operand is slow, so the
 * narrower of the two is transposed beforehand where it is wide enough; `c` is the sum so far, in the form that this function returned.
 */
export function outerSum(a: Value, b: Value, { alpha = 1, c }: { alpha?: number; c?: Value } = {}): Value {
  const [rows, m] = a.shape;
  const n = b.shape[1];
  if (rows % 2 !== 0 || Math.min(m, n) < LEAST_TRANSPOSED_WIDTH) return gemm(a, b, { transA: true, alpha, c });
  if (m <= n || n % 2 !== 0) return gemm(transposed(a), b, { alpha, c });
  return transposed(gemm(transposed(b), a, { alpha, c: c && sources.get(c) }));
}

function broadcastsTo(from: readonly number[], to: readonly number[]): boolean {
  const padded = [...Array(Math.max(0, to.length - from.length)).fill(1), ...from];
  return shapeText(padded.map((dimension, i) => (dimension === 1 ? to[i] : dimension))) === shapeText(to);
}
