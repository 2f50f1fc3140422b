// What the network keeps of served answers: how many, and their tokens. Never a prompt or an answer.
import { z } from 'zod';
import { count } from '../../protocol/schemas.ts';

export const ServedCountsSchema = z.strictObject({ answers: count, input_tokens: count, output_tokens: count });
export type ServedCounts = z.infer<typeof ServedCountsSchema>;
