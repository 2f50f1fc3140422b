// A pre-training run with a model of any size that nobody has trained: its settings, its weights, and work as large as honest work.
import { AFRESH } from '../games/pretrain/carried.ts';
import type { PretrainParams } from '../games/pretrain/params.ts';
import { encodeWork } from '../games/pretrain/work.ts';
import { PretrainParamsSchema } from '../games/pretrain.ts';
import { parameterSpecs } from '../model/config.ts';
import { seededRandom } from '../protocol/random.ts';
import { sizeOf } from '../tensor/shape.ts';
import { encodeUpdate, type SparseUpdate } from '../training/sparse.ts';
import { chunkStart, tilingOf } from '../training/sparse-tiles.ts';

/** A Llama of the usual proportions: with 17 layers about 240 weights for each square of its width. */
export function paramsFor(parameters: number, layers: number): PretrainParams {
  const hidden_size = Math.max(16, Math.round(Math.sqrt(parameters / 240) / 16) * 16);
  const model = {
    ...{ vocab_size: 32 * hidden_size, hidden_size, intermediate_size: Math.round(2.75 * hidden_size) },
    ...{ num_hidden_layers: layers, num_attention_heads: 4, tie_word_embeddings: true },
  };
  return PretrainParamsSchema.parse({
    ...{ model, dataset: '0'.repeat(64), batch: 1, context: 16, inner_steps: 1 },
    ...{ learning_rate: 0.1, min_learning_rate: 0.1, warmup_steps: 0 },
  });
}

/** Weights of tensors, in their order: small, and all over their range. */
export function* madeUp(tensors: readonly { readonly shape: readonly number[] }[]): Generator<Float32Array> {
  for (const { shape } of tensors) {
    const values = new Float32Array(sizeOf(shape));
    for (let i = 0; i < values.length; i++) values[i] = (Math.imul(i + 1, 0x9e3779b1) >>> 8) * 2 ** -29 - 2 ** -6;
    yield values;
  }
}

/** Work as large as honest work: it keeps as many values of each tile, at random positions. */
export function madeUpWork(params: PretrainParams, worker: number): Uint8Array {
  const specs = parameterSpecs(params.model);
  const random = seededRandom('made-up work', worker);
  const update: SparseUpdate = new Map(
    specs.map((spec) => {
      const tiling = tilingOf(spec, params.sparse.kept_per_tile);
      const { chunks, kept, chunk_size, tile_columns, columns } = tiling;
      const indices = new Uint32Array(chunks * kept);
      const step = Math.floor(chunk_size / kept);
      for (let at = 0; at < indices.length; at++) {
        const inside = (at % kept) * step + random.below(step);
        const [row, column] = [Math.floor(inside / tile_columns), inside % tile_columns];
        indices[at] = chunkStart(tiling, Math.floor(at / kept)) + row * columns + column;
      }
      const codes = Uint8Array.from(indices, (_, i) => (i < 2 ? 1 + i : 1 + random.below(2)));
      return [spec.name, { indices, codes, table: Float32Array.of(0, -(2 ** -10), 2 ** -10, 0) }];
    }),
  );
  return encodeWork({ start: AFRESH, end: AFRESH, losses: [1], update: encodeUpdate(specs, update, params.sparse) });
}
