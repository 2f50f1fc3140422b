// `potluck recheck SUBMISSION`: judge a submission again, whoever you are, and compare with what the log's judges said.
import { styleText } from 'node:util';
import { Command } from 'commander';
import { openPublicLog } from '#public-log-open';
import type { PublicLog } from '../audit/public-log.ts';
import { type Recheck, type Rechecked, recheckSubmission } from '../audit/recheck.ts';
import { gamesOf } from '../games/game-file.ts';
import { runProgram } from '../games/programs/node-programs.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { agreedGames, type GameFlags } from './agreed-games.ts';
import {
  DEFAULT_HUB,
  gameFileOption,
  gameHashOption,
  idBeginning,
  integer,
  jsonOption,
  runtimeOption,
  WHENCE_SUBMISSIONS,
} from './options.ts';
import { openOutput } from './output.ts';
import { progressLine } from './progress-line.ts';
import { logOrRun } from './run-links.ts';

export interface RecheckFlags extends GameFlags {
  hub: string;
  runtime: 'native' | 'wasm';
  threads: number;
  json: boolean;
}

/** The log has decided otherwise than what comes out here. */
const EXIT_DISPUTED = 1;

/** The options of a command that repeats work, after its own. */
export function addRecheckOptions(command: Command): Command {
  return command
    .addOption(runtimeOption('what repeats the steps; wasm gives the same bits on every machine', 'wasm'))
    .option('--threads <n>', 'threads to compute with', integer(1, 256), 1)
    .addOption(gameFileOption())
    .addOption(gameHashOption())
    .addOption(jsonOption());
}

export function recheckCommand(): Command {
  const command = new Command('recheck')
    .argument('<submission>', "the beginning of the submission's id", idBeginning)
    .option('--hub <place>', "the address of the hub, or a hub's folder", logOrRun, DEFAULT_HUB);
  return addRecheckOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ potluck recheck 3fa9c1                       was my work refused rightly? nobody needs to be asked
  $ potluck recheck 3fa9c1 --hub http://hub.example:7700 --runtime native --json

${WHENCE_SUBMISSIONS}
It ends with 0 where the log has decided as it comes out here, or not yet, and with ${EXIT_DISPUTED} where it has decided otherwise.`,
    )
    .action(async (submission: string, flags: RecheckFlags) => {
      const log = await openPublicLog(flags.hub);
      try {
        const recheck = await repeatedHere(log, submission, flags);
        openOutput(flags.json).say(describeRecheck(recheck), { type: 'recheck', ...recheck });
        if (recheck.agrees === false) process.exitCode = EXIT_DISPUTED;
      } finally {
        log.close();
      }
    });
}

/** Judges a submission again as the flags say, and shows how far that is. */
export async function repeatedHere(
  log: PublicLog,
  submission: string,
  { runtime: name, threads, json, ...games }: Omit<RecheckFlags, 'hub'>,
): Promise<Recheck> {
  const progress = progressLine(json);
  const runtime = await (name === 'wasm' ? createWasmRuntime({ threads }) : createNativeRuntime({ threads }));
  try {
    const onRound = (round: number, done: number, all: number): void =>
      progress.draw(() => `repeating round ${round} (${done + 1} of ${all})`);
    return await recheckSubmission(log, submission, {
      runtime,
      run: runProgram,
      loadGame: await gamesOf(agreedGames(games)),
      onRound,
    });
  } finally {
    progress.clear();
    await runtime.close();
  }
}

/** A recheck as lines for people. */
export function describeRecheck({
  submission,
  worker_name,
  runtime,
  by,
  rounds,
  accepted,
  judges,
  agrees,
}: Recheck): string {
  const own = rounds.at(-1)!;
  const before = rounds.length - 1;
  const lines = [
    `submission ${submission.slice(0, 12)} of ${nameOf(worker_name)}: round ${own.round}, computed with ${runtime}, repeated with ${by}`,
    before === 0
      ? 'Its worker began this round afresh.'
      : `Its worker began afresh ${before} ${before === 1 ? 'round' : 'rounds'} before: all of them were repeated.`,
    ...rounds.map(line),
    judges.length === 0
      ? 'Nobody has judged it in the log.'
      : `In the log: ${judges.map(({ name, accepted: yes, code }) => `${nameOf(name)} ${yes ? 'accepts' : 'refuses'} it (${code})`).join(', ')}.`,
  ];
  const own_word = accepted ? 'It is the work that was asked for.' : `It is not to be accepted: ${own.verdict.code}.`;
  const verdict =
    agrees === null
      ? `${own_word} The log has not decided yet.`
      : agrees
        ? styleText('green', `${own_word} The log has decided the same.`)
        : `${styleText('red', `${own_word} The log has decided otherwise.`)}\nTo have it taken back, while there is time: potluck contest ${submission.slice(0, 12)}`;
  return [...lines, verdict].join('\n');
}

function line({ round, submission, verdict }: Rechecked): string {
  const { repeated } = verdict.evidence as { repeated?: { mean_loss?: number; update?: number } };
  const apart =
    repeated?.update === undefined
      ? ''
      : `: losses ${repeated.mean_loss?.toFixed(5)} nats apart, update ${repeated.update.toFixed(4)}`;
  return `  round ${String(round).padStart(4)}  ${submission.slice(0, 12)}  ${verdict.code}${apart}`;
}
