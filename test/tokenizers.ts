// Compares ids and texts with Hugging Face's tokenizers (Rust) on tokenizer.json files that are drawn at random.
//   node test/tokenizers.ts --python PATH [--cases N] [--seed TEXT]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ModelError } from '../src/model/errors.ts';
import { openTokenizerJson } from '../src/model/tokens/tokenizer-json.ts';
import { drawCase, type TokenizerCase } from './tokenizers-draw.ts';

const SCRIPT = fileURLToPath(new URL('./tokenizers-check.py', import.meta.url));
/** The library's regular expressions may end the process that they run in; then only so many cases are lost. */
const CASES_A_PROCESS = 50;

interface Reply {
  readonly error?: string;
  readonly results?: readonly { readonly ids?: readonly number[]; readonly text?: string; readonly error?: string }[];
}

export interface Agreement {
  /** Texts with the same ids and the same text back. */
  same: number;
  /** Files that we refuse, with the reason, and files or texts at which the library fails itself. */
  refused: number;
  failed: number;
  readonly differences: string[];
}

/** Draws this many files and compares twelve texts or so for each. */
export function compareTokenizers(python: string, cases: number, seed: string): Agreement {
  const agreement: Agreement = { same: 0, refused: 0, failed: 0, differences: [] };
  const folder = mkdtempSync(join(tmpdir(), 'potluck-tokenizers-'));
  try {
    for (let done = 0; done < cases; done += CASES_A_PROCESS) {
      const length = Math.min(CASES_A_PROCESS, cases - done);
      const drawn = Array.from({ length }, (_, i) => drawCase(`${seed} ${done + i}`));
      const replies = ask(python, folder, drawn);
      for (const [i, one] of drawn.entries()) compare(one, replies[i] ?? { error: 'the library ended' }, agreement);
    }
    return agreement;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function ask(python: string, folder: string, cases: readonly TokenizerCase[]): Reply[] {
  const [request, reply] = [join(folder, 'cases.jsonl'), join(folder, 'results.jsonl')];
  writeFileSync(request, cases.map((one) => JSON.stringify(one)).join('\n'));
  writeFileSync(reply, '');
  const { error } = spawnSync(python, [SCRIPT, request, reply], { encoding: 'utf8' });
  if (error) throw error;
  return readFileSync(reply, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line));
}

function compare({ tokenizer, texts }: TokenizerCase, reply: Reply, agreement: Agreement): void {
  let ours: ReturnType<typeof openTokenizerJson>;
  try {
    ours = openTokenizerJson(tokenizer);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    agreement.refused++;
    return;
  }
  for (const [i, text] of texts.entries()) {
    const theirs = reply.results?.[i];
    if (!theirs?.ids) {
      agreement.failed++;
      continue;
    }
    const ids = ours.encode(text, true);
    const back = ids.length > 0 ? ours.decode([...ids]) : '';
    if (ids.join() === theirs.ids.join() && back === theirs.text) agreement.same++;
    else {
      const { vocab: _, merges: _merges, ...model } = tokenizer.model as Record<string, unknown>;
      const shape = JSON.stringify({ ...tokenizer, model });
      agreement.differences.push(
        `${JSON.stringify(text)}: ${ids.join(' ')} ${JSON.stringify(back)}, expected ${theirs.ids.join(' ')} ${JSON.stringify(theirs.text)} of ${shape}`,
      );
    }
  }
}

if (import.meta.main) {
  const string = { type: 'string' } as const;
  const { values } = parseArgs({ options: { python: string, cases: string, seed: string } });
  const python = values.python ?? process.env.POTLUCK_PYTHON;
  if (!python) console.error('Skipped: name a Python that has tokenizers with --python PATH or POTLUCK_PYTHON.');
  else {
    const { differences, ...counts } = compareTokenizers(python, Number(values.cases ?? 500), values.seed ?? 'potluck');
    for (const difference of differences.slice(0, 20)) console.log(difference);
    console.log({ ...counts, different: differences.length });
    if (differences.length > 0) process.exitCode = 1;
  }
}
