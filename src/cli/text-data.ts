// The text that a person names on the command line: where it is, for `run create` and the demo.
import { existsSync } from 'node:fs';
import { Option } from 'commander';
import { STDIN } from '../training/corpus-bytes.ts';
import { CliError } from './output.ts';

/** Text to learn from, in `run create` and the demo. */
export const dataOption = (what: string) =>
  new Option('--data <path>', `${what}; may be given again`)
    .default([])
    .argParser((path: string, before: readonly string[]) => [...before, path]);

/** Whether text is where it was said to be, asked before anything else is done. Throws CliError missing-file. */
export function mustExist(paths: readonly string[]): void {
  const missing = paths.find((path) => path !== STDIN && !existsSync(path));
  if (missing !== undefined) throw new CliError('missing-file', `no file or folder at ${missing}`);
}
