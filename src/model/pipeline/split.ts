// Where a model is cut into stages: contiguous layers, the embedding in the first stage and the head in the last, balanced by cost under a limit of memory.
import { sizeOf } from '../../tensor/shape.ts';
import { type LlamaConfig, type ParameterSpec, parameterSpecs } from '../config.ts';
import { ModelError } from '../errors.ts';
import { type BatchShape, logitsBytes } from '../train-graph.ts';

/** A stage of a model: layers `first` … `end` - 1, perhaps none in a stage that has the embedding or the head. */
export interface StageRange {
  readonly embedding: boolean;
  readonly first: number;
  readonly end: number;
  /** The final norm and the head. */
  readonly head: boolean;
}

/** What a part of a model demands of a device: a time in any unit, measured or estimated, and memory. */
export interface Load {
  readonly cost: number;
  readonly bytes: number;
}

/** The loads of all parts that a model can be cut between. */
export interface ModelLoads {
  readonly embedding: Load;
  readonly layers: readonly Load[];
  readonly head: Load;
}

/**
 * Cuts a model into so many stages that the costliest costs as little as possible while none needs more than `limit_bytes`.
 * Throws ModelError `bad-input` for a number of stages below 1 or above the number of parts, `too-large` where no split fits into the limit.
 */
export function splitModel(loads: ModelLoads, stages: number, limit_bytes = Number.POSITIVE_INFINITY): StageRange[] {
  const parts = [loads.embedding, ...loads.layers, loads.head];
  if (!Number.isInteger(stages) || stages < 1 || stages > parts.length) {
    throw new ModelError('bad-input', `stages: expected a whole number from 1 to ${parts.length}, got ${stages}`);
  }
  const costs = parts.map(({ cost }) => cost);
  const bytes = parts.map(({ bytes }) => bytes);
  const ends = leastMaximum(costs, stages, bytes, limit_bytes);
  if (ends === null) {
    const least_bytes = maximumOf(bytes, leastMaximum(bytes, stages, bytes, Number.POSITIVE_INFINITY)!);
    throw new ModelError(
      'too-large',
      `no split into ${stages} stages fits into ${limit_bytes} bytes: the largest stage needs at least ${least_bytes}`,
      { stages, limit_bytes, least_bytes },
    );
  }
  const last = loads.layers.length;
  return ends.map((end, i) => {
    const start = i === 0 ? 0 : ends[i - 1];
    return {
      embedding: start === 0,
      first: Math.max(0, start - 1),
      end: Math.min(end - 1, last),
      head: end === parts.length,
    };
  });
}

/** The ends of `groups` contiguous groups of values whose largest sum is the least possible, none with more bytes than the limit; null where there are none. */
function leastMaximum(
  values: readonly number[],
  groups: number,
  bytes: readonly number[],
  limit_bytes: number,
): number[] | null {
  const n = values.length;
  // best[i]: the least maximum over the first i values in the groups so far; cuts[g][i]: where the last of g + 1 groups begins.
  let best = [0, ...new Array<number>(n).fill(Number.POSITIVE_INFINITY)];
  const cuts: number[][] = [];
  for (let group = 0; group < groups; group++) {
    const next = new Array<number>(n + 1).fill(Number.POSITIVE_INFINITY);
    const cut = new Array<number>(n + 1).fill(-1);
    for (let end = 1; end <= n; end++) {
      let sum = 0;
      let size = 0;
      for (let start = end - 1; start >= 0; start--) {
        sum += values[start];
        size += bytes[start];
        if (size > limit_bytes) break;
        const most = Math.max(best[start], sum);
        if (most < next[end]) [next[end], cut[end]] = [most, start];
      }
    }
    best = next;
    cuts.push(cut);
  }
  if (best[n] === Number.POSITIVE_INFINITY) return null;
  const ends: number[] = [];
  for (let group = groups - 1, end = n; group >= 0; end = cuts[group][end], group--) ends.unshift(end);
  return ends;
}

