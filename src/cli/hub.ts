// `potluck hub`: a meeting place on this machine.
import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { LoggedEvent } from '../core/events.ts';
import { gamesOf } from '../games/game-file.ts';
import { openHub } from '../hub/hub.ts';
import { fired } from '../protocol/clock.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { potluckHere } from './called-as.ts';
import { homeFolder } from './folders.ts';
import type { JsonObject } from './json-objects.ts';
import { untilStopped } from './lifetime.ts';
import { DEFAULT_PORT, gameFileOption, gameSecondsOption, integer, jsonOption, publicUrl } from './options.ts';
import { openOutput } from './output.ts';
import { keepPageBuilt, PAGE_FOLDER } from './page.ts';

interface HubFlags {
  port: number;
  host: string;
  folder: string;
  public?: string;
  page: boolean;
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
    .option('--folder <dir>', 'where the log and the blobs are kept', join(homeFolder(), 'hub'))
    .option('--public <url>', 'how the world sees this hub, for links that are shared', publicUrl)
    .option('--no-page', 'serve programs only, not the page')
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
  $ potluck hub --public https://potluck.example.org
  $ potluck hub --json --log-level error`,
    )
    .action(async (options: HubFlags) => {
      const output = openOutput(options.json);
      const log = (level: LogLevel, text: string, value: JsonObject): void => {
        if (LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(options.logLevel)) output.say(text, value);
      };
      const stopped = untilStopped();
      const hub = await openHub({
        folder: options.folder,
        host: options.host,
        port: options.port,
        loadGame: await gamesOf(options.gameFile, options.gameSeconds * 1000),
        page: options.page ? { folder: PAGE_FOLDER, public_url: options.public ?? null } : undefined,
        onEvent: (event, index) => {
          const level = event.body.type === 'tick' ? 'debug' : 'info';
          log(level, describe(event), { type: 'event', level, index, ...event });
        },
        onError: (error, where) => {
          const message = error instanceof Error ? error.message : String(error);
          log('error', `problem in ${where}: ${message}`, { type: 'problem', level: 'error', where, message });
        },
      });
      output.say(
        `The hub listens on ${hub.url} and keeps everything in ${options.folder}.\n` +
          (options.page ? `Open ${options.public ?? hub.url} in a browser to watch.\n` : '') +
          `Start a run:  ${potluckHere()} run create --hub ${hub.url} --data FILE_OR_FOLDER\n` +
          'Ctrl-C stops it; nothing is lost.',
        { type: 'listening', url: hub.url, hub: hub.id, folder: options.folder },
      );
      const stopBuilding = options.page ? keepPageBuilt(output) : () => {};
      await fired(stopped);
      stopBuilding();
      await hub.close();
      output.say('The hub has stopped.', { type: 'stopped' });
    });
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
      return `run ${short(body.run)}: ${short(author)} handed in ${body.steps} steps, ${body.size_bytes} bytes`;
    case 'verdict.given':
      return `run ${short(body.run)}: ${short(body.submission)} ${body.accepted ? 'accepted' : `refused: ${body.code}`}`;
    case 'model.evaluated':
      return `run ${short(body.run)}: validation loss ${(body.loss_micro / 1e6).toFixed(4)} after ${body.merged_rounds} rounds`;
    case 'round.merged':
      return `run ${short(body.run)}: round ${body.round} merged ${body.accepted.length} updates into ${short(body.model)}`;
    default:
      return body.type;
  }
}
