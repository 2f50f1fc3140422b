// `potluck join URL`: this device takes part in a run until its owner wants it back.
import { hostname } from 'node:os';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { Command, Option } from 'commander';
import type { PeerRole } from '../core/events/peer-joined.ts';
import { CORE_LIMITS } from '../core/limits.ts';
import { gamesOf } from '../games/game-file.ts';
import { observeRun, type RunObserver } from '../owner/run-observer.ts';
import { transferTeller } from '../peer/blobs.ts';
import { lateWords } from '../peer/late-words.ts';
import { joinRun } from '../peer/peer.ts';
import type { PeerNews } from '../peer/role.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { nameOf } from '../protocol/shown-name.ts';
import type { Adversary } from '../simulation/adversaries/adversary.ts';
import { createNativeRuntime, isNativeHere } from '../tensor/native-runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { potluckHere } from './called-as.ts';
import { homeFolder, ownerKeyFile, peerFolder } from './folders.ts';
import { CHILD_MARK, untilStopped } from './lifetime.ts';
import {
  A_RUN,
  DEFAULT_HUB,
  decimal,
  deviceName,
  gameFileOption,
  gameHashOption,
  gameSecondsOption,
  hubUrl,
  integer,
  jsonOption,
  runHandle,
  runtimeOption,
} from './options.ts';
import { CliError, formatBytes, formatCount, type Output, openOutput } from './output.ts';
import { yieldToOthers } from './priority.ts';

interface JoinFlags {
  run?: string;
  role: 'worker' | 'validator';
  name?: string;
  folder?: string;
  owner?: string;
  runtime: 'native' | 'wasm';
  threads: number;
  alone: boolean;
  duty: number;
  gameFile: string[];
  game: string[];
  gameSeconds: number;
  adversary?: string;
  friend: string[];
  json: boolean;
}

