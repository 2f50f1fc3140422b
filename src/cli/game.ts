// `potluck game`: starts a game of your own, and checks that a game does what a run needs of it.
import { writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { Command } from 'commander';
import { GAME_NAME } from '../games/game-form.ts';
import type { Check } from '../simulation/validate.ts';
import { type ValidateJob, validateInThread } from '../simulation/validate-job.ts';
import { potluckHere } from './called-as.ts';
import { startOfGame } from './game-start.ts';
import { decimal, jsonOption, readSettings } from './options.ts';
import { CliError, openOutput } from './output.ts';

interface ValidateFlags {
  params?: string;
  callSeconds: number;
  json: boolean;
}

export function gameCommand(): Command {
  return new Command('game')
    .addCommand(newCommand())
    .addCommand(validateCommand())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck game new zero-bits                write zero-bits.ts, a game that works
  $ potluck game validate ./zero-bits.ts      its parts against its own honest answer
  $ potluck play ./zero-bits.ts               then against a crowd of liars

Both take --json.`,
    );
}

function newCommand(): Command {
  return new Command('new')
    .description('Write the file of a small working game, with notes on what to change.')
    .argument('<name>', 'the name of the game: small letters, digits and dashes')
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ potluck game new zero-bits      writes ./zero-bits.ts')
    .action((name: string, { json }: { json: boolean }) => {
      if (!GAME_NAME.test(name)) {
        throw new CliError('bad-argument', `expected a name such as addition-chain, got ${JSON.stringify(name)}`);
      }
      const file = resolve(`${name}.ts`);
      try {
        writeFileSync(file, startOfGame(name), { flag: 'wx' });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        throw new CliError('bad-argument', `${file} is there already: give the game another name, or move the file`);
      }
      const here = `./${basename(file)}`;
      openOutput(json).say(
        `${here} has a game that works. Change it; then see whether it still does, and whether lying pays:\n  ${potluckHere()} game validate ${here}\n  ${potluckHere()} play ${here} --quick`,
        { type: 'game-written', game: name, file },
      );
    });
}

function validateCommand(): Command {
  return new Command('validate')
    .description('Play a game against its own honest answer, and say which part does not do what a run needs of it.')
    .argument(
      '<game>',
      'the path of a file that exports a game, or a game of this build (pretrain, addition-chain, serve)',
    )
    .option('--params <file>', "the game's settings as JSON (default: what its schema says)")
    .option('--call-seconds <s>', 'how long the game may take for one answer', decimal(0.1, 3600), 60)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck game validate ./my-game.ts
  $ potluck game validate ./my-game.ts --params settings.json --json

Two rounds of two honest devices, a judge and a hub: settings, tasks, work that is finished and work that is stopped, its form, verdicts,
the merge and the state's bytes; and bytes that are no work. Nobody lies here: that is what "potluck play" is for. Ends with code 1 where
a part does not do what is expected of it.`,
    )
    .action(async (game: string, { params, callSeconds, json }: ValidateFlags) => {
      const output = openOutput(json);
      const job: ValidateJob = {
        ...{ game, settings: params ? readSettings(params) : null, call_ms: callSeconds * 1000 },
      };
      let failures = 0;
      let kept = 0;
      const onPart = (check: Check): void => {
        if (check.got === null) kept++;
        else failures++;
        output.say(lineOf(check), { type: 'game-check', ...check });
      };
      const name = await validateInThread(job, onPart);
      const found = failures === 0 ? 'keeps all' : `breaks ${failures}, keeps ${kept}`;
      output.say(`${name} ${found} of the promises that were looked at.`, {
        ...{ type: 'validated', game: name, kept, broken: failures },
      });
      if (failures > 0) process.exitCode = 1;
    });
}

const PART_WIDTH = 13;

/** One line from a game's error message, which may have several. */
function lineOf({ part, expected, got }: Check): string {
  const told = got === null ? expected : `expected ${expected}; got ${got.replace(/\s*\n\s*/g, '; ')}`;
  return `${got === null ? 'ok    ' : 'BROKEN'} ${part.padEnd(PART_WIDTH)} ${told}`;
}
