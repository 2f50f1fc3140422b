// The text that a person names on the command line, for `run create` and the demo.
import { existsSync } from 'node:fs';
import { Option } from 'commander';
import type { PreparedRun } from '../owner/owner.ts';
import { type CorpusReport, emptyReport, readTexts } from '../training/corpus.ts';
import { STDIN } from '../training/corpus-bytes.ts';
import { fileTokens } from '../training/token-file.ts';
import type { TokenStore } from '../training/token-store.ts';
import { type BytesProgress, openBytesProgress } from './bytes-progress.ts';
import { CliError, type Output } from './output.ts';
import { type RunSummary, summaryOf } from './run-summary.ts';

/** Text to learn from, in `run create` and the demo. */
export const dataOption = (what: string) =>
  new Option('--data <path>', `${what}; may be given again`)
    .default([])
    .argParser((path: string, before: readonly string[]) => [...before, path]);

/** Checks that the named text exists, before anything else is done. Throws CliError `missing-file`. */
export function mustExist(paths: readonly string[]): void {
  const missing = paths.find((path) => path !== STDIN && !existsSync(path));
  if (missing !== undefined) throw new CliError('missing-file', `no file or folder at ${missing}`);
}

interface TextFlags {
  readonly data: readonly string[];
  readonly validation?: string;
  readonly textField?: string;
  readonly skipBad: number;
}

/** The texts of a run to be created, the progress of reading them, and remarks on them. */
export function readingOf(flags: TextFlags, output: Output) {
  const { textField: text_field, skipBad: skip_bad } = flags;
  const progress = openBytesProgress(output);
  const report = emptyReport();
  const held_out = flags.validation === undefined ? null : emptyReport();
  const read = (paths: readonly string[], into: CorpusReport): AsyncGenerator<string> =>
    watched(readTexts(paths, { text_field, skip_bad, report: into }), into, progress);
  return {
    progress,
    texts: {
      texts: read(flags.data, report),
      ...(held_out && { validation_texts: read([flags.validation!], held_out) }),
    },
    summary(run: PreparedRun, { rounds, minWorkers: min_workers, keep }: RunFlags): RunSummary {
      progress.end();
      return summaryOf(report, held_out, run, { rounds, min_workers, keep });
    },
  };
}

interface RunFlags {
  readonly rounds: number;
  readonly minWorkers: number;
  readonly keep: 'everything' | 'recent';
}

/** Texts, with a progress display while they are read. */
async function* watched(
  texts: AsyncIterable<string>,
  report: CorpusReport,
  progress: BytesProgress,
): AsyncGenerator<string> {
  for await (const text of texts) {
    progress.at('reading', report.read_bytes, report.total_bytes > 0 ? report.total_bytes : null);
    yield text;
  }
}

/** Tokens are kept in a file, because a text may be larger than the memory. */
export const openTokensIn =
  (folder: string) =>
  (token_bytes: 1 | 2 | 4): Promise<TokenStore> =>
    fileTokens(folder, token_bytes);
