// Workers of a model in stages that do something else than what they are paid for: each really does, among real neighbours.
import type { Claim } from '../../games/game.ts';
import { type Leaving, type Lie, mapLeaving, type StageRun } from '../../games/pipeline/lying-runtime.ts';
import { type PipelineParams, stagePlans } from '../../games/pipeline/params.ts';
import { Tally } from '../../games/pipeline/tally.ts';
import { decodeStageWork, type Entry, encodeStageWork } from '../../games/pipeline/work.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import type { Random } from '../../protocol/random.ts';
import type { TensorMap } from '../../tensor/runtime.ts';
import type { Adversary, AdversaryContext } from './adversary.ts';
import { type LyingRound, type Part, stageLiar } from './lying-stage.ts';
import { type OpenTask, withDeeds } from './task.ts';

type Change = (leaving: Leaving, values: Float32Array) => Float32Array;

/** Runs of some kinds are computed once in a round, to know the form; afterwards only what leaves is made up. */
function madeUp(isMadeUp: (kind: StageRun['kind']) => boolean, change: Change): Lie {
  const forms = new Map<string, TensorMap>();
  return async ({ kind, compute }) => {
    if (!isMadeUp(kind)) return compute();
    const form = forms.get(kind) ?? (await compute());
    forms.set(kind, form);
    return mapLeaving(form, change);
  };
}

/** What a stage computes to hand it on; the last one only hands back. */
const handsOn = (part: Part): StageRun['kind'] => (part === 'last' ? 'backward' : 'forward');

/** About as large as what a model hands on at its beginning. */
const LOUDNESS = 0.5;
const noise =
  (random: Random): Change =>
  (_, values) =>
    values.map(() => LOUDNESS * (random.uint32() / 2 ** 31 - 1));

export const randomActivations = stageLiar(
  'random-activations',
  'hands on random values, of the last stage as gradients',
  { runs: ({ part }, { random }) => madeUp((kind) => kind === handsOn(part), noise(random)) },
);

export const zeroActivations = stageLiar('zero-activations', 'hands on zeros, of the last stage as gradients', {
  runs: ({ part }) =>
    madeUp(
      (kind) => kind === handsOn(part),
      (_, values) => values.map(() => 0),
    ),
});

/** In the first stage nobody gets a gradient: there its own update is what it has not computed. */
export const forwardOnly = stageLiar('forward-only', 'takes micro-batches forward and makes up the way back', {
  runs: (_, { random }) => madeUp((kind) => kind === 'backward', noise(random)),
});

/** What goes back with other values; in the first stage, where nothing goes back, a step at another rate: AdamW would not see how long gradients are. */
const otherGradients = (by: number) => ({
  runs:
    ({ part }: LyingRound): Lie =>
    async ({ kind, inputs, compute }) => {
      if (part === 'first' && kind === 'step') return compute(scaled(inputs, 'learning_rate', by));
      return mapLeaving(await compute(), (leaving, values) =>
        leaving === 'returned' ? values.map((value) => value * by) : values,
      );
    },
});

function scaled(inputs: TensorMap, name: string, by: number): TensorMap {
  const { [name]: input, ...rest } = inputs;
  return {
    ...rest,
    [name]: { dtype: 'float32', shape: input.shape, data: Float32Array.from(input.data, (v) => v * by) },
  };
}

export const wrongSign = stageLiar(
  'wrong-sign',
  'hands back gradients with their signs turned, or in the first stage learns the opposite',
  otherGradients(-1),
);

export const wrongScale = stageLiar(
  'wrong-scale',
  'hands back gradients ten times as large, or in the first stage takes steps ten times as long',
  otherGradients(10),
);

export const neverSteps = stageLiar('never-steps', 'leaves its stage as it is, and claims its steps', {
  runs:
    () =>
    async ({ kind, compute }) =>
      kind === 'step' ? { gradient_norm: { dtype: 'float32', shape: [], data: Float32Array.of(1) } } : compute(),
});

export const lastWeights: Adversary = {
  ...stageLiar('last-weights', 'works on with the weights of the round before', {}, 1),
  play(game, context) {
    let before: unknown = null;
    const lies = {
      state: (task: OpenTask) => {
        const known = before ?? task.state;
        before = task.state;
        return known;
      },
    };
    return stageLiar('last-weights', '', lies).play(game, context);
  },
};

