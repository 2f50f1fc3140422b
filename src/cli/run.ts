// `potluck run`: creates a run, which starts when workers come; run-life.ts has what its owner does with it later.
import { join } from 'node:path';
import { Command } from 'commander';
import { CORE_LIMITS } from '../core/limits.ts';
import { isGameFile, loadGameFile } from '../games/game-file.ts';
import { gameText } from '../games/game-text.ts';
import { loadGame } from '../games/registry.ts';
import { createGameRun, createRun, prepareRun } from '../owner/owner.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { potluckHere } from './called-as.ts';
import { homeFolder, ownerKeyFile } from './folders.ts';
import { integer, jsonOption, readSettings } from './options.ts';
import { CliError, type Output, openOutput } from './output.ts';
import { boundaryOptions, checkBoundary } from './run-boundary.ts';
import { checkCreateFlags, checkStages } from './run-create-flags.ts';
import { checkJudges, validatorsOf, whoseValidator } from './run-judges.ts';
import { endCommand, pauseCommand, resumeCommand } from './run-life.ts';
import { listCommand } from './run-list.ts';
import { moveCommand } from './run-move.ts';
import { registerCommand } from './run-register.ts';
import { type RunFlags, runOptions, sayCreated, startingPoint, trainingOf } from './run-start.ts';
import type { SummaryValue } from './run-summary.ts';
import { dataOption, mustExist, openTokensIn, readingOf } from './text-data.ts';

interface CreateFlags extends RunFlags {
  data: string[];
  game: string;
  params?: string;
  textField?: string;
  skipBad: number;
  validation?: string;
  dryRun: boolean;
  fromRun?: string;
  royaltyPermille: number;
}

export function runCommand(): Command {
  return new Command('run')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(pauseCommand())
    .addCommand(resumeCommand())
    .addCommand(endCommand())
    .addCommand(moveCommand())
    .addCommand(registerCommand())
    .addHelpText('after', '\nExamples:\n  $ potluck run create --data ./book.txt\n  $ potluck run pause 3fa9c1');
}

function createCommand(): Command {
  const command = new Command('create')
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
    .option(
      '--stages <n>',
      'cut the model into so many stages, each on devices of its own: none needs all of it',
      integer(2, CORE_LIMITS.stages),
    )
    .option('--micro-batches <n>', 'batches of a step of a stage (4)', integer(1, 1024))
    .option(
      '--apart-rounds <n>',
      'give no account but yours all stages within so many rounds (with --stages)',
      integer(1, CORE_LIMITS.apart_rounds),
    )
    .option('--dry-run', 'read the text and say what the run will be; send nothing', false);
  return runOptions(boundaryOptions(command))
    .option('--from-run <id>', 'go on from the last whole model of another run on the hub')
    .option(
      '--royalty-permille <n>',
      "thousandths of each round's shares for who held that model",
      integer(0, 1000),
      100,
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck run create --data ./book.txt
  $ potluck run create --game addition-chain
  $ potluck run create --data ./articles --rounds 200 --layers 6 --width 384 --heads 6 --context 256 --batch 8
  $ potluck run create --data ./articles --validation ./held-out.txt --dry-run
  $ potluck run create --data ./articles --layers 24 --width 1024 --heads 16 --stages 6
  $ potluck run create --data ./articles --stages 4 --boundary-bits 8
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
  checkStages(flags, model);
  checkBoundary(flags, model);
  mustExist(validation === undefined ? data : [...data, validation]);
  const owner = flags.dryRun ? null : await loadOrCreateIdentity(ownerKeyFile());
  const { training, schedule } = trainingOf({ ...flags, weights: dtype }, owner ? validatorsOf(flags, owner.id) : []);
  const folder = join(homeFolder(), 'cache');
  const reading = readingOf(flags, output);
  const ancestor = origin && {
    run: origin.run,
    merged_rounds: origin.merged_rounds,
    model: origin.model,
    royalty_permille: flags.royaltyPermille,
  };
  const plan = { ...reading.texts, tokenizer, model, training, ancestor, openTokens: openTokensIn(folder) };
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
