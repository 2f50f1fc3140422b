// `potluck plant RUN`: a run's owner plants work with a known verdict among the others', and opens it when the round is over.
import { randomInt, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { gamesOf } from '../games/game-file.ts';
import { plantInRun } from '../owner/planter.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { createNativeRuntime, isNativeHere } from '../tensor/native-runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { agreedGames, type GameFlags } from './agreed-games.ts';
import { homeFolder, ownerKeyFile } from './folders.ts';
import { untilStopped } from './lifetime.ts';
import {
  A_RUN,
  DEFAULT_HUB,
  deviceName,
  gameFileOption,
  gameHashOption,
  hubUrl,
  integer,
  jsonOption,
  runHandle,
  runOwnerOption,
  runtimeOption,
} from './options.ts';
import { openOutput } from './output.ts';

interface PlantFlags extends GameFlags {
  hub: string;
  work: 'bad' | 'good' | 'either';
  plants: number;
  honestRounds?: number;
  name?: string;
  owner?: string;
  runtime: 'native' | 'wasm';
  threads: number;
  json: boolean;
}

/** Nothing that was planted could be revealed. */
const EXIT_NOTHING_REVEALED = 3;
/** Without a word about it, the planting worker is honest for a number of rounds below this: nobody can foresee when it turns. */
const HONEST_ROUNDS = 4;
/** A host's name would tell whose it is. */
const USUAL_NAMES = ['laptop', 'desktop', 'workstation', 'mini', 'home', 'office', 'studio', 'spare'];

export function plantCommand(): Command {
  return new Command('plant')
    .argument('<run>', A_RUN, runHandle)
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .addOption(
      new Option('--work <kind>', 'bad: judges must refuse it; good: they must accept it')
        .choices(['bad', 'good', 'either'])
        .default('either'),
    )
    .option('--plants <n>', 'how many, one after another, each by a worker with a new key', integer(1, 1000), 1)
    .option(
      '--honest-rounds <n>',
      `rounds that each worker is honest before (default: by chance, fewer than ${HONEST_ROUNDS})`,
      integer(0, 10_000),
    )
    .option('--name <name>', 'how others see the worker (default: a usual one, by chance)', deviceName)
    .addOption(runOwnerOption())
    .addOption(runtimeOption('what computes', isNativeHere() ? 'native' : 'wasm'))
    .option('--threads <n>', 'threads to compute with', integer(1, 256), 1)
    .addOption(gameFileOption())
    .addOption(gameHashOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck plant 3fa9c1                        one, bad or good by chance
  $ potluck plant 3fa9c1 --work bad --plants 5
  $ potluck why SUBMISSION                      who was right, who was wrong, and what it cost

The worker joins like any other, with a key of its own that is kept under ~/.potluck/plants. Judges who misjudge what it planted lose
what they earned in the rounds that the rules withhold. A plant is revealed only where the owner's own checks, on native
CPU and on WASM and with what judges know, say what they should have said. Ends with code ${EXIT_NOTHING_REVEALED} where nothing was revealed.`,
    )
    .action(async (run: string, flags: PlantFlags) => {
      const output = openOutput(flags.json);
      const signal = untilStopped();
      const owner = await loadOrCreateIdentity(flags.owner ?? ownerKeyFile());
      const loadGame = await gamesOf(agreedGames(flags));
      const { threads } = flags;
      const runtimes = { native: await createNativeRuntime({ threads }), wasm: await createWasmRuntime({ threads }) };
      const [runtime, referees] = [runtimes[flags.runtime], Object.values(runtimes)];
      let revealed = 0;
      try {
        for (let plant = 1; plant <= flags.plants && !signal.aborted; plant++) {
          const accepted = flags.work === 'either' ? randomInt(2) === 1 : flags.work === 'good';
          const kind = accepted ? 'good' : 'bad';
          const outcome = await plantInRun({
            ...{ url: flags.hub, run, owner, runtime, referees, signal, loadGame, accepted },
            folder: join(homeFolder(), 'plants', randomUUID()),
            name: flags.name ?? `${USUAL_NAMES[randomInt(USUAL_NAMES.length)]}-${randomInt(100)}`,
            honest_rounds: flags.honestRounds ?? randomInt(HONEST_ROUNDS),
            onNews(news) {
              if (news.type === 'joined')
                output.say(`Joined run ${news.run.slice(0, 12)} as ${news.peer.slice(0, 12)}.`, news);
              if (news.type === 'accepted') output.say(`round ${news.round}: handed in`, news);
              if (news.type === 'problem') output.say(`problem (${news.code}): ${news.message}`, news);
            },
          });
          if (outcome.revealed) revealed++;
          output.say(
            outcome.revealed
              ? `round ${outcome.round}: it was planted, ${kind} work, and the log says so now. Who misjudged it: potluck why ${outcome.submission.slice(0, 12)} --hub ${flags.hub}`
              : `Nothing was revealed: ${outcome.reason}.`,
            { type: 'planted', work: kind, ...outcome },
          );
        }
      } finally {
        for (const each of referees) await each.close();
      }
      if (revealed === 0) process.exitCode = EXIT_NOTHING_REVEALED;
    });
}
