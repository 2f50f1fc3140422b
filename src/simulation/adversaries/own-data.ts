// Own data: works as if every round had the same seed, on text that it knows by heart.
import { onWrongTask } from '../../games/wrong-task.ts';
import type { Adversary } from './adversary.ts';

const FAVOURITE = '0'.repeat(64);

export const ownData: Adversary = {
  name: 'own-data',
  does: 'does the work, but on a task of its own choice instead of the one that the round gives it',
  roles: ['worker'],
  play: (game) => onWrongTask(game, () => FAVOURITE),
};
