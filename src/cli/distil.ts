// `potluck distil`: asks a teacher behind an OpenAI-compatible endpoint for texts with logprobs, and starts a run in which a student learns both.
import { join } from 'node:path';
import { Command } from 'commander';
import type { Tokenizer } from '../model/tokenizer.ts';
import { collect } from '../owner/distil/collect.ts';
import { finishTaught, preparedFrom, putInto, readRecord, type TaughtRecord } from '../owner/distil/taught-folder.ts';
import { openTeacher } from '../owner/distil/teacher.ts';
import { createRun } from '../owner/owner.ts';
import { systemClock } from '../protocol/clock.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { readTexts } from '../training/corpus.ts';
import { LEAST_TAUGHT_TOKENS } from '../training/taught-dataset.ts';
import { homeFolder, mustTakeFiles, ownerKeyFile } from './folders.ts';
import { untilStopped } from './lifetime.ts';
import { apiUrl, decimal, integer, jsonOption } from './options.ts';
import { CliError, formatCount, type Output, openOutput } from './output.ts';
import { progressLine } from './progress-line.ts';
import { checkHeads } from './run-create-flags.ts';
import { checkJudges, validatorsOf, whoseValidator } from './run-judges.ts';
import { type RunFlags, runOptions, sayCreated, startingPoint, trainingOf } from './run-start.ts';
import { dataOption, mustExist } from './text-data.ts';

interface DistilFlags extends RunFlags {
  teacher: string;
  teacherModel?: string;
  keyFrom: string;
  budget: number;
  data: string[];
  read: boolean;
  textTokens: number;
  atOnce: number;
  taught: string;
  weight: number;
  collectOnly: boolean;
}

export function distilCommand(): Command {
  const command = new Command('distil')
    .requiredOption('--teacher <url>', 'the address of an OpenAI-compatible API, up to /v1', apiUrl)
    .option('--teacher-model <name>', 'the model that teaches (default: the first that the API offers)')
    .option('--key-from <variable>', 'the environment variable that holds the key of the API', 'OPENAI_API_KEY')
    .option(
      '--budget <n>',
      'the most tokens that the teacher may count, prompts included',
      integer(LEAST_TAUGHT_TOKENS, 1_000_000_000),
      1_000_000,
    )
    .addOption(dataOption('texts whose beginnings the teacher goes on from (default: it writes from nothing)'))
    .option('--read', 'the teacher reads the texts of --data and writes none; the API must do echo', false)
    .option('--text-tokens <n>', 'tokens of one question', integer(16, 65_536), 256)
    .option('--at-once <n>', 'questions at the same time', integer(1, 256), 4)
    .option('--taught <dir>', 'the folder that keeps what the teacher said; a finished one is used again', './taught')
    .option(
      '--weight <x>',
      'how much is learned from the logprobs, the rest from the tokens; 0: tokens alone',
      decimal(0, 1),
      1,
    )
    .option('--collect-only', 'ask the teacher, and start no run', false);
  return runOptions(command)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck distil --teacher http://localhost:7701/v1 --budget 500000 --layers 2 --width 64
  $ potluck distil --teacher https://api.example.org/v1 --teacher-model large --data ./articles --read
The student's tokenizer must be the teacher's: Potluck's own models have bytes unless they were given another (--tokenizer).`,
    )
    .action((flags: DistilFlags) => distil(flags, openOutput(flags.json)));
}

async function distil(flags: DistilFlags, output: Output): Promise<void> {
  checkJudges(flags);
  if (!flags.from) checkHeads(flags);
  if (flags.read && flags.data.length === 0)
    throw new CliError('bad-argument', '--read goes with --data: there is nothing to read');
  mustExist(flags.data);
  const { weights, tokenizer, model, dtype } = await startingPoint(flags);
  const record = (await finished(flags, output)) ?? (await asked(flags, tokenizer, output));
  const dataset = await preparedFrom(flags.taught, record, tokenizer);
  if (flags.collectOnly) return;
  const owner = await loadOrCreateIdentity(ownerKeyFile());
  const { training, schedule } = trainingOf({ ...flags, weights: dtype }, validatorsOf(flags, owner.id));
  const run = await createRun(flags.hub, owner, join(homeFolder(), 'cache'), {
    ...{ dataset, tokenizer, model, weights, schedule, name: flags.name, seed: flags.seed },
    training: { ...training, distil: flags.weight === 0 ? null : { top: record.top, weight: flags.weight } },
    onProgress: (what) => output.say(`${what} …`, { type: 'creating', what }),
  });
  sayCreated(output, run, flags.hub, whoseValidator(schedule.rules, owner.id));
}

/** What an earlier call has collected: the same tokens are not paid for twice. */
async function finished({ taught }: DistilFlags, output: Output): Promise<TaughtRecord | null> {
  const record = await readRecord(taught);
  if (record) {
    const when = `${taught} holds ${formatCount(record.train_tokens)} tokens of ${record.model} already: nobody is asked again`;
    output.say(`${when}.`, { ...record, type: 'taught', folder: taught, asked: false });
  }
  return record;
}

async function asked(flags: DistilFlags, tokenizer: Tokenizer, output: Output): Promise<TaughtRecord> {
  const { taught, budget: budget_tokens, data } = flags;
  mustTakeFiles(taught);
  const signal = untilStopped();
  const line = progressLine(flags.json);
  const options = {
    base_url: flags.teacher,
    model: flags.teacherModel ?? null,
    key: process.env[flags.keyFrom] || null,
    clock: systemClock,
  };
  const onWait = (sentence: string): void => {
    line.clear();
    output.say(`${sentence}.`, { type: 'teacher-waits', why: sentence });
  };
  const teacher = await openTeacher({ ...options, onWait }, signal);
  output.say(`${teacher.model} teaches, for at most ${formatCount(budget_tokens)} tokens …`, {
    type: 'teacher',
    ...{ teacher: flags.teacher, model: teacher.model, budget_tokens },
  });
  const collected = await collect({
    ...{ teacher, tokenizer, budget_tokens, signal, reads: flags.read },
    texts: data.length > 0 ? readTexts(data, {}) : null,
    text_tokens: flags.textTokens,
    at_once: flags.atOnce,
    put: putInto(taught),
    onProgress: ({ spent_tokens, texts }) =>
      line.draw(
        () => `${formatCount(spent_tokens)} of ${formatCount(budget_tokens)} tokens, ${formatCount(texts)} texts`,
      ),
  }).finally(() => line.clear());
  const record = await finishTaught(taught, { teacher: flags.teacher, model: teacher.model }, collected);
  const { train_tokens, validation_tokens, spent_tokens } = record;
  const kept = `${formatCount(train_tokens)} tokens to learn from and ${formatCount(validation_tokens)} to validate on are in ${taught}`;
  output.say(`${kept}; the teacher counted ${formatCount(spent_tokens)}.`, {
    ...record,
    type: 'taught',
    folder: taught,
    asked: true,
  });
  const { cut_short } = collected;
  if (!cut_short) return record;
  const why = signal.aborted ? 'stopped' : cut_short.message;
  throw new CliError('stopped', `${why}; no run was started: the same command starts one with what is in ${taught}`);
}
