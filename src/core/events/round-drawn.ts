// The work of a round is in, and its judges are drawn.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { seatJuries } from '../rounds/contest.ts';
import { applyDrawn, refusalOfDrawn } from '../rounds/panel.ts';
import { v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/**
 * By the hub, when the work of a round is in: the list is closed, and judges are drawn from what its verifiable random function gives
 * for the round (panel.ts). `proof` is that of RFC 9381.
 */
export const RoundDrawnSchema = z.strictObject({
  type: z.literal('round.drawn'),
  ...v1,
  run: hash,
  round: count,
  attempt: count,
  proof: z.string().regex(/^[0-9a-f]{160}$/, 'expected 160 lower-case hexadecimal digits'),
});
export type RoundDrawn = z.infer<typeof RoundDrawnSchema>;

export const roundDrawn = runEvent(RoundDrawnSchema, {
  by_hub: 'a round is drawn',
  about: 'verdict',
  words: ({ round }) => `the work of round ${round} is in, and its judges are drawn`,
  refusalOf: (state, run, { body }) => refusalOfDrawn(state, run, body),
  apply(state, run, { body }) {
    applyDrawn(state, run, body);
    seatJuries(state, run);
  },
});
