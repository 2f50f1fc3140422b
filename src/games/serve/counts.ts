// What the network keeps of served answers: how many, and their tokens. Never a prompt or an answer.
import { z } from 'zod';

const count = z.int().nonnegative();
export const ServedCountsSchema = z.strictObject({ answers: count, input_tokens: count, output_tokens: count });
export type ServedCounts = z.infer<typeof ServedCountsSchema>;
