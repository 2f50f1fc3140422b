// Judging served answers: margins of honest engines and quantisations, the limits that follow from them, and what liars come to under these.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256Hex } from '../protocol/hash.ts';
import { seededRandom } from '../protocol/random.ts';
import type { AnswerRequest } from '../serving/answers.ts';
import { limitsFrom } from '../serving/calibration.ts';
import type { Engine } from '../serving/engine.ts';
import { openLlamaEngine } from '../serving/engine-llama.ts';
import { openOwnEngine } from '../serving/engine-own.ts';
import { faultOf, type Judged, type JudgingLimits, judgeAnswer, type ServedAnswer } from '../serving/judge-answer.ts';
import { missingLlama } from '../serving/llama-package.ts';
import { prefixCache } from '../serving/prefix-cache.ts';
import { writeGguf } from '../serving/testing/engine-models.ts';
import { type ReadyModel, writeAnswer } from '../serving/write-answer.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { mean } from '../training/statistics.ts';
import { type Report, text, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { table } from './report.ts';
import { answersUntilOut, earnedInMonth, monthsKept } from './serve-limits-month.ts';
import { modelsOfFolder, type ServedModels, type TrainedModel, trainModels } from './served-models.ts';

export const options = {
  data: text('text to learn from; otherwise the documentation that npm installed', 'PATH'),
  model: text(
    'the folder of a model to measure, as potluck export writes it; otherwise a small one is trained here',
    'FOLDER',
  ),
  steps: whole('training steps of the models', { from: 10, to: 100_000, usual: 700, quick: 60 }),
  prompts: whole('prompts, each served under one of four rules in turn', { from: 8, to: 10_000, usual: 112, quick: 8 }),
  months: whole('months of honest devices that are drawn from the answers', {
    from: 1,
    to: 100_000,
    usual: 400,
    quick: 20,
  }),
  tokens: whole('the most tokens of an answer', { from: 8, to: 200, usual: 119, quick: 24 }),
  out: text('where to write the limits as JSON, as a run publishes them', 'FILE'),
};

export const notes = `A small model is trained, or the one of --model taken, served by each honest engine and by liars, and every answer is judged by one prefill. Limits are taken from the honest answers
of every other four prompts; the table says which part of the rest keeps them one by one, and which part of honest devices is not found by the sum of their margins in a month of 10,000 judged answers.
Of a lie it says which part of its answers a single judgement lets pass, after how many answers on average a device that always lies is out, by one answer or by the sum of all, and what part of an honest device's month
it is paid for when it comes back again and again: all of its answers are judged then, and it is out for twice as long each time.
Promised and judged are quantisations: weights in blocks of 32 with 8 or 4 bits. A judge may have another quantisation than was promised only where
honest margins are as small. What a liar serves that is what an honest server would have served is not counted. From 300 steps, 100 tokens and 100 prompts on the bench fails where less than
99.5 % of honest answers or of honest devices' months keep the limits, or a liar is paid for more than 5 % of a month.`;

const PROMISE = { honest: 0.995, lies: 0.05 } as const;
/** A model that has learned less, and shorter or fewer answers, say nothing about the promise. */
const MEANINGFUL = { steps: 300, tokens: 100, prompts: 100 } as const;
const PROMPT_CHARACTERS = 40;

const RULES = {
  plain: { temperature: 1, top_p: 1 },
  nucleus: { temperature: 0.8, top_p: 0.9 },
  greedy: { temperature: 0, top_p: 1 },
  /** Ends by itself, so that ends are judged, too. */
  ending: { temperature: 1, top_p: 0.95, end_bias: 5 },
} as const satisfies Record<string, { temperature: number; top_p: number; end_bias?: number }>;
type RuleName = keyof typeof RULES;

interface Server extends ReadyModel {
  readonly name: string;
  readonly quantisation: Promised;
}

/** What a liar makes of a request before it serves it, by a model of its own or the promised one. */
interface Lie {
  readonly name: string;
  readonly by: 'promised' | 'earlier' | 'smaller' | 'q4_0';
  readonly rules?: readonly RuleName[];
  change?(request: AnswerRequest): AnswerRequest;
}
const withSampling = (request: AnswerRequest, change: Partial<AnswerRequest['sampling']>): AnswerRequest => ({
  ...request,
  sampling: { ...request.sampling, ...change },
});
const DRAWN: readonly RuleName[] = ['plain', 'nucleus', 'ending'];
const LIES: readonly Lie[] = [
  { name: 'four bits', by: 'q4_0' },
  { name: 'an earlier version', by: 'earlier' },
  { name: 'a smaller model', by: 'smaller' },
  { name: 'another seed', by: 'promised', rules: DRAWN, change: (asked) => withSampling(asked, { seed: 'mine' }) },
  { name: 'top_p ignored', by: 'promised', rules: ['nucleus'], change: (asked) => withSampling(asked, { top_p: 1 }) },
  {
    name: 'half the prompt',
    by: 'promised',
    change: (asked) => ({ ...asked, prompt: { kind: 'ids', ids: secondHalf(promptOf(asked)) } }),
  },
  {
    name: 'no end',
    by: 'promised',
    rules: ['ending'],
    change: (asked) =>
      withSampling(asked, { logit_bias: asked.sampling.logit_bias.map(([id]): [number, number] => [id, -100]) }),
  },
];
const secondHalf = (ids: readonly number[]): number[] => ids.slice(Math.floor(ids.length / 2));
const promptOf = ({ prompt }: AnswerRequest): readonly number[] => (prompt.kind === 'ids' ? prompt.ids : []);

/** Which quantisations may judge what was promised: of these the logits are as near as honest engines' among themselves. */
const PROMISED = ['f32', 'q8_0', 'q4_0'] as const;
type Promised = (typeof PROMISED)[number];
const JUDGES: Readonly<Record<Promised, readonly Promised[]>> = {
  f32: ['f32'],
  q8_0: ['f32', 'q8_0'],
  q4_0: ['q4_0'],
};

interface Row {
  readonly promised: Promised;
  readonly judged: Promised;
  readonly what: string;
  readonly answers: number;
  /** The part of the answers that keep the limits one by one. */
  readonly kept: number;
  /** Of an honest device: the part of months in which the sum does not find it. */
  readonly months_kept: number | null;
  /** Of a liar: after how many judged answers it is out; null: never. And which part of a month it is paid for. */
  readonly out_after: number | null;
  readonly earned: number | null;
  readonly mean_margin: number;
  readonly least: number;
  readonly most: number;
  readonly honest: boolean;
  readonly limits: JudgingLimits;
}

export async function run({
  data,
  model,
  steps,
  prompts,
  months,
  tokens,
  out,
}: Values<typeof options>): Promise<Report> {
  const runtimes = [await createNativeRuntime({ threads: 1 }), await createWasmRuntime({ threads: 1 })];
  const folder = mkdtempSync(join(tmpdir(), 'potluck-serve-limits-'));
  const opened: Server[] = [];
  try {
    const models =
      model === null
        ? await trainModels(runtimes[0], data, steps, (words) => console.error(words))
        : await modelsOfFolder(model, data);
    const { servers, liars } = await openServers(runtimes, models, folder);
    opened.push(...servers, ...[liars.earlier, liars.smaller].filter((one) => one !== null));
    const requests = requestsFor(models, prompts, tokens);
    const served = remembering();
    const rows: Row[] = [];
    for (const promised of PROMISED) {
      for (const judged of JUDGES[promised]) {
        rows.push(...(await rowsOf({ promised, judged, servers, liars, requests, served, months })));
        console.error(`${promised} judged by ${judged}: done`);
      }
    }
    const honest = rows.filter((row) => row.honest);
    const limits = honest.map((row) => ({ promised: row.promised, judged: row.judged, ...row.limits }));
    if (out !== null) writeFileSync(out, `${JSON.stringify(limits, null, 2)}\n`);
    const { steps: learned, tokens: long, prompts: many } = MEANINGFUL;
    const meaningful = (model !== null || steps >= learned) && tokens >= long && prompts >= many;
    const classes = servers.map(({ engine }) => engine.class);
    return { data: { limits, rows, classes }, text: reportOf(rows), failure: meaningful ? failureOf(rows) : null };
  } finally {
    for (const { engine } of opened) await engine.close();
    for (const runtime of runtimes) await runtime.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The honest engines that this machine has, and what liars serve with. */
async function openServers(
  runtimes: readonly Runtime[],
  { model, earlier, smaller, tokenizer }: ServedModels,
  folder: string,
) {
  const rest = { tokenizer, hash: sha256Hex() };
  const ready = (name: string, quantisation: Promised, engine: Engine): Server => {
    return { name, quantisation, engine, prefixes: prefixCache(engine) };
  };
  const own = async (runtime: Runtime, { config, weights }: TrainedModel, quantisation: Promised = 'f32') => {
    const options = { cache_tokens: 2 * config.max_position_embeddings, quantisation };
    return ready(
      `own, ${runtime.class}`,
      quantisation,
      await openOwnEngine(runtime, { config, weights, ...rest }, options),
    );
  };
  const servers: Server[] = [];
  for (const quantisation of PROMISED) {
    for (const runtime of runtimes) servers.push(await own(runtime, model, quantisation));
    if (missingLlama() !== null) continue;
    const path = join(folder, `${quantisation}.gguf`);
    await writeGguf(path, { ...model, ...rest }, quantisation);
    servers.push(ready('llama.cpp', quantisation, await openLlamaEngine(path, { hash: rest.hash, sequences: 2 })));
  }
  const four = servers.find(({ quantisation }) => quantisation === 'q4_0')!;
  const liarWith = async (other: TrainedModel | null) => (other ? await own(runtimes[0], other) : null);
  const liars = { earlier: await liarWith(earlier), smaller: await liarWith(smaller), q4_0: four };
  return { servers, liars };
}

/** `half`: limits are taken from answers to the one half, and looked at with those to the other; both have all rules. */
type Asked = { readonly rule: RuleName; readonly half: number; readonly request: AnswerRequest };

function requestsFor({ held_out: text, tokenizer }: ServedModels, prompts: number, max_tokens: number): Asked[] {
  const end_id = tokenizer.eos_id!;
  const stride = Math.floor((text.length - PROMPT_CHARACTERS) / prompts);
  const rules = Object.keys(RULES) as RuleName[];
  return Array.from({ length: prompts }, (_, i) => {
    const rule = rules[i % rules.length];
    const prompt = Array.from(tokenizer.encode(text.slice(i * stride, i * stride + PROMPT_CHARACTERS), false));
    const { temperature, top_p, end_bias }: (typeof RULES)[RuleName] & { readonly end_bias?: number } = RULES[rule];
    const logit_bias: [number, number][] = end_bias === undefined ? [] : [[end_id, end_bias]];
    const sampling = { temperature, top_p, presence_penalty: 0, frequency_penalty: 0, seed: `${i}`, logit_bias };
    const request: AnswerRequest = {
      ...{
        model: 'bench',
        prompt: { kind: 'ids', ids: [tokenizer.bos_id ?? end_id, ...prompt] },
        written: [],
        max_tokens,
        stop: [],
      },
      ...{ sampling, top_logprobs: 0, echo: false, format: { kind: 'text' } },
    };
    return { rule, half: Math.floor(i / rules.length) % 2, request };
  });
}

const never = new AbortController().signal;

async function serve(by: ReadyModel, request: AnswerRequest): Promise<ServedAnswer> {
  const ids: number[] = [];
  const logprobs: number[] = [];
  for await (const event of writeAnswer(by, request, never)) {
    if (event.kind === 'token') {
      ids.push(event.id);
      logprobs.push(event.logprob!.logprob);
    }
    if (event.kind === 'ended') {
      const reason = event.reason === 'length' ? 'length' : 'stop';
      // No logprob is sent of an end token, so none is compared where one ended the answer.
      return event.end_id === null ? { ids, reason, logprobs } : { ids: [...ids, event.end_id], reason };
    }
  }
  throw new BenchError('engine-failed', 'an answer had no end');
}

interface Trial {
  readonly promised: Promised;
  readonly judged: Promised;
  readonly servers: readonly Server[];
  readonly liars: Readonly<Record<'earlier' | 'smaller' | 'q4_0', Server | null>>;
  readonly requests: readonly Asked[];
  readonly months: number;
  /** Serves each request once by each server, whoever judges it. */
  readonly served: (by: Server, request: AnswerRequest) => Promise<ServedAnswer>;
}

/** One pair of quantisations: the honest answers, of which those of one half give the limits, and each lie. */
async function rowsOf({ promised, judged, servers, liars, requests, served, months }: Trial): Promise<Row[]> {
  const honest = servers.filter(({ quantisation }) => quantisation === promised);
  const judges = servers.filter(({ quantisation }) => quantisation === judged);
  const halves: [Judged[], Judged[]] = [[], []];
  for (const { request, half } of requests) {
    for (const server of honest) {
      const answer = await served(server, request);
      for (const judge of judges) halves[half].push(await judgeAnswer(judge, request, answer, never));
    }
  }
  const limits = limitsFrom(halves[0]);
  const row = (what: string, list: readonly Judged[], is_honest: boolean): Row => {
    const means = list.map(({ tally }) => tally.margin / Math.max(1, tally.draws)).sort((a, b) => a - b);
    const kept = list.filter((one) => faultOf(one, limits) === null).length;
    const part = { answers: list.length, kept: kept / list.length, honest: is_honest, mean_margin: mean(means) };
    const out_after = is_honest ? null : answersUntilOut(list, limits);
    const month = is_honest
      ? { months_kept: monthsKept(list, limits, months, seededRandom('serve-limits', promised, judged)), earned: null }
      : { months_kept: null, earned: earnedInMonth(out_after) };
    return { promised, judged, what, ...part, out_after, ...month, least: means[0], most: means.at(-1)!, limits };
  };
  const rows = [row('honest', halves[1], true)];
  for (const { name, by, rules, change = (asked: AnswerRequest) => asked } of LIES) {
    const liar = by === 'promised' ? honest[0] : liars[by];
    if (by === promised || liar === null) continue;
    const found: Judged[] = [];
    for (const { rule, request } of requests) {
      if (rules && !rules.includes(rule)) continue;
      const { logprobs: _, ...answer } = await served(liar, change(request));
      if (answer.ids.join() === (await served(honest[0], request)).ids.join()) continue;
      // What it says of its logprobs would be the judge's own: who lies can read them off the promised model.
      found.push(await judgeAnswer(judges[0], request, answer, never));
    }
    if (found.length > 0) rows.push(row(name, found, false));
  }
  return rows;
}

/** Serves, and remembers what it has served. */
function remembering(): Trial['served'] {
  const known = new Map<Server, Map<string, Promise<ServedAnswer>>>();
  return (by, request) => {
    const answers = known.get(by) ?? new Map<string, Promise<ServedAnswer>>();
    known.set(by, answers);
    const key = JSON.stringify(request);
    const answer = answers.get(key) ?? serve(by, request);
    answers.set(key, answer);
    return answer;
  };
}

const percent = (part: number, digits = 1): string => `${(100 * part).toFixed(digits)} %`;

function reportOf(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    ...[`${row.promised} → ${row.judged}`, row.what, String(row.answers), percent(row.kept)],
    ...[row.months_kept === null ? '' : percent(row.months_kept)],
    ...(row.honest ? ['', ''] : [row.out_after?.toFixed(1) ?? 'never', percent(row.earned!, 2)]),
    ...[row.mean_margin, row.least, row.most].map((value) => value.toFixed(5)),
  ]);
  const limits = rows
    .filter(({ honest }) => honest)
    .map(({ promised, judged, limits }) => `${promised} → ${judged}: ${JSON.stringify(limits)}`);
  const head = [
    ...['promised → judged', 'served', 'answers', 'kept one by one', 'months kept', 'out after', 'earned in a month'],
    ...['mean margin', 'least', 'most'],
  ];
  return `${table(head, cells)}\n\n${limits.join('\n')}`;
}

function failureOf(rows: readonly Row[]): BenchError | null {
  const isBroken = ({ honest, kept, months_kept, earned }: Row): boolean =>
    honest ? Math.min(kept, months_kept!) < PROMISE.honest : earned! > PROMISE.lies;
  const broken = rows.find(isBroken);
  if (!broken) return null;
  const { promised, judged, what, kept, months_kept, earned } = broken;
  const where = `${promised} judged by ${judged}, "${what}"`;
  return new BenchError(
    'bound-broken',
    earned === null
      ? `${where}: ${percent(kept)} of the answers and ${percent(months_kept!)} of the months kept the limits`
      : `${where}: paid for ${percent(earned)} of a month`,
  );
}
