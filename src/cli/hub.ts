// `potluck hub`: a meeting place on this machine.

import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { LoggedEvent } from '../core/events.ts';
import { gamesOf } from '../games/game-file.ts';
import { parseWitness, type WitnessAddress } from '../hub/ask-witness.ts';
import { isOwnHost } from '../hub/askers.ts';
import type { ConditionChange } from '../hub/condition.ts';
import { type HubOptions, openHub } from '../hub/hub.ts';
import { PAY_SPLIT } from '../hub/serving/payments.ts';
import { RECEIPT_LIMITS } from '../hub/serving/receipts.ts';
import { fired } from '../protocol/clock.ts';
import { measuresText } from '../protocol/measures.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { potluckHere } from './called-as.ts';
import { homeFolder } from './folders.ts';
import { sayUsage } from './hub-usage.ts';
import type { JsonObject } from './json-objects.ts';
import { openKeptUsage } from './kept-usage.ts';
import { keysFromFile } from './key-file.ts';
import { untilStopped } from './lifetime.ts';
import {
  DEFAULT_PORT,
  decimal,
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

interface HubFlags {
  port: number;
  host: string;
  folder?: string;
  public?: string;
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

/** Runs a hub until it is stopped, or its log fails. */
async function runHub(options: HubFlags): Promise<void> {
  const output = openOutput(options.json);
  const folder = options.folder ?? join(homeFolder(), 'hub');
  if (options.usage) return sayUsage(folder, output);
  const stopped = untilStopped();
  const failed = new AbortController();
  const api = await apiOf(options, output);
  const hub = await openHub({
    folder,
    host: options.host,
    port: options.port,
    loadGame: await gamesOf({ files: options.gameFile, blocked_ms: options.gameSeconds * 1000 }),
    page: options.page ? { folder: PAGE_FOLDER } : undefined,
    public_url: options.public,
    proxies: options.trustedProxy.length > 0 ? options.trustedProxy : undefined,
    metrics_public: options.metricsPublic,
    api,
    owners: options.owners,
    settle_ms: options.settleMinutes * 60_000,
    split: {
      holders_permille: Math.round(options.holdersShare * 10),
      gateway_permille: Math.round(options.hubShare * 10),
    },
    runs: options.openRuns ? 'limited' : options.owners ? 'named' : undefined,
    witnesses: options.witness,
    floor_bytes: options.keepFree === undefined ? undefined : options.keepFree * 1e6,
    ...whatHubSays(output, options.logLevel, (error) => failed.abort(error)),
  });
  let stopBuilding = (): void => {};
  try {
    output.say(
      `The hub listens on ${hub.url} and keeps everything in ${folder}.\n` +
        (options.page ? `Open ${options.public ?? hub.url} in a browser to watch.\n` : '') +
        `Start a run:  ${potluckHere()} run create --hub ${hub.url} --data FILE_OR_FOLDER\n` +
        `The key of its log, for witnesses and monitors:  ${hub.verifier_key}\n` +
        'Ctrl-C stops it; nothing is lost.',
      { type: 'listening', url: hub.url, hub: hub.id, folder, verifier_key: hub.verifier_key },
    );
    if (options.page) stopBuilding = keepPageBuilt(output);
    await fired(AbortSignal.any([stopped, failed.signal]));
  } finally {
    // Whatever went wrong, what listens must not keep the command alive.
    stopBuilding();
    await hub.close();
    api?.usage?.close();
  }
  if (failed.signal.aborted) throw failed.signal.reason;
  output.say('The hub has stopped.', { type: 'stopped' });
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
): Pick<HubOptions, 'onEvent' | 'onError' | 'onCondition'> {
  const log = (level: LogLevel, text: string, value: JsonObject): void => {
    if (LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(most)) output.say(text, value);
  };
  return {
    onEvent(event, index) {
      const level = event.body.type === 'tick' ? 'debug' : 'info';
      // The sentence takes longer than the rest of an event's way to the output.
      log(level, output.json ? '' : describe(event), { type: 'event', level, index, ...event });
    },
    onError(error, where) {
      const message = messageOf(error);
      log('error', `problem in ${where}: ${message}`, { type: 'problem', level: 'error', where, message });
    },
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
  if (state === 'ready') return 'The disk has room again; the hub goes on.';
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
