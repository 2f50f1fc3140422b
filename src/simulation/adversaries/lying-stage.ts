// A worker of a stage that lies: an honest round on a device whose runtime and channel are its owner's. It tells the arena only of work that it computed.
import type { AnyGame, Claim, Device } from '../../games/game.ts';
import { type Lie, lyingRuntime, type StageRun } from '../../games/pipeline/lying-runtime.ts';
import { type PipelineParams, stagePlans } from '../../games/pipeline/params.ts';
import type { TensorMap } from '../../tensor/runtime.ts';
import { decodeManifest, HEADER_BYTES } from '../../training/shards.ts';
import type { Adversary, AdversaryContext } from './adversary.ts';
import { type OpenTask, withDeeds } from './task.ts';

/** Where in the model a stage is. */
export type Part = 'first' | 'middle' | 'last';

/** One round of a liar. */
export interface LyingRound {
  readonly part: Part;
  readonly stage: number;
  readonly seed: string;
}

export interface StageLies {
  /** What its runs come to, from the beginning of a round; missing: what they should. */
  runs?(round: LyingRound, context: AdversaryContext): Lie;
  /** Whether it reads a text of one word instead of the run's. */
  readonly one_word?: boolean;
  /** The state that it works on. */
  state?(task: OpenTask): unknown;
  /** What it hands in. */
  claim?(claim: Claim, round: LyingRound, context: AdversaryContext): Claim;
}

/** What a run is of a micro-batch's work, in quarters; a step is next to nothing. */
const COST: Readonly<Record<StageRun['kind'], number>> = { forward: 1, backward: 3, losses: 0, step: 0 };

/** A worker that lies in every round from `honest_rounds` on. */
export function stageLiar(name: string, does: string, lies: StageLies, honest_rounds = 0): Adversary {
  return {
    ...{ name, does, roles: ['worker'], games: ['pipeline'], ...(honest_rounds > 0 && { honest_rounds }) },
    play(game, context) {
      const params = context.params as PipelineParams;
      let liar: LyingDevice | null = null;
      const on = (device: Device): LyingDevice => {
        liar ??= new LyingDevice(device, lies, context);
        return liar;
      };
      const own: AnyGame = { ...game, prepare: (given, device) => game.prepare!(given, on(device).device) };
      return withDeeds(own, {
        async perform(task, device, signal) {
          const round = roundOf(params, task);
          const { stage, seed } = round;
          on(device).begin(round);
          const state = lies.state?.(task) ?? task.state;
          const inner = await game.task(params, { ...task.round, stage, seed }, task.worker, state);
          const claim = await game.perform(inner, on(device).device, signal);
          return claim && lies.claim ? lies.claim(claim, round, context) : claim;
        },
      });
    },
  };
}

function roundOf(params: PipelineParams, { round }: OpenTask): LyingRound {
  const stage = round.stage!;
  const { embedding, head } = stagePlans(params)[stage].range;
  return { stage, seed: round.seed, part: embedding ? 'first' : head ? 'last' : 'middle' };
}

class LyingDevice {
  readonly device: Device;
  readonly #lies: StageLies;
  readonly #context: AdversaryContext;
  #lie: Lie = ({ compute }) => compute();
  /** Of the round: what was asked, what was computed, and how much of it was told. */
  #asked = 0;
  #computed = 0;
  #told = 0;

  constructor(device: Device, lies: StageLies, context: AdversaryContext) {
    this.#lies = lies;
    this.#context = context;
    this.device = {
      ...device,
      ...(lies.one_word && { fetchBlob: oneWord(device, (context.params as PipelineParams).dataset) }),
      runtime: lyingRuntime(device.runtime, (run) => this.#run(run)),
      progress: (report) => {
        const computed = this.#asked === 0 ? 0 : this.#computed / this.#asked;
        this.#told = Math.max(this.#told, Math.floor(report.amount * computed));
        return device.progress({ ...report, amount: this.#told });
      },
    };
  }

  begin(round: LyingRound): void {
    [this.#asked, this.#computed, this.#told] = [0, 0, 0];
    this.#lie = this.#lies.runs?.(round, this.#context) ?? (({ compute }) => compute());
  }

  #run(run: StageRun): Promise<TensorMap> {
    this.#asked += COST[run.kind];
    const compute: StageRun['compute'] = (inputs) => {
      this.#computed += COST[run.kind];
      return run.compute(inputs);
    };
    return this.#lie({ ...run, compute });
  }
}

/** Shards of the run's text in which every token is the first of the vocabulary. */
function oneWord({ fetchBlob }: Device, dataset: string): Device['fetchBlob'] {
  return async (hash) => {
    const [blob, manifest] = await Promise.all([fetchBlob(hash), fetchBlob(dataset).then(decodeManifest)]);
    return manifest.train.some((shard) => shard.hash === hash) ? blob.slice().fill(0, HEADER_BYTES) : blob;
  };
}
