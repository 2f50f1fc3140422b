// Text files that options name, such as the program that says which answers are right.
import { readFileSync } from 'node:fs';
import { CliError } from './output.ts';

/** Throws CliError `missing-file`. @param content what is expected in it */
export function readNamed(option: string, path: string, content: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new CliError('missing-file', `${option}: cannot read ${path}; expected a file with ${content}`);
  }
}

/** Throws CliError `missing-file`. */
export const readCheck = (path: string): string => readNamed('--check', path, 'a JavaScript function');
