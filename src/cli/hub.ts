// `potluck hub`: a meeting place on this machine.

import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { LoggedEvent } from '../core/events.ts';
import { gamesOf } from '../games/game-file.ts';
import { parseWitness, type WitnessAddress } from '../hub/ask-witness.ts';
import { isOwnHost } from '../hub/askers.ts';
import { ROLES } from '../hub/cluster/member.ts';
import type { ConditionChange } from '../hub/condition.ts';
import { type Hub, type HubOptions, openHub } from '../hub/hub.ts';
import { PAY_SPLIT } from '../hub/serving/payments.ts';
import { RECEIPT_LIMITS } from '../hub/serving/receipts.ts';
import { fired, sleep, systemClock } from '../protocol/clock.ts';
import { measuresText } from '../protocol/measures.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { bucketAt, fillFirst } from './bucket.ts';
import { potluckHere } from './called-as.ts';
import { homeFolder } from './folders.ts';
import { type ClusterFlags, clusterOf, mayStartAgain, roles } from './hub-cluster.ts';
import { sayUsage } from './hub-usage.ts';
import type { JsonObject } from './json-objects.ts';
import { openKeptUsage } from './kept-usage.ts';
import { keysFromFile } from './key-file.ts';
import { untilStopped } from './lifetime.ts';
import {
  DEFAULT_PORT,
  decimal,
  filesUrl,
  gameFileOption,
  gameSecondsOption,
  integer,
  jsonOption,
  namedAccounts,
  publicUrl,
} from './options.ts';
import { type Output, openOutput } from './output.ts';
import { ownAccounts } from './own-accounts.ts';
import { keepPageBuilt, PAGE_FOLDER } from './page.ts';
import { openToldProblems, problemText, type ToldProblems } from './told-problems.ts';

interface HubFlags extends ClusterFlags {
  port: number;
  host: string;
  folder?: string;
  fillBucket?: boolean;
  cdn?: string;
  public?: string;
  registry?: string;
  trustedProxy: string[];
  metricsPublic?: boolean;
  holdersShare: number;
  hubShare: number;
  settleMinutes: number;
  owners?: string[];
  openRuns?: boolean;
  api?: boolean;
  apiOwners?: string[];
  page: boolean;
  keepFree?: number;
  usage?: boolean;
  witness: WitnessAddress[];
  mirrorFolder?: string;
  gameFile: string[];
  gameSeconds: number;
  json: boolean;
  logLevel: LogLevel;
}

