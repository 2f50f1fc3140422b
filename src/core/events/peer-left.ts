// A peer has gone.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { applyLeave, refusalOfLeave } from '../rounds/presence.ts';
import { v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/** How a peer's stay ended, after its name and "left". */
const LEAVING = {
  goodbye: '',
  'connection lost': ': its connection was lost',
  'hub restarted': ': the hub was started again',
} as const;

/** By the peer that leaves, or by the hub for a peer whose connection is gone. */
export const PeerLeftSchema = z.strictObject({
  type: z.literal('peer.left'),
  ...v1,
  run: hash,
  peer: hash,
  session: count,
  reason: z.enum(['goodbye', 'connection lost', 'hub restarted']),
});
export type PeerLeft = z.infer<typeof PeerLeftSchema>;

export const peerLeft = runEvent(PeerLeftSchema, {
  after_move: true,
  about: 'device',
  words: ({ peer, reason }, _who, say) => `${say.name(peer)} left${LEAVING[reason]}`,
  refusalOf: (state, run, { author, body }) => refusalOfLeave(run, state.hub, author, body),
  apply: (state, run, { body }) => applyLeave(state, run, body.peer),
});
