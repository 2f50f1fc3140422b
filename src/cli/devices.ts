// `potluck devices`: all devices of one owner, wherever they are: what they do and why, and what their owner wants of them.
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { type OwnDevice, readDevices, want } from '../owner/devices.ts';
import { valueIn } from '../peer/owner-policy/setting-text.ts';
import type { DeviceToday } from '../protocol/device-letters.ts';
import { formatDuration } from '../protocol/duration.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { wantedWords } from './device.ts';
import { ownerKeyFile } from './folders.ts';
import { DEFAULT_HUB, hubUrl, jsonOption } from './options.ts';
import { CliError, formatCount, openOutput } from './output.ts';
import { clip, padTo, wrap } from './text-columns.ts';

const COLUMNS = 80;

interface Flags {
  hub: string;
  owner?: string;
  device?: string;
  json: boolean;
}

export function devicesCommand(): Command {
  return new Command('devices')
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(showCommand())
    .addCommand(setCommand())
    .addCommand(pauseCommand('pause', true, 'let a device, or all of them, pause until you resume it'))
    .addCommand(pauseCommand('resume', false, 'end a pause that "potluck devices pause" began'))
    .addHelpText(
      'after',
      `
Examples:
  $ potluck devices --hub http://hub.example:7700
  $ potluck devices show laptop
  $ potluck devices set hours "mon-fri 22:00-07:00" --device laptop
  $ potluck devices pause                             all of them

Devices tell your key alone, through the hub, what they do: "potluck join" without --alone. They hear within half a minute of what you set.
What somebody pauses at the machine itself (potluck device pause) stays paused. docs/devices.md explains it.`,
    );
}

const withKey = (name: string, example: string): Command =>
  new Command(name)
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .option('--owner <file>', 'the key, instead of the one under ~/.potluck')
    .addOption(jsonOption())
    .addHelpText('after', `\nExample:\n  $ potluck devices ${example}`);

const oneOf = (command: Command): Command =>
  command.option('--device <name>', 'one device: its name, or the beginning of its id; all of them without it');

async function devicesOf({ hub, owner }: Flags) {
  const file = owner ?? ownerKeyFile();
  if (!existsSync(file)) {
    const how =
      'the first "potluck join" here makes one, "potluck id import" brings the one that your devices earn for';
    throw new CliError('missing-file', `no key is kept at ${file}: ${how}`, { file });
  }
  const identity = await loadIdentity(file);
  return { identity, devices: await readDevices(hub, identity) };
}

function listCommand(): Command {
  return withKey('list', 'list --json')
    .description('list your devices, what each does, and why it does no more')
    .action(async (flags: Flags) => {
      const { identity, devices } = await devicesOf(flags);
      openOutput(flags.json).say(tableOf(devices), { type: 'devices', hub: flags.hub, owner: identity.id, devices });
    });
}

function showCommand(): Command {
  return withKey('show', 'show laptop')
    .description('show all that a device has told you')
    .argument('<name>', 'its name, or the beginning of its id')
    .action(async (name: string, flags: Flags) => {
      const { identity, devices } = await devicesOf(flags);
      const found = meant(devices, name);
      openOutput(flags.json).say(found.map(detailsOf).join('\n\n'), {
        ...{ type: 'devices', hub: flags.hub, owner: identity.id, devices: found },
      });
    });
}

function setCommand(): Command {
  return oneOf(withKey('set', 'set on_battery true --device laptop'))
    .description('change a setting of "potluck device" on one of your devices, or on all')
    .argument('<name>', 'which setting; docs/devices.md lists them')
    .argument('<value...>', 'as JSON, a word, or hours with ";" between; "default": what is set at the machine counts')
    .action(async (name: string, words: string[], flags: Flags) => {
      await wantOf(flags, { settings: { [name]: valueIn(name, words.join(' ')) } });
    });
}

function pauseCommand(name: string, paused: boolean, description: string): Command {
  return oneOf(withKey(name, `${name} --device laptop`))
    .description(description)
    .action((flags: Flags) => wantOf(flags, { paused }));
}

/** One device after the other: what the hub has taken of the first counts, whatever becomes of the next. */
async function wantOf(flags: Flags, change: Parameters<typeof want>[3]): Promise<void> {
  const { identity, devices } = await devicesOf(flags);
  const output = openOutput(flags.json);
  const able = devices.filter(({ revoked }) => !revoked);
  const chosen = flags.device === undefined ? able : meant(able, flags.device);
  if (chosen.length === 0) throw new CliError('bad-argument', nobody(flags.hub));
  for (const device of chosen) {
    const wanted = await want(flags.hub, identity, device, change);
    const name = calledOf(device);
    const accepts = device.report?.accepts ?? null;
    const but = accepts === false ? '; but this machine takes nothing from elsewhere' : '';
    output.say(`${name}: ${wantedWords(wanted)}${but}`, {
      ...{ type: 'devices_wanted', device: device.device, name, wanted, accepts },
    });
  }
}

