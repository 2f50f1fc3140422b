// `potluck grade`: models answer questions, and a program says which answers are right: what a committee's scorer learns from.
import { closeSync, openSync, writeSync } from 'node:fs';
import { Command } from 'commander';
import { runProgram } from '../games/programs/node-programs.ts';
import { transferTeller } from '../peer/blobs.ts';
import { passes } from '../serving/committee-verifiers.ts';
import { gradedAnswers } from '../serving/graded-answers.ts';
import { mustBeWritable } from './folders.ts';
import { readCheck, readNamed } from './named-file.ts';
import { decimal, integer, jsonOption } from './options.ts';
import { CliError, formatCount, openOutput } from './output.ts';
import { progressLine } from './progress-line.ts';
import { openModels, placesOf } from './serve-models.ts';

interface GradeFlags {
  questions: string;
  check: string;
  out: string;
  times: number;
  maxTokens: number;
  temperature: number;
  seed: string;
  threads: number;
  json: boolean;
}

export function gradeCommand(): Command {
  return new Command('grade')
    .argument('<models...>', 'the members, as for potluck serve: folders, .gguf files, or RUN@URL')
    .requiredOption('--questions <file>', 'what they are asked: a question a line')
    .requiredOption('--check <file>', 'JavaScript: a function of {prompt, answer} that says true for a right answer')
    .requiredOption('--out <file>', 'the file to write: JSON lines, which run create takes as --data')
    .option('--times <n>', 'answers of each model to each question', integer(1, 100), 1)
    .option('--max-tokens <n>', 'the longest answer; it ends with its line', integer(1, 65_536), 64)
    .option('--temperature <x>', 'at which answers are drawn', decimal(0, 2), 1)
    .option('--seed <text>', 'another seed draws other answers', 'grade')
    .option('--threads <n>', 'threads that compute', integer(1, 256), 1)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Example:
  $ potluck grade ./one ./two --questions sums.txt --check check.js --out graded.jsonl
  $ potluck run create --data graded.jsonl --name scorer     then train it, and: potluck serve ./one ./two --scorer scorer@URL`,
    )
    .action(grade);
}

async function grade(words: string[], flags: GradeFlags): Promise<void> {
  const output = openOutput(flags.json);
  const program = readCheck(flags.check);
  const questions = readQuestions(flags.questions);
  mustBeWritable(flags.out);
  const { threads, times, temperature, seed } = flags;
  const onTransfer = transferTeller((sentence, transfer) => output.say(sentence, { type: 'transfer', ...transfer }));
  const onNews = (message: string): void => output.say(message, { type: 'problem', where: 'engine', message });
  const places = times * words.length;
  const server = await openModels(placesOf(words), { threads, places, licence: null, onTransfer, onNews });
  const line = progressLine(flags.json);
  const file = openSync(flags.out, 'w');
  const counts = { answers: 0, right: 0 };
  try {
    const grading = {
      ...{ models: server.models().map(({ name }) => name), questions, times },
      asked: {
        ...{ written: [], max_tokens: flags.maxTokens, stop: ['\n'], top_logprobs: null, echo: false },
        format: { kind: 'text' as const },
        sampling: { seed, temperature, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [] },
      },
      isRight: (asked: { prompt: string; answer: string }) => passes(program, runProgram, asked),
    };
    for await (const { text, right } of gradedAnswers(server, grading, new AbortController().signal)) {
      writeSync(file, `${JSON.stringify({ text })}\n`);
      counts.answers++;
      if (right) counts.right++;
      line.draw(() => `${formatCount(counts.answers)} of ${formatCount(questions.length * places)} answers`);
    }
  } finally {
    line.clear();
    closeSync(file);
    await server.close();
  }
  const sentence = `${formatCount(counts.answers)} answers, ${formatCount(counts.right)} of them right, are in ${flags.out}.`;
  output.say(sentence, { type: 'graded', file: flags.out, ...counts });
}

/** Throws CliError `missing-file` or `bad-argument`. */
function readQuestions(path: string): string[] {
  const lines = readNamed('--questions', path, 'a question a line')
    .split(/\r?\n/)
    .filter((line) => line !== '');
  if (lines.length === 0) throw new CliError('bad-argument', `--questions: ${path} has no line with a question`);
  return lines;
}
