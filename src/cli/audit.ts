// `potluck audit`: recompute everything that a hub claims, and say in one page what was checked.
import { resolve } from 'node:path';
import { styleText } from 'node:util';
import { Command } from 'commander';
import { isAddress, openPublicLog } from '#public-log-open';
import type { AuditReport } from '../audit/audit.ts';
import { audit } from '../audit/local-audit.ts';
import { localTestimony, type Testimony } from '../audit/local-testimony.ts';
import { AuditFailure, type PublicLog } from '../audit/public-log.ts';
import { openMirror } from '../audit/public-log-mirror.ts';
import { creditsText } from '../core/serving/credit.ts';
import { formatDuration } from '../protocol/duration.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { agreedGames, type GameFlags } from './agreed-games.ts';
import { homeFolder } from './folders.ts';
import { fullId, gameFileOption, gameHashOption, integer, jsonOption, logPlace, mirrorPlace } from './options.ts';
import { CliError, formatCount, openOutput } from './output.ts';
import { progressLine } from './progress-line.ts';
import { logOrRun } from './run-links.ts';

interface AuditFlags extends GameFlags {
  mirror?: string;
  receipts: string[];
  local: boolean;
  models: boolean;
  follow: boolean;
  from: string[];
  hubId?: string;
  strict: boolean;
  threads?: number;
  json: boolean;
}

