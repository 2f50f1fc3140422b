// The boundary between two stages as nodes of their graphs: the token's own part, the bottleneck, and codes of a few bits.
import type { Graph, Value } from '../../tensor/graph.ts';
import { add, cast, div, less, log, maximum, mul, neg, sub, where } from '../../tensor/ops.ts';
import { gatherRows } from '../../tensor/ops-index.ts';
import { gemm } from '../../tensor/ops-matrix.ts';
import { concat, reduceSum, reshape, slice } from '../../tensor/ops-shape.ts';
import type { LlamaConfig, ParameterSpec } from '../config.ts';
import type { Parameters } from '../llama.ts';
import { type Boundary, isWhole, type Layout, SCALE_OF_ONE, SCALES_PER_OCTAVE, scaleTable } from './boundary.ts';
import type { StageRange } from './split.ts';

/** The boundaries of a stage; where they are left out they send float32, or nothing. */
export interface Boundaries {
  readonly incoming?: Boundary;
  readonly outgoing?: Boundary;
}

/** A stage's range with its boundaries. */
type Sides = Boundaries & { readonly range: StageRange };

const EMBEDDING = 'model.embed_tokens.weight';
const TABLE = 'boundary.tokens.weight';
const WIDEN = 'boundary.in.weight';
const NARROW = 'boundary.out.weight';

/** What the token itself says, to this stage's boundaries. */
const tokensOf = ({ incoming, outgoing }: Boundaries) => (incoming ?? outgoing)?.tokens ?? 'none';

/** Whether a stage reads a micro-batch's tokens. */
export const readsTokens = ({ embedding }: StageRange, boundaries: Boundaries): boolean =>
  embedding || tokensOf(boundaries) !== 'none';

/** The name of a stage's table of tokens; the first stage's own embedding, where both are trained. */
function tableOf(sides: Sides): string | null {
  const tokens = tokensOf(sides);
  if (tokens === 'none') return null;
  return sides.range.embedding && tokens === 'trained' ? EMBEDDING : TABLE;
}

/** The parameters that boundaries add to a stage's own; `frozen` ones are not trained. */
export function boundarySpecs(
  config: LlamaConfig,
  range: StageRange,
  boundaries: Boundaries,
): { readonly trained: readonly ParameterSpec[]; readonly frozen: readonly ParameterSpec[] } {
  const { hidden_size, vocab_size } = config;
  const { incoming, outgoing } = boundaries;
  const matrix = (name: string, rows: number, decay: boolean) => ({ name, shape: [rows, hidden_size], decay });
  const table = tableOf({ range, ...boundaries }) === TABLE ? [matrix(TABLE, vocab_size, true)] : [];
  const frozen = tokensOf(boundaries) === 'frozen';
  // Decay would pull the bottlenecks away from orthonormal.
  const widths = [
    ...(incoming?.width ? [matrix(WIDEN, incoming.width, false)] : []),
    ...(outgoing?.width ? [matrix(NARROW, outgoing.width, false)] : []),
  ];
  return { trained: [...widths, ...(frozen ? [] : table)], frozen: frozen ? table : [] };
}

/** Residual streams from what was received. */
export function widened(sides: Sides, parameters: Parameters, received: Value, tokens: Value | null): Value {
  const width = parameters.get(WIDEN);
  const x = width ? gemm(received, width) : received;
  const own = tokenRows(sides, parameters, tokens);
  return own ? add(x, own) : x;
}

/** What is sent of residual streams. */
export function narrowed(sides: Sides, parameters: Parameters, x: Value, tokens: Value | null): Value {
  const own = tokenRows(sides, parameters, tokens);
  const rest = own ? sub(x, own) : x;
  const width = parameters.get(NARROW);
  return width ? gemm(rest, width, { transB: true }) : rest;
}

function tokenRows(sides: Sides, parameters: Parameters, tokens: Value | null): Value | null {
  const table = tableOf(sides);
  return table === null || tokens === null ? null : gatherRows(parameters.get(table)!, reshape(tokens, [-1]));
}

/** Declares inputs for received values: `NAME` of float32, or `NAME/codes` and `NAME/scales`. `noise`: what `sent` had, where it had any. */
export function received(graph: Graph, name: string, layout: Layout, noise?: Value): Value {
  const { rows, columns, bits } = layout;
  if (isWhole(layout)) return graph.input(name, 'float32', [rows, columns]);
  const codes = graph.input(`${name}/codes`, 'int32', [rows, columns]);
  const scales = graph.input(`${name}/scales`, 'int32', [rows / layout.scale_rows]);
  const middle = (2 ** bits - 1) / 2;
  const place = cast(codes, 'float32');
  const inScale = mul(sub(noise ? sub(place, noise) : place, noise ? middle - 0.5 : middle), 1 / middle);
  return reshape(mul(inGroups(inScale, layout), scalesOf(scales)), [rows, columns]);
}

/**
 * Names values to be sent as outputs: `NAME` of float32, or `NAME/codes` and `NAME/scales`. A code is the nearest to its value, or with
 * `noise`, uniform in [0, 1) for each value, the one below or above with such probabilities that the mean is right; whoever takes the same noise
 * off again (subtractive dither, Roberts 1962) has half the error, and it says nothing about the value. Codes do not show a value that is not
 * finite, but `NAME/zero`, a scalar, is not finite either then.
 */
export function sent(graph: Graph, name: string, values: Value, layout: Layout, noise?: Value): void {
  graph.untaped(() => {
    if (isWhole(layout)) return graph.output(name, values);
    const most = 2 ** layout.bits - 1;
    const grouped = inGroups(values, layout);
    const largest = rowMaximum(maximum(grouped, neg(grouped)));
    const exponent = add(mul(log(largest), SCALES_PER_OCTAVE / Math.LN2), SCALE_OF_ONE + 1);
    const scales = wholePart(exponent, 255);
    const inScale = reshape(div(grouped, scalesOf(reshape(scales, [-1]))), values.shape);
    const place = add(add(mul(inScale, most / 2), most / 2), noise ?? 0.5);
    graph.output(`${name}/codes`, wholePart(place, most));
    graph.output(`${name}/scales`, reshape(scales, [-1]));
    graph.output(`${name}/zero`, reduceSum(mul(values, 0), [0, 1]));
  });
}

const inGroups = (values: Value, { columns, scale_rows }: Layout): Value => reshape(values, [-1, scale_rows * columns]);

function scalesOf(codes: Value): Value {
  const { graph } = codes;
  const table = graph.memoised('scales', () => graph.constant('float32', [256, 1], scaleTable()));
  return gatherRows(table, codes);
}

/** The whole part, between 0 and `most`; `most` of what is not a number. */
const wholePart = (x: Value, most: number): Value => cast(where(less(x, most), maximum(x, 0), most), 'int32');

/** The largest of each row, a column: halves are compared until one is left. */
function rowMaximum(x: Value): Value {
  const columns = x.shape[1];
  if (columns === 1) return x;
  const half = columns >> 1;
  const larger = maximum(slice(x, 1, 0, half), slice(x, 1, half, 2 * half));
  return rowMaximum(columns % 2 === 0 ? larger : concat([larger, slice(x, 1, columns - 1, columns)], 1));
}
