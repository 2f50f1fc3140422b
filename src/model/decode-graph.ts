// Generation with a key–value cache as one ONNX graph: a chunk of new tokens attends to itself and to all tokens before it.
// The cache is a state of the graph, so it stays inside the runtime. Positions are an input, so one graph serves every step.
import { Graph, type Value } from '../tensor/graph.ts';
import { add, cast, equal, less, minimum, softmax, where } from '../tensor/ops.ts';
import { gatherRows } from '../tensor/ops-index.ts';
import { matmul } from '../tensor/ops-matrix.ts';
import { reshape, transposeLast } from '../tensor/ops-shape.ts';
import type { CompiledGraph } from '../tensor/runtime.ts';
import type { LlamaConfig } from './config.ts';
import {
  attentionProjection,
  fromHeads,
  linear,
  mlp,
  parameter,
  parameterStates,
  projection,
  type Rotation,
  rmsNorm,
  rotary,
  rotation,
} from './llama.ts';

/** Added to the scores of positions that are not written yet; exp of it is 0 in float32. */
const MASKED = -1e30;

export interface DecodeShape {
  /** New tokens in one run: 1 for a step, more when reading a prompt. */
  readonly chunk: number;
  /** Positions in the cache. */
  readonly capacity: number;
}

/** The names of the states that hold a layer's rotated keys and its values, each [1, kv_heads, capacity, head_dim]. */
export function cacheNames(layer: number): { keys: string; values: string } {
  return { keys: `cache/${layer}/keys`, values: `cache/${layer}/values` };
}

/** The positions of the chunk's rows in the cache, as values that all layers share. */
interface Placement {
  /** [capacity, chunk]: 1 where position p is the chunk's row r. Multiplying by it moves rows to their positions, exactly. */
  readonly place: Value;
  /** [capacity, 1], bool: whether the position belongs to the chunk. */
  readonly isNew: Value;
  /** [chunk, capacity]: 0 where the row may see the position, otherwise MASKED. */
  readonly mask: Value;
  /** [chunk]: the row of the rotation table for each row; padding beyond the cache takes the last one. */
  readonly angles: Value;
}

function range(graph: Graph, count: number, shape: readonly number[]): Value {
  return graph.constant(
    'int32',
    shape,
    Int32Array.from({ length: count }, (_, i) => i),
  );
}

function placement(graph: Graph, { chunk, capacity }: DecodeShape, window: number | null): Placement {
  const start = graph.input('start', 'int32', [1]);
  const positions = add(start, range(graph, chunk, [chunk]));
  const along = range(graph, capacity, [capacity, 1]);
  const across = reshape(along, [1, capacity]);
  const after = less(reshape(positions, [chunk, 1]), across);
  const notLater = where(after, MASKED, 0);
  // A row at q sees the positions above q - window.
  const unseen = window === null ? null : less(add(across, window - 1), reshape(positions, [chunk, 1]));
  const begins = less(along, start);
  const ends = less(along, add(start, chunk));
  return {
    place: cast(equal(along, reshape(positions, [1, chunk])), 'float32'),
    // `ends` and not `begins`, without a bool operator
    isNew: equal(add(cast(ends, 'int32'), cast(begins, 'int32')), 1),
    mask: unseen ? add(notLater, where(unseen, MASKED, 0)) : notLater,
    angles: minimum(positions, capacity - 1),
  };
}

/** The cache with the chunk's rows [1, kv_heads, chunk, head_dim] written to their positions; all other rows keep their bits. */
function extended(cache: Value, rows: Value, { place, isNew }: Placement): Value {
  return where(isNew, matmul(place, rows), cache);
}

/** softmax(q · kᵀ + mask) · v over the cache. Queries are scaled and rotated; the heads of a group share their keys. */
function cachedAttention(q: Value, keys: Value, values: Value, mask: Value): Value {
  const [, heads, chunk, head_dim] = q.shape;
  const [, shared, capacity] = keys.shape;
  const group = heads / shared;
  const rows = reshape(q, [1, shared, group * chunk, head_dim]);
  const scores = reshape(matmul(rows, transposeLast(keys)), [1, shared, group, chunk, capacity]);
  const p = reshape(softmax(add(scores, mask)), [1, shared, group * chunk, capacity]);
  return reshape(matmul(p, values), q.shape);
}

/**
 * Inputs: `tokens` int32 [chunk]; `start` int32 [1], the position of the first; `last` int32 [1], the row whose next token is wanted.
 * States: the parameters and the cache. Output: `logits` [1, vocab_size] of row `last`.
 * Rows after `last` may be padding: what they write lies after every real token and is overwritten before it is read.
 * Rows beyond the cache are dropped.
 */
export function decodeGraph(config: LlamaConfig, shape: DecodeShape): CompiledGraph {
  const { chunk, capacity } = shape;
  const graph = new Graph();
  return graph.untaped(() => {
    const tokens = graph.input('tokens', 'int32', [chunk]);
    const place = placement(graph, shape, config.sliding_window);
    const last = graph.input('last', 'int32', [1]);
    const parameters = parameterStates(graph, config);
    const norm = (x: Value, name: string) => rmsNorm(x, parameter(parameters, name), config.rms_norm_eps);
    const at = ({ cosine, sine }: Rotation): Rotation => ({
      cosine: gatherRows(cosine, place.angles),
      sine: gatherRows(sine, place.angles),
    });
    const rotateQuery = at(rotation(graph, config, capacity, 1 / Math.sqrt(config.head_dim)));
    const rotateKey = at(rotation(graph, config, capacity));
    const cache_shape = [1, config.num_key_value_heads, capacity, config.head_dim];
    let x = gatherRows(parameter(parameters, 'model.embed_tokens'), tokens);
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      const name = `model.layers.${layer}`;
      const states = cacheNames(layer);
      const oldKeys = graph.state(states.keys, cache_shape);
      const oldValues = graph.state(states.values, cache_shape);
      const { q, k, v } = attentionProjection(norm(x, `${name}.input_layernorm`), config, parameters, name, 1);
      const keys = extended(oldKeys, rotary(k, rotateKey), place);
      const values = extended(oldValues, v, place);
      graph.advance(oldKeys, keys);
      graph.advance(oldValues, values);
      const attended = cachedAttention(rotary(q, rotateQuery), keys, values, place.mask);
      x = add(x, projection(fromHeads(attended), parameters, `${name}.self_attn.o_proj`));
      x = add(x, mlp(norm(x, `${name}.post_attention_layernorm`), parameters, name));
    }
    const wanted = gatherRows(norm(x, 'model.norm'), last);
    graph.output('logits', linear(wanted, parameter(parameters, 'lm_head')));
    return graph.compile();
  });
}
