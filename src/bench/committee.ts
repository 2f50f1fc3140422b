// Committees: three small models that answer sums together, beside the best of them alone with as many tokens.
import { runProgram } from '../games/programs/node-programs.ts';
import { type LlamaConfig, LlamaConfigSchema } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { seededRandom } from '../protocol/random.ts';
import { openAnswerServer, type ServedModel } from '../serving/answer-server.ts';
import type { AnswerServer } from '../serving/answers.ts';
import { answersOf } from '../serving/api/choices.ts';
import { countingUsage } from '../serving/api/usage.ts';
import { committee } from '../serving/committee.ts';
import { checkedBy, likeliestToAll, mostVotes, type Verifier } from '../serving/committee-verifiers.ts';
import { openOwnEngine } from '../serving/engine-own.ts';
import { SERVING_LIMITS } from '../serving/limits.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Batch } from '../training/inner.ts';
import { learn } from '../training/lessons.ts';
import { learningRate } from '../training/schedule.ts';
import { mean } from '../training/statistics.ts';
import { decimal, type Report, type Values, whole } from './bench.ts';
import { type Interval, interval95, signed, table } from './report.ts';

export const options = {
  seeds: whole('committees, each of three models of its own', { from: 2, to: 50, usual: 4, quick: 2 }),
  steps: whole('steps of training of each model', { from: 1, to: 100_000, usual: 300, quick: 20 }),
  problems: whole('held-out sums', { from: 1, to: 200, usual: 100, quick: 6 }),
  temperature: decimal('at which answers are drawn', { from: 0, to: 2, usual: 0.7 }),
};

export const notes = `The models learn sums of a number of one or two digits and one of one digit, such as "12+7=19", of which a fifth is held out; the three of a seed
differ in their first weights and in the order of what they read. The best member is the one that is best alone on the same problems, which favours it; it answers
as often as it takes to use at least the committee's tokens, read and written, under the same verifier. The intervals are those of 95 %, by seed. The check
subtracts, so it never takes a wrong answer: with it the question is only whether any draft was right.`;

const NAMES = ['a', 'b', 'c'];
const CONTEXT = 9;
const BATCH = 128;
const ROOM_TOKENS = 16;
const ADAMW = { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.1, clip: 1 };
const MODEL: LlamaConfig = LlamaConfigSchema.parse({
  ...{ vocab_size: byteTokenizer().vocab_size, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, max_position_embeddings: ROOM_TOKENS },
});

const CHECK = `({ prompt, answer }) => {
  const [, a, b] = /^(\\d+)\\+(\\d+)=$/.exec(prompt);
  return /^\\d+$/.test(answer) && Number(answer) - Number(b) === Number(a);
}`;
const VERIFIERS: Readonly<Record<string, Verifier>> = {
  'the check': checkedBy(CHECK, runProgram, mostVotes),
  'most votes': mostVotes,
  'likeliest to all': likeliestToAll,
};

type Sum = readonly [a: number, b: number];
const SUMS: readonly Sum[] = Array.from({ length: 1000 }, (_, i) => [Math.floor(i / 10), i % 10]);
const order = seededRandom('bench committee', 'sums');
const SHUFFLED = SUMS.map((sum) => ({ sum, at: order.uint32() }))
  .sort((x, y) => x.at - y.at)
  .map(({ sum }) => sum);
const HELD_OUT = SHUFFLED.slice(0, SUMS.length / 5);
const TO_LEARN = SHUFFLED.slice(SUMS.length / 5);

/** What a way to answer came to on one seed's problems. */
interface Measured {
  readonly right: number;
  /** Read and written, for each problem. */
  readonly tokens: number;
}

export async function run({ seeds, steps, problems, temperature }: Values<typeof options>): Promise<Report> {
  const runtime = await createNativeRuntime({ threads: 1 });
  try {
    const measured: Awaited<ReturnType<typeof measureSeed>>[] = [];
    for (let seed = 0; seed < seeds; seed++) {
      measured.push(
        await measureSeed(runtime, { seed: `${seed}`, steps, sums: HELD_OUT.slice(0, problems), temperature }),
      );
    }
    const once = (way: 'greedy' | 'drawn') => measured.map((found) => found.once[way]);
    const verifiers = Object.keys(VERIFIERS).map((name) => {
      const of = measured.map((found) => found.verifiers[name]);
      const against = (other: (i: number) => Measured): Interval =>
        interval95(of.map(({ together }, i) => together.right - other(i).right));
      return {
        name,
        together: of.map(({ together }) => together),
        alone: of.map(({ alone }) => alone),
        times: of.map(({ times }) => times),
        difference: against((i) => of[i].alone),
        /** To the best member's likeliest answer, which takes fewer tokens. */
        difference_greedy: against((i) => once('greedy')[i]),
      };
    });
    const rows = [
      ['best member, once, likeliest', ...shownOf(once('greedy')), '', ''],
      ['best member, once, drawn', ...shownOf(once('drawn')), '', ''],
      ...verifiers.flatMap(({ name, together, alone, times, difference, difference_greedy }) => [
        [`best member, ${mean(times).toFixed(1)} times, ${name}`, ...shownOf(alone), '', ''],
        [`committee, ${name}`, ...shownOf(together), shown(difference), shown(difference_greedy)],
      ]),
    ];
    const heading = ['way to answer', 'right', 'tokens', 'to the best alone', 'to its likeliest'];
    const members = measured.map(({ members }) => members);
    return { data: { members, greedy: once('greedy'), drawn: once('drawn'), verifiers }, text: table(heading, rows) };
  } finally {
    await runtime.close();
  }
}

