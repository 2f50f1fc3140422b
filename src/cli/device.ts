// `potluck device`: what the owner of this machine lends of it, and why its devices pause, changed while they work.
import { Command } from 'commander';
import { DEFAULTS } from '../peer/owner-policy/default-settings.ts';
import { valueIn } from '../peer/owner-policy/setting-text.ts';
import type { DeviceSettingsFile } from '../peer/owner-policy/settings.ts';
import { DeviceSettingsSchema, readDeviceSettings } from '../peer/owner-policy/settings.ts';
import type { OwnerSettings } from '../protocol/device-letters.ts';
import { formatDuration } from '../protocol/duration.ts';
import { nameOf } from '../protocol/shown-name.ts';
import {
  MOST_SNOOZE_MINUTES,
  type OrdersFile,
  readOrdersFile,
  readSettingsFile,
  readWorkers,
  settingsFile,
  writeOrdersFile,
  writeSettingsFile,
} from './device-files.ts';
import { receiptsCommand } from './device-receipts.ts';
import type { DeviceWorker, RunHere } from './device-worker.ts';
import { decimal, jsonOption } from './options.ts';
import { CliError, openOutput } from './output.ts';

const NO_ORDERS: OrdersFile = { paused: false, finish: false, snooze_until_ms: null };

export function deviceCommand(): Command {
  return new Command('device')
    .addCommand(showCommand(), { isDefault: true })
    .addCommand(setCommand())
    .addCommand(
      orderCommand(
        'pause',
        'let nothing of Potluck compute on this machine until you resume',
        { ...NO_ORDERS, paused: true },
        'Paused: everything that "potluck join" runs here stops within a second.',
      ),
    )
    .addCommand(
      orderCommand(
        'finish',
        'let devices here hand in what is done, then stop until you resume',
        { ...NO_ORDERS, finish: true },
        'Devices here hand in what is done, then stop.',
      ),
    )
    .addCommand(
      orderCommand(
        'resume',
        'end a pause, a snooze or a finish',
        NO_ORDERS,
        'Devices here go on as far as the settings allow.',
      ),
    )
    .addCommand(snoozeCommand())
    .addCommand(receiptsCommand())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck device                                   what is set, and what devices here do
  $ potluck device set cores_in_use 0                pause while somebody uses the machine
  $ potluck device set hours "mon-fri 22:00-07:00; sat,sun 00:00-24:00"
  $ potluck device snooze 60

The rules hold for every "potluck join" of this user that was started without --alone. docs/devices.md explains each of them.`,
    );
}

interface JsonFlag {
  json: boolean;
}

function showCommand(): Command {
  return new Command('show')
    .description('show what is set, and what devices of this machine do and why')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ potluck device show --json')
    .action(({ json }: JsonFlag) => show(json));
}

function show(json: boolean): void {
  const set = readSettingsFile();
  const settings = { ...DEFAULTS, ...set } as DeviceSettingsFile;
  const orders = readOrdersFile();
  const workers = readWorkers();
  let problem: string | null = null;
  try {
    readDeviceSettings(set);
  } catch (error) {
    problem = (error as Error).message;
  }
  const lines = [
    ...(workers.length === 0 ? ['No device takes part on this machine by these rules.'] : workers.map(workerLine)),
    ...ordersLines(orders),
    ...(problem === null ? [] : [`The settings cannot be used, so that devices pause: ${problem}`]),
    '',
    `Set in ${settingsFile()} (* by you):`,
    ...Object.entries(settings).map(
      ([name, value]) =>
        `${name in set ? '*' : ' '} ${name.padEnd(27)} ${JSON.stringify(value).padEnd(8)}  ${meaningOf(name)}`,
    ),
  ];
  openOutput(json).say(lines.join('\n'), { type: 'device', settings, orders, workers, problem });
}

const meaningOf = (name: string): string => fields().get(name)?.meta()?.description ?? 'unknown: remove it';
const fields = () => new Map(Object.entries(DeviceSettingsSchema.shape));

/** One process in a line: what it does, for how long, and why. */
export function workerLine(worker: DeviceWorker): string {
  const { pid, role, url, do: what, duty, reasons, gpu_reasons, since_ms, runs = [], from_afar } = worker;
  const doing = { run: 'works', 'slow-down': `works ${Math.round(duty * 100)}% of the time`, pause: 'is paused' }[what];
  const why = [...reasons, ...gpu_reasons].map(({ code, message }) => `\n    ${code}: ${message}`).join('');
  const said = from_afar ? `\n    your key has set from elsewhere: ${wantedWords(from_afar)}` : '';
  return `${role} for ${url} (process ${pid}) ${doing}, for ${formatDuration(Date.now() - since_ms)}${why}${runs.map(runLine).join('')}${said}`;
}

/** What an owner wants of a device, in a line. */
export function wantedWords({ settings, paused }: OwnerSettings): string {
  const set = Object.entries(settings).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return [...(paused ? ['paused'] : []), ...set].join(', ') || 'nothing';
}

function runLine({ url, run, name, share, had }: RunHere, _: number, all: readonly RunHere[]): string {
  const percent = (part: number): string => `${Math.round(part * 100)}%`;
  const time = all.length > 1 ? `: ${percent(share)} of the time, had ${percent(had)}` : '';
  return `\n    run ${run.slice(0, 12)} (${nameOf(name)}) of ${url}${time}`;
}

function ordersLines({ paused, finish, snooze_until_ms }: OrdersFile): string[] {
  const lines = [];
  if (paused) lines.push('You have paused this machine: potluck device resume');
  if (finish) lines.push('You want devices to hand in and stop: potluck device resume');
  const left_ms = (snooze_until_ms ?? 0) - Date.now();
  if (left_ms > 0) lines.push(`You want quiet for another ${formatDuration(left_ms)}.`);
  return lines;
}

function setCommand(): Command {
  return new Command('set')
    .description('change a setting; devices that work hear of it within a second')
    .argument('<name>', 'which one; "potluck device show" lists them')
    .argument('<value...>', 'as JSON; a word or hours as they are, several with ";" between; "default" for what it was')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck device set on_battery true
  $ potluck device set quiet_hours 22:00-07:00
  $ potluck device set tariff '[{"hours":["22:00-06:00"],"price_per_kwh":0.18},{"hours":["06:00-22:00"],"price_per_kwh":0.34}]'
  $ potluck device set hottest_c default`,
    )
    .action(async (name: string, words: string[], { json }: JsonFlag) => {
      const known = [...fields().keys()];
      if (!known.includes(name))
        throw new CliError('bad-argument', `expected one of ${known.join(', ')}, got ${name.slice(0, 60)}`);
      const settings = readSettingsFile();
      const text = words.join(' ');
      const given = valueIn(name, text);
      if (given === undefined) delete settings[name];
      else settings[name] = given;
      await writeSettingsFile(settings);
      const value = settings[name] ?? DEFAULTS[name as keyof DeviceSettingsFile];
      openOutput(json).say(`${name} is ${JSON.stringify(value)} now: ${meaningOf(name)}.`, {
        type: 'device_set',
        name,
        value,
      });
    });
}

function orderCommand(name: string, description: string, orders: OrdersFile, says: string): Command {
  return new Command(name)
    .description(description)
    .addOption(jsonOption())
    .addHelpText('after', `\nExample:\n  $ potluck device ${name}`)
    .action(async ({ json }: JsonFlag) => give(orders, says, json));
}

function snoozeCommand(): Command {
  return new Command('snooze')
    .description('pause for some minutes, then go on')
    .argument('[minutes]', `how long, at most ${MOST_SNOOZE_MINUTES}`, decimal(0.01, MOST_SNOOZE_MINUTES), 60)
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ potluck device snooze 90')
    .action(async (minutes: number, { json }: JsonFlag) => {
      const until_ms = Math.round(Date.now() + minutes * 60_000);
      await give({ ...NO_ORDERS, snooze_until_ms: until_ms }, `Quiet for ${formatDuration(minutes * 60_000)}.`, json);
    });
}

async function give(orders: OrdersFile, says: string, json: boolean): Promise<void> {
  await writeOrdersFile(orders);
  openOutput(json).say(says, { type: 'device_orders', orders });
}