/** What is logged beside the hub's start and stop, from little to much: each level has what those before it have. */
const LOG_LEVELS = ['error', 'info', 'debug'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

export function hubCommand(): Command {
  return new Command('hub')
    .option('--port <n>', 'port to listen on; 0 takes any free one', integer(0, 65_535), DEFAULT_PORT)
    .option('--host <address>', 'address to listen on; 0.0.0.0 lets other machines in', '127.0.0.1')
    .option('--folder <dir>', 'where the log and the blobs are kept (default: hub under ~/.potluck)')
    .option(
      '--s3 <url>',
      'keep log and blobs in a bucket, http(s)://host[:port]/bucket[/prefix]; the folder is a copy (keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)',
    )
    .option(
      '--fill-bucket',
      'with --s3: first moves the log and the blobs of the folder there; where that breaks off, it goes on with the next start',
    )
    .option(
      '--cdn <url>',
      "with --s3: where everybody may read the bucket's objects (default: devices get addresses that are valid for an hour)",
      filesUrl,
    )
    .option(
      '--nats <urls>',
      'this process is one of several of a hub, which find each other by NATS: nats://host:port, more separated by commas; takes --s3',
    )
    .option(
      '--roles <list>',
      `what this process does of a hub of several, separated by commas: ${ROLES.join(', ')} (default: all)`,
      roles,
    )
    .option('--region <name>', 'where this process of a hub of several is: devices connect to the nearest')
    .option(
      '--registry <url>',
      'the hub whose log names devices and addresses: this one takes them in from there; for a hub that begins, and for good (of several processes: for each that may lead)',
      publicUrl,
    )
    .option(
      '--public <url>',
      'how the world sees this hub: links name it, and pages of others may read what is public',
      publicUrl,
    )
    .option(
      '--trusted-proxy <address>',
      'address or network of a proxy whose X-Forwarded-For is believed; may be given again (default: this machine)',
      (text: string, before: string[]) => [...before, text],
      [],
    )
    .option(
      '--owners <accounts>',
      'accounts that may create runs, separated by commas, or a file with one a line; nobody else may, unless --open-runs',
      namedAccounts,
    )
    .option('--open-runs', 'also with --owners let strangers create some runs; room is kept for those that are named')
    .option(
      '--api',
      'devices that serve here answer, at /v1, whoever has a key of this machine (potluck serve keys); a hub for its own machine needs neither',
    )
    .option(
      '--api-owners <accounts>',
      'only devices of these accounts may see what is asked, separated by commas, or a file with one a line',
      namedAccounts,
    )
    .option(
      '--holders-share <percent>',
      'of what an answer costs, for those who hold shares of the model',
      decimal(0, 50),
      PAY_SPLIT.holders_permille / 10,
    )
    .option(
      '--hub-share <percent>',
      'of what an answer costs, for this hub',
      decimal(0, 40),
      PAY_SPLIT.gateway_permille / 10,
    )
    .option(
      '--settle-minutes <n>',
      'how often receipts of answers are settled in the log',
      decimal(0.001, 1440),
      RECEIPT_LIMITS.batch_ms / 60_000,
    )
    .option('--metrics-public', 'let everybody read /metrics; else only programs of this machine may')
    .option('--no-page', 'serve programs only, not the page')
    .option('--usage', 'print what the folder holds and how fast it grows, then end')
    .option(
      '--keep-free <mb>',
      'megabytes of the disk that uploads must leave free (default: 2 % of the disk, at most 268)',
      decimal(0, 1e9),
    )
    .option(
      '--witness <key-and-url>',
      '"NAME+HASH+KEY URL" of a witness (C2SP tlog-witness) that is shown every new head of the log; may be given again',
      (text: string, before: WitnessAddress[]) => [...before, witnessAddress(text)],
      [],
    )
    .option(
      '--mirror-folder <dir>',
      'keeps the log and its blobs there as files for any web server: potluck audit --mirror reads them without this hub',
    )
    .addOption(gameFileOption())
    .addOption(gameSecondsOption())
    .addOption(
      new Option('--log-level <level>', 'error: problems only; info: events too; debug: and every tick of the clock')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck hub
  $ potluck hub --host 0.0.0.0 --port 8080 --folder ./my-hub
  $ potluck hub --public https://potluck.example.org --owners owners.txt
  $ potluck serve keys add friend --owners mine && potluck hub --host 0.0.0.0 --api
  $ potluck hub --json --log-level error`,
    )
    .action(runHub);
}

/** How long a process of several waits before it starts again. */
const AGAIN_MS = 1000;

/** Runs a hub until it is stopped, or its log fails. */
async function runHub(options: HubFlags): Promise<void> {
  const output = openOutput(options.json);
  const folder = options.folder ?? join(homeFolder(), 'hub');
  if (options.usage) return sayUsage(folder, output);
  const cluster = clusterOf(options);
  const stopped = untilStopped();
  const api = await apiOf(options, output);
  const given = { ...(await hubOptionsOf(options)), folder, api, cluster };
  if (options.fillBucket) await fillFirst(folder, given.s3, output);
  let [stopBuilding, { port }]: [() => void, { port: number }] = [() => {}, options];
  try {
    if (options.page) stopBuilding = keepPageBuilt(output);
    for (let begun = false; ; begun = true) {
      const ended = await runOnce({ ...given, port }, options, output, stopped).catch((error: unknown) => {
        // What keeps it from coming back may pass as what ended it; a first start that fails is told to whoever started it.
        if (begun) return { error, port };
        throw error;
      });
      if (ended === null || stopped.aborted) break;
      if (!cluster || !mayStartAgain(ended.error)) throw ended.error;
      output.say(`This process starts again: ${messageOf(ended.error)}.`, {
        ...{
          type: 'problem',
          level: 'error',
          where: 'this process, which starts again',
          message: messageOf(ended.error),
        },
      });
      port = ended.port;
      await sleep(systemClock, AGAIN_MS);
    }
  } finally {
    // Whatever went wrong, what listens must not keep the command alive.
    stopBuilding();
    api?.usage?.close();
  }
  output.say('The hub has stopped.', { type: 'stopped' });
}

/** Runs it once. Resolves to null when it was stopped, else to what its log failed with and where it listened. */
async function runOnce(
  given: Omit<HubOptions, 'onEvent' | 'onError' | 'onCondition'>,
  options: HubFlags,
  output: Output,
  stopped: AbortSignal,
): Promise<{ readonly error: unknown; readonly port: number } | null> {
  const failed = new AbortController();
  const { close: tellRest, ...said } = whatHubSays(output, options.logLevel, (error) => failed.abort(error));
  let hub: Hub | null = null;
  try {
    hub = await openHub({ ...given, ...said });
    sayListening(hub, given.folder, options, output);
    await fired(AbortSignal.any([stopped, failed.signal]));
  } finally {
    await hub?.close();
    tellRest();
  }
  if (!failed.signal.aborted) return null;
  return { error: failed.signal.reason, port: Number(new URL(hub.url).port) };
}

async function hubOptionsOf(options: HubFlags) {
  return {
    host: options.host,
    s3: options.s3 === undefined ? undefined : bucketAt(options.s3),
    cdn: options.cdn,
    loadGame: await gamesOf({ files: options.gameFile, blocked_ms: options.gameSeconds * 1000 }),
    page: options.page ? { folder: PAGE_FOLDER } : undefined,
    public_url: options.public,
    registry: options.registry,
    proxies: options.trustedProxy.length > 0 ? options.trustedProxy : undefined,
    metrics_public: options.metricsPublic,
    owners: options.owners,
    settle_ms: options.settleMinutes * 60_000,
    split: {
      holders_permille: Math.round(options.holdersShare * 10),
      gateway_permille: Math.round(options.hubShare * 10),
    },
    runs: options.openRuns ? ('limited' as const) : options.owners ? ('named' as const) : undefined,
    witnesses: options.witness,
    mirror_folder: options.mirrorFolder,
    floor_bytes: options.keepFree === undefined ? undefined : options.keepFree * 1e6,
  };
}

function sayListening(hub: Hub, folder: string, options: HubFlags, output: Output): void {
  const watched = options.roles?.has('front') ?? true;
  output.say(
    `The hub listens on ${hub.url} and keeps everything in ${options.s3 ?? folder}.\n` +
      hub.bucket.map((line) => `${line}\n`).join('') +
      (options.nats ? `It is one of several processes: ${[...(options.roles ?? ROLES)].join(', ')}.\n` : '') +
      (watched && options.page ? `Open ${options.public ?? hub.url} in a browser to watch.\n` : '') +
      (watched ? `Start a run:  ${potluckHere()} run create --hub ${hub.url} --data FILE_OR_FOLDER\n` : '') +
      `The key of its log, for witnesses and monitors:  ${hub.verifier_key}\n` +
      'Ctrl-C stops it; nothing is lost.',
    {
      type: 'listening',
      url: hub.url,
      hub: hub.id,
      folder,
      verifier_key: hub.verifier_key,
      ...(options.s3 && { bucket: hub.bucket }),
    },
  );
}

/** Who may ask the devices that serve; undefined: what is usual for where the hub listens. */
async function apiOf({ api, apiOwners, host, public: address }: HubFlags, output: Output): Promise<HubOptions['api']> {
  const isOpen = address !== undefined || !isOwnHost(host);
  if (isOpen && !api && !apiOwners) return undefined;
  const owners = apiOwners ? new Set(apiOwners) : null;
  const usage = openKeptUsage((error) => {
    const [where, message] = ['the count of usage', messageOf(error)];
    output.say(`problem in ${where}: ${message}`, { type: 'problem', level: 'error', where, message });
  });
  return { keys: api || isOpen ? keysFromFile() : null, owners, own: await ownAccounts(), usage };
}

/** Listeners that print what a hub says, up to a level. */
function whatHubSays(
  output: Output,
  most: LogLevel,
  onFailed: (error: unknown) => void,
): Pick<HubOptions, 'onEvent' | 'onError' | 'onCondition'> & Pick<ToldProblems, 'close'> {
  const log = (level: LogLevel, text: string, value: JsonObject): void => {
    if (LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(most)) output.say(text, value);
  };
  const problems = openToldProblems((where, message, again) => {
    const value = { where, message, again };
    log('error', `problem in ${where}: ${problemText(value)}`, { type: 'problem', level: 'error', ...value });
  }, systemClock);
  return {
    onEvent(event, index) {
      // Events that became durable together are told one after the other, and leave in one write.
      process.stdout.cork();
      process.nextTick(() => process.stdout.uncork());
      const level = event.body.type === 'tick' ? 'debug' : 'info';
      // The sentence takes longer than the rest of an event's way to the output.
      log(level, output.json ? '' : describe(event), { type: 'event', level, index, ...event });
    },
    onError: (error, where) => problems.heard(where, messageOf(error)),
    close: problems.close,
    onCondition(condition, error) {
      const message = error === null ? null : messageOf(error);
      const value = { type: 'condition', level: 'error', ...condition, message } as const;
      log('error', describeCondition(condition, message), value);
      if (condition.state === 'log-failed') onFailed(error);
    },
  };
}

/** A witness on the command line, or one clear line. */
function witnessAddress(text: string): WitnessAddress {
  try {
    return parseWitness(text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** @param message what the log said, null where it said nothing */
function describeCondition({ state, reason }: ConditionChange, message: string | null): string {
  if (state === 'ready') return 'What was wrong is over; the hub goes on.';
  const said = message === null ? '' : ` (${message})`;
  if (state !== 'disk-full') return `problem: ${reason}${said}`;
  return `problem: ${reason}${said}. Nothing that was acknowledged is lost; the hub goes on by itself when there is room.`;
}

const short = (hash: string): string => hash.slice(0, 8);

/** An event as one line for people. */
function describe({ id, author, body }: LoggedEvent): string {
  switch (body.type) {
    case 'run.created':
      return `run ${short(id)} "${nameOf(body.name)}" created by ${short(author)}`;
    case 'run.moved':
      return `run ${short(body.run)} has gone to the hub ${short(body.to)} at ${body.url}`;
    case 'run.arrived':
      return `run ${short(body.run)} comes from the hub ${short(body.moved.hub)} at ${body.url}`;
    case 'peer.joined':
      return `${body.role} ${nameOf(body.name)} (${short(author)}) joined run ${short(body.run)}`;
    case 'peer.left':
      return `peer ${short(body.peer)} left run ${short(body.run)}: ${body.reason}`;
    case 'round.opened':
      return `run ${short(body.run)}: round ${body.round} opened`;
    case 'work.submitted':
      return `run ${short(body.run)}: ${short(author)} handed in ${body.size_bytes} bytes: ${measuresText({ amount: body.amount, ...body.numbers })}`;
    case 'verdict.given':
      return `run ${short(body.run)}: ${short(body.submission)} ${body.accepted ? 'accepted' : `refused: ${body.code}`}`;
    case 'model.evaluated':
      return `run ${short(body.run)}: ${measuresText(body.measured)} after ${body.merged_rounds} rounds`;
    case 'round.merged':
      return `run ${short(body.run)}: round ${body.round} merged ${body.accepted_count} updates into ${short(body.model)}`;
    default:
      return body.type;
  }
}
