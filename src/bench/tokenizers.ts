// Tokenizing: megabytes of text per second of CPU time, by the kind of tokenizer.json, compared with Hugging Face's Rust library if a Python has it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KINDS, tokenizerJson } from '../model/testing/vocabulary.ts';
import { type Tokenizer, tokenizerFromJson } from '../model/tokenizer.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import { decimal, type Report, text, type Values } from './bench.ts';
import { BenchError } from './errors.ts';
import { cpuSecondsOf, table } from './report.ts';

export const options = {
  mb: decimal('megabytes of text', { from: 0.001, to: 1000, usual: 4 }),
  python: text("a Python with Hugging Face's tokenizers, to measure them as well on one thread", 'PATH'),
};

export const notes = `The text is of words that are drawn by Zipf's law from 60,000, with capitals, digits and signs; "without spaces" is the same text without its
spaces. Vocabularies have some 20,000 tokens made of its words. Documents have about 10,000 characters. Time is processor time.`;

const DOCUMENT_CHARACTERS = 10_000;

interface Measured {
  readonly kind: string;
  readonly text: string;
  readonly tokens: number;
  readonly mb_per_cpu_second: number;
  readonly rust_mb_per_cpu_second: number | null;
}

export async function run({ mb, python }: Values<typeof options>): Promise<Report> {
  const words = someWords(seededRandom('bench tokenizers', 'words'));
  const texts = { words: someText(words, mb * 1e6), 'without spaces': '' };
  texts['without spaces'] = texts.words.replaceAll(' ', '');
  const measured: Measured[] = [];
  for (const kind of KINDS) {
    const json = tokenizerJson(kind, words);
    const tokenizer = tokenizerFromJson(json);
    for (const [name, text] of Object.entries(texts)) {
      const { tokens, seconds } = await encodeAll(tokenizer, text);
      const rust = python ? rustSeconds(python, json, text, tokens) : null;
      measured.push({
        ...{ kind, text: name, tokens },
        mb_per_cpu_second: text.length / 1e6 / seconds,
        rust_mb_per_cpu_second: rust && text.length / 1e6 / rust,
      });
    }
  }
  const rows = measured.map(({ kind, text, tokens, mb_per_cpu_second, rust_mb_per_cpu_second: rust }) => [
    ...[`${kind}, ${text}`, String(tokens), mb_per_cpu_second.toFixed(1)],
    rust === null ? '–' : `${rust.toFixed(1)} (${(mb_per_cpu_second / rust).toFixed(2)}×)`,
  ]);
  return { data: measured, text: table(['tokenizer and text', 'tokens', 'MB a CPU second', 'Rust library'], rows) };
}

/** Distinct words of syllables, the frequent ones short. */
function someWords(random: Random): string[] {
  const pick = (list: readonly string[]): string => list[random.below(list.length)];
  const [begin, middle, end] = ['b c d f g h l m n p r s t v w th st pr', 'a e i o u ea oo', ' n r s t l'].map((all) =>
    all.split(' '),
  );
  const words = new Set<string>();
  while (words.size < 60_000) {
    let word = '';
    const syllables = 1 + Math.min(random.below(4), Math.floor(words.size / 300));
    for (let i = 0; i < syllables; i++) word += pick(begin) + pick(middle) + pick(end);
    words.add(word);
  }
  return [...words];
}

function someText(words: readonly string[], length: number): string {
  const random = seededRandom('bench tokenizers', 'text');
  const sums = new Float64Array(words.length);
  words.forEach((_, i) => {
    sums[i] = (sums[i - 1] ?? 0) + 1 / (i + 5);
  });
  const signs = ['.', ',', '!', '?', "'s", ' 1984', ' (42)', ' — é', ' 日本', '.\n'];
  const parts: string[] = [];
  for (let size = 0; size < length; size += parts.at(-1)!.length) {
    const wanted = (random.uint32() / 2 ** 32) * sums.at(-1)!;
    let [low, high] = [0, words.length - 1];
    while (low < high) {
      const half = (low + high) >> 1;
      if (sums[half] < wanted) low = half + 1;
      else high = half;
    }
    const kind = random.below(100);
    const word = kind < 5 ? words[low][0].toUpperCase() + words[low].slice(1) : words[low];
    parts.push(`${word}${kind > 92 ? signs[random.below(signs.length)] : ''} `);
  }
  return parts.join('');
}

function documents(text: string): string[] {
  return Array.from({ length: Math.ceil(text.length / DOCUMENT_CHARACTERS) }, (_, i) =>
    text.slice(i * DOCUMENT_CHARACTERS, (i + 1) * DOCUMENT_CHARACTERS),
  );
}

async function encodeAll(tokenizer: Tokenizer, text: string): Promise<{ tokens: number; seconds: number }> {
  const parts = documents(text);
  let tokens = 0;
  const seconds = await cpuSecondsOf(() => {
    for (const part of parts) tokens += tokenizer.encode(part).length;
  });
  return { tokens, seconds };
}

const PYTHON = `
import json, sys, time
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
parts = json.load(open(sys.argv[2], encoding="utf-8"))
start = time.process_time()
tokens = sum(len(tokenizer.encode(part, add_special_tokens=False).ids) for part in parts)
print(json.dumps({"seconds": time.process_time() - start, "tokens": tokens}))
`;

/** The processor time of the Rust library, which must give the same number of tokens. */
function rustSeconds(python: string, json: string, text: string, tokens: number): number {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-tokenizers-'));
  try {
    const [tokenizer, parts] = [join(folder, 'tokenizer.json'), join(folder, 'parts.json')];
    writeFileSync(tokenizer, json);
    writeFileSync(parts, JSON.stringify(documents(text)));
    const environment = { ...process.env, TOKENIZERS_PARALLELISM: 'false' };
    const { status, stdout, stderr } = spawnSync(python, ['-c', PYTHON, tokenizer, parts], {
      encoding: 'utf8',
      env: environment,
    });
    if (status !== 0) throw new BenchError('engine-failed', `${python}: ${stderr.trim().split('\n').at(-1)}`);
    const result = JSON.parse(stdout) as { seconds: number; tokens: number };
    if (result.tokens !== tokens)
      throw new BenchError('wrong-result', `the Rust library gives ${result.tokens} tokens, we ${tokens}`);
    return result.seconds;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
