// The text of `bench parity`: characters as tokens, nine tenths for training, one tenth for validation.
import { readFileSync } from 'node:fs';
import { BenchError } from './errors.ts';

/** A text as character numbers, split for training and validation. */
export interface Corpus {
  readonly vocab: number;
  readonly train: Int32Array;
  readonly validation: Int32Array;
}

const TRAIN_SHARE = 0.9;

/** Reads a text. Throws BenchError `usage` if the file cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new BenchError('usage', `--data: cannot read "${path}"; give Tiny Shakespeare (input.txt of char-rnn)`);
  }
}

/** Reads a text and numbers its characters in the order of their code points. Throws as readText does. */
export function readCorpus(path: string): Corpus {
  const text = readText(path);
  const characters = [...new Set(text)].sort();
  const number = new Map(characters.map((character, i) => [character, i]));
  const tokens = Int32Array.from(text, (character) => number.get(character)!);
  const border = Math.floor(TRAIN_SHARE * tokens.length);
  return { vocab: characters.length, train: tokens.subarray(0, border), validation: tokens.subarray(border) };
}
