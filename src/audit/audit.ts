// The audit: checks everything that a hub claims. The log event by event, given receipts, shares, and, from the blobs, every model version.

import { bytesToHex } from '@noble/hashes/utils.js';
import { mayStateShares } from '../core/shares/share-table.ts';
import type { NetworkState } from '../core/state.ts';
import { stateHash } from '../core/state-bytes.ts';
import { clockAhead } from '../protocol/clock.ts';
import { RunStatusSchema } from '../protocol/messages.ts';
import { AnswersCheck, type AnswersReport } from './answers.ts';
import { ClockCheck, type ClockReport, clockGaps, clockWarnings } from './clocks.ts';
import { DepartureCheck, type DepartureReport } from './departures.ts';
import { type FollowedMove, type FollowOptions, followMoves, told } from './follow.ts';
import { HeadCheck, type HeadReport, type KnownHead } from './heads.ts';
import { ModelAudit } from './model-work.ts';
import { type Gone, goneFrom, MoveWatch } from './moves.ts';
import type { AuditPool } from './pool.ts';
import { AuditFailure, type PublicLog } from './public-log.ts';
import type { ReceiptBook } from './receipts.ts';
import { compareRegistry, type RegistryReport, RegistryWatch, wordsOfMissing } from './registry.ts';
import { replayLog } from './replay.ts';
import { type Cosigned, openCosigned } from './witnesses.ts';

export interface AuditOptions {
  /** Receipts to check the log against. */
  readonly receipts?: ReceiptBook;
  /** Heads of this hub's log that others have seen. */
  readonly heads?: readonly KnownHead[];
  /** What the caller could not read while gathering receipts and heads, in sentences. */
  readonly not_compared?: readonly string[];
  /** Recompute model versions from the blobs (default true). */
  readonly models?: boolean;
  /** Open the receipts of answers, which are blobs too (default: as `models`). */
  readonly answers?: boolean;
  /** Opens the logs that runs came from, and that of the registry; missing: they are left alone. */
  readonly openOther?: FollowOptions['open'];
  readonly now_ms?: number;
  readonly onProgress?: (progress: { events: number; size: number; models: number }) => void;
}

/** What was checked. The first untruth is thrown instead. */
export interface AuditReport {
  readonly hub: string;
  readonly where: string;
  /** The entries under the hub's signature; null where it has signed nothing yet. */
  readonly signed_size: number | null;
  readonly root: string;
  readonly events: number;
  /** Events after the signed head. */
  readonly unsigned_events: number;
  readonly tiles: number;
  readonly receipts: number | null;
  /** The runs that are in this log now; one that has gone counts where it is. */
  readonly runs: number;
  /** SHA-256 of the state after the last event; every correct replay of the log gives the same. */
  readonly state_hash: string;
  readonly shares: { readonly emitted: number; readonly held: number; readonly unearned: number };
  readonly models: { readonly recomputed: number; readonly submissions: number } | null;
  /** Verdicts whose evidence is kept and has the hash that they name. */
  readonly evidence: number | null;
  /** The batches of answers whose receipts are kept; null where the blobs were left alone. */
  readonly answers: AnswersReport | null;
  /** Whether the status that the hub shows visitors was compared with its log. */
  readonly status_compared: boolean;
  /** Who has cosigned a head of this log, of how many events, and when by their clocks; empty where nobody has. */
  readonly witnesses: readonly { readonly name: string; readonly size: number; readonly time_s: number }[];
  readonly heads: HeadReport;
  readonly clocks: ClockReport;
  readonly departures: DepartureReport;
  readonly moves: MovesReport;
  /** The registry that names the devices of this log, beside this log; null where it has none. */
  readonly registry: RegistryReport | null;
  /** Observations that are not untruths but worth a look, in sentences. */
  readonly warnings: readonly string[];
  /** What could not be checked, in sentences. Empty where everything was. */
  readonly unchecked: readonly string[];
  /** What this log, and the other evidence at hand, cannot show, in sentences. */
  readonly cannot_tell: readonly string[];
  readonly seconds: number;
  readonly events_per_second: number;
  readonly threads: number;
}

/** Runs that have moved between this log and others. */
export interface MovesReport {
  /** Each move on the way of each run that came here, the last moves first. */
  readonly came: readonly FollowedMove[];
  readonly gone: readonly Gone[];
}

