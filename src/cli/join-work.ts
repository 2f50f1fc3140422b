// What `potluck join` does in the process that works: takes part in a run until its owner wants the device back.
import { hostname } from 'node:os';
import { styleText } from 'node:util';
import type { PeerRole } from '../core/events/peer-joined.ts';
import { CORE_LIMITS } from '../core/limits.ts';
import type { Numbers } from '../games/game.ts';
import { gamesOf } from '../games/game-file.ts';
import { observeRun, type RunObserver } from '../owner/run-observer.ts';
import { openAskedPrice } from '../peer/asked-price.ts';
import { transferTeller } from '../peer/blobs.ts';
import type { DeviceWish } from '../peer/choose-runtime.ts';
import { lateWords } from '../peer/late-words.ts';
import { type JoinOptions, joinRun } from '../peer/peer.ts';
import { openThrottle, type Throttle } from '../peer/policy.ts';
import type { PeerNews } from '../peer/role.ts';
import type { ServedFile } from '../peer/served-file.ts';
import { openTokenEnergy, type TokenEnergy } from '../peer/token-energy.ts';
import { systemClock } from '../protocol/clock.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { measuresText } from '../protocol/measures.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { threadsFor } from '../serving/serving-threads.ts';
import type { Adversary } from '../simulation/adversaries/adversary.ts';
import { yieldToOthers } from '../tensor/priority.ts';
import { agreedGames, type GameFlags } from './agreed-games.ts';
import { potluckHere } from './called-as.ts';
import { runsSet } from './device-files.ts';
import { ownerKeyFile } from './folders.ts';
import { type TakePartOptions, takePart, takePartOf } from './join-runs.ts';
import type { JsonObject } from './json-objects.ts';
import { openGpuUse } from './kept-gpu.ts';
import { obeyKeeper, type TellKeeper } from './kept-process.ts';
import { CHILD_MARK, KEPT, untilStopped } from './lifetime.ts';
import { DEFAULT_HUB } from './options.ts';
import { CliError, formatBytes, formatCount, type Output, openOutput } from './output.ts';
import { type RunFlags, type RunWish, wishesOf } from './run-wishes.ts';
import { tellingWork } from './work-here.ts';

export interface JoinFlags extends GameFlags, RunFlags {
  role: 'worker' | 'validator';
  name?: string;
  folder?: string;
  owner?: string;
  device: DeviceWish;
  threads: number;
  alone: boolean;
  duty: number;
  gameSeconds: number;
  serve: boolean;
  serveOnly: boolean;
  serveFile?: string;
  licence?: string;
  servePlaces: number;
  serveRegion?: string;
  /** Micro-credits for a million tokens. */
  priceIn?: number;
  priceOut?: number;
  adversary?: string;
  friend: string[];
  json: boolean;
}

/** How this device serves; undefined: it does not. */
function servingOf(
  flags: JoinFlags,
  file: ServedFile | null,
  energy: TokenEnergy | null,
  output: Output,
): JoinOptions['serve'] {
  const { serve, serveOnly, servePlaces, serveRegion, priceIn, priceOut } = flags;
  const saysPrice = priceIn !== undefined || priceOut !== undefined;
  if (!serve && !serveOnly && !file) {
    if (!saysPrice) return undefined;
    throw new CliError('bad-argument', 'a price goes with --serve, --serve-only or --serve-file');
  }
  const [price_in, price_out] = [priceIn ?? 0, priceOut ?? 0];
  const terms = { places: servePlaces, price_in, price_out, region: serveRegion ?? null };
  const asks =
    energy &&
    openAskedPrice({
      ...{ cost: energy.cost, elapsed_ms: systemClock.elapsed_ms },
      said: saysPrice ? { input_micro: price_in, output_micro: price_out } : null,
      tell: (news) =>
        output.say(
          news.type === 'asks' ? `This device ${news.message}.` : `problem (${news.code}): ${news.message}`,
          news,
        ),
    });
  const more = { ...(file && { file }), ...(energy && { energy }), ...(asks && { asks }) };
  return { only: serveOnly || file !== null, ...terms, ...more };
}

/** What answers take, of a device that does nothing else; null: what training takes is not an answer's, or nobody watches it. */
function energyOf({ serveOnly, serveFile }: JoinFlags, keeper: TellKeeper | null): TokenEnergy | null {
  if (!keeper || !(serveOnly || serveFile !== undefined)) return null;
  const energy = openTokenEnergy(systemClock.elapsed_ms);
  keeper.onEnergy(energy.took);
  return energy;
}

