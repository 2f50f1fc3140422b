// What `run create` and `distil` share: the flags of a run, the model that it starts with, its timing, and what is said of it.
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { importModel } from '../model/checkpoint-folder.ts';
import { ROUNDED_DTYPES, type RoundedDtype } from '../model/dtypes.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { trainingFor } from '../owner/run-settings.ts';
import { ancestorOf } from '../owner/taken-model.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { MERGE_RULES, type MergeRule } from '../training/sparse.ts';
import { potluckHere } from './called-as.ts';
import { homeFolder } from './folders.ts';
import { DEFAULT_HUB, decimal, hubUrl, integer, runName } from './options.ts';
import type { Output } from './output.ts';
import { type BoundaryFlags, boundaryOf } from './run-boundary.ts';
import { checkContext, checkTokenizer, missingTokenizer } from './run-create-flags.ts';
import { type JudgesFlags, judgesOptions, withRules } from './run-judges.ts';
import type { SummaryValue } from './run-summary.ts';
import { loadTokenizer } from './tokenizer-file.ts';

export interface RunFlags extends JudgesFlags, BoundaryFlags {
  hub: string;
  name: string;
  rounds: number;
  roundSeconds: number;
  steps: number;
  layers: number;
  width: number;
  heads: number;
  kvHeads?: number;
  feedForward?: number;
  context: number;
  batch: number;
  learningRate: number;
  tied: boolean;
  tokenizer?: string;
  from?: string;
  keep: 'everything' | 'recent';
  merge: MergeRule;
  weights?: RoundedDtype;
  minWorkers: number;
  stages?: number;
  microBatches?: number;
  apartRounds?: number;
  seed: string;
  json: boolean;
}

/** Adds the flags of a pre-training run. */
export function runOptions(command: Command): Command {
  return judgesOptions(command)
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .option('--name <name>', 'how people see the run', runName, 'a run')
    .option('--rounds <n>', 'rounds to train', integer(1, 1_000_000), 60)
    .option('--round-seconds <s>', 'the longest time a round may take', decimal(0.2, 86_400), 30)
    .option('--steps <n>', 'inner steps that a worker does at most in a round', integer(1, 100_000), 30)
    .option('--layers <n>', 'layers of the model', integer(1, 256), 4)
    .option('--width <n>', 'hidden size', integer(8, 65_536), 128)
    .option('--heads <n>', 'attention heads', integer(1, 1024), 4)
    .option('--kv-heads <n>', 'key-value heads (default: as many as heads)', integer(1, 1024))
    .option('--feed-forward <n>', 'intermediate size (default: 2.75 times the width)', integer(8, 262_144))
    .option('--context <n>', 'tokens of context', integer(2, 65_536), 64)
    .option('--batch <n>', 'sequences in a batch', integer(1, 4096), 12)
    .option('--learning-rate <x>', 'highest learning rate', decimal(1e-8, 1), 1e-3)
    .option('--tied', 'share the embedding with the head', false)
    .option('--tokenizer <file>', 'a Hugging Face tokenizer.json (default: bytes)')
    .option('--from <dir>', 'go on from a model that transformers or potluck saved')
    .addOption(
      new Option('--keep <what>', 'recent: the hub deletes work that nobody needs, and audits cannot repeat old rounds')
        .choices(['everything', 'recent'])
        .default('everything'),
    )
    .addOption(
      new Option(
        '--merge <rule>',
        'which updates are merged: agreement leaves out those that do not agree with the others',
      )
        .choices(MERGE_RULES)
        .default('mean'),
    )
    .addOption(
      new Option(
        '--weights <type>',
        'what the model is kept and sent in: bf16 and f16 are half the bytes (training itself is f32; default: f32)',
      ).choices(ROUNDED_DTYPES),
    )
    .option(
      '--min-workers <n>',
      'workers to wait for before the first round (with --stages: one for each)',
      integer(1, 1000),
      1,
    )
    .option('--seed <text>', 'seed of the first weights', 'potluck');
}

/** The model and the tokenizer that a run starts with: another run's, those of a folder, or new ones as the flags say. */
export async function startingPoint(flags: RunFlags & { readonly fromRun?: string }) {
  const { from, fromRun, context } = flags;
  const origin = fromRun ? await ancestorOf(flags.hub, fromRun, join(homeFolder(), 'cache')) : undefined;
  const imported = from ? await importModel(from, WIRE_LIMITS.model_bytes) : undefined;
  const started = imported ?? origin;
  if (started) checkContext(context, started.config, from ? `--from ${from}` : '--from-run');
  const tokenizer = flags.tokenizer
    ? await loadTokenizer(flags.tokenizer)
    : started
      ? (started.tokenizer ?? missingTokenizer(`${from}`))
      : byteTokenizer();
  if (started) checkTokenizer(tokenizer, started.config, `${from ?? fromRun}`, flags.tokenizer);
  const model = started?.config ?? {
    hidden_size: flags.width,
    intermediate_size: flags.feedForward ?? Math.round(flags.width * 2.75),
    num_hidden_layers: flags.layers,
    num_attention_heads: flags.heads,
    num_key_value_heads: flags.kvHeads ?? flags.heads,
    max_position_embeddings: context,
    tie_word_embeddings: flags.tied,
  };
  return { origin, weights: imported?.weights, tokenizer, model, dtype: origin ? origin.dtype : flags.weights };
}

/** The timing of rounds, from the flags. */
export function trainingOf(flags: RunFlags, validators: readonly string[]): ReturnType<typeof trainingFor> {
  const { rounds, steps, batch, context, minWorkers, learningRate: learning_rate, stages } = flags;
  const min_workers = Math.max(minWorkers, stages ?? 1);
  const { training, schedule } = withRules(
    flags,
    trainingFor({
      rounds,
      steps,
      batch,
      context,
      min_workers,
      validators,
      round_seconds: flags.roundSeconds,
      learning_rate,
      merge_rule: flags.merge,
      weights: flags.weights,
      ...(stages !== undefined && { stages, micro_batches: flags.microBatches, boundary: boundaryOf(flags) }),
    }),
  );
  const apart = flags.apartRounds === undefined ? {} : { apart_rounds: flags.apartRounds };
  return { training, schedule: { ...schedule, ...apart, ...(flags.keep === 'recent' && { keep: 'recent' }) } };
}

/** Says where the run is, and how devices join it. */
export function sayCreated(output: Output, run: string, hub: string, whose: string, summary?: SummaryValue): void {
  output.say(
    `Run ${run.slice(0, 12)} is on ${hub}. Lend a device to it:\n` +
      `  ${potluckHere()} join ${hub} --run ${run.slice(0, 12)}\n` +
      `Work is credited when a validator${whose} has checked it; start one too, here or on another machine:\n` +
      `  ${potluckHere()} join ${hub} --run ${run.slice(0, 12)} --role validator`,
    { type: 'created', run, hub, ...summary },
  );
}