export function auditCommand(): Command {
  return new Command('audit')
    .argument('[place]', "the address of a hub or of a run, or a hub's folder", logOrRun)
    .option(
      '--mirror <place>',
      'instead of a hub: the address or folder of its log and blobs as files (potluck hub --mirror-folder); no hub is asked',
      mirrorPlace,
    )
    .option(
      '--receipts <file>',
      'receipts.jsonl of a peer: what it handed in must be in the log; may be given again',
      (file: string, before: string[]) => [...before, resolve(file)],
      [],
    )
    .option('--no-local', "leave out what this machine's own peers and witness have seen (under ~/.potluck)")
    .option('--hub-id <id>', 'the id that the hub must have (default: the one that its checkpoint names)', fullId)
    .option('--no-models', 'leave the blobs alone: events, tree, shares and sums only')
    .option(
      '--from <place>',
      "where a copy of another hub's log is that runs came from, or of the registry, if not at its hub; may be given again",
      (place: string, before: string[]) => [...before, logPlace(place)],
      [],
    )
    .option('--no-follow', 'leave the logs of other hubs alone: those that runs came from, and the registry')
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
  $ potluck audit --mirror https://files.example.org/potluck

A run that came from another hub's log is followed there, and that log is replayed up to where it let the run go. The log of a registry
that names this hub's devices is read too: a revocation there that is not here is told, and is an untruth where the hub has signed that it
saw it.

It ends with 0 when everything is as the log says, with 1 at the first thing that is not.`,
    )
    .action(async (at: string | undefined, flags: AuditFlags) => {
      const place = placeOf(at, flags.mirror);
      const { say } = openOutput(flags.json);
      const progress = progressLine(flags.json);
      let log: PublicLog | undefined;
      try {
        log = await openAt(place, flags);
        const testimony = flags.local ? await localTestimony(homeFolder(), log.hub) : undefined;
        // What a peer at work sees meanwhile must not be longer than the log that is read.
        if (testimony && (isAddress(place) || flags.mirror !== undefined)) {
          log = await openAt(place, { ...flags, hubId: log.hub }, testimony);
        }
        const { receipts, models: asked, threads, follow, from } = flags;
        const onProgress = ({ events, size, models }: { events: number; size: number; models: number }): void =>
          progress.draw(
            () => `${formatCount(events)} of ${formatCount(size)} events, ${count(models, 'model version')}`,
          );
        const report = await audit(log, {
          ...{ receipts, testimony, models: asked, threads, follow, from, onProgress },
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
        say(describeAuditFailure(error, place, log?.is_mirror), {
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

/** Where the log is. Throws CliError unless one place is given. */
function placeOf(place: string | undefined, mirror: string | undefined): string {
  if ((place === undefined) === (mirror === undefined)) {
    const expected = "the address of a hub, a hub's folder, or --mirror with an address or a folder";
    throw new CliError('bad-argument', `expected one place to audit: ${expected}.`);
  }
  return place ?? mirror!;
}

/** @param seen heads that the log must have, which a mirror may get a moment later */
function openAt(place: string, { mirror, hubId }: AuditFlags, seen?: Testimony): Promise<PublicLog> {
  if (mirror === undefined) return openPublicLog(place, hubId);
  return openMirror(
    place,
    hubId,
    seen?.heads.reduce((most, { size }) => Math.max(most, size), 0),
  );
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
  rows.push(...movedRuns(report.moves), ...ofRegistry(report.registry), ...seenByOthers(report));
  rows.push(['state', `${report.state_hash} after the last event`]);
  for (const what of report.warnings) rows.push(['warning', what]);
  for (const what of report.unchecked) rows.push(['not checked', what]);
  for (const what of report.cannot_tell) rows.push(['cannot tell', what]);
  const verdict = failed
    ? styleText('yellow', 'Nothing untrue was found, but not everything could be checked.')
    : styleText('green', 'Everything that was checked is true.');
  return [...rows.map(([name, text]) => `${name.padEnd(12)} ${text}`), '', verdict].join('\n');
}

/** The runs that came from other logs and went to them. */
function movedRuns({ came, gone }: AuditReport['moves']): [string, string][] {
  return [
    ...came
      .filter(({ followed }) => followed)
      .map(({ name, run, from, url, merged_rounds, entries }): [string, string] => [
        'came here',
        `run ${run.slice(0, 12)} “${nameOf(name)}”, after ${count(merged_rounds, 'round')}, from the hub ${from.slice(0, 12)} (${url}): ${count(entries, 'event')} of its log, all true, gave what it brought`,
      ]),
    ...gone.map(({ name, run, hub, url, merged_rounds }): [string, string] => [
      'went away',
      `run ${run.slice(0, 12)} “${nameOf(name)}”, after ${count(merged_rounds, 'round')}, to the hub ${hub.slice(0, 12)} (${url}): it counts there now`,
    ]),
  ];
}

/** What was compared with the registry's log; what is missing stands among the warnings. */
function ofRegistry(registry: AuditReport['registry']): [string, string][] {
  if (registry === null || registry.entries === null) return [];
  const { hub, url, seen, entries, missing } = registry;
  const taken =
    missing.length === 0
      ? 'no revocation of a device here is missing'
      : `${count(missing.length, 'revocation')} missing`;
  const far = `${formatCount(seen)} of ${count(entries, 'entry', 'entries')} seen`;
  return [['registry', `${hub.slice(0, 12)} (${url}): ${far}, ${taken}`]];
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

/** The verdict of an audit that found an untruth. */
function describeAuditFailure({ code, message, details }: AuditFailure, place: string, is_mirror = false): string {
  const { index, type, author, blob } = details;
  const at = index === undefined ? [] : [`event ${index}${type ? ` (${type}${author ? ` by ${author}` : ''})` : ''}`];
  const where = [...at, ...(blob ? [`blob ${blob}`] : [])].join(', ') || 'the checkpoint';
  const verdict = is_mirror
    ? `The mirror ${place} does not show what its hub signed, or its hub's log is not true.`
    : code === 'wrong-past'
      ? `A run in the log of ${place} came from a log that is not true.`
      : `The log of ${place} is not true.`;
  return `${styleText('red', verdict)}\n${'where'.padEnd(12)} ${where}\n${'what'.padEnd(12)} ${code}: ${message}`;
}

const count = (n: number, what: string, many = `${what}s`): string => `${formatCount(n)} ${n === 1 ? what : many}`;
