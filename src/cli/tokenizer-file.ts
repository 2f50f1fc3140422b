// A tokenizer.json that a person names on the command line.
import { readFile } from 'node:fs/promises';
import { type Tokenizer, tokenizerFromJson } from '../model/tokenizer.ts';
import { CliError } from './output.ts';

/** Throws CliError `missing-file`, ModelError for a file that is not a tokenizer. */
export async function loadTokenizer(file: string): Promise<Tokenizer> {
  const json = await readFile(file, 'utf8').catch(() => {
    throw new CliError('missing-file', `no readable file at ${file}`);
  });
  return tokenizerFromJson(json, undefined, file);
}
