// The models of bench committee: members that have learned different mixtures of tasks, one that has learned all, and a scorer of the members' answers.
import { type LlamaConfig, LlamaConfigSchema } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import { openAnswerServer, type ServedModel } from '../serving/answer-server.ts';
import type { AnswerRequest, AnswerServer } from '../serving/answers.ts';
import { openOwnEngine } from '../serving/engine-own.ts';
import { type GradedAnswer, gradedAnswers } from '../serving/graded-answers.ts';
import { SERVING_LIMITS } from '../serving/limits.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { learn } from '../training/lessons.ts';
import { learningRate } from '../training/schedule.ts';
import { drawTask, KINDS, LESSON_TOKENS, lessonBatch, sharesOf, TO_LEARN } from './committee-tasks.ts';

/** What each member has mostly learned, by the numbers of the kinds. */
export const MEMBERS: Readonly<Record<string, readonly number[]>> = { a: [0, 1], b: [2, 3], c: [4, 5] };
export const NAMES = Object.keys(MEMBERS);
/** The part of a member's lessons that its own kinds have; the others share the rest. */
export const OWN_SHARE = 0.9;

const BATCH = 64;
/** For a scorer's longest text, and its verdict. */
const ROOM_TOKENS = 32;
/** Tokens of a scorer's lesson: a name, the longest question and answer, and a verdict. */
const SCORER_TOKENS = 20;
/** Questions that are asked at the same time. */
export const AT_ONCE = 8;
const ADAMW = { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.1, clip: 1 };
const MODEL: LlamaConfig = LlamaConfigSchema.parse({
  ...{ vocab_size: byteTokenizer().vocab_size, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, max_position_embeddings: ROOM_TOKENS },
});

interface Learning {
  readonly name: string;
  readonly seed: string;
  readonly steps: number;
  readonly length: number;
  textOf(random: Random): string;
}

/** A model that has learned, ready to be served. */
async function trained(runtime: Runtime, { name, seed, steps, length, textOf }: Learning): Promise<ServedModel> {
  const random = seededRandom('bench committee', 'learning', name, seed);
  const schedule = { total_steps: steps, warmup_steps: steps / 20, learning_rate: 0.01, min_learning_rate: 0.001 };
  const weights = await learn(runtime, MODEL, {
    ...{ batch: BATCH, context: length, adamw: ADAMW, first: initialWeights(MODEL, `${name} ${seed}`), steps },
    batchOf: () =>
      lessonBatch(
        Array.from({ length: BATCH }, () => textOf(random)),
        length,
      ),
    rateOf: (step) => learningRate(step, schedule),
  });
  const model = { config: MODEL, weights, tokenizer: byteTokenizer(), hash: sha256Hex(utf8(`${name} ${seed}`)) };
  const cache_tokens = AT_ONCE * SERVING_LIMITS.committee_members * ROOM_TOKENS;
  const engine = await openOwnEngine(runtime, model, { cache_tokens });
  return { engine, name, licence: null, created_ms: 0 };
}

const learner = (runtime: Runtime, name: string, seed: string, steps: number, shares: readonly number[]) =>
  trained(runtime, {
    ...{ name, seed, steps, length: LESSON_TOKENS },
    textOf(random) {
      const { question, answer } = drawTask(random, shares);
      return question + answer;
    },
  });

/** What is asked of every model, beside its question. */
export const asked = (seed: string, temperature: number): Omit<AnswerRequest, 'model' | 'prompt'> => ({
  ...{ written: [], max_tokens: 5, stop: ['\n'], top_logprobs: null, echo: false, format: { kind: 'text' } },
  sampling: { seed, temperature, top_p: 1, logit_bias: [], presence_penalty: 0, frequency_penalty: 0 },
});

export interface Trainings {
  readonly seed: string;
  /** Of each member. */
  readonly steps: number;
  /** Questions of each kind to which every member's answers are graded. */
  readonly graded: number;
  readonly temperature: number;
}

/**
 * Members of one seed, a scorer that has learned from their graded answers to questions that are not held out, and `all`, which has learned from all
 * kinds alike with the tokens of all members together.
 */
export async function trainedModels(runtime: Runtime, { seed, steps, graded, temperature }: Trainings) {
  const members: ServedModel[] = [];
  for (const [name, own] of Object.entries(MEMBERS)) {
    members.push(await learner(runtime, name, seed, steps, sharesOf(own, OWN_SHARE)));
  }
  const even = KINDS.map(() => 1 / KINDS.length);
  const all = await learner(runtime, 'all', seed, NAMES.length * steps, even);
  const server = openAnswerServer([...members, all]);
  const answers = await gradedBy(server, graded, asked(`graded ${seed}`, temperature));
  const scorer = await trained(runtime, {
    ...{ name: 'scorer', seed, steps, length: SCORER_TOKENS },
    textOf: (random) => answers[random.below(answers.length)].text,
  });
  return { server, scorer: openAnswerServer([scorer]) };
}

async function gradedBy(
  server: AnswerServer,
  count: number,
  asked: Omit<AnswerRequest, 'model' | 'prompt'>,
): Promise<GradedAnswer[]> {
  const tasks = TO_LEARN.flatMap((of) => of.slice(0, count));
  const answers = new Map(tasks.map(({ question, answer }) => [question, answer]));
  const grading = {
    ...{ models: NAMES, questions: [...answers.keys()], times: 1, asked },
    isRight: async ({ prompt, answer }: { prompt: string; answer: string }) => answers.get(prompt) === answer,
  };
  const graded: GradedAnswer[] = [];
  for await (const answer of gradedAnswers(server, grading, new AbortController().signal)) graded.push(answer);
  return graded;
}
