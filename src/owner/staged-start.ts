// The first model of a run in stages, made and stored stage by stage: nobody has to hold all of it, and its owner need not either.
import { inStage, type PipelineParams, stagePlans, stateTensors } from '../games/pipeline/params.ts';
import { keepTensors, type PutBlob } from '../games/state.ts';
import type { Weights } from '../model/config.ts';
import { type RoundedDtype, rounded } from '../model/dtypes.ts';
import { initialStageWeights } from '../model/pipeline/initial.ts';

/** What a stage's table of tokens begins as, where the model is not new. */
const BEGINS_AS: Readonly<Record<string, string>> = { 'boundary.tokens.weight': 'model.embed_tokens.weight' };

/**
 * Stores the first state of a run in stages; resolves with its hash. The model's tensors are those of `from`, or follow from the seed; what
 * boundaries add begins as the model's embedding, or follows from the seed. Throws what `put` throws, ModelError.
 */
export const keepFirstStages = (
  params: PipelineParams,
  seed: string,
  from: Weights | undefined,
  put: PutBlob,
): Promise<string> => keepTensors(stateTensors(params), firstTensors(params, seed, from), put);

/** The tensors of a first state, in their order. Throws ModelError. */
export function* firstTensors(
  params: PipelineParams,
  seed: string,
  from: Weights | undefined,
): Generator<Float32Array> {
  for (const plan of stagePlans(params)) {
    let made: Weights | null = null;
    for (const spec of [...plan.specs, ...plan.frozen]) {
      const name = inStage(plan.stage, spec.name);
      const taken = from?.get(BEGINS_AS[name] ?? name);
      if (!taken) made ??= initialStageWeights(params.model, plan.range, plan, seed);
      yield roundedTo(params.sparse.weights, taken ?? made!.get(name)!);
    }
  }
}

const roundedTo = (dtype: RoundedDtype, values: Float32Array): Float32Array =>
  dtype === 'f32' ? values : values.map((value) => rounded(dtype, value));
