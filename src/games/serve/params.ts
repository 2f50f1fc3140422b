// The settings of a serving run, as its owner writes them, and the requests that follow from a round.
import { z } from 'zod';
import { LlamaConfigSchema } from '../../model/config.ts';
import { MarginLimitsSchema } from '../../model/margin-tally.ts';
import type { SamplingRule } from '../../model/sampling.ts';
import { sha256Hex, utf8 } from '../../protocol/hash.ts';
import { seededRandom } from '../../protocol/random.ts';
import { hash } from '../../protocol/schemas.ts';
import type { Round } from '../game.ts';

export const ServeParamsSchema = z.strictObject({
  model: LlamaConfigSchema,
  /** The model's manifest (model/tensor-manifest.ts). */
  weights: hash,
  /** Versions before it, the last one first: devices may still hold them, but their answers are not what is asked for. */
  earlier: z.array(hash).max(16).default([]),
  /** What the weights are rounded to: the coarser, the cheaper to serve, and the cheaper they should be sold. */
  quantisation: z.enum(['f32', 'q8_0', 'q4_0']).default('f32'),
  /** Requests to each device in a round. */
  answers: z.int().min(1).max(64).default(4),
  prompt_tokens: z.int().min(1).max(65_536).default(16),
  max_tokens: z.int().min(1).max(65_536).default(48),
  temperature: z.number().min(0).max(2).default(1),
  top_p: z.number().gt(0).max(1).default(0.95),
  /** An answer ends with any of these; 256 is the byte tokenizer's. */
  end_ids: z.array(z.int().nonnegative()).max(16).default([256]),
  /** Added to their logits: a model that seldom ends by itself would make all answers equally long. */
  end_bias: z.number().min(-100).max(100).default(0),
  /** What a token of a prompt counts, in thousandths of a token that is written: reading many at once is cheaper. */
  input_permille: z.int().min(0).max(1000).default(250),
  /** What honest margins stay below; `npm run bench serve-limits` measures them. */
  limits: MarginLimitsSchema.prefault({ per_draw: 0.0005, allowance: 0.1, end_margin: 0.3 }),
});
export type ServeParams = z.infer<typeof ServeParamsSchema>;

export interface ServeTask {
  readonly params: ServeParams;
  readonly round: Round;
  readonly peer: string;
}

/** One request, and how its answer is drawn. */
export interface ServeRequest {
  readonly prompt: readonly number[];
  /** The position of the answer's first token. */
  readonly first_position: number;
  readonly rule: SamplingRule;
}

/** A round's requests to a peer. They differ from peer to peer: nobody can hand in another's answers. */
export function requestsOf({ params, round, peer }: ServeTask): ServeRequest[] {
  const { end_ids, end_bias, model, prompt_tokens, temperature, top_p } = params;
  const logit_bias = end_bias === 0 ? [] : end_ids.map((id) => [id, end_bias] as const);
  return Array.from({ length: params.answers }, (_, i) => {
    const random = seededRandom('serve prompt', round.seed, peer, i);
    const prompt: number[] = [];
    while (prompt.length < prompt_tokens) {
      const id = random.below(model.vocab_size);
      if (!end_ids.includes(id)) prompt.push(id);
    }
    const seed = sha256Hex(utf8(`potluck/serve\n${round.seed}\n${peer}\n${i}`));
    const rule = { seed, temperature, top_p, presence_penalty: 0, frequency_penalty: 0, logit_bias };
    return { prompt, first_position: prompt_tokens, rule };
  });
}

/** What answers are worth: the tokens written, and those read at their lower price. */
export function amountOf({ prompt_tokens, input_permille }: ServeParams, answers: readonly (readonly number[])[]) {
  const written = answers.reduce((sum, { length }) => sum + length, 0);
  return written + Math.floor((answers.length * prompt_tokens * input_permille) / 1000);
}

/** The most that one answer is worth. */
export const mostOfAnswer = (params: ServeParams): number =>
  amountOf(params, [{ length: params.max_tokens } as number[]]);
