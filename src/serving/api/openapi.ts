// The OpenAPI document (3.1) of the API, made from the schemas by which requests are read and answers are written.
import { z } from 'zod';
import { ChatChunkSchema, ChatCompletionSchema } from './chat.ts';
import { ChatRequestSchema } from './chat-request.ts';
import { CompletionRequestSchema } from './completion-request.ts';
import { CompletionSchema } from './completions.ts';
import { EmbeddingRequestSchema, EmbeddingsSchema } from './embeddings.ts';
import { ModelListSchema, ModelSchema } from './models.ts';
import { ResponseSchema } from './responses.ts';
import { ResponseRequestSchema } from './responses-request.ts';
import { TRUST_HEADER, TRUST_WORDS } from './trust.ts';
import { USAGE_LIMITS } from './usage-book.ts';
import { UsageListSchema } from './usage-form.ts';

export const ErrorSchema = z.strictObject({
  error: z.strictObject({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
  }),
});

const PRIVACY =
  'Whoever serves a request can read its prompt and its answer: this machine alone, or, where a pool serves, the device to which the ' +
  'pool gives the request, and now and then another that checks the answer. The log of a hub holds neither.';

const schemaOf = (schema: z.ZodType, io: 'input' | 'output') => z.toJSONSchema(schema, { io, unrepresentable: 'any' });
const json = (schema: z.ZodType, io: 'input' | 'output' = 'output') => ({
  'application/json': { schema: schemaOf(schema, io) },
});

const ERRORS = Object.fromEntries(
  [
    ['400', 'A field is wrong, or asks for something that this server or model does not do: nothing is ignored.'],
    ['401', 'A key is needed.'],
    ['404', 'No such model.'],
    ['413', 'The body is too large.'],
    ['415', 'The body comes in a content-encoding: none is read.'],
    ['422', 'The answer did not take the form that was asked for.'],
    ['429', 'Too many requests or tokens, or no free place: retry-after-ms says when to ask again.'],
    ['500', 'This server failed.'],
    ['503', 'The engine ended; ask again.'],
  ].map(([status, description]) => [status, { description, content: json(ErrorSchema) }]),
);

const TRUST = {
  name: TRUST_HEADER,
  in: 'header',
  required: false,
  schema: { type: 'string' },
  description: TRUST_WORDS,
};

const asking = (summary: string, request: z.ZodType, answer: z.ZodType, stream?: z.ZodType) => ({
  post: {
    summary,
    parameters: [TRUST],
    requestBody: { required: true, content: json(request, 'input') },
    responses: {
      '200': {
        description: stream ? 'The answer; with stream: true server-sent events.' : 'The answer.',
        content: { ...json(answer), ...(stream && { 'text/event-stream': { schema: schemaOf(stream, 'output') } }) },
      },
      ...ERRORS,
    },
  },
});

const reading = (summary: string, answer: z.ZodType, parameters: object[] = []) => ({
  get: {
    summary,
    parameters: [TRUST, ...parameters],
    responses: { '200': { description: 'Found.', content: json(answer) }, ...ERRORS },
  },
});

/** @param needs_key whether callers need one */
export function openapiDocument(needs_key: boolean): object {
  const model = { name: 'model', in: 'path', required: true, schema: { type: 'string' } };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Potluck',
      version: '1',
      description: `The OpenAI API, served by Potluck. ${PRIVACY} ${TRUST_WORDS}`,
    },
    paths: {
      '/v1/chat/completions': asking('Answer a conversation', ChatRequestSchema, ChatCompletionSchema, ChatChunkSchema),
      '/v1/completions': asking('Continue a text', CompletionRequestSchema, CompletionSchema, CompletionSchema),
      '/v1/embeddings': asking('Vectors of texts', EmbeddingRequestSchema, EmbeddingsSchema),
      '/v1/responses': asking(
        'Answer, as a list of items; nothing is stored',
        ResponseRequestSchema,
        ResponseSchema,
        z.looseObject({ type: z.string(), sequence_number: z.int() }),
      ),
      '/v1/usage': reading(
        'How much the key asked, by day and model; of all keys for whoever runs the server',
        UsageListSchema,
        [
          {
            name: 'days',
            in: 'query',
            required: false,
            schema: { type: 'integer', minimum: 1, maximum: USAGE_LIMITS.days },
          },
        ],
      ),
      '/v1/models': reading('What can be asked', ModelListSchema),
      '/v1/models/{model}': reading('One model', ModelSchema, [model]),
    },
    ...(needs_key && {
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
      security: [{ key: [] }],
    }),
  };
}
