// Judging served answers: margins of honest engines and quantisations, the limits that follow from them, and what liars come to under these.
import { writeFileSync } from 'node:fs';
import { type BlockKind, weightsInBlocks } from '../model/block-rounding.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { AnswerRequest } from '../serving/answers.ts';
import { limitsFrom } from '../serving/calibration.ts';
import type { Quantisation } from '../serving/engine.ts';
import { openOwnEngine } from '../serving/engine-own.ts';
import { faultOf, type Judged, type JudgingLimits, judgeAnswer, type ServedAnswer } from '../serving/judge-answer.ts';
import { prefixCache } from '../serving/prefix-cache.ts';
import { type ReadyModel, writeAnswer } from '../serving/write-answer.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { type Report, text, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { table } from './report.ts';
import { type TrainedModel, trainModels } from './served-models.ts';

export const options = {
  data: text('text to learn from; otherwise the documentation that npm installed', 'PATH'),
  steps: whole('training steps of the models', { from: 10, to: 100_000, usual: 700, quick: 60 }),
  prompts: whole('prompts, each served under every rule', { from: 2, to: 10_000, usual: 16, quick: 2 }),
  tokens: whole('the most tokens of an answer', { from: 8, to: 200, usual: 119, quick: 24 }),
  out: text('where to write the limits as JSON, as a run publishes them', 'FILE'),
};

export const notes = `A small model is trained, served by each honest engine and by liars, and every answer is judged by one prefill. Limits are taken from the honest answers
of every other prompt; the table says which part of the rest keeps them, and which part of the liars' answers: that is what a lie earns.
Promised and judged are quantisations: weights in blocks of 32 with 8 or 4 bits. A judge may have another quantisation than was promised only where
honest margins are as small. What a liar serves that is what an honest server would have served is not counted. From 300 steps and 100 tokens on the bench fails where less than
99.5 % of honest answers or more than 5 % of a liar's keep the limits.`;

const PROMISE = { honest: 0.995, lies: 0.05 } as const;
/** A model that has learned less, and shorter answers, say nothing about the promise. */
const MEANINGFUL = { steps: 300, tokens: 100 } as const;
const PROMPT_CHARACTERS = 40;
const END_ID = 256;

const RULES = {
  plain: { temperature: 1, top_p: 1, logit_bias: [] },
  nucleus: { temperature: 0.8, top_p: 0.9, logit_bias: [] },
  greedy: { temperature: 0, top_p: 1, logit_bias: [] },
  /** Ends by itself, so that ends are judged, too. */
  ending: { temperature: 1, top_p: 0.95, logit_bias: [[END_ID, 5] as [number, number]] },
} as const;
type RuleName = keyof typeof RULES;

interface Server extends ReadyModel {
  readonly name: string;
  readonly quantisation: Quantisation;
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
    change: (asked) => ({ ...asked, prompt: { kind: 'ids', ids: promptOf(asked).slice(PROMPT_CHARACTERS / 2) } }),
  },
  {
    name: 'no end',
    by: 'promised',
    rules: ['ending'],
    change: (asked) => withSampling(asked, { logit_bias: [[END_ID, -100]] }),
  },
];
const promptOf = ({ prompt }: AnswerRequest): readonly number[] => (prompt.kind === 'ids' ? prompt.ids : []);

/** Which quantisations may judge what was promised: of these the logits are as near as honest engines' among themselves. */
const JUDGES: Readonly<Record<'f32' | 'q8_0' | 'q4_0', readonly Quantisation[]>> = {
  f32: ['f32'],
  q8_0: ['f32', 'q8_0'],
  q4_0: ['q4_0'],
};

interface Row {
  readonly promised: Quantisation;
  readonly judged: Quantisation;
  readonly what: string;
  readonly answers: number;
  readonly kept: number;
  readonly mean_margin: number;
  readonly least: number;
  readonly most: number;
  readonly honest: boolean;
  readonly limits: JudgingLimits;
}

export async function run({ data, steps, prompts, tokens, out }: Values<typeof options>): Promise<Report> {
  const runtimes = [await createNativeRuntime({ threads: 1 }), await createWasmRuntime({ threads: 1 })];
  try {
    const models = await trainModels(runtimes[0], data, steps, (words) => console.error(words));
    const { honest, liars } = await openServers(runtimes, models);
    const requests = requestsFor(models.held_out, prompts, tokens);
    const rows: Row[] = [];
    for (const promised of ['f32', 'q8_0', 'q4_0'] as const) {
      const servers = honest.filter(({ quantisation }) => quantisation === promised);
      for (const judged of JUDGES[promised]) {
        const judges = honest.filter(({ quantisation }) => quantisation === judged);
        rows.push(...(await rowsOf({ promised, judged, servers, judges, liars, requests })));
        console.error(
          `${promised} judged by ${judged}: ${rows.filter((row) => row.promised === promised).length} rows`,
        );
      }
    }
    const limits = rows
      .filter(({ what }) => what === 'honest')
      .map(({ promised, judged, limits }) => ({ promised, judged, ...limits }));
    if (out !== null) writeFileSync(out, `${JSON.stringify(limits, null, 2)}\n`);
    return {
      data: { limits, rows },
      text: reportOf(rows),
      failure: steps >= MEANINGFUL.steps && tokens >= MEANINGFUL.tokens ? failureOf(rows) : null,
    };
  } finally {
    for (const runtime of runtimes) await runtime.close();
  }
}

