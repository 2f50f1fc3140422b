// GET /v1/models: what can be asked, with what OpenAI's clients do not ask for but people want to know.
import { z } from 'zod';
import type { AnswerServer, OfferedModel } from '../answers.ts';
import { ApiError } from './errors.ts';

export const ModelSchema = z.strictObject({
  id: z.string(),
  object: z.literal('model'),
  /** Seconds since 1970. */
  created: z.int(),
  /** The account of the owner whose devices have a file; `potluck` for the models of runs. */
  owned_by: z.string(),
  /** What the owners of a file call it, which is no name to ask for; null: it has a name. */
  label: z.string().nullable(),
  hash: z.string(),
  quantisation: z.string(),
  engine: z.string(),
  context_length: z.int(),
  licence: z.string().nullable(),
  /** The accounts whose devices alone answer this caller, and so read what it asks; null: any device that serves here. */
  owners: z.array(z.string()).nullable(),
  capabilities: z.strictObject({ chat: z.boolean(), tools: z.boolean(), embeddings: z.boolean() }),
});
export const ModelListSchema = z.strictObject({ object: z.literal('list'), data: z.array(ModelSchema) });

/** @param owners see ModelSchema */
export function modelObject(model: OfferedModel, owners: ReadonlySet<string> | null): z.infer<typeof ModelSchema> {
  const { name, hash, quantisation, engine, licence, chat, tools, embeddings, owner = 'potluck', label = null } = model;
  return {
    ...{ id: name, object: 'model', created: Math.floor(model.created_ms / 1000), owned_by: owner, label },
    ...{ hash, quantisation, engine, context_length: model.context_tokens, licence },
    owners: owners && [...owners],
    capabilities: { chat, tools, embeddings },
  };
}

/** Throws ApiError `unknown-model`, and what the server says of a name that is nearly one. */
export function modelNamed(server: AnswerServer, name: string): OfferedModel {
  const models = server.models();
  const found = models.find((model) => model.name === name) ?? server.unlisted?.(name);
  if (found) return found;
  const there = models.length === 0 ? 'none is served now' : `there is ${models.map((model) => model.name).join(', ')}`;
  throw new ApiError('unknown-model', `no model ${JSON.stringify(name.slice(0, 100))}: ${there}`, { param: 'model' });
}
