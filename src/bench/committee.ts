// Committees: three small models that have learned different mixtures of tasks answer together, beside the best of them alone with as many tokens.
import { runProgram } from '../games/programs/node-programs.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import type { AnswerServer } from '../serving/answers.ts';
import { answersOf } from '../serving/api/choices.ts';
import { countingUsage } from '../serving/api/usage.ts';
import { committee } from '../serving/committee.ts';
import { checkedBy, mostVotes, scoredBy, surestVotes, type Verifier } from '../serving/committee-verifiers.ts';
import { SERVING_LIMITS } from '../serving/limits.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { mean } from '../training/statistics.ts';
import { decimal, type Report, text, type Values, whole } from './bench.ts';
import { AT_ONCE, asked, NAMES, type Trainings, trainedModels } from './committee-models.ts';
import { CHECK, HELD_OUT, KINDS, type Task } from './committee-tasks.ts';
import { type Interval, interval95, keptResults, signed, table } from './report.ts';

export const options = {
  first: whole('the number of the first committee', { from: 0, to: 1_000_000, usual: 0 }),
  seeds: whole('committees, each of three models of its own', { from: 1, to: 50, usual: 4, quick: 1 }),
  steps: whole('steps of training of each member, and of the scorer', { from: 1, to: 100_000, usual: 700, quick: 10 }),
  graded: whole('questions of each kind to which the scorer learns grades', { from: 1, to: 180, usual: 100, quick: 2 }),
  keep: text('a file for finished committees, which another call with the same options does not repeat', 'FILE'),
  problems: whole('held-out questions of each kind', { from: 1, to: 60, usual: 15, quick: 1 }),
  temperature: decimal('at which answers are drawn', { from: 0, to: 2, usual: 0.7 }),
};

export const notes = `Tasks are of six kinds (12+7=, 3+4+5=, 52-7=, 38*2=, 47>52=, xooxzxo=), of each of which a fifth is held out. A member's lessons are nine in ten of
two kinds of its own; all members are of one size and have read as many tokens. The best member is the one whose likeliest answers are best on the same
problems, which favours it; it answers as often as it takes to use the committee's tokens within two hundredths, read and written, the verifier's included, under the
same verifier. "The model of all kinds" has learned every kind alike, with the tokens of all members together. Intervals are those of
95 %, by seed. The check computes from the question, so it never takes a wrong answer: with it the question is only whether any draft was right.`;

/** A member alone has as many tokens as the committee with this part of them: another answer would overshoot by far more. */
const SAME_TOKENS = 0.98;
const COMMITTEE = `committee:${NAMES.join('+')}`;
const ALL = 'all';

/** What a way to answer came to on one seed's problems. */
interface Measured {
  readonly right: number;
  /** Read and written, for each problem. */
  readonly tokens: number;
  /** The part that is right, by kind. */
  readonly kinds: readonly number[];
}

export async function run({
  first,
  seeds,
  problems,
  keep,
  steps,
  graded,
  temperature,
}: Values<typeof options>): Promise<Report> {
  const runtime = await createNativeRuntime({ threads: 1 });
  const kept = keptResults<Found>(keep);
  try {
    const found: Found[] = [];
    for (let seed = first; seed < first + seeds; seed++) {
      const asked = { steps, graded, temperature, seed: `${seed}` };
      const tasks = HELD_OUT.map((of) => of.slice(0, problems));
      found.push(await kept(JSON.stringify({ ...asked, problems }), () => measureSeed(runtime, asked, tasks)));
    }
    return reportOf(found);
  } finally {
    await runtime.close();
  }
}

/** What one seed's committee came to, and the ways to answer beside it. */
interface Found {
  readonly members: readonly Measured[];
  readonly best: number;
  /** The model of all kinds, its likeliest answer once and several answers with the check. */
  readonly all: { readonly once: Measured; readonly checked: Measured };
  readonly ways: Readonly<Record<string, Way>>;
}

/** A verifier with the committee, and with its best member as often as it takes to use as many tokens. */
interface Way {
  readonly together: Measured;
  readonly alone: Measured;
  readonly times: number;
}

async function measureSeed(runtime: Runtime, training: Trainings, problems: readonly Task[][]): Promise<Found> {
  const { server, scorer } = await trainedModels(runtime, training);
  const { seed, temperature } = training;
  const ask = (over: AnswerServer, model: string, heat = temperature) =>
    measured(over, { model, problems, temperature: heat, seed });
  try {
    const members: Measured[] = [];
    for (const name of NAMES) members.push(await ask(server, name, 0));
    const best = members.findIndex(({ right }) => right === Math.max(...members.map((member) => member.right)));
    const check = checkedBy(CHECK, runProgram, surestVotes);
    const verifiers: Readonly<Record<string, Verifier>> = {
      'the check': check,
      'the scorer': scoredBy(scorer, surestVotes),
      'surest votes': surestVotes,
      'most votes': mostVotes,
    };
    const ways: Record<string, Way> = {};
    for (const [name, verifier] of Object.entries(verifiers)) {
      const over = committee(server, { verifier });
      const together = await ask(over, COMMITTEE);
      ways[name] = { together, ...(await asOften((model) => ask(over, model), NAMES[best], together.tokens)) };
    }
    const several = await ask(committee(server, { verifier: check }), `committee:${ALL}*${NAMES.length}`);
    return { members, best, all: { once: await ask(server, ALL, 0), checked: several }, ways };
  } finally {
    await Promise.all([server.close(), scorer.close()]);
  }
}

