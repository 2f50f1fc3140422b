// The training step of a run, by whose speed a device chooses what it computes with. Apart from the game, which need not be loaded for it.
import type { TrainingStep } from '../../training/runtime-choice.ts';
import type { AnyGame } from '../game.ts';
import type { PretrainParams } from './params.ts';

/** What a run trains with, of settings that its game has read; null for games that train nothing. */
export const trainingStepOf = ({ name }: AnyGame, params: unknown): TrainingStep | null =>
  name === 'pretrain' ? (params as PretrainParams) : null;
