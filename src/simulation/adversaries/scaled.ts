// Scaled: submits the honest update many times as large, to count more.
import type { Adversary } from './adversary.ts';
import { mapTables, trainedThen } from './pretrain-update.ts';

/** A power of two, which the table's eight bits of precision represent exactly. */
const FACTOR = 16;

export const scaled: Adversary = {
  name: 'scaled',
  does: `trains honestly and hands in ${FACTOR} times its update`,
  roles: ['worker'],
  games: ['pretrain'],
  play: (game, context) => trainedThen(game, context, (update) => mapTables(update, (value) => value * FACTOR)),
};
