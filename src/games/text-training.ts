// The games that train a language model on text, whole or in stages: what those need who take its model home, serve it or play with it.
import type { Weights } from '../model/config.ts';
import { ModelError } from '../model/errors.ts';
import { type AnyGame, hasTensors, isStaged, type TensorSource } from './game.ts';
import type { PipelineParams } from './pipeline/params.ts';
import type { PretrainParams } from './pretrain/params.ts';

/** The settings of such a run. */
export type TrainingParams = PretrainParams | PipelineParams;

const NAMES = ['pretrain', 'pipeline'];
export const trainsOnText = (game: string): boolean => NAMES.includes(game);

/** Whether what is trained is a Llama model and nothing else: what boundaries learn is a part of the function. */
export const isLlama = (params: TrainingParams): boolean =>
  !('boundary' in params) || (params.boundary.width === null && params.boundary.tokens === 'none');

/** Throws ModelError `unsupported` where what was trained is a Llama model and something else. */
export function mustBeLlama(run: string, params: TrainingParams): void {
  if (isLlama(params) || !('boundary' in params)) return;
  const { width, tokens } = params.boundary;
  const part = width === null ? 'tables of tokens' : `bottlenecks of ${width} values`;
  throw new ModelError(
    'unsupported',
    `run ${run} has ${part} between its stages, which are a part of what it trains: without them its model is no Llama model that anybody could use`,
    { width, tokens },
  );
}

/** The whole model that a state is: one in stages is read into memory. Throws what reading its parts throws. */
export async function weightsOfState(game: AnyGame, params: TrainingParams, state: unknown): Promise<Weights> {
  if (!hasTensors(game) || !isStaged(game)) return state as Weights;
  return (state as TensorSource).read(game.tensors(params).map(({ name }) => name));
}
