// The owner shows that a submission was planted, and what judges should have said of it.
import { z } from 'zod';
import { hash } from '../../protocol/schemas.ts';
import { openPlant, refusalOfPlant } from '../rounds/judging.ts';
import { forfeit } from '../shares/payout.ts';
import { v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/**
 * By the run's owner, after the round: a submission of the round that was merged last was planted, and validators should
 * have known what to say of it. Its `pledge` was the hash of this (judging.ts, `pledgeOf`).
 */
export const PlantRevealedSchema = z.strictObject({
  type: z.literal('plant.revealed'),
  ...v1,
  run: hash,
  submission: hash,
  salt: hash,
  accepted: z.boolean(),
});
export type PlantRevealed = z.infer<typeof PlantRevealedSchema>;

export const plantRevealed = runEvent(PlantRevealedSchema, {
  about: 'verdict',
  changes_balances: true,
  words: ({ submission, accepted }, who, say) =>
    `${who} revealed the work ${say.short(submission)} as a test of the judges, who should have ${accepted ? 'accepted' : 'refused'} it`,
  refusalOf: (_state, run, { author, body }) => refusalOfPlant(run, author, body),
  apply(_state, run, { body }) {
    const { right, wrong } = openPlant(run, body);
    for (const peer of right) peer.plants_right++;
    for (const peer of wrong) {
      peer.plants_wrong++;
      forfeit(run, peer);
    }
  },
});
