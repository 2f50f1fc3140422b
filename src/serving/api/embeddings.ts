// POST /v1/embeddings: vectors of texts, as numbers or as base64 of little-endian float32, which `openai` asks for by itself.
import { z } from 'zod';
import type { AnswerServer, OfferedModel } from '../answers.ts';
import { API_LIMITS, SERVING_LIMITS } from '../limits.ts';
import { tokensIn } from './answering.ts';
import { refuse } from './sampling-fields.ts';

const text = z.string().min(1, 'expected a text that is not empty').max(SERVING_LIMITS.prompt_characters);
const ids = z.array(z.int().nonnegative()).min(1).max(SERVING_LIMITS.prompt_tokens);

export const EmbeddingRequestSchema = z.strictObject({
  model: z.string().min(1),
  input: z.union([
    text,
    ids,
    z.array(text).min(1).max(API_LIMITS.embedding_inputs),
    z.array(ids).min(1).max(API_LIMITS.embedding_inputs),
  ]),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().min(1).nullish(),
  user: z.string().max(512).nullish(),
});
type EmbeddingRequest = z.infer<typeof EmbeddingRequestSchema>;

export const EmbeddingsSchema = z.strictObject({
  object: z.literal('list'),
  data: z.array(
    z.strictObject({
      object: z.literal('embedding'),
      index: z.int(),
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z.strictObject({ prompt_tokens: z.int(), total_tokens: z.int() }),
});

export async function embeddings(
  server: AnswerServer,
  model: OfferedModel,
  request: EmbeddingRequest,
  signal: AbortSignal,
): Promise<z.infer<typeof EmbeddingsSchema>> {
  if (!model.embeddings) refuse('model', `${model.name} makes no embeddings`);
  const { vectors, tokens } = await server.embed({ model: model.name, inputs: inputsOf(request.input) }, signal);
  const width = vectors[0].length;
  if ((request.dimensions ?? width) !== width) {
    refuse('dimensions', `${model.name} makes vectors of ${width} numbers, and shorter ones are not done`);
  }
  return {
    object: 'list',
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: request.encoding_format === 'base64' ? base64Of(vector) : [...vector],
    })),
    model: model.name,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** About as many tokens as the inputs have. */
export const inputTokens = ({ input }: EmbeddingRequest): number =>
  inputsOf(input).reduce((sum, one) => sum + (typeof one === 'string' ? tokensIn(one.length) : one.length), 0);

function inputsOf(input: EmbeddingRequest['input']): (string | number[])[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as number[]] : (input as string[] | number[][]);
}

function base64Of(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, i * 4);
  return bytes.toString('base64');
}