/** Audits a log with the threads of a pool, which stays open. Throws AuditFailure at the first untruth, PublicLogError where the log cannot be read. */
export async function auditWith(pool: AuditPool, log: PublicLog, options: AuditOptions = {}): Promise<AuditReport> {
  const started_ms = performance.now();
  const now_ms = options.now_ms ?? Date.now();
  const { onProgress, receipts } = options;
  let checked = { events: 0, size: log.size };
  const tell = (): void => onProgress?.({ ...checked, models: models?.report.models ?? 0 });
  const models = options.models === false ? null : new ModelAudit(pool, tell);
  const cosigned = log.cosigned === null ? null : openCosigned(log.cosigned, log.hub);
  const witnessed = cosigned ? [{ ...cosigned, from: 'a witness' }] : [];
  const heads = new HeadCheck(log.hub, [...(options.heads ?? []), ...witnessed]);
  const clocks = new ClockCheck(cosigned?.witnesses.map(({ time_s }) => seenAt(cosigned, time_s)));
  const departures = new DepartureCheck();
  const moves = new MoveWatch();
  const seen = new RegistryWatch();
  const answers = (options.answers ?? options.models) === false ? null : new AnswersCheck(log.hub, log);
  const replay = replayLog(log, {
    ...{ pool, receipts, heads },
    before(event, index, state) {
      clocks.before(event, state);
      models?.before(event, index, state);
    },
    after(event, index, state) {
      clocks.after(event, index, state);
      departures.after(event, state);
      moves.after(event, index, state);
      seen.after(event);
      const reading = answers?.after(event, index, state);
      const go = () => models?.after(event, index, state);
      return reading ? reading.then(go) : go();
    },
    onProgress: (events, size) => {
      checked = { events, size };
      tell();
    },
  });
  const { state, root, tiles, unsigned_events } = await replay.catch(async (error) => {
    throw models && error instanceof AuditFailure ? await models.earliest(error) : error;
  });
  const events_s = (performance.now() - started_ms) / 1000;
  await models?.finish(state);
  const came = await follow(log, moves, { ...options, pool });
  const registry = await compareRegistry(log, state, seen, { pool, open: options.openOther });
  const shares = sumShares(state);
  const status_compared = compareStatus(await log.status(), state);
  const clock_report = clocks.report(state);
  return {
    hub: log.hub,
    where: log.where,
    signed_size: log.head?.size ?? null,
    root: bytesToHex(root),
    events: state.events,
    unsigned_events,
    tiles,
    receipts: receipts?.count ?? null,
    runs: runsHere(state).length,
    state_hash: stateHash(state),
    shares,
    models: models && { recomputed: models.report.models, submissions: models.report.works },
    evidence: models ? models.report.evidence : null,
    answers: answers?.report ?? null,
    status_compared,
    witnesses: cosigned?.witnesses.map((witness) => ({ ...witness, size: cosigned.size })) ?? [],
    heads: heads.report,
    clocks: clock_report,
    departures: departures.report,
    moves: { came, gone: goneFrom(state) },
    registry,
    warnings: warningsOf(state, now_ms, { clocks: clock_report, heads: heads.report, registry }),
    unchecked: [
      ...uncheckedOfLog(log, unsigned_events),
      ...(receipts?.cut_line ? [`line ${receipts.cut_line} of the receipts: a crash has cut it short`] : []),
      ...unstatedShares(state),
      ...(answers?.unchecked() ?? unread(state)),
      ...(models?.unchecked() ?? ['model versions (not asked for)']),
      ...notFollowed(came),
      ...notCompared(registry),
    ],
    cannot_tell: [
      ...sinceThen(log, state),
      ...unwitnessed(log, cosigned),
      ...(options.not_compared ?? []),
      ...treesNotKept(heads.report),
      ...clockGaps(clock_report),
      ...modelsElsewhere(came),
    ],
    seconds: (performance.now() - started_ms) / 1000,
    events_per_second: Math.round(state.events / events_s),
    threads: pool.threads,
  };
}

/** What is worth a look, and no untruth. */
function warningsOf(
  { time_ms }: NetworkState,
  now_ms: number,
  { clocks, heads, registry }: Pick<AuditReport, 'clocks' | 'heads' | 'registry'>,
): string[] {
  const missing = registry?.missing ?? [];
  return [
    ...[clockAhead(time_ms, now_ms)].filter((warning) => warning !== null),
    ...clockWarnings(clocks),
    ...falseWords(heads),
    ...missing.map((one) => `not taken in from the registry: ${wordsOfMissing(one)}`),
  ];
}

/** A registry whose log was left alone, or could not be read. */
const notCompared = (registry: RegistryReport | null): string[] =>
  registry?.reason ? [`what the registry ${registry.hub} at ${registry.url} says of devices: ${registry.reason}`] : [];

const seenAt = ({ size }: Cosigned, time_s: number) => ({ size, time_ms: time_s * 1000 });

const runsHere = ({ runs }: NetworkState) => [...runs.values()].filter(({ moved }) => moved === null);

/** Where the runs of this log came from. Throws AuditFailure `wrong-past`. */
function follow(
  log: PublicLog,
  { came }: MoveWatch,
  { openOther: open, onProgress, pool }: AuditOptions & { readonly pool: AuditPool },
): FollowedMove[] | Promise<FollowedMove[]> {
  if (!open) return came.map((arrived) => told({ ...arrived, into: log.hub }, 'not asked for'));
  const progress = (events: number, size: number) => onProgress?.({ events, size, models: 0 });
  return followMoves(log, came, { pool, open, onProgress: progress });
}

