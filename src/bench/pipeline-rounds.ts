// The loss of training in stages by the game itself, round by round, against workers that hold the whole model, at the same tokens; and with a
// device that dies in every round.

import { encodeBundle } from '../games/bundle.ts';
import type { Claim } from '../games/game.ts';
import type { Air } from '../games/memory-channel.ts';
import { dataOf } from '../games/pipeline/device.ts';
import { nameOf } from '../games/pipeline/flights.ts';
import { amountOf, stagePlans } from '../games/pipeline/params.ts';
import { decodeStageWork } from '../games/pipeline/work.ts';
import { game as pipeline } from '../games/pipeline.ts';
import { game as pretrain } from '../games/pretrain.ts';
import { mergeState } from '../games/state.ts';
import {
  merged,
  type PipelineExample,
  pipelineExample,
  sourceOf,
  type Worker,
} from '../games/testing/example-pipeline.ts';
import type { Weights } from '../model/config.ts';
import { sha256, sha256Hex, utf8 } from '../protocol/hash.ts';
import { identityFromSecret } from '../protocol/identity.ts';
import { seededRandom } from '../protocol/random.ts';
import { MODELS } from './parity-trial.ts';
import { table } from './report.ts';

export interface RoundsOptions {
  readonly text: string;
  readonly model: keyof typeof MODELS;
  readonly stages: number;
  /** Devices of each stage, and workers of the whole model beside them. */
  readonly replicas: number;
  readonly rounds: number;
}

export interface RoundsResult {
  readonly name: string;
  readonly loss: number;
  /** Micro-batches that were learned from, of those that were to be made, in thousandths; what was learned twice counts once. */
  readonly kept_permille: number;
  readonly cpu_seconds: number;
}

const INNER_STEPS = 30;
const MICRO_BATCHES = 4;

/** One after the other: whole, in stages, in stages with deaths. */
export async function runRounds(options: RoundsOptions): Promise<RoundsResult[]> {
  const { text, model, stages, rounds } = options;
  const context = model === 'tiny' ? 16 : 64;
  const example = await pipelineExample(
    {
      ...{ stages, context, batch: 3, micro_batches: MICRO_BATCHES, inner_steps: INNER_STEPS },
      ...{ learning_rate: 2e-3, min_learning_rate: 2e-4, warmup_steps: Math.ceil((rounds * INNER_STEPS) / 20) },
      ...{ evaluation_sequences: 192, model: { ...MODELS[model], max_position_embeddings: context } },
    },
    { text },
  );
  try {
    const results: RoundsResult[] = [];
    // A stage's only device cannot die: nobody is left to go on.
    for (const [name, trial] of [
      ['whole', wholeTrial],
      ['stages', stagesTrial],
      ...(options.replicas > 1 ? [['stages, one device dies in each round', dyingTrial] as const] : []),
    ] as const) {
      const before = process.cpuUsage();
      const { weights, kept_permille } = await trial(example, options);
      const { user, system } = process.cpuUsage(before);
      const { loss_micro } = await pipeline.evaluate(example.params, sourceOf(weights), example.worker(null).device);
      results.push({ name, loss: loss_micro / 1e6, kept_permille, cpu_seconds: (user + system) / 1e6 });
    }
    return results;
  } finally {
    await example.runtime.close();
  }
}

interface Trained {
  readonly weights: Weights;
  readonly kept_permille: number;
}

/** The same keys in every run, and for those who make micro-batches as for workers of the whole model: so all learn from the same text. */
const keyOf = (i: number) => identityFromSecret(sha256(utf8(`bench pipeline ${i}`)));

/** Workers with the whole model: a step's micro-batches are one batch there. */
async function wholeTrial(example: PipelineExample, { replicas, rounds }: RoundsOptions): Promise<Trained> {
  const params = { ...dataOf(example.params), batch: example.params.batch * MICRO_BATCHES };
  const names = new Set(pretrain.tensors(params).map(({ name }) => name));
  let weights: Weights = new Map([...example.first].filter(([name]) => names.has(name)));
  const workers = Array.from({ length: replicas }, (_, i) => example.worker(null, keyOf(i)));
  let last: string | null = null;
  for (let number = 0; number < rounds; number++) {
    const round = { ...example.round(number, 0, last), rounds };
    const claims: Claim[] = [];
    for (const { id, device } of workers) {
      const task = pretrain.task(params, round, id, weights);
      claims.push((await pretrain.perform(task, device, new AbortController().signal))!);
    }
    const accepted = claims.map(({ work, amount }) => ({ work, weight: amount }));
    weights = mergeState(pretrain, params, weights, accepted);
    last = kept(example, claims);
  }
  return { weights: new Map([...example.first, ...weights]), kept_permille: 1000 };
}

