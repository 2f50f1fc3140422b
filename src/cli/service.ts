// `potluck service`: `potluck join` as a service of this machine's system, that starts with it and goes on to the next run when one ends.
import { isAbsolute, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import { formatDuration } from '../protocol/duration.ts';
import { workerLine } from './device.ts';
import { readWorkers, runsSet } from './device-files.ts';
import type { DeviceWorker } from './device-worker.ts';
import { joinCommand } from './join.ts';
import { integer, jsonOption } from './options.ts';
import { CliError, type Output, openOutput } from './output.ts';
import { type RunFlags, wishesOf } from './run-wishes.ts';
import {
  checkInstallable,
  install,
  isLingering,
  mustBeOurs,
  planMaker,
  recordFile,
  remove,
  runCommand,
  settingsFor,
} from './service-install.ts';
import { lastLines } from './service-log.ts';
import type { ServicePlan, ServiceSettings, Standing, Command as SystemCommand } from './service-plan.ts';
import { findRecord, readRecord, standingOf } from './service-record.ts';
import { logFile, readState, runService } from './service-run.ts';
import { readSystemd } from './service-systemd.ts';

interface Flags {
  yes: boolean;
  json: boolean;
}

export function serviceCommand(): Command {
  return new Command('service')
    .addCommand(installCommand())
    .addCommand(removeCommand())
    .addCommand(statusCommand())
    .addCommand(logsCommand())
    .addCommand(runCommandHere(), { hidden: true })
    .addHelpText(
      'after',
      `
Examples:
  $ potluck service install http://hub.example:7700       says what it will write and run, and asks
  $ potluck service status
  $ potluck service remove

A systemd user unit on Linux, a LaunchAgent on a Mac, a scheduled task on Windows. The rules of "potluck device" hold for it. It updates nothing.`,
    );
}

const yes = 'do it without asking';

function installCommand(): Command {
  return new Command('install')
    .description('have this machine run "potluck join" from its start on')
    .argument(
      '[words...]',
      'what "potluck join" is given: an address and its options (without --run: any run); nothing: the runs that are set',
    )
    .option('--yes', yes, false)
    .addOption(jsonOption())
    .allowUnknownOption()
    .addHelpText(
      'after',
      `
Examples:
  $ potluck service install http://hub.example:7700
  $ potluck service install http://hub.example:7700 --role validator --yes
  $ potluck service install http://hub.example:7700 --run poems=70 --run plays=30`,
    )
    .action(async (given: string[], flags: Flags) => {
      const output = openOutput(flags.json);
      const makePlan = planMaker();
      const before = findRecord(recordFile());
      // What an earlier installation has asked for is still to be undone.
      const asks = process.platform === 'linux' && (before?.asks_linger || !isLingering());
      const settings = settingsFor(wordsToRun(given), asks);
      const plan = makePlan(settings);
      await checkInstallable(plan, settings);
      mustBeOurs(plan);
      const standings = plan.files.map((file) => standingOf(file, before));
      const isSame = sameWords(before?.words ?? [], settings.words) && standings.every((one) => one === 'same');
      if (isSame && (await standing(plan, settings)).running) {
        return output.say('It is installed like this already, and runs.', {
          ...changeOf(plan, settings, plan.install),
          does: 'nothing',
          done: false,
        });
      }
      const done = await agreedTo('install', plan, settings, flags, output, describeInstall(plan, settings));
      if (!done) return;
      await install(plan, settings, teller(output));
      output.say('Installed, and started. "potluck service status" shows it, "potluck device" sets what it may do.', {
        ...changeOf(plan, settings, plan.install),
        ...{ does: 'install', done: true },
      });
    });
}

/** What `join` will be given, checked as it will check it. Throws CommanderError, CliError bad-argument. */
export function wordsToRun(given: readonly string[], cwd = process.cwd()): string[] {
  let parsed: { url: string | undefined; flags: RunFlags & { alone: boolean } } | null = null;
  const check = joinCommand()
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .action((url, flags) => {
      parsed = { url, flags };
    });
  check.parse([...given], { from: 'user' });
  const { url, flags } = parsed!;
  if (flags.alone)
    throw new CliError(
      'bad-argument',
      '--alone and a service contradict each other: a service works within the rules of "potluck device"',
    );
  wishesOf(url, flags, url === undefined ? runsSet() : null);
  const any = url !== undefined && flags.run.length === 0 && !flags.anyRun ? ['--any-run'] : [];
  return ['join', ...absolute(given, cwd), ...any];
}

/** Options whose value is a path: a service has another working folder. */
const PATHS = ['--folder', '--owner', '--game-file'];

function absolute(words: readonly string[], cwd: string): string[] {
  return words.map((word, i) => {
    const [, option = '', path = ''] = /^(--[a-z-]+)=(.*)$/s.exec(word) ?? [];
    if (PATHS.includes(option)) return `${option}=${resolve(cwd, path)}`;
    return PATHS.includes(words[i - 1]) && !isAbsolute(word) ? resolve(cwd, word) : word;
  });
}

const sameWords = (a: readonly string[], b: readonly string[]): boolean => JSON.stringify(a) === JSON.stringify(b);
const shown = ({ words }: SystemCommand): string =>
  words.map((word) => (/^[\w@%+=:,./\\-]+$/.test(word) ? word : JSON.stringify(word))).join(' ');
const teller = (output: Output) => (sentence: string) =>
  output.say(sentence, { type: 'service_note', message: sentence });

function describeInstall({ files, install: commands }: ServicePlan, settings: ServiceSettings): string {
  const { node, potluck, words } = settings;
  return [
    `This machine will run, from its start on, at the lowest priority: ${shown({ words: [node, potluck, ...words] })}`,
    `It stays this Potluck, in ${potluck}: nothing updates it.`,
    '',
    `Written, for you alone: ${recordFile()} (what is installed, and how to undo it)`,
    ...files.map(({ path, text }) => `Written, for you alone: ${path}\n${text.replace(/^(?=.)/gm, '    ')}`),
    'Run:',
    ...commands.map((command) => `    ${shown(command)}`),
  ].join('\n');
}

function describeRemoval({ files, stop, after_removal }: ServicePlan): string {
  return [
    'Run:',
    ...stop.map((command) => `    ${shown(command)}`),
    ...[...files.map(({ path }) => path), recordFile()].map((path) => `Removed: ${path}`),
    ...(after_removal.length > 0 ? ['Run:', ...after_removal.map((command) => `    ${shown(command)}`)] : []),
    'Keys, shares and settings stay where they are.',
  ].join('\n');
}

const changeOf = ({ files }: ServicePlan, { words }: ServiceSettings, commands: readonly SystemCommand[]) => ({
  type: 'service_change' as const,
  runs: [...words],
  files: files.map(({ path, text }) => ({ path, text })),
  commands: commands.map((command) => [...command.words]),
});

/** Says what will be done, and asks. @returns whether it is to be done */
async function agreedTo(
  does: 'install' | 'remove',
  plan: ServicePlan,
  settings: ServiceSettings,
  flags: Flags,
  output: Output,
  words: string,
): Promise<boolean> {
  const commands = does === 'install' ? plan.install : [...plan.stop, ...plan.after_removal];
  const change = { ...changeOf(plan, settings, commands), does, done: false };
  output.say(words, change);
  if (flags.yes) return true;
  if (flags.json || !process.stdin.isTTY || !process.stdout.isTTY) {
    process.exitCode = 1;
    if (!flags.json) output.say('Nothing was changed, since nobody can be asked here. To do it, say --yes.', change);
    return false;
  }
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    if (/^y(es)?$/i.test((await lines.question('Do it? [y/N] ')).trim())) return true;
  } finally {
    lines.close();
  }
  output.say('Nothing was changed.', change);
  return false;
}

