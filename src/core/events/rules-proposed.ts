// The owner announces other rules.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { propose, refusalOfProposal } from '../rule-changes.ts';
import { RulesSchema } from '../rules.ts';
import { v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/** By the run's owner: other rules from a later round on. `proposal` counts them from 0, so that none can be used twice. */
export const RulesProposedSchema = z.strictObject({
  type: z.literal('rules.proposed'),
  ...v1,
  run: hash,
  proposal: count,
  from_round: count,
  rules: RulesSchema,
});
export type RulesProposed = z.infer<typeof RulesProposedSchema>;

export const rulesProposed = runEvent(RulesProposedSchema, {
  about: 'run',
  words: ({ from_round }, who) => `${who} proposed other rules from round ${from_round} on`,
  refusalOf: (_state, run, { author, body }) => refusalOfProposal(run, author, body),
  apply: (_state, run, { body }) => propose(run, body),
});
