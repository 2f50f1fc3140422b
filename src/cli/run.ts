// `potluck run`: creates a run, which starts when workers come; run-life.ts has what its owner does with it later.
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { CORE_LIMITS } from '../core/limits.ts';
import { isGameFile, loadGameFile } from '../games/game-file.ts';
import { gameText } from '../games/game-text.ts';
import { loadGame } from '../games/registry.ts';
import { importModel } from '../model/checkpoint-folder.ts';
import { ROUNDED_DTYPES, type RoundedDtype } from '../model/dtypes.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { ancestorOf } from '../owner/export-model.ts';
import { createGameRun, createRun, prepareRun } from '../owner/owner.ts';
import { trainingFor } from '../owner/run-settings.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { MERGE_RULES, type MergeRule } from '../training/sparse.ts';
import { potluckHere } from './called-as.ts';
import { homeFolder, ownerKeyFile } from './folders.ts';
import { DEFAULT_HUB, decimal, hubUrl, integer, jsonOption, readSettings, runName } from './options.ts';
import { CliError, type Output, openOutput } from './output.ts';
import { checkContext, checkCreateFlags, checkTokenizer, missingTokenizer } from './run-create-flags.ts';
import { checkJudges, type JudgesFlags, judgesOptions, validatorsOf, whoseValidator, withRules } from './run-judges.ts';
import { endCommand, pauseCommand, resumeCommand } from './run-life.ts';
import { listCommand } from './run-list.ts';
import type { SummaryValue } from './run-summary.ts';
import { dataOption, mustExist, openTokensIn, readingOf } from './text-data.ts';
import { loadTokenizer } from './tokenizer-file.ts';

interface CreateFlags extends JudgesFlags {
  hub: string;
  data: string[];
  game: string;
  params?: string;
  textField?: string;
  skipBad: number;
  validation?: string;
  dryRun: boolean;
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
  fromRun?: string;
  royaltyPermille: number;
  keep: 'everything' | 'recent';
  merge: MergeRule;
  weights?: RoundedDtype;
  minWorkers: number;
  seed: string;
  json: boolean;
}

export function runCommand(): Command {
  return new Command('run')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(pauseCommand())
    .addCommand(resumeCommand())
    .addCommand(endCommand())
    .addHelpText('after', '\nExamples:\n  $ potluck run create --data ./book.txt\n  $ potluck run pause 3fa9c1');
}