function removeCommand(): Command {
  return new Command('remove')
    .description('undo what "potluck service install" did, and nothing else')
    .option('--yes', yes, false)
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ potluck service remove')
    .action(async (flags: Flags) => {
      const output = openOutput(flags.json);
      const { plan, settings } = installed();
      if (!(await agreedTo('remove', plan, settings, flags, output, describeRemoval(plan)))) return;
      await remove(plan, settings, teller(output));
      const commands = [...plan.stop, ...plan.after_removal];
      output.say('Removed.', { ...changeOf(plan, settings, commands), does: 'remove', done: true });
    });
}

/** Throws CliError missing-file where nothing is installed. */
function installed(): { readonly plan: ServicePlan; readonly settings: ServiceSettings } {
  const record = findRecord(recordFile());
  if (!record)
    throw new CliError('missing-file', `no service of Potluck is installed here: ${recordFile()} is not there`);
  const { node, potluck, words, home, folder, asks_linger } = readRecord(recordFile());
  const settings = { ...settingsFor(words, asks_linger), node, potluck, home, folder };
  return { plan: planMaker()(settings), settings };
}

async function standing({ status }: ServicePlan, { folder }: ServiceSettings): Promise<Standing> {
  if (status !== 'own-file') return readSystemd(await runCommand(status));
  return readState(folder);
}

