// Tasks with short answers, generated, of several kinds: what each member of a committee learns from, and what all are asked.
import { byteTokenizer } from '../model/tokenizer.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import type { Batch } from '../training/inner.ts';

export interface Task {
  readonly kind: number;
  readonly question: string;
  readonly answer: string;
}

/** A kind of tasks. */
interface Kind {
  readonly name: string;
  /** All of its questions, each with its answer. */
  all(): Iterable<readonly [question: string, answer: number]>;
}

/** Tokens of a lesson: a beginning, a question, its answer, and line ends. */
export const LESSON_TOKENS = 10;
const ONE_HELD_OUT_OF = 5;

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

export const KINDS: readonly Kind[] = [
  {
    name: 'adding',
    *all() {
      for (const a of range(0, 100)) for (const b of range(0, 10)) yield [`${a}+${b}=`, a + b];
    },
  },
  {
    name: 'adding thrice',
    *all() {
      for (const a of range(0, 10))
        for (const b of range(0, 10)) for (const c of range(0, 10)) yield [`${a}+${b}+${c}=`, a + b + c];
    },
  },
  {
    name: 'taking away',
    *all() {
      for (const a of range(10, 100)) for (const b of range(0, 10)) yield [`${a}-${b}=`, a - b];
    },
  },
  {
    name: 'multiplying',
    *all() {
      for (const a of range(0, 100)) for (const b of range(1, 4)) yield [`${a}*${b}=`, a * b];
    },
  },
  {
    name: 'the greater',
    *all() {
      for (const a of range(10, 100)) for (const b of range(10, 100)) yield [`${a}>${b}=`, Math.max(a, b)];
    },
  },
  {
    name: 'counting',
    *all() {
      for (const number of range(0, 3 ** 7)) {
        const text = [...number.toString(3).padStart(7, '0')].map((digit) => 'xoz'[Number(digit)]);
        yield [`${text.join('')}=`, text.filter((one) => one === 'x').length];
      }
    },
  },
];

/** Tasks that are learned from, and those that are kept for the measurement, kind by kind; the order is that of a seeded shuffle. */
export const [TO_LEARN, HELD_OUT] = divided();

function divided(): [Task[][], Task[][]] {
  const shuffled = KINDS.map(({ name, all }, kind) => {
    const random = seededRandom('bench committee', name);
    return [...all()]
      .map(([question, answer]) => ({ task: { kind, question, answer: `${answer}` }, at: random.uint32() }))
      .sort((x, y) => x.at - y.at)
      .map(({ task }) => task);
  });
  const part = (tasks: readonly Task[]): number => Math.floor(tasks.length / ONE_HELD_OUT_OF);
  return [shuffled.map((tasks) => tasks.slice(part(tasks))), shuffled.map((tasks) => tasks.slice(0, part(tasks)))];
}

/** The shares of the kinds of which some make up `share` of all lessons. */
export const sharesOf = (own: readonly number[], share: number): number[] =>
  KINDS.map((_, kind) => (own.includes(kind) ? share / own.length : (1 - share) / (KINDS.length - own.length)));

/** A task to learn from, of a kind drawn by `shares`, which sum to 1. */
export function drawTask(random: Random, shares: readonly number[]): Task {
  let left = random.uint32() / 2 ** 32;
  const kind = shares.findIndex((share) => {
    left -= share;
    return left < 0;
  });
  const tasks = TO_LEARN.at(kind)!;
  return tasks[random.below(tasks.length)];
}

/** Says whether an answer is right from the question alone, kind by kind. */
export const CHECK = `({ prompt, answer }) => {
  const question = prompt.slice(0, -1);
  if (!/^\\d+$/.test(answer)) return false;
  if (/^[xoz]+$/.test(question)) return Number(answer) === question.split('x').length - 1;
  const [, sign] = /^\\d+(.)/.exec(question);
  const [a, b, c = 0] = question.split(sign).map(Number);
  if (sign === '+') return Number(answer) - c - b === a;
  if (sign === '-') return Number(answer) + b === a;
  if (sign === '*') return Number(answer) / b === a;
  return Number(answer) === Math.max(a, b);
}`;

/** A text a row behind a beginning of text; line ends fill the row, and what is too long is cut. */
export function lessonBatch(texts: readonly string[], length: number): Batch {
  const { bos_id, encode } = byteTokenizer();
  const tokens = new Int32Array(texts.length * length);
  const targets = new Int32Array(texts.length * length);
  for (const [row, text] of texts.entries()) {
    const ids = [bos_id!, ...encode(text.padEnd(length, '\n'))];
    tokens.set(ids.slice(0, length), row * length);
    targets.set(ids.slice(1, length + 1), row * length);
  }
  return { tokens, targets };
}