/** The file that this device is to serve, loaded; null: none. Throws what openServedFile throws. */
async function fileOf(flags: JoinFlags, output: Output): Promise<ServedFile | null> {
  const { serveFile, licence, servePlaces, threads, duty } = flags;
  if (serveFile === undefined) {
    if (licence === undefined) return null;
    throw new CliError('bad-argument', '--licence goes with --serve-file: a run has its own terms');
  }
  const { openServedFile } = await import('../peer/served-file.ts'); // it looks for llama.cpp
  return openServedFile(serveFile, {
    ...{ licence, places: servePlaces, threads: threadsFor(duty, threads).threads },
    onNews: (message) => output.say(`problem (serving): ${message}`, { type: 'problem', code: 'serving', message }),
  });
}

/** The engine of a file follows the owner's rules with its threads first, and then by resting. */
function withThreads(throttle: Throttle, { threads: asked, duty: first }: JoinFlags) {
  let file: ServedFile | null = null;
  let now = threadsFor(first, asked);
  throttle.go(now.part);
  return {
    /** The file's engine is there. */
    has(opened: ServedFile): void {
      file = opened;
      file.setThreads(now.threads);
    },
    throttle: {
      ...throttle,
      go(duty: number): void {
        now = threadsFor(duty, asked);
        file?.setThreads(now.threads);
        throttle.go(now.part);
      },
    },
  };
}

/** Takes part; resolves when the run is over or the owner wants the device back. */
export async function joinHere(url: string | undefined, flags: JoinFlags): Promise<void> {
  const output = openOutput(flags.json);
  const mark = process.env[CHILD_MARK];
  if (!flags.alone && (!mark || mark === KEPT)) yieldToOthers();
  const wanted = new AbortController();
  const signal = AbortSignal.any([untilStopped(), wanted.signal]);
  const rests = openThrottle(flags.duty);
  const shared = flags.serveFile === undefined ? null : withThreads(rests, flags);
  const throttle = shared?.throttle ?? rests;
  let afterWork = false;
  const leave = (when: 'now' | 'after-work'): void => {
    if (when === 'now') wanted.abort();
    else afterWork = true;
  };
  const keeper = mark === KEPT ? obeyKeeper(throttle, leave) : null;
  const adversary = flags.adversary === undefined ? null : await adversaryFor(flags.adversary, flags.role);
  if (adversary) {
    output.say(styleText(['red', 'bold'], `THIS DEVICE IS AN ADVERSARY (${adversary.name}): it ${adversary.does}.`), {
      type: 'adversary',
      name: adversary.name,
      does: adversary.does,
    });
  }
  const patient = url === undefined;
  const wishes = wishesOf(url, flags, patient ? runsSet() : null);
  const [{ url: hub, run: only }] = wishes;
  if (adversary && (wishes.length > 1 || only === null))
    throw new CliError('bad-argument', '--adversary goes with one run');
  const energy = energyOf(flags, keeper);
  let observer: RunObserver | null = null;
  const file = await fileOf(flags, output);
  if (file) shared?.has(file);
  try {
    observer = adversary?.waits ? await observeRun(hub, only ?? undefined) : null;
    const own = flags.name ?? hostname().slice(0, 50);
    const name = adversary ? `ADVERSARY ${adversary.name}: ${own}`.slice(0, CORE_LIMITS.name_characters) : own;
    const { role, device: wish, threads, alone } = flags;
    const gpu = keeper && openGpuUse(keeper, wanted);
    const runtime = { wish, threads, alone, ...gpu?.runtime };
    const view = () => observer?.view() ?? null;
    const disguise = adversary
      ? (await import('../simulation/adversaries/disguise.ts')).disguiseOf(adversary, flags.friend, view)
      : undefined;
    const loadGame = await gamesOf({
      ...{ ...agreedGames(flags), blocked_ms: flags.gameSeconds * 1000 },
    });
    const owner = await loadOrCreateIdentity(flags.owner ?? ownerKeyFile());
    const runs: TakePartOptions = {
      ...{ wishes, patient, role, folder: flags.folder, owner: owner.id, throttle, signal, loadGame },
      teller: (wish, isOneOfSeveral) => {
        const tell = newsTeller(flags.json, wish, isOneOfSeveral, output.say);
        return (news) => {
          if (!gpu?.hear(news)) tell(news);
          if (afterWork && hasHandedIn(news)) wanted.abort();
        };
      },
      onEnd: (run) =>
        output.say(`Run ${run.slice(0, 12)} is finished. On to the next.`, { type: 'ended', reason: 'finished', run }),
      onRuns: (runs) => keeper?.runs(runs),
      join: (part) => {
        const join = (more: typeof part) =>
          joinRun({
            ...{ role, name, owner, runtime, disguise, pauses: keeper?.pauses },
            serve: servingOf(flags, file, energy, output),
            ...more,
          });
        return keeper ? tellingWork(part, join, keeper.work) : join(part);
      },
    };
    const ended = await (patient ? takePartOf(() => wishesSet(flags), runs) : takePart(runs));
    const goodbye = ended === 'finished' ? 'The run is finished. Thank you.' : 'Left the run. Thank you.';
    keeper?.over(ended);
    output.say(goodbye, { type: 'ended', reason: ended });
  } finally {
    observer?.close();
    await file?.close();
  }
}