interface Seed {
  readonly seed: string;
  readonly steps: number;
  readonly sums: readonly Sum[];
  readonly temperature: number;
}

async function measureSeed(runtime: Runtime, { seed, steps, sums, temperature }: Seed) {
  const served: ServedModel[] = [];
  for (const name of NAMES) served.push(await trained(runtime, name, `${seed} ${name}`, steps));
  const server = openAnswerServer(served);
  try {
    const ask = (over: AnswerServer, model: string, heat = temperature) =>
      asked(over, { model, sums, temperature: heat, seed });
    const members: Measured[] = [];
    for (const name of NAMES) members.push(await ask(server, name, 0));
    const best = members.findIndex(({ right }) => right === Math.max(...members.map((member) => member.right)));
    const verifiers: Record<string, { together: Measured; alone: Measured; times: number }> = {};
    for (const [name, verifier] of Object.entries(VERIFIERS)) {
      const over = committee(server, { verifier });
      const together = await ask(over, `committee:${NAMES.join('+')}`);
      let times = NAMES.length;
      let alone = await ask(over, `committee:${NAMES[best]}*${times}`);
      while (alone.tokens < together.tokens && times < SERVING_LIMITS.committee_members) {
        // Tokens go with the answers: most counts that are too small need not be tried.
        const enough = Math.floor((times * together.tokens) / alone.tokens);
        times = Math.min(SERVING_LIMITS.committee_members, Math.max(times + 1, enough));
        alone = await ask(over, `committee:${NAMES[best]}*${times}`);
      }
      verifiers[name] = { together, alone, times };
    }
    const once = { greedy: members[best], drawn: await ask(server, NAMES[best]) };
    return { members: members.map(({ right }) => right), once, verifiers };
  } finally {
    await server.close();
  }
}

/** A model that has learned sums, ready to be served. */
async function trained(runtime: Runtime, name: string, seed: string, steps: number): Promise<ServedModel> {
  const random = seededRandom('bench committee', 'learning', seed);
  const schedule = { total_steps: steps, warmup_steps: steps / 20, learning_rate: 0.01, min_learning_rate: 0.001 };
  const weights = await learn(runtime, MODEL, {
    ...{ batch: BATCH, context: CONTEXT, adamw: ADAMW, first: initialWeights(MODEL, seed), steps },
    batchOf: () => batchOf(Array.from({ length: BATCH }, () => TO_LEARN[random.uint32() % TO_LEARN.length])),
    rateOf: (step) => learningRate(step, schedule),
  });
  const model = { config: MODEL, weights, tokenizer: byteTokenizer(), hash: sha256Hex(utf8(seed)) };
  const engine = await openOwnEngine(runtime, model, { cache_tokens: 8 * ROOM_TOKENS });
  return { engine, name, licence: null, created_ms: 0 };
}

/** A sum a row; line ends behind it. */
function batchOf(sums: readonly Sum[]): Batch {
  const { bos_id, encode } = byteTokenizer();
  const tokens = new Int32Array(sums.length * CONTEXT);
  const targets = new Int32Array(sums.length * CONTEXT);
  for (const [row, [a, b]] of sums.entries()) {
    const ids = [bos_id!, ...encode(`${a}+${b}=${a + b}`.padEnd(CONTEXT, '\n'))];
    tokens.set(ids.slice(0, CONTEXT), row * CONTEXT);
    targets.set(ids.slice(1), row * CONTEXT);
  }
  return { tokens, targets };
}

interface Asking {
  readonly model: string;
  readonly sums: readonly Sum[];
  readonly temperature: number;
  readonly seed: string;
}

/** Asks a model all sums; what it takes is counted as the API counts it. */
async function asked(server: AnswerServer, { model, sums, temperature, seed }: Asking): Promise<Measured> {
  let right = 0;
  let tokens = 0;
  for (const [a, b] of sums) {
    const request = {
      ...{ model, prompt: { kind: 'text' as const, text: `${a}+${b}=` }, written: [], max_tokens: 5, stop: ['\n'] },
      ...{ top_logprobs: null, echo: false, format: { kind: 'text' as const } },
      sampling: {
        ...{ seed: sha256Hex(utf8(`${seed} ${a}+${b}`)), temperature, top_p: 1, logit_bias: [] },
        ...{ presence_penalty: 0, frequency_penalty: 0 },
      },
    };
    const usage = countingUsage([request]);
    let text = '';
    for await (const found of answersOf(server, [request], new AbortController().signal)) {
      usage.note(found);
      if (found.event.kind === 'token' || found.event.kind === 'ended') text += found.event.text;
    }
    if (text === `${a + b}`) right++;
    tokens += usage.total().total_tokens;
  }
  return { right: right / sums.length, tokens: tokens / sums.length };
}

const percent = (share: number): string => (100 * share).toFixed(1);
const shownOf = (found: readonly Measured[]): string[] => {
  const { mean: centre, half } = interval95(found.map(({ right }) => right));
  return [`${percent(centre)} ± ${percent(half)} %`, mean(found.map(({ tokens }) => tokens)).toFixed(1)];
};
const shown = ({ mean, half }: Interval): string => signed({ mean: 100 * mean, half: 100 * half }, 1);