async function openServers([native, wasm]: Runtime[], models: Awaited<ReturnType<typeof trainModels>>) {
  const open = async (name: string, runtime: Runtime, { config, weights }: TrainedModel, blocks: BlockKind | null) => {
    const model = { config, weights: blocks ? weightsInBlocks(config, weights, blocks) : weights };
    const rest = { tokenizer: byteTokenizer(), hash: sha256Hex() };
    const engine = await openOwnEngine(
      runtime,
      { ...model, ...rest },
      { cache_tokens: 2 * config.max_position_embeddings },
    );
    return { name, quantisation: blocks ?? 'f32', engine, prefixes: prefixCache(engine) } satisfies Server;
  };
  const { model, earlier, smaller } = models;
  const honest: Server[] = [
    await open('own', native, model, null),
    await open('own, WASM', wasm, model, null),
    await open('own', native, model, 'q8_0'),
    await open('own, WASM', wasm, model, 'q8_0'),
    await open('own', native, model, 'q4_0'),
    await open('own, WASM', wasm, model, 'q4_0'),
  ];
  const liars = {
    earlier: await open('earlier', native, earlier, null),
    smaller: await open('smaller', native, smaller, null),
  };
  return { honest, liars: { ...liars, q4_0: honest[4] } };
}

type Asked = { readonly rule: RuleName; readonly request: AnswerRequest };

function requestsFor(text: string, prompts: number, max_tokens: number): Asked[] {
  const bytes = byteTokenizer();
  const stride = Math.floor((text.length - PROMPT_CHARACTERS) / prompts);
  return Array.from({ length: prompts }, (_, i) =>
    (Object.keys(RULES) as RuleName[]).map((rule) => {
      const prompt = Array.from(bytes.encode(text.slice(i * stride, i * stride + PROMPT_CHARACTERS), false));
      const sampling = {
        presence_penalty: 0,
        frequency_penalty: 0,
        ...RULES[rule],
        seed: `${i}`,
        logit_bias: [...RULES[rule].logit_bias],
      };
      const request: AnswerRequest = {
        ...{
          model: 'bench',
          prompt: { kind: 'ids', ids: [END_ID, ...prompt] },
          written: [],
          max_tokens,
          stop: [],
          sampling,
        },
        ...{ top_logprobs: 0, echo: false, format: { kind: 'text' } },
      };
      return { rule, request };
    }),
  ).flat();
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
  readonly promised: Quantisation;
  readonly judged: Quantisation;
  readonly servers: readonly Server[];
  readonly judges: readonly Server[];
  readonly liars: Readonly<Record<'earlier' | 'smaller' | 'q4_0', Server>>;
  readonly requests: readonly Asked[];
}

/** One pair of quantisations: the honest answers, whose first half gives the limits, and each lie. */
async function rowsOf({ promised, judged, servers, judges, liars, requests }: Trial): Promise<Row[]> {
  const halves: [Judged[], Judged[]] = [[], []];
  const right: string[] = [];
  for (const [i, { request }] of requests.entries()) {
    const half = halves[Math.floor(i / Object.keys(RULES).length) % 2];
    for (const server of servers) {
      const answer = await serve(server, request);
      if (server === servers[0]) right.push(answer.ids.join());
      for (const judge of judges) half.push(await judgeAnswer(judge, request, answer, never));
    }
  }
  const limits = limitsFrom(halves[0]);
  const row = (what: string, list: readonly Judged[], honest: boolean): Row => {
    const means = list.map(({ tally }) => tally.margin / Math.max(1, tally.draws)).sort((a, b) => a - b);
    const kept = list.filter((one) => faultOf(one, limits) === null).length;
    const mean_margin = means.reduce((sum, mean) => sum + mean, 0) / means.length;
    const range = { least: means[0], most: means.at(-1)! };
    return {
      promised,
      judged,
      what,
      answers: list.length,
      kept: kept / list.length,
      mean_margin,
      ...range,
      honest,
      limits,
    };
  };
  const rows = [row('honest', halves[1], true)];
  for (const { name, by, rules, change = (asked: AnswerRequest) => asked } of LIES) {
    if (by === promised) continue;
    const liar = by === 'promised' ? servers[0] : liars[by];
    const found: Judged[] = [];
    for (const [i, { rule, request }] of requests.entries()) {
      if (rules && !rules.includes(rule)) continue;
      const { logprobs: _, ...answer } = await serve(liar, change(request));
      if (answer.ids.join() === right[i]) continue;
      // What it says of its logprobs would be the judge's own: who lies can read them off the promised model.
      found.push(await judgeAnswer(judges[0], request, answer, never));
    }
    if (found.length > 0) rows.push(row(name, found, false));
  }
  return rows;
}

const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;

function reportOf(rows: readonly Row[]): string {
  const cells = rows.map(({ promised, judged, what, answers, kept, mean_margin, least, most }) => [
    ...[`${promised} → ${judged}`, what, String(answers), percent(kept)],
    ...[mean_margin, least, most].map((value) => value.toFixed(5)),
  ]);
  const limits = rows
    .filter(({ honest }) => honest)
    .map(({ promised, judged, limits }) => `${promised} → ${judged}: ${JSON.stringify(limits)}`);
  const head = ['promised → judged', 'served', 'answers', 'kept the limits', 'mean margin', 'least', 'most'];
  return `${table(head, cells)}\n\n${limits.join('\n')}`;
}

function failureOf(rows: readonly Row[]): BenchError | null {
  const broken = rows.find(({ honest, kept }) => (honest ? kept < PROMISE.honest : kept > PROMISE.lies));
  if (!broken) return null;
  const { promised, judged, what, kept } = broken;
  return new BenchError(
    'bound-broken',
    `${promised} judged by ${judged}: ${percent(kept)} of "${what}" kept the limits`,
  );
}
