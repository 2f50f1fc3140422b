// Wants to count more: the honest update, many times as large.
import type { Adversary } from './adversary.ts';
import { mapTables, trainedThen } from './pretrain-update.ts';

/** A power of two: the table's eight bits of precision hold it exactly. */
const FACTOR = 16;

export const scaled: Adversary = {
  name: 'scaled',
  does: `trains honestly and hands in ${FACTOR} times its update`,
  roles: ['worker'],
  games: ['pretrain'],
  play: (game, context) => trainedThen(game, context, (update) => mapTables(update, (value) => value * FACTOR)),
};
