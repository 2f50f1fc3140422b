// The program that says which answers are right: a file that its owner names.
import { readFileSync } from 'node:fs';
import { CliError } from './output.ts';

/** Throws CliError `missing-file`. */
export function readCheck(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new CliError('missing-file', `--check: cannot read ${path}; expected a file with a JavaScript function`);
  }
}
