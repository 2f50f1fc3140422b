// `potluck play GAME`: sets a crowd of liars on a game before anybody launches it, and says whether lying pays.
import { Command, Option } from 'commander';
import { isStaged } from '../games/game.ts';
import { isGameFile, loadGameFile } from '../games/game-file.ts';
import { loadGame } from '../games/registry.ts';
import { formatDuration } from '../protocol/duration.ts';
import { ADVERSARIES, adversariesOf, adversaryNamed } from '../simulation/adversaries/registry.ts';
import { playGame } from '../simulation/play.ts';
import type { StrategyReport } from '../simulation/play-report.ts';
import { decimal, integer, jsonOption, readSettings } from './options.ts';
import { CliError, type Output, openOutput } from './output.ts';
import { progressLine } from './progress-line.ts';

interface PlayFlags {
  adversaries?: string;
  share: number;
  rounds: number;
  quick: boolean;
  workers?: number;
  validators: number;
  lyingStake?: number;
  open: boolean;
  seed: string;
  params?: string;
  callSeconds: number;
  json: boolean;
}

/** Enough for the one that is honest longest to do its deed, and to do it again. */
const ROUNDS = 2 + Math.max(...ADVERSARIES.map(({ honest_rounds = 0 }) => honest_rounds));

/** Enough for what pays at once; who is honest for longer is not tried. */
const QUICK_ROUNDS = 3;

const WORKERS = 6;
/** Two honest devices and a liar at each of three stages. */
const STAGED_WORKERS = 9;

/** A strategy that pays better than honesty was found. */
const EXIT_EXPLOIT = 3;

export function playCommand(): Command {
  return new Command('play')
    .argument(
      '<game>',
      'a game of this build (pretrain, pipeline, addition-chain, serve), or the path of a file that exports one',
    )
    .option('--adversaries <list>', 'names, divided by commas (default: all that can play the game)')
    .option('--share <part>', 'the part of the devices of a role that lie', decimal(0.01, 0.9), 0.33)
    .option('--rounds <n>', 'rounds', integer(1, 10_000), ROUNDS)
    .addOption(new Option('--quick', `a first look: ${QUICK_ROUNDS} rounds`).default(false).conflicts('rounds'))
    .option(
      '--workers <n>',
      `workers, liars included (default: ${WORKERS}; ${STAGED_WORKERS} of a game in stages)`,
      integer(2, 1000),
    )
    .option('--validators <n>', 'validators, liars included', integer(2, 256), 3)
    .addOption(
      new Option(
        '--lying-stake <permille>',
        "thousandths of the validators' stake that liars hold (default: by --share)",
      )
        .argParser(integer(1, 999))
        .conflicts('open'),
    )
    .option('--open', 'whoever joins may validate; else only those that the rules name', false)
    .option('--seed <text>', 'another seed is another history', 'potluck')
    .option('--params <file>', "the game's settings as JSON (default: what its schema says)")
    .option('--call-seconds <s>', 'how long the game may take for one answer', decimal(0.1, 3600), 60)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck play pretrain
  $ potluck play ./my-game.ts --quick
  $ potluck play ./my-game.ts --adversaries copier,boast,lazy --rounds 20

Adversaries:
${ADVERSARIES.map(({ name, does }) => `  ${name.padEnd(18)} ${does}`).join('\n')}

cost, pay and gain (pay for cost) are those of an honest device times so much. Ends with code ${EXIT_EXPLOIT} where lying pays.`,
    )
    .action(async (game: string, flags: PlayFlags) => {
      const output = openOutput(flags.json);
      const rounds = flags.quick ? QUICK_ROUNDS : flags.rounds;
      const loaded = isGameFile(game) ? await loadGameFile(game, flags.callSeconds * 1000) : await loadGame(game);
      const { name } = loaded;
      const { workers = isStaged(loaded) ? STAGED_WORKERS : WORKERS } = flags;
      const adversaries = flags.adversaries?.split(',').map(adversaryNamed) ?? adversariesOf(name);
      const unfit = adversaries.find(({ games }) => games && !games.includes(name));
      if (unfit) throw new CliError('bad-argument', `${unfit.name} has to know the game; it plays ${unfit.games}`);
      // Who would be honest to the end is no liar, and what it earns by luck no exploit.
      const [tried, untried] = [true, false].map((wanted) =>
        adversaries.filter(({ honest_rounds = 0 }) => honest_rounds < rounds === wanted),
      );
      const progress = progressLine(flags.json);
      const say: Output['say'] = (text, value) => {
        progress.clear();
        output.say(text, value);
      };
      say(headings(), { type: 'playing', game: name, adversaries: tried.map((one) => one.name) });
      const { exploits } = await playGame({
        ...{ game, adversaries: tried, settings: flags.params ? readSettings(flags.params) : null },
        crowd: {
          ...{ workers, validators: flags.validators, share: flags.share },
          ...{ lying_stake: flags.lyingStake, open: flags.open },
        },
        ...{ rounds, seed: flags.seed, call_ms: flags.callSeconds * 1000 },
        onProgress: ({ tried: done, all, time_left_ms }) => {
          progress.clear();
          progress.draw(() => `${done} of ${all} strategies tried, about ${formatDuration(time_left_ms)} left`);
        },
        onHonest: ({ measured }) => say(row(['honest', '', '1.00', '1.00', '1.00', '']), { type: 'honest', measured }),
        onReport: (report) => say(lineOf(report), { type: 'strategy', ...report }),
      }).finally(progress.clear);
      for (const { name: who, honest_rounds = 0 } of untried) {
        output.say(`\nNot tried: ${who} is honest for ${honest_rounds} rounds; give it more with --rounds.`, {
          ...{ type: 'not-tried', adversary: who, honest_rounds },
        });
      }
      if (exploits.length === 0) {
        output.say(`\nNo dishonest strategy of ${tried.length} earns more per cost than honesty.`, {
          ...{ type: 'verdict', exploits: [] },
        });
        return;
      }
      output.say(`\n${exploits.map(({ verdict }) => verdict).join('\n')}`, {
        type: 'verdict',
        exploits: exploits.map(({ adversary, verdict }) => ({ adversary, verdict })),
      });
      process.exitCode = EXIT_EXPLOIT;
    });
}

const WIDTHS = [18, 10, 7, 7, 7, 9];
const row = (cells: readonly string[]): string =>
  cells.map((cell, i) => (i < 2 ? cell.padEnd(WIDTHS[i]) : cell.padStart(WIDTHS[i]))).join(' ');
const headings = (): string => row(['strategy', 'role', 'cost', 'pay', 'gain', 'damage']);

function lineOf({ adversary, role, cost, pay, gain, damage, verdict, fates }: StrategyReport): string {
  const cells = [adversary, role, cost.toFixed(2), pay.toFixed(2), gain.toFixed(2), `${(100 * damage).toFixed(1)} %`];
  const why = Object.entries(fates).map(([fate, count]) => `${fate} ${count}×`);
  return `${row(cells)}   ${verdict}${why.length > 0 ? ` (${why.join(', ')})` : ''}`;
}
