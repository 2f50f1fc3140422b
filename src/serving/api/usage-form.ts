// The form of GET /v1/usage, which pages read as well: how often and how much each key asked, by day and model.
import { z } from 'zod';

const count = z.int();
const UsageCountsSchema = z.strictObject({
  requests: count,
  input_tokens: count,
  output_tokens: count,
  /** Requests that were refused or failed, those that came too fast apart. */
  errors: count,
  /** Requests answered with 429. */
  too_many: count,
});
export type UsageCounts = Readonly<z.infer<typeof UsageCountsSchema>>;
export const COUNTED = ['requests', 'input_tokens', 'output_tokens', 'errors', 'too_many'] as const;

export const NOTHING: UsageCounts = { requests: 0, input_tokens: 0, output_tokens: 0, errors: 0, too_many: 0 };

export const addedUp = (a: UsageCounts, b: UsageCounts): UsageCounts => ({
  requests: a.requests + b.requests,
  input_tokens: a.input_tokens + b.input_tokens,
  output_tokens: a.output_tokens + b.output_tokens,
  errors: a.errors + b.errors,
  too_many: a.too_many + b.too_many,
});

const UsageRowSchema = z.strictObject({
  /** In UTC. */
  day: z.string(),
  key: z.strictObject({ id: z.string(), name: z.string().nullable() }),
  /** Empty for requests that were refused before they named one. */
  model: z.string(),
  ...UsageCountsSchema.shape,
});
export const UsageListSchema = z.strictObject({
  object: z.literal('list'),
  /** Whose usage it is: that of the key, or of all. */
  of: z.enum(['key', 'all']),
  /** The first day that is counted. */
  since: z.string(),
  /** The newest day first. */
  data: z.array(UsageRowSchema),
  /** All keys that there are, also those that were not used; only where the usage is that of all. */
  keys: z.array(z.strictObject({ id: z.string(), name: z.string(), owners: z.array(z.string()).nullable() })),
});
export type UsageList = z.infer<typeof UsageListSchema>;
