// Carries out the plan of a service: checks that it can be installed here, writes and runs, or undoes that and nothing else.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { sha256Hex } from '../protocol/hash.ts';
import { PRIVATE_FILE } from '../protocol/private-files.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { homeFolder } from './folders.ts';
import { CliError } from './output.ts';
import { launchdPlan } from './service-launchd.ts';
import { type Command, RECORD, type ServicePlan, type ServiceSettings } from './service-plan.ts';
import { bytesOf, findRecord, type ServiceRecord, standingOf } from './service-record.ts';
import { logFile, stateFile } from './service-run.ts';
import { systemdPlan } from './service-systemd.ts';
import { windowsPlan } from './service-windows.ts';

export const POTLUCK = join(import.meta.dirname, '..', '..', 'bin', 'potluck.js');
/** No command of these takes so long, except to stop a service that hands in what it has done. */
const COMMAND_MS = 90_000;

const run = promisify(execFile);

/** Runs a command. @returns what it printed. Throws CliError child-failed. */
export async function runCommand({ words: [program, ...args] }: Command): Promise<string> {
  try {
    // Times in UTC and in English, whatever is set here.
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
    return (await run(program, args, { env, timeout: COMMAND_MS, maxBuffer: 64 << 20 })).stdout;
  } catch (error) {
    const { stderr = '', message, code } = error as Error & { stderr?: string; code?: unknown };
    const why = code === 'ENOENT' ? 'there is no such command' : stderr.trim() || message;
    throw new CliError('child-failed', `${[program, ...args].join(' ')}: ${why}`);
  }
}

export const serviceFolder = (): string => join(homeFolder(), 'service');
export const recordFile = (): string => join(serviceFolder(), RECORD);

const PLANS: Readonly<Partial<Record<NodeJS.Platform, MakePlan>>> = {
  linux: systemdPlan,
  darwin: launchdPlan,
  win32: windowsPlan,
};
export type MakePlan = (settings: ServiceSettings) => ServicePlan;

/** Throws CliError bad-argument where this system's services are not known. */
export function planMaker(): MakePlan {
  const make = PLANS[process.platform];
  if (make) return make;
  throw new CliError(
    'bad-argument',
    `expected Linux, macOS or Windows, whose services are known, got ${process.platform}`,
  );
}

/** What is installed, or would be with these words. */
export function settingsFor(words: readonly string[], asks_linger: boolean): ServiceSettings {
  const { username, uid, homedir } = userInfo();
  const domain = process.env.USERDOMAIN;
  const name = process.platform === 'win32' && domain ? `${domain}\\${username}` : username;
  const home = process.env.HOME || homedir;
  return {
    ...{ node: process.execPath, potluck: POTLUCK, words, home: homeFolder(), folder: serviceFolder(), asks_linger },
    user: { home, name, uid },
  };
}

/** Whether this user's services run while the user is logged out, by the mark that systemd-logind keeps. */
export const isLingering = (): boolean => existsSync(join('/var/lib/systemd/linger', userInfo().username));

/** What npm and its like fetch for one call, and may delete at any time. */
const PASSING = /[/\\](_npx|dlx-[^/\\]*)[/\\]/;

/** Checks that a service can be installed, before anybody is asked. Throws CliError with one sentence. */
export async function checkInstallable(
  { files }: ServicePlan,
  { potluck, node, folder }: ServiceSettings,
): Promise<void> {
  const passing = [potluck, node].find((path) => PASSING.test(path));
  if (passing !== undefined) {
    const way = 'install Potluck in a folder of its own ("npm i ./potluck-….tgz") and say it there';
    throw new CliError(
      'bad-folder',
      `${passing} is in a cache whose files may vanish, and a service starts them later: ${way}`,
    );
  }
  for (const path of [join(folder, RECORD), ...files.map((file) => file.path)]) mustBeWritable(path);
  if (process.platform === 'linux') await mustHaveSession();
}

/** Throws CliError bad-folder for a read-only home. */
function mustBeWritable(path: string): void {
  let there = dirname(path);
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  try {
    rmdirSync(mkdtempSync(join(there, '.potluck-'))); // nothing else tells it of every system and every user
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError(
      'bad-folder',
      `${path} cannot be written: nothing can be put into ${there} by this user (${code}); nothing was changed`,
    );
  }
}

/** Throws CliError child-failed where systemd does not keep services of this user. */
async function mustHaveSession(): Promise<void> {
  try {
    await runCommand({ words: ['systemctl', '--user', 'show-environment'] });
  } catch (error) {
    const { username } = userInfo();
    const { message } = error as Error;
    const way = message.includes('no such command')
      ? 'this machine has no systemd: have whatever starts programs here run "potluck join URL --any-run"'
      : `systemd keeps no services of the user ${username} here: "sudo loginctl enable-linger ${username}" and a new login may give it one, ` +
        'else have whatever starts programs here run "potluck join URL --any-run"';
    throw new CliError('child-failed', `${way} (${message}); nothing was changed`);
  }
}

/** Says what commands say that may fail. */
export type Tell = (sentence: string) => void;

/** Writes the files and runs the commands. Throws CliError child-failed. */
export async function install(plan: ServicePlan, settings: ServiceSettings, tell: Tell): Promise<void> {
  const { node, potluck, words, home, folder, asks_linger } = settings;
  const hashes = plan.files.map((file) => [file.path, sha256Hex(bytesOf(file))]);
  const keep = (asked: boolean): Promise<void> => {
    const record: ServiceRecord = {
      ...{ version: 1, node, potluck, words: [...words], home, folder, asks_linger: asked },
      ...{ files: Object.fromEntries(hashes), installed_ms: Date.now() },
    };
    return writeWhole(join(folder, RECORD), `${JSON.stringify(record, null, 2)}\n`, { mode: PRIVATE_FILE });
  };
  // First, so that whatever comes of the rest can be removed.
  await keep(asks_linger);
  for (const file of plan.files) await writeWhole(file.path, bytesOf(file), { mode: PRIVATE_FILE });
  await runAll(plan.install, tell);
  if (asks_linger && !isLingering()) await keep(false); // it was refused: there is nothing to undo
}

/** Undoes an installation and nothing else. */
export async function remove(plan: ServicePlan, { folder }: ServiceSettings, tell: Tell): Promise<void> {
  await runAll(plan.stop, tell);
  for (const path of [...plan.made, ...plan.files.map((file) => file.path)]) rmSync(path, { force: true });
  await runAll(plan.after_removal, tell);
  for (const path of [stateFile(folder), logFile(folder), `${logFile(folder)}.1`, join(folder, RECORD)])
    rmSync(path, { force: true });
  try {
    rmdirSync(folder);
  } catch {
    // Something of somebody else's is in it.
  }
}

async function runAll(commands: readonly Command[], tell: Tell): Promise<void> {
  for (const command of commands) {
    try {
      await runCommand(command);
    } catch (error) {
      if (command.may_fail === undefined) throw error;
      if (command.may_fail !== '') tell(`${(error as Error).message}: ${command.may_fail}`);
    }
  }
}

/** Throws CliError in-use where something stands in a file's place that was not written for this service. */
export function mustBeOurs({ files }: ServicePlan): void {
  const record = findRecord(recordFile());
  for (const file of files) {
    if (standingOf(file, record) !== 'other' || record?.files[file.path] !== undefined) continue;
    throw new CliError(
      'in-use',
      `${file.path} is there and was not written from ${homeFolder()}: another installation, or a unit of your own; remove it first`,
    );
  }
}