const nobody = (hub: string): string =>
  `expected devices of yours on ${hub}, found none: "potluck join" binds them to your key`;

/** Throws CliError `bad-argument` where no device is meant. A name may be that of several. */
function meant(devices: readonly OwnDevice[], word: string): OwnDevice[] {
  const found = devices.filter(({ device, report }) => report?.name === word || device.startsWith(word));
  if (found.length > 0) return found;
  const names = devices.map(calledOf).join(', ') || 'none';
  throw new CliError('bad-argument', `expected one of your devices (${names}), got "${word.slice(0, 60)}"`);
}

const calledOf = ({ device, report }: OwnDevice): string => (report ? nameOf(report.name) : device.slice(0, 12));

/** At most 80 columns: a line a device, and below it why it does no more. */
function tableOf(devices: readonly OwnDevice[]): string {
  const shown = devices.filter(({ revoked, report }) => !revoked || report);
  if (shown.length === 0) return 'No device works for your key on this hub.';
  return [lineOf('DEVICE', 'DOES', 'SPEED', 'HEAT', 'HEARD'), ...shown.flatMap(rowsOf)].join('\n');
}

function lineOf(...[name, does, speed, heat, heard]: string[]): string {
  const cells = [padTo(clip(name, 24), 24), padTo(does, 9), padTo(speed, 18), padTo(heat, 6), heard];
  return cells.join('  ').trimEnd();
}

function rowsOf(device: OwnDevice): string[] {
  const { standing, report, age_ms } = device;
  const { speed = null, temperature_c: heat = null } = report ?? {};
  const words = [
    standing === 'works' && report?.doing ? report.doing : standing,
    speed !== null && standing !== 'off' && report?.doing === 'working'
      ? `${formatCount(speed.amount_per_second)} ${nameOf(speed.unit)}/s`
      : '-',
    heat !== null && standing !== 'off' ? `${heat} °C` : '-',
    age_ms === null ? '-' : `${formatDuration(age_ms)} ago`,
  ];
  return [lineOf(calledOf(device), ...words), ...whyOf(device).flatMap((line) => indented(line))];
}

const indented = (text: string): string[] => wrap(text, COLUMNS - 4).map((line) => `    ${line}`);

/** Why it does no more, and what of its owner's wishes it has not followed. */
function whyOf({ standing, report, revoked, wanted, taken, problem }: OwnDevice): string[] {
  const lines = [];
  if (problem) lines.push(`what it told is not believed: ${problem}`);
  if (revoked) lines.push('you have revoked it');
  if (standing !== 'off') lines.push(...(report?.reasons ?? []).map(({ code, message }) => `${code}: ${message}`));
  if (report?.refused) lines.push(`it did not take what you have set: ${report.refused}`);
  else if (wanted && report?.accepts === false)
    lines.push('what you have set does not count: this machine takes nothing from elsewhere');
  else if (wanted && !taken) lines.push(`it has not heard yet: ${wantedWords(wanted)}`);
  return lines;
}

function todayWords({ kwh, shares, earned_micro, cost_micro, currency }: DeviceToday): string {
  const money = (micro: number): string => `${(micro / 1e6).toFixed(2)} ${currency ?? ''}`.trim();
  const valued = earned_micro !== 0 || cost_micro !== 0;
  const words = valued ? `, worth ${money(earned_micro)}, cost ${money(cost_micro)}` : '';
  return `${kwh.toFixed(3)} kWh, ${formatCount(shares)} shares${words}`;
}

function detailsOf(device: OwnDevice): string {
  const { report, wanted } = device;
  const lines = rowsOf(device);
  if (report) {
    lines.push(
      `    ${report.role}${report.run ? ` of run ${report.run.slice(0, 12)}` : ''}, Potluck ${report.version}`,
    );
    lines.push(...indented(`so for ${formatDuration(report.for_ms)}`));
    if (report.today) lines.push(...indented(`today: ${todayWords(report.today)}`));
    const set = report.settings && wantedWords({ settings: report.settings, paused: false });
    lines.push(...indented(`set on it: ${set ?? 'more than a letter holds; see potluck device there'}`));
  }
  if (wanted) lines.push(...indented(`of that by you from elsewhere: ${wantedWords(wanted)}`));
  lines.push(`    id ${device.device}`);
  return lines.join('\n');
}