export const sameAnswer = stageLiar('same-answer', 'hands on for every micro-batch what came of its first', {
  runs: () =>
    madeUp(
      (kind) => kind === 'forward' || kind === 'backward',
      (_, values) => values,
    ),
});

/** All is computed, but of the wrong text: in the last stage with other targets, before it so that targets do not fit any more. */
export const poisonedText = stageLiar('poisoned-text', 'learns, and has others learn, that other words come next', {
  runs:
    ({ part }) =>
    async ({ kind, inputs, compute }) => {
      if (part === 'last' && inputs.targets) return compute({ ...inputs, targets: turned(inputs.targets) });
      if (part === 'first' && inputs.tokens) return compute({ ...inputs, tokens: turned(inputs.tokens) });
      if (part !== 'middle' || kind !== 'forward') return compute();
      return mapLeaving(await compute(), (_, values) => values.toReversed());
    },
});

const turned = <T extends TensorMap[string]>(tensor: T): T => ({ ...tensor, data: tensor.data.toReversed() });

/** Waits until a replica has handed in, and hands in the same. */
export const replicaCopier: Adversary = {
  ...{ name: 'replica-copier', does: 'hands in the work of another worker of its stage', roles: ['worker'] },
  ...{ games: ['pipeline'], waits: true },
  play: (game, { seen }) =>
    withDeeds(game, {
      async perform({ round }, _device, signal) {
        const claims = await seen(signal);
        return claims.find(({ work }) => decodeStageWork(work).stage === round.stage) ?? null;
      },
    }),
};

/** Enters everything twice, the second time as other micro-batches of the same makers. */
function twice(claim: Claim, { stage }: LyingRound, { params, random }: AdversaryContext): Claim {
  const given = params as PipelineParams;
  const work = decodeStageWork(claim.work);
  const { transcript } = work;
  const some = (): string => sha256Hex(Uint8Array.from({ length: 32 }, () => random.below(256)));
  const again = transcript.map((entry): Entry => {
    if (entry.kind === 'step') return entry;
    const came = entry.came && { ...entry.came, hash: some() };
    if (entry.kind === 'backward')
      return { ...entry, forward: entry.forward + transcript.length, came: came!, went: entry.went && some() };
    const of = { ...entry.of, number: entry.of.number + given.inner_steps * given.micro_batches };
    return { ...entry, of, came, went: some() } as Entry;
  });
  const tally = new Tally(given, stagePlans(given)[stage]);
  const entries = [...transcript, ...again];
  for (const entry of entries) tally.add(entry);
  return { work: encodeStageWork({ ...work, transcript: entries }), ...tally.told() };
}

export const moreMicroBatches = stageLiar('more-micro-batches', 'claims twice as many micro-batches as came to it', {
  claim: twice,
});

/** Honest devices take none of their micro-batches, and they none of honest devices: they have a pipeline of their own. */
export const vouchingNeighbours = stageLiar(
  'vouching-neighbours',
  'at all stages hands on to its friends a text of one word, of which each has to be computed once a step',
  { runs: () => rememberingLie(), one_word: true },
);

/** Within a step the same inputs give the same: only the mean of the gradients has to be put right. */
function rememberingLie(): Lie {
  const known = new Map<string, { readonly outputs: TensorMap; times: number }>();
  return async ({ kind, inputs, compute }) => {
    if (kind === 'step') {
      const times = [...known].flatMap(([key, entry]) => (key.startsWith('backward') ? entry.times : []));
      known.clear();
      return compute(scaled(inputs, 'share', times.reduce((sum, n) => sum + n, 0) / Math.max(1, times.length)));
    }
    const key = `${kind} ${keyOf(inputs)}`;
    const before = known.get(key);
    if (before) {
      before.times++;
      return before.outputs;
    }
    const outputs = await compute();
    known.set(key, { outputs, times: 1 });
    return outputs;
  };
}

const keyOf = (inputs: TensorMap): string =>
  Object.entries(inputs)
    .map(([name, { data }]) => `${name} ${sha256Hex(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))}`)
    .sort()
    .join();

export const PIPELINE_LIARS: readonly Adversary[] = [
  ...[randomActivations, zeroActivations, forwardOnly, wrongSign, wrongScale, neverSteps, lastWeights],
  ...[sameAnswer, replicaCopier, vouchingNeighbours, poisonedText, moreMicroBatches],
];