function statusCommand(): Command {
  return new Command('status')
    .description(
      'show whether the service is installed and runs, since when, how it ended last, and for which runs it works',
    )
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ potluck service status')
    .action(async ({ json }: { json: boolean }) => {
      const { say } = openOutput(json);
      if (!findRecord(recordFile())) {
        const nothing = { enabled: false, running: false, pid: null, since_ms: null, last_exit: null, restarts: 0 };
        say('Not installed. "potluck service install URL" installs it.', {
          type: 'service',
          installed: false,
          ...nothing,
          runs: [],
          devices: [],
        });
        return;
      }
      const { plan, settings } = installed();
      const now = await standing(plan, settings);
      const devices = now.running ? readWorkers().filter(({ pid }) => pid === now.pid) : [];
      say(describeStanding(now, settings, devices), {
        type: 'service',
        installed: true,
        ...now,
        runs: [...settings.words],
        devices,
      });
    });
}

function describeStanding(now: Standing, { words }: ServiceSettings, devices: readonly DeviceWorker[]): string {
  const since = now.since_ms === null ? '' : `, for ${formatDuration(Date.now() - now.since_ms)}`;
  return [
    `Installed${now.enabled ? '' : ', but switched off in the system'}: potluck ${words.join(' ')}`,
    now.running ? `Runs${since}; started again ${now.restarts} times after a failure.` : 'Does not run.',
    ...(now.last_exit === null ? [] : [`It ended last with ${now.last_exit}.`]),
    ...devices.map(workerLine),
    ...(now.running && devices.length === 0
      ? ['It has not begun to work yet: "potluck service logs" has what it says.']
      : []),
  ].join('\n');
}

function logsCommand(): Command {
  return new Command('logs')
    .description('show what the service said last')
    .option('--lines <n>', 'how many lines', integer(1, 100_000), 100)
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ potluck service logs --lines 20')
    .action(async ({ lines, json }: { lines: number; json: boolean }) => {
      const { say } = openOutput(json);
      const { plan, settings } = installed();
      const { logs } = plan;
      const own =
        logs === 'own-file' ? lastLines(logFile(settings.folder), lines) : (await runCommand(logs(lines))).split('\n');
      for (const line of own.filter((one) => one !== '')) say(line, { type: 'service_log', line });
    });
}

/** What the system starts where it neither starts again what failed nor keeps what was said. */
function runCommandHere(): Command {
  return new Command('run')
    .description('what the system starts')
    .argument('<record>', 'what "potluck service install" has written')
    .addHelpText('after', '\nExample:\n  $ potluck service run ~/.potluck/service/service.json')
    .action(async (record: string) => {
      process.exitCode = await runService(record);
    });
}