function createCommand(): Command {
  return judgesOptions(new Command('create'))
    .description('Start a run on a hub. For pre-training, the text is tokenised here, once.')
    .option('--game <name>', 'pretrain, another game of this build, or the path of a game file', 'pretrain')
    .option('--params <file>', "another game's settings as JSON (default: what its schema says)")
    .addOption(
      dataOption('a .txt, .md, .jsonl, .json or .parquet file, also as .gz or .zst, a folder of them, or - for stdin'),
    )
    .option(
      '--text-field <path>',
      'the field or column that holds the text or chat, such as doc.text (default: text, messages or conversations)',
    )
    .option(
      '--skip-bad <n>',
      'records that cannot be read are passed over, at most so many',
      integer(0, 1_000_000_000),
      0,
    )
    .option('--validation <path>', 'text to validate on (default: a twentieth of --data, which nobody learns from)')
    .option('--dry-run', 'read the text and say what the run will be; send nothing', false)
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
    .option('--from-run <id>', 'go on from the last whole model of another run on the hub')
    .option(
      '--royalty-permille <n>',
      "thousandths of each round's shares for who held that model",
      integer(0, 1000),
      100,
    )
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
    .option('--min-workers <n>', 'workers to wait for before the first round', integer(1, 1000), 1)
    .option('--seed <text>', 'seed of the first weights', 'potluck')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck run create --data ./book.txt
  $ potluck run create --game addition-chain
  $ potluck run create --data ./articles --rounds 200 --layers 6 --width 384 --heads 6 --context 256 --batch 8
  $ potluck run create --data ./articles --validation ./held-out.txt --dry-run
  $ potluck run create --data chats.jsonl.zst --data ./notes --from ./my-model
  $ zcat dump.jsonl.gz | grep english | potluck run create --data - --text-field article.body
  $ potluck run create --data more.txt --from-run 3fa9c1 --royalty-permille 150

An owner has at most ${CORE_LIMITS.unfinished_runs_per_owner} unfinished runs on a hub. What can be learned from: docs/data.md.`,
    )
    .action((flags: CreateFlags, command: Command) => {
      checkCreateFlags(flags, (name) => command.getOptionValueSource(name) === 'cli');
      checkJudges(flags);
      const output = openOutput(flags.json);
      return flags.game === 'pretrain' ? createPretrain(flags, output) : createOther(flags, output);
    });
}

/** A run that learns from text, which is tokenised here. A dry run makes no key and sends nothing. */
async function createPretrain(flags: CreateFlags, output: Output): Promise<void> {
  const { data, validation } = flags;
  if (data.length === 0) throw new CliError('bad-argument', 'expected --data PATH: text to learn from');
  const { origin, weights, tokenizer, model, dtype } = await startingPoint(flags);
  mustExist(validation === undefined ? data : [...data, validation]);
  const owner = flags.dryRun ? null : await loadOrCreateIdentity(ownerKeyFile());
  const { training, schedule } = trainingOf({ ...flags, weights: dtype }, owner ? validatorsOf(flags, owner.id) : []);
  const folder = join(homeFolder(), 'cache');
  const reading = readingOf(flags, output);
  const plan = { ...reading.texts, tokenizer, model, training, openTokens: openTokensIn(folder) };
  const onProgress = (what: string) => output.say(`${what} …`, { type: 'creating', what });
  if (!owner) {
    const prepared = await prepareRun({ ...plan, onProgress });
    const { lines, value } = reading.summary(prepared, flags);
    await prepared.dataset.close();
    const text = [...lines, 'Nothing was sent: this was a dry run.'].join('\n');
    return output.say(text, { type: 'planned', ...value });
  }
  let summary: SummaryValue | undefined;
  const run = await createRun(flags.hub, owner, folder, {
    ...plan,
    name: flags.name,
    weights,
    ancestor: origin && {
      run: origin.run,
      merged_rounds: origin.merged_rounds,
      model: origin.model,
      royalty_permille: flags.royaltyPermille,
    },
    seed: flags.seed,
    schedule,
    onProgress(what) {
      reading.progress.end();
      onProgress(what);
    },
    onPrepared(prepared) {
      const { lines, value } = reading.summary(prepared, flags);
      summary = value;
      if (!output.json) output.say(lines.join('\n'), { type: 'planned', ...value });
    },
    onUpload: (done, total) => reading.progress.at('sending', done, total),
  }).finally(() => reading.progress.end());
  sayCreated(output, run, flags.hub, whoseValidator(schedule.rules, owner.id), summary);
}

/** The model and the tokenizer that a run starts with: another run's, those of a folder, or new ones as the flags say. */
async function startingPoint(flags: CreateFlags) {
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
function trainingOf(flags: CreateFlags, validators: readonly string[]): ReturnType<typeof trainingFor> {
  const { rounds, steps, batch, context, minWorkers: min_workers, learningRate: learning_rate } = flags;
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
    }),
  );
  return { training, schedule: flags.keep === 'recent' ? { ...schedule, keep: 'recent' } : schedule };
}

/** A run of another game: no text, and no model except the game's own first state. */
async function createOther(flags: CreateFlags, output: Output): Promise<void> {
  const isFile = isGameFile(flags.game);
  const game = isFile ? await loadGameFile(flags.game) : await loadGame(flags.game);
  const sent = isFile ? gameText(flags.game) : null;
  const identity = await loadOrCreateIdentity(ownerKeyFile());
  const { schedule } = trainingOf(flags, validatorsOf(flags, identity.id));
  const settings = flags.params ? readSettings(flags.params) : {};
  const file = sent && 'text' in sent ? { file: sent.text } : {};
  const options = { name: flags.name, game, settings, schedule, ...file };
  const run = await createGameRun(flags.hub, identity, join(homeFolder(), 'cache'), options);
  sayCreated(output, run, flags.hub, whoseValidator(schedule.rules, identity.id));
  if (sent) sayFile(output, run, sent);
}

/** Says where a game's file can run. */
function sayFile(output: Output, run: string, sent: ReturnType<typeof gameText>): void {
  if ('why' in sent) {
    const text = `Whoever takes part needs the game's file and names it, --game-file: ${sent.why}.`;
    output.say(text, { type: 'game-file', run, game_file: null, why: sent.why });
    return;
  }
  const game_file = sha256Hex(sent.text);
  const text = `The game's file is on the hub: a tab runs it in a sandbox when its owner agrees, and others name its hash:\n  ${potluckHere()} join … --game ${game_file}`;
  output.say(text, { type: 'game-file', run, game_file, why: null });
}

function sayCreated(output: Output, run: string, hub: string, whose: string, summary?: SummaryValue): void {
  output.say(
    `Run ${run.slice(0, 12)} is on ${hub}. Lend a device to it:\n` +
      `  ${potluckHere()} join ${hub} --run ${run.slice(0, 12)}\n` +
      `Work is credited when a validator${whose} has checked it; start one too, here or on another machine:\n` +
      `  ${potluckHere()} join ${hub} --run ${run.slice(0, 12)} --role validator`,
    { type: 'created', run, hub, ...summary },
  );
}