const stagesTrial = (example: PipelineExample, options: RoundsOptions): Promise<Trained> =>
  inStages(example, options, false);
const dyingTrial = (example: PipelineExample, options: RoundsOptions): Promise<Trained> =>
  inStages(example, options, true);

async function inStages(
  example: PipelineExample,
  { replicas, rounds }: RoundsOptions,
  dying: boolean,
): Promise<Trained> {
  const { params, air } = example;
  air.clear();
  const plans = stagePlans(params);
  let keys = 0;
  const workers = plans.flatMap(({ stage }) =>
    Array.from({ length: replicas }, () => example.worker(stage, keyOf(keys++))),
  );
  const random = seededRandom('who dies, and when', rounds);
  const micro_batches = INNER_STEPS * MICRO_BATCHES;
  const costs = plans.map((plan) => amountOf(params, plan, { finished: 1, forward: 0 }));
  const asked = micro_batches * replicas * costs.reduce((sum, cost) => sum + cost, 0);
  let weights = example.first;
  let last: string | null = null;
  let done = 0;
  for (let number = 0; number < rounds; number++) {
    const dies = dying ? random.below(workers.length) : -1;
    const never = new AbortController().signal;
    const taking = workers.map((worker, i) =>
      i === dies ? dyingAfter(worker, 1 + random.below(micro_batches), air) : { ...worker, signal: never },
    );
    const claims = await Promise.all(
      taking.map(({ id, device, stage, signal }) => {
        const round = { ...example.round(number, stage, last), rounds };
        return pipeline.perform(pipeline.task(params, round, id, sourceOf(weights)), device, signal);
      }),
    );
    const alive = claims.filter((claim, i) => claim !== null && i !== dies) as Claim[];
    // What makers take over of one another is a guess, and may be a little more than was asked for.
    done += Math.min(
      asked,
      [...finishedIn(alive)].reduce((sum, [, stage]) => sum + costs[stage], 0),
    );
    weights = merged(params, weights, alive);
    last = kept(example, alive);
    if (dies >= 0) workers[dies] = example.worker(workers[dies].stage, keyOf(keys++));
  }
  return { weights, kept_permille: Math.round((1000 * done) / (asked * rounds)) };
}

/** The micro-batches that were finished at a stage, each once, with the stage. */
function finishedIn(claims: readonly Claim[]): Map<string, number> {
  const finished = new Map<string, number>();
  for (const { work } of claims) {
    const { stage, transcript } = decodeStageWork(work);
    for (const entry of transcript) {
      const of = entry.kind === 'backward' ? transcript[entry.forward] : entry;
      if (entry.kind === 'forward' || !('of' in of)) continue;
      finished.set(`${stage} ${nameOf(of.of)}`, stage);
    }
  }
  return finished;
}

/** The same worker, until it has finished so many micro-batches: then it is gone, with all that it has done. */
function dyingAfter(worker: Worker, micro_batches: number, air: Air): Worker & { readonly signal: AbortSignal } {
  const stop = new AbortController();
  let finished = 0;
  const progress = async (): Promise<void> => {
    if (++finished < micro_batches) return;
    air.stages.delete(worker.id);
    stop.abort();
  };
  return { ...worker, device: { ...worker.device, progress }, signal: stop.signal };
}

/** Keeps the round's work, from which its workers go on. */
function kept({ blobs }: PipelineExample, claims: readonly Claim[]): string {
  const bundle = encodeBundle(claims.map(({ work, amount }) => ({ work, weight: amount })));
  blobs.set(sha256Hex(bundle), bundle);
  return sha256Hex(bundle);
}

export function roundsTable(results: readonly RoundsResult[]): string {
  const [first] = results;
  const rows = results.map(({ name, loss, kept_permille, cpu_seconds }) => [
    name,
    loss.toFixed(4),
    `${(100 * (loss / first.loss - 1)).toFixed(2)} %`,
    `${(kept_permille / 10).toFixed(1)} %`,
    cpu_seconds.toFixed(0),
  ]);
  return table(['training', 'loss', `to ${first.name}`, 'work kept', 'CPU-seconds'], rows);
}
