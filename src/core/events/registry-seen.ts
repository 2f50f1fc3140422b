// A log takes in what its registry's log says of devices and addresses.
import { z } from 'zod';
import { hash } from '../../protocol/schemas.ts';
import { LOGS_LIMITS } from '../limits.ts';
import { PlacedEventSchema, ProofSchema } from '../moving/foreign-event.ts';
import { applySeen, refusalOfSeen } from '../registry/seeing.ts';
import { hubUrl, SeenHeadSchema, v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/**
 * By the hub: a head that the registry has signed, the proof that it goes on from the last one seen here (RFC 6962, 2.1.4), and entries under it.
 * Whoever replays this log needs nothing of the registry. The same head may come again with more facts.
 */
export const RegistrySeenSchema = z.strictObject({
  type: z.literal('registry.seen'),
  ...v1,
  registry: hash,
  /** Where the registry can be read, and be told something. */
  url: hubUrl,
  head: SeenHeadSchema,
  consistency: ProofSchema,
  facts: z.array(PlacedEventSchema).max(LOGS_LIMITS.registry_facts),
});
export type RegistrySeen = z.infer<typeof RegistrySeenSchema>;

export const registrySeen = networkEvent(RegistrySeenSchema, {
  by_hub: 'what a registry says is taken in',
  about: 'device',
  words: ({ registry, head, facts }, _who, say) =>
    `${say.count(facts.length, 'fact')} of the registry ${say.short(registry)} count here, under its ${say.whole(head.size)} entries`,
  refusalOf: (state, { body }) => refusalOfSeen(state, body),
  apply: (state, { body }) => applySeen(state, body),
});
