// What a run will be, shown before anything is sent: what was read and left out, tokens, model, and how often the text is used.

import { bytesOfToken, stagePlans } from '../games/pipeline/params.ts';
import { parameterCount } from '../games/pretrain/params.ts';
import { isLlama } from '../games/text-training.ts';
import { parameterSpecs } from '../model/config.ts';
import { widthOf } from '../model/dtypes.ts';
import type { PreparedRun } from '../owner/owner.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { CorpusReport } from '../training/corpus.ts';
import { leftOutSentence } from '../training/corpus-files.ts';
import { encodeManifest } from '../training/shards.ts';
import { expectedUpdateBytes } from '../training/sparse-size.ts';
import { formatBytes, formatCount } from './output.ts';

export interface RunSummary {
  readonly lines: readonly string[];
  readonly value: SummaryValue;
}

export type SummaryValue = ReturnType<typeof planned>;

const things = (count: number, thing: string): string => `${formatCount(count)} ${thing}${count === 1 ? '' : 's'}`;

/** Numbers below ten with two decimals, others whole. */
const times = (value: number): string => (value < 10 ? value.toFixed(2) : formatCount(value));

/** @param held_out what was read of a separate validation text, if one was named */
export function summaryOf(
  report: CorpusReport,
  held_out: CorpusReport | null,
  run: PreparedRun,
  of: { readonly rounds: number; readonly min_workers: number; readonly keep: 'everything' | 'recent' },
): RunSummary {
  const value = planned(report, held_out, run, of.rounds);
  return { value, lines: [...linesOfTexts(report, held_out), ...linesOfRun(value, of)] };
}

function planned(
  report: CorpusReport,
  held_out: CorpusReport | null,
  { dataset, params }: PreparedRun,
  rounds: number,
) {
  const { manifest, documents, train_tokens, validation_tokens, shard_tokens } = dataset;
  const { model, inner_steps, batch, context, sparse } = params;
  const specs = parameterSpecs(model);
  const plans = 'stages' in params ? stagePlans(params).map((plan) => plan.specs) : [specs];
  const batches = 'stages' in params ? inner_steps * params.micro_batches : inner_steps;
  const tokens_per_worker = rounds * batches * batch * context;
  return {
    files: report.files,
    kinds: Object.fromEntries([...report.kinds].map(([kind, count]) => [snakeCase(kind), count])),
    left_out: [...report.left_out].map(([reason, { count, example }]) => ({ reason, count, example })),
    validation_files: held_out?.files ?? 0,
    bad_records: report.bad_records,
    first_bad_record: report.first_bad,
    crlf_files: report.crlf_files,
    utf16_files: report.utf16_files,
    ...{ documents, chats: report.chats, train_tokens, validation_tokens, shard_tokens },
    shards: manifest.train.length + manifest.validation.length,
    dataset: sha256Hex(encodeManifest(manifest)),
    parameters: parameterCount(specs),
    stages: 'stages' in params ? params.stages : null,
    largest_stage_parameters: Math.max(...plans.map(parameterCount)),
    boundary_bytes: 'stages' in params ? bytesOfToken(params) : null,
    is_llama: isLlama(params),
    weights: sparse.weights,
    tokens_per_worker,
    epochs_per_worker: tokens_per_worker / train_tokens,
    update_bytes: Math.max(...plans.map((of_stage) => expectedUpdateBytes(of_stage, sparse))),
  };
}

function kindsOf({ files, kinds }: CorpusReport): string {
  const list = [...kinds]
    .map(([kind, count]) => (kinds.size === 1 ? kind : `${formatCount(count)} ${kind}`))
    .join(', ');
  return `${things(files, 'file')} (${list})`;
}

/** Everything noteworthy about reading the texts; only what happened is mentioned. */
export function* linesOfTexts(report: CorpusReport, held_out: CorpusReport | null = null): Generator<string> {
  const chats = report.chats === 0 ? '' : `, ${things(report.chats, 'chat')} among them`;
  yield `Read ${kindsOf(report)}: ${things(report.documents, 'document')}${chats}.`;
  if (held_out) yield `To validate on: ${kindsOf(held_out)}, ${things(held_out.documents, 'document')}.`;
  for (const { left_out } of held_out ? [report, held_out] : [report]) {
    const count = [...left_out.values()].reduce((sum, reason) => sum + reason.count, 0);
    if (count > 0) yield `Left out ${formatCount(count)}: ${leftOutSentence(left_out)}.`;
    const broken = left_out.get('broken link');
    if (broken) yield `A broken link: ${broken.example}`;
  }
  const { bad_records, first_bad, crlf_files, utf16_files } = report;
  if (bad_records > 0) yield `Passed over ${things(bad_records, 'bad record')}; the first: ${first_bad}`;
  if (crlf_files > 0) yield `Line ends of Windows (CRLF) became LF in ${things(crlf_files, 'file')}.`;
  if (utf16_files > 0) yield `Read as UTF-16, as the byte order mark says: ${things(utf16_files, 'file')}.`;
}

function* linesOfRun(
  value: SummaryValue,
  { rounds, min_workers, keep }: Parameters<typeof summaryOf>[3],
): Generator<string> {
  const { train_tokens, validation_tokens, shards, parameters, update_bytes } = value;
  const { tokens_per_worker, epochs_per_worker, weights, stages, largest_stage_parameters, boundary_bytes, is_llama } =
    value;
  const kept = weights === 'f32' ? '' : `, kept and sent in ${weights}`;
  const held_out = `${formatCount(validation_tokens)} to validate on`;
  yield `${things(train_tokens + validation_tokens, 'token')}: ${formatCount(train_tokens)} to learn from, ${held_out}, in ${things(shards, 'piece')}.`;
  const cut =
    stages === null
      ? 'a worker sends'
      : `it is cut into ${stages} stages of at most ${formatCount(largest_stage_parameters)}, of which a worker holds one and sends`;
  yield `The model has ${formatCount(parameters)} parameters${kept}; ${cut} about ${formatBytes(update_bytes)} a round.`;
  if (stages !== null) {
    yield `A worker of the first stage that does all its steps hands on ${things(tokens_per_worker, 'token')} in ${things(rounds, 'round')}: the text ${times(epochs_per_worker)} times.`;
    yield `Between two stages a token takes ${formatBytes(boundary_bytes!)}, there and back, before the arithmetic coder.`;
    if (!is_llama)
      yield 'What its boundaries learn is a part of the model, which is no Llama then: nobody can export it, serve it or go on from it.';
    const model_bytes = parameters * widthOf(weights);
    if (keep === 'everything')
      yield `The hub keeps every merged model whole, ${formatBytes(rounds * model_bytes)} in all; with --keep recent it keeps what is still needed.`;
    return;
  }
  const all =
    min_workers > 1 ? `, ${formatCount(min_workers)} workers ${times(min_workers * epochs_per_worker)} times` : '';
  yield `A worker that does all its steps learns from ${things(tokens_per_worker, 'token')} in ${things(rounds, 'round')}: the text ${times(epochs_per_worker)} times${all}.`;
}

/** "JSON Lines" → "json_lines": a name as programs read it. */
const snakeCase = (words: string): string => words.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_');