/** One member several times, until it has used as many tokens. */
async function asOften(ask: (model: string) => Promise<Measured>, name: string, tokens: number) {
  let times = NAMES.length;
  let alone = await ask(`committee:${name}*${times}`);
  while (alone.tokens < SAME_TOKENS * tokens && times < SERVING_LIMITS.committee_members) {
    // Tokens go with the answers: most counts that are too small need not be tried.
    const enough = Math.floor((times * tokens * SAME_TOKENS) / alone.tokens);
    times = Math.min(SERVING_LIMITS.committee_members, Math.max(times + 1, enough));
    alone = await ask(`committee:${name}*${times}`);
  }
  return { alone, times };
}

interface Asking {
  readonly model: string;
  readonly problems: readonly (readonly Task[])[];
  readonly temperature: number;
  readonly seed: string;
}

/** Asks a model all problems; what it takes is counted as the API counts it. */
async function measured(server: AnswerServer, { model, problems, temperature, seed }: Asking): Promise<Measured> {
  const rights = KINDS.map(() => 0);
  let tokens = 0;
  const left = problems.flat().values();
  const askNext = async (): Promise<void> => {
    for (const { kind, question, answer } of left) {
      const prompt = { kind: 'text' as const, text: question };
      const request = { ...asked(sha256Hex(utf8(`${seed} ${question}`)), temperature), model, prompt };
      const usage = countingUsage([request]);
      let text = '';
      for await (const found of answersOf(server, [request], new AbortController().signal)) {
        usage.note(found);
        if (found.event.kind === 'token' || found.event.kind === 'ended') text += found.event.text;
      }
      if (text === answer) rights[kind]++;
      tokens += usage.total().total_tokens;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, askNext));
  const kinds = rights.map((right, kind) => right / problems[kind].length);
  return { right: mean(kinds), tokens: tokens / problems.flat().length, kinds };
}

function reportOf(found: readonly Found[]): Report {
  const best = found.map(({ members, best }) => members[best]);
  const known = found.map(({ members }) => bestOfEachKind(members));
  const all = { once: found.map(({ all }) => all.once), checked: found.map(({ all }) => all.checked) };
  const verifiers = Object.keys(found[0].ways).map((name) => {
    const of = found.map(({ ways }) => ways[name]);
    const against = (other: (i: number) => Measured): Interval =>
      interval95(of.map(({ together }, i) => together.right - other(i).right));
    return {
      name,
      together: of.map(({ together }) => together),
      alone: of.map(({ alone }) => alone),
      times: of.map(({ times }) => times),
      difference: against((i) => of[i].alone),
      /** To the best member's likeliest answer, once, which takes fewer tokens. */
      difference_once: against((i) => best[i]),
    };
  });
  const rows = [
    ['best member, once, likeliest', ...shownOf(best), '', ''],
    ...verifiers.flatMap(({ name, together, alone, times, difference, difference_once }) => [
      [`best member, ${mean(times).toFixed(1)} times, ${name}`, ...shownOf(alone), '', ''],
      [`committee, ${name}`, ...shownOf(together), shown(difference), shown(difference_once)],
    ]),
    ['best member of each kind, once, likeliest', ...shownOf(known), '', ''],
    ['model of all kinds, once, likeliest', ...shownOf(all.once), '', ''],
    [`model of all kinds, ${NAMES.length} times, the check`, ...shownOf(all.checked), '', ''],
  ];
  const heading = ['way to answer', 'right', 'tokens', 'to the best alone', 'to its likeliest'];
  const data = {
    kinds: KINDS.map(({ name }) => name),
    members: found.map(({ members }) => members),
    best,
    known,
    all,
    verifiers,
  };
  return { data, text: table(heading, rows) };
}

/** Who knows which member is best at a kind asks only that one. */
function bestOfEachKind(members: readonly Measured[]): Measured {
  const kinds = KINDS.map((_, kind) => Math.max(...members.map((member) => member.kinds[kind])));
  return { right: mean(kinds), tokens: mean(members.map(({ tokens }) => tokens)), kinds };
}

const percent = (share: number): string => (100 * share).toFixed(1);
const shownOf = (found: readonly Measured[]): string[] => {
  const { mean: centre, half } = interval95(found.map(({ right }) => right));
  return [`${percent(centre)} ± ${percent(half)} %`, mean(found.map(({ tokens }) => tokens)).toFixed(1)];
};
const shown = ({ mean, half }: Interval): string => signed({ mean: 100 * mean, half: 100 * half }, 1);
