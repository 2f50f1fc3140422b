// `potluck audit`: recompute everything that a hub claims, and say in one page what was checked.
import { resolve } from 'node:path';
import { styleText } from 'node:util';
import { Command } from 'commander';
import { isAddress, openPublicLog } from '#public-log-open';
import type { AuditReport } from '../audit/audit.ts';
import { audit } from '../audit/local-audit.ts';
import { localTestimony } from '../audit/local-testimony.ts';
import { AuditFailure, type PublicLog } from '../audit/public-log.ts';
import { creditsText } from '../core/serving/credit.ts';
import { formatDuration } from '../protocol/duration.ts';
import { agreedGames, type GameFlags } from './agreed-games.ts';
import { homeFolder } from './folders.ts';
import { fullId, gameFileOption, gameHashOption, integer, jsonOption, logPlace } from './options.ts';
import { formatCount, openOutput } from './output.ts';
import { progressLine } from './progress-line.ts';

interface AuditFlags extends GameFlags {
  receipts: string[];
  local: boolean;
  models: boolean;
  hubId?: string;
  strict: boolean;
  threads?: number;
  json: boolean;
}

export function auditCommand(): Command {
  return new Command('audit')
    .argument('<place>', "the address of a hub, or a hub's folder", logPlace)
    .option(
      '--receipts <file>',
      'receipts.jsonl of a peer: what it handed in must be in the log; may be given again',
      (file: string, before: string[]) => [...before, resolve(file)],
      [],
    )
    .option('--no-local', "leave out what this machine's own peers and witness have seen (under ~/.potluck)")
    .option('--hub-id <id>', 'the id that the hub must have (default: the one that its checkpoint names)', fullId)
    .option('--no-models', 'leave the blobs alone: events, tree, shares and sums only')
    .option('--strict', 'fail also when something cannot be checked any more', false)
    .option('--threads <n>', 'threads to check with (default: one a core)', integer(1, 256))
    .addOption(gameFileOption())
    .addOption(gameHashOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck audit http://hub.example:7700
  $ potluck audit ./potluck-data/demo/hub --json
  $ potluck audit http://hub.example:7700 --receipts receipts-of-a-friend.jsonl

It ends with 0 when everything is as the log says, with 1 at the first thing that is not.`,
    )
    .action(async (place: string, flags: AuditFlags) => {
      const { say } = openOutput(flags.json);
      const progress = progressLine(flags.json);
      let log: PublicLog | undefined;
      try {
        log = await openPublicLog(place, flags.hubId);
        const testimony = flags.local ? await localTestimony(homeFolder(), log.hub) : undefined;
        // What a peer at work sees meanwhile must not be longer than the log that is read.
        if (testimony && isAddress(place)) log = await openPublicLog(place, log.hub);
        const { receipts, models: asked, threads } = flags;
        const onProgress = ({ events, size, models }: { events: number; size: number; models: number }): void =>
          progress.draw(
            () => `${formatCount(events)} of ${formatCount(size)} events, ${count(models, 'model version')}`,
          );
        const report = await audit(log, {
          ...{ receipts, testimony, models: asked, threads, onProgress },
          games: agreedGames(flags),
        });
        progress.clear();
        const failed = flags.strict && report.unchecked.length > 0;
        say(describeReport(report, failed), { type: 'audit', verdict: failed ? 'unchecked' : 'true', ...report });
        if (failed) process.exitCode = 1;
      } catch (error) {
        progress.clear();
        if (!(error instanceof AuditFailure)) throw error;
        const { code, message, details } = error;
        say(describeAuditFailure(error, place), {
          type: 'audit',
          verdict: 'untrue',
          where: place,
          code,
          message,
          details,
        });
        process.exitCode = 1;
      } finally {
        log?.close();
      }
    });
}

/** The verdict of an audit that found nothing untrue. */
function describeReport(report: AuditReport, failed: boolean): string {
  const { events, signed_size, tiles, receipts, shares, models, evidence, answers } = report;
  const rows: [string, string][] = [
    ['hub', report.hub],
    ['events', `${count(events, 'event')}: each in its one right form, signed by its author, allowed by the rules`],
    [
      '',
      `${report.seconds.toFixed(1)} s, ${formatCount(report.events_per_second)} events/s on ${count(report.threads, 'thread')}`,
    ],
  ];
  if (signed_size !== null) {
    const alike = tiles > 0 ? `; ${count(tiles, 'tile')} alike` : '';
    rows.push(['tree', `the root of ${formatCount(signed_size)} entries is the one that the hub signed${alike}`]);
  }
  if (receipts !== null)
    rows.push(['receipts', `${count(receipts, 'receipt')}: each event in its place, no second history`]);
  const { emitted, held, unearned } = shares;
  rows.push([
    'shares',
    `${formatCount(emitted)} promised in ${count(report.runs, 'run')} = ${formatCount(held)} held + ${formatCount(unearned)} unearned`,
  ]);
  if (models) {
    rows.push([
      'models',
      `${count(models.recomputed, 'version')} merged anew from the blobs, bit for bit the same; ${count(models.submissions, 'submission')} in their form`,
    ]);
  }
  if (answers && answers.batches > 0) {
    rows.push([
      'answers',
      `${count(answers.receipts, 'receipt')} in ${count(answers.batches, 'batch', 'batches')}: signed by device and gateway, none twice, ${creditsText(answers.charged_micro)} as charged`,
    ]);
  }
  if (evidence) rows.push(['evidence', `that of ${count(evidence, 'verdict')} is kept, as it was named`]);
  if (report.status_compared) rows.push(['status', 'what the hub shows to visitors is what its log says']);
  rows.push(...seenByOthers(report));
  rows.push(['state', `${report.state_hash} after the last event`]);
  for (const what of report.warnings) rows.push(['warning', what]);
  for (const what of report.unchecked) rows.push(['not checked', what]);
  for (const what of report.cannot_tell) rows.push(['cannot tell', what]);
  const verdict = failed
    ? styleText('yellow', 'Nothing untrue was found, but not everything could be checked.')
    : styleText('green', 'Everything that was checked is true.');
  return [...rows.map(([name, text]) => `${name.padEnd(12)} ${text}`), '', verdict].join('\n');
}

/** What others have seen of the log, and what their clocks say. */
function seenByOthers({ witnesses, heads, clocks, departures }: AuditReport): [string, string][] {
  const rows: [string, string][] = witnesses.map(({ name, size, time_s }) => [
    'witness',
    `${name} has cosigned ${count(size, 'event')} at ${new Date(time_s * 1000).toISOString()}`,
  ]);
  const { known, named, authors } = heads;
  if (known > 0)
    rows.push(['heads', `${count(known, 'head')} that witnesses and this machine's peers have seen are in this tree`]);
  if (named > 0)
    rows.push([
      '',
      `${count(named, 'event')} by ${count(authors, 'author')} name the head that their author saw: all of this tree`,
    ]);
  if (clocks.ahead_ms !== null && clocks.clocks > 1) {
    const apart_ms = Math.abs(clocks.ahead_ms);
    const how =
      apart_ms < 1000
        ? 'agrees with'
        : `was ${formatDuration(apart_ms)} ${clocks.ahead_ms > 0 ? 'ahead of' : 'behind'}`;
    rows.push(['clock', `the hub's ${how} most of ${count(clocks.clocks, 'other clock')} that the log tells of`]);
  }
  const { said, peers, soon_back, soon_ms } = departures;
  if (said > 0) {
    const times = said === 1 ? 'once' : `${formatCount(said)} times`;
    rows.push([
      'departures',
      `the hub said ${times} that one of ${count(peers, 'peer')} had gone; ${formatCount(soon_back)} were back within ${soon_ms / 1000} s`,
    ]);
  }
  return rows;
}

function describeAuditFailure({ code, message, details }: AuditFailure, place: string): string {
  const { index, type, author, blob } = details;
  const at = index === undefined ? [] : [`event ${index}${type ? ` (${type}${author ? ` by ${author}` : ''})` : ''}`];
  const where = [...at, ...(blob ? [`blob ${blob}`] : [])].join(', ') || 'the checkpoint';
  return `${styleText('red', `The log of ${place} is not true.`)}\n${'where'.padEnd(12)} ${where}\n${'what'.padEnd(12)} ${code}: ${message}`;
}

const count = (n: number, what: string, many = `${what}s`): string => `${formatCount(n)} ${n === 1 ? what : many}`;