/** Moves whose other log could not be read. */
function notFollowed(came: readonly FollowedMove[]): string[] {
  return came
    .filter(({ followed }) => !followed)
    .map(
      ({ run, from, url, merged_rounds, reason }) =>
        `the past of run ${run}, ${merged_rounds} rounds in the log of the hub ${from} at ${url}: ${reason}`,
    );
}

/** What the events of another log do not show, however true they are. */
function modelsElsewhere(came: readonly FollowedMove[]): string[] {
  return came
    .filter(({ followed, merged_rounds }) => followed && merged_rounds > 0)
    .map(
      ({ run, from, url }) =>
        `whether the models that run ${run} had before it left the hub ${from} follow from their work: its blobs show it (potluck audit ${url})`,
    );
}

/** The shares of all runs that are here. Their sums were checked at every merge (replay.ts). */
function sumShares(state: NetworkState): { emitted: number; held: number; unearned: number } {
  let [emitted, held, unearned] = [0, 0, 0];
  for (const run of runsHere(state)) {
    emitted += run.emitted_shares;
    for (const shares of run.shares.values()) held += shares;
    unearned += run.unearned_shares;
  }
  return { emitted, held, unearned };
}

/** Compares what a hub shows with its log, where both are of the same moment. Throws AuditFailure `wrong-status`. */
function compareStatus(status: unknown, state: NetworkState): boolean {
  const runs = (status as { runs?: unknown } | null)?.runs;
  if (!Array.isArray(runs)) return false;
  let compared = false;
  for (const shown of runs) {
    const parsed = RunStatusSchema.safeParse(shown);
    const run = parsed.success ? state.runs.get(parsed.data.run) : undefined;
    if (!parsed.success || !run) continue;
    const { round, attempt, model, merged_amount, peers } = parsed.data;
    if (round !== run.round || attempt !== run.attempt) continue; // the hub's view is of another moment
    compared = true;
    const differ = (what: string, said: unknown, logged: unknown) => {
      if (said === logged) return;
      const message = `the hub shows ${said} as ${what} of run ${run.id}, its log says ${logged}`;
      throw new AuditFailure('wrong-status', message, { run: run.id });
    };
    differ('model', model, run.model);
    differ('merged amount', merged_amount, run.merged_amount);
    for (const peer of peers)
      differ(`amount of ${peer.id}`, peer.credit_amount, run.peers.get(peer.id)?.credit_amount ?? 0);
  }
  return compared;
}

/** Shares whose statement is due. The core refuses a next round without it, but a hub that stopped here may still state them. */
function unstatedShares(state: NetworkState): string[] {
  return runsHere(state)
    .filter(mayStateShares)
    .map(({ id, model }) => `the shares of run ${id} at model ${model}: the hub has not stated them yet`);
}

function uncheckedOfLog(log: PublicLog, unsigned_events: number): string[] {
  if (!log.head) return ['the tree: the hub has signed no checkpoint yet'];
  if (unsigned_events === 0) return [];
  return [`the position of the last ${unsigned_events} events: the hub has not signed a checkpoint over them yet`];
}

/** Receipts of answers that the caller has left alone. */
const unread = ({ paid }: NetworkState): string[] =>
  paid.batches > 0 ? ['the receipts of answers (not asked for)'] : [];

/** What a mirror says nothing about, however true it is. */
function sinceThen(log: PublicLog, { time_ms }: NetworkState): string[] {
  if (!log.is_mirror) return [];
  const last = time_ms > 0 ? `, whose last clock says ${new Date(time_ms).toISOString()}` : '';
  return [`what the hub has signed after these ${log.size} events${last}: a mirror shows what it was given`];
}

/** What a log could hide if nobody outside has seen it. */
function unwitnessed(log: PublicLog, cosigned: Cosigned | null): string[] {
  const seen = cosigned && cosigned.witnesses.length + cosigned.unknown.length > 0 ? cosigned.size : null;
  if (seen === null) return ['no witness has cosigned this log, so the hub could show other people another log'];
  const after = log.size - seen;
  return after > 0
    ? [`no witness has cosigned the last ${after} events, so the hub could show other people other events`]
    : [];
}

function treesNotKept({ not_compared }: HeadReport): string[] {
  return not_compared > 0 ? [`the heads that ${not_compared} events name: tiles of their trees are not kept`] : [];
}

function falseWords({ false_authors: [first, ...others] }: HeadReport): string[] {
  if (!first) return [];
  const whose =
    others.length > 0
      ? `${first.slice(0, 12)} and ${others.length} others name heads`
      : `${first.slice(0, 12)} names a head`;
  return [`${whose} that the hub has not signed: a false claim, which says nothing about the hub`];
}