/** What is set now; null where that cannot be read, or nothing is: the keeper pauses the one, the other changes nothing. */
function wishesSet(flags: JoinFlags): RunWish[] | null {
  try {
    return wishesOf(undefined, flags, runsSet());
  } catch {
    return null;
  }
}

/** Whether there is nothing at hand that would be lost. */
const hasHandedIn = (news: PeerNews): boolean =>
  news.type === 'accepted' ||
  news.type === 'refused' ||
  (news.type === 'progress' && news.progress.state === 'waiting');

/** Throws SimulationError bad-options for a name that is none, CliError bad-argument where it plays another role. */
async function adversaryFor(name: string, role: PeerRole): Promise<Adversary> {
  const { adversaryNamed } = await import('../simulation/adversaries/registry.ts'); // thirty files, which few need
  const adversary = adversaryNamed(name);
  if (adversary.roles.includes(role)) return adversary;
  throw new CliError('bad-argument', `${name} takes part as ${adversary.roles.join(' or ')}, not as ${role}`);
}

/** Turns a peer's news into lines; progress is shown to people only when what they see would change. */
function newsTeller(
  json: boolean,
  { url, run: wanted }: RunWish,
  isOneOfSeveral: boolean,
  tell: Output['say'],
): (news: PeerNews) => void {
  let run: string | null = null;
  let name = wanted ?? url;
  const say: Output['say'] = (text, value) => {
    const line = text !== '' && isOneOfSeveral ? `${name}: ${text}` : text;
    tell(line, run === null ? value : ({ ...value, run } as JsonObject));
  };
  let lastState = '';
  let unit = '';
  let lastAway = '';
  let hinted = false;
  const tellTransfer = transferTeller((sentence, transfer) => say(sentence, { type: 'transfer', ...transfer }));
  return (news) => {
    if (news.type === 'joined') [run, name, unit] = [news.run, nameOf(news.run_name), news.unit];
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
    say(first ? `${describe(news, url, unit)}\n${hintOf(news.submission, url)}` : describe(news, url, unit), news);
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

const DEVICE_WORDS: Readonly<Record<string, string>> = {
  'native-cpu': 'the CPU',
  wasm: 'the CPU with WASM',
  webgpu: 'the GPU',
};

function speedsOf(measured: readonly { readonly class: string; readonly tokens_per_second: number }[]): string {
  if (measured.length === 0) return '';
  const each = measured.map(
    ({ class: name, tokens_per_second }) => `${DEVICE_WORDS[name] ?? name} ${formatCount(tokens_per_second)}`,
  );
  return ` Tokens a second: ${each.join(', ')}.`;
}

/** Its numbers by their names. */
function told(numbers: Numbers): string {
  const text = measuresText(numbers);
  return text && ` (${text})`;
}

function describe(news: PeerNews, url: string, unit: string): string {
  switch (news.type) {
    case 'joined':
      return `Joined run ${news.run.slice(0, 12)} (${nameOf(news.run_name)}) as ${news.peer.slice(0, 12)}.`;
    case 'computes':
      return `Computes on ${DEVICE_WORDS[news.runtime] ?? news.runtime}: ${news.why}.${speedsOf(news.measured)}`;
    case 'serves':
      return `Serves the model ${news.model.slice(0, 12)} to callers, ${news.places} at the same time.`;
    case 'progress': {
      const { state, round, amount_per_second } = news.progress;
      const speed = state === 'working' ? `, ${formatCount(amount_per_second)} ${nameOf(unit)}/s` : '';
      return `round ${round}: ${state}${speed}`;
    }
    case 'accepted':
      return `round ${news.round}: handed in ${formatCount(news.amount)} ${nameOf(unit)} in ${formatBytes(news.size_bytes)}${told(news.numbers)}, submission ${news.submission.slice(0, 12)}`;
    case 'refused':
      if (news.code === 'key-in-use') return `round ${news.round}: the work was not handed in: ${news.message}`;
      if (lateWords(news.code, news.round)) return news.message;
      return `round ${news.round}: the hub refused the work (${news.code}): ${news.message}`;
    case 'judged':
      return `round ${news.round}: judged submission ${news.submission.slice(0, 12)}: ${news.accepted ? 'accepted' : `refused, ${news.code}`}`;
    case 'evaluated':
      return `measured after ${news.merged_rounds} rounds: ${measuresText(news.measured)}`;
    case 'moved':
      return `the run has gone to ${news.url} (hub ${news.hub.slice(0, 12)}): this device follows`;
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
