// A peer is here.
import { z } from 'zod';
import { count, hash, oneLine, role } from '../../protocol/schemas.ts';
import { applyJoin, refusalOfJoin } from '../rounds/presence.ts';
import { name, SeenHeadSchema, v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/**
 * By the peer itself, at every connection that finds it absent. `session` counts its joins of this run from 0, or
 * from where those who were forgotten go on (core/rounds/forgetting.ts), here and in the leave that ends it: nobody who reads the log can use an old one again.
 */
export const PeerJoinedSchema = z.strictObject({
  type: z.literal('peer.joined'),
  ...v1,
  run: hash,
  session: count,
  role,
  name,
  runtime: oneLine(40),
  seen_head: SeenHeadSchema.optional(),
});
export type PeerJoined = z.infer<typeof PeerJoinedSchema>;

export const peerJoined = runEvent(PeerJoinedSchema, {
  about: 'device',
  words: ({ name, role, runtime }, _who, say) =>
    `${say.quoted(name)} joined as a ${role}, computing on ${say.runtime(runtime)}`,
  refusalOf: (state, run, { author, body }) => refusalOfJoin(state, run, author, body),
  apply: (state, run, { author, body }) => applyJoin(state, run, author, body),
});

export type PeerRole = PeerJoined['role'];
