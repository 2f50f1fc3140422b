// Weights rounded to what GGUF's q8_0 and q4_0 store: blocks of 32 with a float16 scale (ggml's quantize_row_q8_0_ref, quantize_row_q4_0_ref).
// In float32 arithmetic they give the logits of an engine that computes with such weights, but for its own rounding.
import { type LlamaConfig, parameterSpecs, type Weights } from './config.ts';

const BLOCK = 32;
export type BlockKind = 'q8_0' | 'q4_0';

/** The same values in blocks; the last one may be shorter. */
export function roundToBlocks(values: Float32Array, kind: BlockKind): Float32Array {
  const rounded = new Float32Array(values.length);
  for (let at = 0; at < values.length; at += BLOCK) {
    const block = values.subarray(at, at + BLOCK);
    const extreme = block.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
    if (extreme === 0) continue;
    const scale = Math.fround(kind === 'q8_0' ? Math.abs(extreme) / 127 : extreme / -8);
    const inverse = Math.fround(1 / scale);
    const stored = Math.f16round(scale);
    for (const [i, value] of block.entries()) {
      const scaled = Math.fround(value * inverse);
      const level =
        kind === 'q8_0'
          ? Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5)
          : Math.min(15, Math.trunc(Math.fround(scaled + 8.5))) - 8;
      rounded[at + i] = level * stored;
    }
  }
  return rounded;
}

/** A model's matrices in blocks; norms and biases stay as they are, as in GGUF files. */
export function weightsInBlocks(config: LlamaConfig, weights: Weights, kind: BlockKind): Weights {
  return new Map(
    parameterSpecs(config).map(({ name, shape }) => {
      const values = weights.get(name)!;
      return [name, shape.length === 2 ? roundToBlocks(values, kind) : values];
    }),
  );
}