function maximumOf(values: readonly number[], ends: readonly number[]): number {
  const sums = ends.map((end, i) => values.slice(i === 0 ? 0 : ends[i - 1], end).reduce((a, b) => a + b, 0));
  return Math.max(...sums);
}

/** A weight, its two moments and its gradient, float32. */
const BYTES_PER_PARAMETER = 16;
/** Forward, again for the backward pass, and twice as much for gradients of inputs and weights. */
const PASSES = 4;

/**
 * Estimated loads for micro-batches of this shape: floating-point operations of a micro-batch, and bytes of weights, optimiser and activations.
 * A device that has measured its own times puts them in place of the costs.
 */
export function estimatedLoads(config: LlamaConfig, shape: BatchShape): ModelLoads {
  const { hidden_size: d, intermediate_size: ff, num_attention_heads: heads, head_dim, vocab_size } = config;
  const rows = shape.batch * shape.context;
  const parameters = (range: StageRange): number =>
    namesOf(config, range).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const none = { embedding: false, first: 0, end: 0, head: false };
  const table = vocab_size * d;
  const q = heads * head_dim;
  const kv = config.num_key_value_heads * head_dim;
  // What the rules of norms, projections, rotation, attention and the gate keep of each token until the backward pass.
  const kept = 4 * (8 * d + 3 * (q + 2 * kv) + 2 * heads * shape.context + 5 * ff);
  const layer = (first: number): Load => {
    const count = parameters({ ...none, first, end: first + 1 });
    const products = 2 * count + 4 * shape.context * q;
    return { cost: PASSES * rows * products, bytes: BYTES_PER_PARAMETER * count + rows * kept };
  };
  const states = 4 * rows * d;
  return {
    embedding: { cost: rows * d, bytes: BYTES_PER_PARAMETER * table + states },
    layers: Array.from({ length: config.num_hidden_layers }, (_, i) => layer(i)),
    head: {
      cost: 3 * rows * 2 * table, // its forward pass is not repeated
      bytes:
        BYTES_PER_PARAMETER * ((config.tie_word_embeddings ? 0 : table) + d) +
        2 * logitsBytes(config, shape) +
        3 * states,
    },
  };
}

/**
 * The largest norm of one stage's gradients, where `clip` is the model's. Stages do not know each other's norms; with this limit for each the
 * norm of all gradients together stays below `clip`.
 */
export const stageClip = (clip: number, stages: number): number => clip / Math.sqrt(stages);

function namesOf(config: LlamaConfig, { embedding, first, end, head }: StageRange): ParameterSpec[] {
  return parameterSpecs(config).filter(({ name }) => {
    const layer = /^model\.layers\.(\d+)\./.exec(name)?.[1];
    if (layer !== undefined) return Number(layer) >= first && Number(layer) < end;
    return name === 'model.embed_tokens.weight' ? embedding : head;
  });
}

/**
 * The parameters of a stage, in the model's order and under the model's names.
 * Throws ModelError `bad-input` for layers that the model does not have, `unsupported` where a tied table would be cut in two.
 */
export function stageSpecs(config: LlamaConfig, range: StageRange): ParameterSpec[] {
  const { embedding, first, end, head } = range;
  const layers = config.num_hidden_layers;
  const whole = [first, end].every(Number.isInteger) && first >= 0 && first <= end && end <= layers;
  if (!whole || (embedding && first !== 0) || (head && end !== layers) || (first === end && !embedding && !head)) {
    throw new ModelError(
      'bad-input',
      `a stage: expected layers of the ${layers}, the embedding with the first or the head with the last`,
      {
        first,
        end,
      },
    );
  }
  if (config.tie_word_embeddings && embedding !== head) {
    throw new ModelError(
      'unsupported',
      'a model whose head is its embedding is not cut into stages: the first and the last would exchange a gradient as large as the table at every step',
    );
  }
  return namesOf(config, range);
}
