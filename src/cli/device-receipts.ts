// `potluck device receipts`: what each day of this machine's devices worked, took, cost and earned, and why it paused; as text, JSON or CSV.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { DayCounts } from '../peer/owner-policy/day-book.ts';
import { chainProblem, type DayReceipt, howMeasured, kilowattHours, sumsOf } from '../peer/owner-policy/day-receipt.ts';
import { boundsOfDay } from '../peer/owner-policy/local-day.ts';
import { moneyWords } from '../peer/owner-policy/worth.ts';
import { formatDuration } from '../protocol/duration.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { readBook, readReceipts } from './day-files.ts';
import { readSettingsFile } from './device-files.ts';
import { homeFolder } from './folders.ts';
import { jsonOption } from './options.ts';
import { CliError, formatCount, openOutput } from './output.ts';

interface ReceiptsFlags {
  csv: boolean;
  day?: string;
  folder?: string;
  json: boolean;
}

export function receiptsCommand(): Command {
  return new Command('receipts')
    .description('show what each day worked, took, cost and earned, and why it paused')
    .option('--day <day>', 'only this day, such as 2026-11-29', dayGiven)
    .option('--folder <dir>', "one device's folder (default: all under ~/.potluck/peers)")
    .option('--csv', 'a line for each day, for a spreadsheet', false)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck device receipts
  $ potluck device receipts --csv >days.csv
  $ potluck verify ~/.potluck/peers/worker/days/000001-2026-11-29.receipt

A receipt is written when a day is over and its work is judged, at the latest a day later. docs/devices.md says how each number comes about.`,
    )
    .action(receipts);
}

function dayGiven(text: string): string {
  if (boundsOfDay(text, 'UTC')) return text;
  throw new InvalidArgumentError('expected a day such as 2026-11-29.');
}

/** A day of a device: signed, or still open. */
export interface ShownDay extends DayCounts {
  readonly device: string | null;
  readonly id: string | null;
  readonly number: number | null;
  readonly day: string;
  readonly from_ms: number;
  readonly to_ms: number;
  readonly currency: string | null;
  readonly earned_micro: number;
  readonly cost_micro: number;
}

function receipts({ csv, day, folder, json }: ReceiptsFlags): void {
  const output = openOutput(json);
  const folders = folder === undefined ? foldersHere() : [folder];
  const problems: string[] = [];
  const days = folders.flatMap((one) => daysIn(one, problems)).filter((one) => day === undefined || one.day === day);
  if (csv) {
    if (json) throw new CliError('bad-argument', 'expected --csv or --json, got both');
    process.stdout.write(csvOf(days));
  } else {
    const lines = days.length === 0 ? ['No day of a device of this machine was counted.'] : days.map(dayLines);
    output.say([...lines, ...problems].join('\n'), { type: 'day_receipts', days, problems });
  }
  if (problems.length > 0) process.exitCode = 1;
}

function foldersHere(): string[] {
  const peers = join(homeFolder(), 'peers');
  try {
    return readdirSync(peers, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [join(peers, entry.name)] : [],
    );
  } catch {
    return []; // nobody has joined here yet
  }
}

function daysIn(folder: string, problems: string[]): ShownDay[] {
  const { receipts: signed, damaged } = readReceipts(folder);
  problems.push(...damaged);
  const broken = damaged.length === 0 ? chainProblem(signed.map(({ receipt }) => receipt)) : null;
  if (broken) problems.push(`${folder}: ${broken}`);
  const { book, problem } = readBook(folder);
  if (problem) problems.push(problem);
  const { currency } = readSettingsFile();
  const open = book.days.map(({ day, from_ms, to_ms, counts }) => ({
    ...{ device: null, id: null, number: null, day, from_ms, to_ms, ...counts, ...sumsOf(counts) },
    currency: typeof currency === 'string' ? currency : null,
  }));
  return [...signed.map(({ receipt }) => shownReceipt(receipt)), ...open];
}

export function shownReceipt({ id, device, body }: DayReceipt): ShownDay {
  const { type: _type, version: _version, previous: _previous, time_zone: _zone, ...shown } = body;
  return { id, device, ...shown };
}

/** A day as people read it. */
export function dayLines(day: ShownDay): string {
  const { device, number, currency, working_ms, slower_ms, unknown_energy_ms, work, paused } = day;
  const who =
    device === null ? ' (not over yet, or its work is not judged)' : ` (receipt ${number} of ${device.slice(0, 12)})`;
  const kwh = `${Number(kilowattHours(day).toPrecision(3))} kWh, ${howMeasured(day)}`;
  const unknown = unknown_energy_ms > 0 ? ` (${formatDuration(unknown_energy_ms)} of work without)` : '';
  const money = (micro: number): string => moneyWords(micro, currency);
  const pauses = [...paused]
    .sort((a, b) => b.paused_ms - a.paused_ms)
    .map(({ code, paused_ms }) => `${formatDuration(paused_ms)} ${code}`);
  return [
    `${day.day}${who}`,
    `  worked  ${formatDuration(working_ms + slower_ms)}${slower_ms > 0 ? `, ${formatDuration(slower_ms)} of it slower` : ''}`,
    ...work.map(
      (line) =>
        `  run ${line.run.slice(0, 12)}: handed in ${formatCount(line.handed_in)} ${nameOf(line.unit)}, verified ${formatCount(line.verified)}, ${formatCount(line.shares)} shares`,
    ),
    `  energy  ${kwh}${unknown}`,
    `  earned  ${money(day.earned_micro)}, cost ${money(day.cost_micro)}, net ${money(day.earned_micro - day.cost_micro)}`,
    `  paused  ${pauses.join(', ') || 'never'}`,
  ].join('\n');
}

const CSV_COLUMNS = [
  ...['day', 'device', 'number', 'from', 'to', 'worked_hours', 'kwh', 'how', 'currency', 'earned', 'cost', 'net'],
  ...['handed_in', 'verified', 'shares', 'paused_minutes', 'pauses'],
];

/** RFC 4180: a heading, a line for each day, times in UTC, money with six decimals. */
export function csvOf(days: readonly ShownDay[]): string {
  const rows = days.map((day) => {
    const { device, number, working_ms, slower_ms, currency, earned_micro, cost_micro, work, paused } = day;
    const sum = (of: (line: (typeof work)[number]) => number): number => work.reduce((all, line) => all + of(line), 0);
    const units = (of: 'handed_in' | 'verified'): string => work.map((line) => `${line[of]} ${line.unit}`).join('; ');
    const minutes = (ms: number): string => (ms / 60_000).toFixed(1);
    return [
      ...[day.day, device ?? '', number ?? '', new Date(day.from_ms).toISOString(), new Date(day.to_ms).toISOString()],
      ...[
        ((working_ms + slower_ms) / 3_600_000).toFixed(3),
        kilowattHours(day).toFixed(6),
        howMeasured(day),
        currency ?? '',
      ],
      ...[earned_micro, cost_micro, earned_micro - cost_micro].map((micro) => (micro / 1e6).toFixed(6)),
      ...[units('handed_in'), units('verified'), sum(({ shares }) => shares)],
      minutes(paused.reduce((all, { paused_ms }) => all + paused_ms, 0)),
      paused.map(({ code, paused_ms }) => `${code} ${minutes(paused_ms)}`).join('; '),
    ];
  });
  return [CSV_COLUMNS, ...rows].map((row) => `${row.map((cell) => csvCell(String(cell))).join(',')}\r\n`).join('');
}

/** Quoted where it must be. A game's words never begin a cell, so that none of them becomes a formula. */
const csvCell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