export function joinCommand(): Command {
  return new Command('join')
    .argument('<url>', 'the address of the hub', hubUrl)
    .option('--run <run>', `${A_RUN} (needed when several go on)`, runHandle)
    .addOption(new Option('--role <role>', 'what to do').choices(['worker', 'validator']).default('worker'))
    .option('--name <name>', 'how others see this device (default: its host name)', deviceName)
    .option('--folder <dir>', "where this peer's key and its state are kept (default: under ~/.potluck/peers)")
    .option(
      '--owner <file>',
      'the key that this device earns for (default: owner.key under ~/.potluck, made on first use)',
    )
    .addOption(runtimeOption('what computes', isNativeHere() ? 'native' : 'wasm'))
    .option('--threads <n>', 'threads to compute with', integer(1, 256), 1)
    .option(
      '--alone',
      'nothing else needs this machine: its priority is not lowered, and waiting threads stay awake (matters with more than four)',
      false,
    )
    .option('--duty <part>', 'part of the time to compute, from 0.01 to 1', decimal(0.01, 1), 1)
    .addOption(gameFileOption())
    .addOption(gameHashOption())
    .addOption(gameSecondsOption())
    .option(
      '--adversary <name>',
      'lie to the run in a way that "potluck play --help" lists: to test a network of your own',
    )
    .option('--friend <id...>', 'those that an adversary conspires with', [])
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck join http://hub.example:7700
  $ potluck join localhost:7700 --role validator
  $ potluck join localhost:7700 --duty 0.25 --name "old laptop"    a quarter of the time

Ctrl-C hands in what is done and leaves; a second Ctrl-C leaves at once.`,
    )
    .action(async (url: string, flags: JoinFlags) => {
      const output = openOutput(flags.json);
      if (!flags.alone && !process.env[CHILD_MARK]) yieldToOthers();
      const signal = untilStopped();
      const adversary = flags.adversary === undefined ? null : await adversaryFor(flags.adversary, flags.role);
      if (adversary) {
        output.say(
          styleText(['red', 'bold'], `THIS DEVICE IS AN ADVERSARY (${adversary.name}): it ${adversary.does}.`),
          { type: 'adversary', name: adversary.name, does: adversary.does },
        );
      }
      const { folder, release } = peerFolder(flags.folder, flags.role);
      const { threads, alone } = flags;
      const runtime = await (flags.runtime === 'wasm'
        ? createWasmRuntime({ threads })
        : createNativeRuntime({ threads, alone }));
      let observer: RunObserver | null = null;
      try {
        observer = adversary?.waits ? await observeRun(url, flags.run) : null;
        const own = flags.name ?? hostname().slice(0, 50);
        const name = adversary ? `ADVERSARY ${adversary.name}: ${own}`.slice(0, CORE_LIMITS.name_characters) : own;
        const { run, role, duty } = flags;
        const view = () => observer?.view() ?? null;
        const disguise = adversary
          ? (await import('../simulation/adversaries/disguise.ts')).disguiseOf(adversary, flags.friend, view)
          : undefined;
        const loadGame = await gamesOf({
          ...{ files: flags.gameFile, blocked_ms: flags.gameSeconds * 1000 },
          ...{ hashes: flags.game, folder: join(homeFolder(), 'games') },
        });
        const owner = await loadOrCreateIdentity(flags.owner ?? ownerKeyFile());
        const tell = newsTeller(flags.json, url, output.say);
        const ended = await joinRun({
          ...{ url, run, role, name, folder, owner, runtime, duty, signal, onNews: tell, loadGame, disguise },
        });
        const goodbye = ended === 'finished' ? 'The run is finished. Thank you.' : 'Left the run. Thank you.';
        output.say(goodbye, { type: 'ended', reason: ended });
      } finally {
        observer?.close();
        await runtime.close();
        release();
      }
    });
}

/** Throws SimulationError bad-options for a name that is none, CliError bad-argument where it plays another role. */
async function adversaryFor(name: string, role: PeerRole): Promise<Adversary> {
  const { adversaryNamed } = await import('../simulation/adversaries/registry.ts'); // thirty files, which few need
  const adversary = adversaryNamed(name);
  if (adversary.roles.includes(role)) return adversary;
  throw new CliError('bad-argument', `${name} takes part as ${adversary.roles.join(' or ')}, not as ${role}`);
}

/** Turns a peer's news into lines; progress is shown to people only when what they see would change. */
function newsTeller(json: boolean, url: string, say: Output['say']): (news: PeerNews) => void {
  let lastState = '';
  let lastAway = '';
  let hinted = false;
  const tellTransfer = transferTeller((sentence, transfer) => say(sentence, { type: 'transfer', ...transfer }));
  return (news) => {
    if (news.type === 'transfer') return tellTransfer(news);
    if (news.type === 'away' && !json) {
      // A hub that stays away is looked for every few seconds; why it is away is said once.
      if (news.reason === lastAway) return;
      lastAway = news.reason;
    } else if (news.type !== 'progress') lastAway = '';
    if (news.type === 'progress' && !json) {
      const { state, round } = news.progress;
      if (state === 'waiting' || state === 'catching up' || `${state} ${round}` === lastState) return;
      lastState = `${state} ${round}`;
    }
    const first = 'submission' in news && !hinted;
    hinted ||= first;
    say(first ? `${describe(news, url)}\n${hintOf(news.submission, url)}` : describe(news, url), news);
  };
}

/** What can be done about something, from the command line. */
function adviceOn(code: string, url: string): string {
  const again = `npx potluck join ${url}`;
  if (code === 'no-validator') return `; start one, here or elsewhere: ${again} --role validator`;
  if (code === 'key-in-use') return `; give each device a folder of its own: ${again} --folder ANOTHER`;
  return '';
}

/** Said once: what can be asked about a submission. */
function hintOf(submission: string, url: string): string {
  const hub = url === DEFAULT_HUB ? '' : ` --hub ${url}`;
  return `  what came of it, and why: ${potluckHere()} why ${submission.slice(0, 12)}${hub}`;
}

function describe(news: PeerNews, url: string): string {
  switch (news.type) {
    case 'joined':
      return `Joined run ${news.run.slice(0, 12)} (${nameOf(news.run_name)}) as ${news.peer.slice(0, 12)}.`;
    case 'progress': {
      const { state, round, tokens_per_second } = news.progress;
      const speed = state === 'training' ? `, ${formatCount(tokens_per_second)} tokens/s` : '';
      return `round ${round}: ${state}${speed}`;
    }
    case 'accepted':
      return `round ${news.round}: handed in ${news.steps} steps in ${formatBytes(news.size_bytes)}, submission ${news.submission.slice(0, 12)}`;
    case 'refused':
      if (news.code === 'key-in-use') return `round ${news.round}: the work was not handed in: ${news.message}`;
      if (lateWords(news.code, news.round)) return news.message;
      return `round ${news.round}: the hub refused the work (${news.code}): ${news.message}`;
    case 'judged':
      return `round ${news.round}: judged submission ${news.submission.slice(0, 12)}: ${news.accepted ? 'accepted' : `refused, ${news.code}`}`;
    case 'evaluated':
      return `validation loss after ${news.merged_rounds} rounds: ${news.loss.toFixed(4)}`;
    case 'away':
      return `the hub is away (${news.reason}); trying again`;
    case 'obstacle':
      return news.obstacle ? `${news.obstacle.message}${adviceOn(news.obstacle.code, url)}` : '';
    case 'transfer':
      return ''; // said by transferTeller
    case 'problem':
      return `problem (${news.code}): ${news.message}${adviceOn(news.code, url)}`;
  }
}
