// What a marketplace reads of the models that a gateway serves: prices as texts, quantisation, context, whether they are ready, and uptime.
// The fields and the words for quantisation are those of OpenRouter's document for providers.
import { z } from 'zod';
import { type EnergyPerToken, energyPerToken } from '../protocol/serving-messages.ts';
import type { TokenPrice } from './price.ts';

/** Uptime is counted over so many answers, as routers count it. */
export const UPTIME_ANSWERS = 100;

const price = z.string().regex(/^\d+(\.\d*[1-9])?$/, 'expected a decimal number without trailing zeros');
const length = z.int().min(1);

export const ProviderModelSchema = z.strictObject({
  id: z.string().min(1),
  name: z.string().min(1),
  /** Seconds since 1970. */
  created: z.int().min(0),
  input_modalities: z.tuple([z.literal('text')]),
  output_modalities: z.tuple([z.literal('text')]),
  quantization: z.enum(['fp32', 'bf16', 'fp16', 'int8', 'int4', 'unknown']),
  context_length: length,
  max_output_length: length,
  /** Credits a token. */
  pricing: z.strictObject({ prompt: price, completion: price, request: price, image: price }),
  supported_sampling_parameters: z.array(z.string()),
  supported_features: z.array(z.string()),
  is_ready: z.boolean(),
  /** Of the last 100 answers, or as many as there were: how many came whole. */
  uptime: z.strictObject({ answers: z.int().min(0).max(UPTIME_ANSWERS), whole: z.int().min(0).max(UPTIME_ANSWERS) }),
  /** What a token takes on the devices that tell, on average; null: none does. Not of OpenRouter's form. */
  energy: energyPerToken.nullable(),
});
export type ProviderModel = z.infer<typeof ProviderModelSchema>;

export const ProviderDocumentSchema = z.strictObject({ data: z.array(ProviderModelSchema) });
export type ProviderDocument = z.infer<typeof ProviderDocumentSchema>;

/** A model as a gateway serves it. */
export interface ServedModel {
  readonly id: string;
  readonly name: string;
  readonly created_s: number;
  /** In GGUF's words for a file. */
  readonly quantisation: string;
  readonly context_tokens: number;
  readonly answer_tokens: number;
  readonly price: TokenPrice;
  readonly sampling_parameters: readonly string[];
  readonly features: readonly string[];
  /** How many devices can take a request for it now. */
  readonly devices: number;
  /** How its answers ended, oldest first: true where one came whole. */
  readonly answers: readonly boolean[];
  readonly energy: EnergyPerToken | null;
}

/** Other ways to store weights have no word there. */
const QUANTISATIONS: Readonly<Record<string, ProviderModel['quantization']>> = {
  ...{ f32: 'fp32', f16: 'fp16', bf16: 'bf16', q8_0: 'int8', q4_0: 'int4', q4_1: 'int4' },
};
/** Micro-credits for a million tokens are millionths of millionths of a credit for one. */
const DECIMALS = 12;

/** The document: a pure view of what is served, in order of id. */
export function providerDocument(models: readonly ServedModel[]): ProviderDocument {
  const data = [...models].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)).map(describe);
  return ProviderDocumentSchema.parse({ data });
}

function describe(model: ServedModel): ProviderModel {
  const last = model.answers.slice(-UPTIME_ANSWERS);
  return {
    ...{ id: model.id, name: model.name, created: model.created_s },
    ...{ input_modalities: ['text'], output_modalities: ['text'] },
    quantization: QUANTISATIONS[model.quantisation.toLowerCase()] ?? 'unknown',
    context_length: model.context_tokens,
    max_output_length: Math.min(model.answer_tokens, model.context_tokens),
    pricing: {
      prompt: creditsPerToken(model.price.input_micro),
      completion: creditsPerToken(model.price.output_micro),
      ...{ request: '0', image: '0' },
    },
    supported_sampling_parameters: [...model.sampling_parameters],
    supported_features: [...model.features],
    is_ready: model.devices > 0,
    uptime: { answers: last.length, whole: last.filter((whole) => whole).length },
    energy: model.energy,
  };
}

/** Micro-credits for a million tokens as credits a token: exact, without an exponent. */
export function creditsPerToken(micro_per_million: number): string {
  const digits = String(micro_per_million).padStart(DECIMALS + 1, '0');
  const decimals = digits.slice(-DECIMALS).replace(/0+$/, '');
  return `${digits.slice(0, -DECIMALS)}${decimals && `.${decimals}`}`;
}
