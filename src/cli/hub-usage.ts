// `potluck hub --usage`: the size of a hub's folder and how fast it grows. Nothing is written, so the hub may be running.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { diskSpaceOf } from '../hub/condition.ts';
import { openSmallBlobs, SMALL_BLOBS_FILE } from '../ledger/small-blobs.ts';
import { CliError, formatBytes, formatCount, type Output } from './output.ts';

const DAY_MS = 86_400_000;
/** The log is a database with a write-ahead log beside it. */
const LOG_FILES = ['hub.sqlite', 'hub.sqlite-wal'];

export interface Usage {
  readonly log_bytes: number;
  /** Since the hub's key was made. */
  readonly age_days: number;
  readonly blobs: number;
  readonly blob_bytes: number;
  readonly last_day_bytes: number;
  readonly last_week_bytes: number;
  readonly free_bytes: number;
  readonly total_bytes: number;
}

/** Throws CliError `bad-folder` where there is no hub. */
export async function usageOf(folder: string, now_ms: number): Promise<Usage> {
  const key = await stat(join(folder, 'hub.key')).catch(() => null);
  if (!key) throw new CliError('bad-folder', `no folder of a hub at ${folder}: it has no hub.key`, { folder });
  const logs = await Promise.all(LOG_FILES.map((name) => stat(join(folder, name)).catch(() => null)));
  const sums = { blobs: 0, blob_bytes: 0, last_day_bytes: 0, last_week_bytes: 0 };
  for (const entry of await readdir(join(folder, 'blobs'), { recursive: true, withFileTypes: true })) {
    if (entry.name.startsWith(SMALL_BLOBS_FILE)) continue;
    const info = entry.isFile() ? await stat(join(entry.parentPath, entry.name)).catch(() => null) : null;
    if (!info) continue;
    const age_ms = now_ms - info.mtimeMs;
    sums.blobs++;
    sums.blob_bytes += info.size;
    if (age_ms < DAY_MS) sums.last_day_bytes += info.size;
    if (age_ms < 7 * DAY_MS) sums.last_week_bytes += info.size;
  }
  const small = openSmallBlobs(join(folder, 'blobs', SMALL_BLOBS_FILE), { make: false, read_only: true });
  const gathered = small.count();
  sums.blobs += gathered.blobs;
  sums.blob_bytes += gathered.bytes;
  sums.last_day_bytes += small.count(now_ms - DAY_MS + 1).bytes;
  sums.last_week_bytes += small.count(now_ms - 7 * DAY_MS + 1).bytes;
  small.close();
  const log_bytes = logs.reduce((sum, info) => sum + (info?.size ?? 0), 0);
  const age_days = Math.max(0, now_ms - key.mtimeMs) / DAY_MS;
  return { log_bytes, age_days, ...sums, ...(await diskSpaceOf(folder)) };
}

export async function sayUsage(folder: string, output: Output): Promise<void> {
  const usage = await usageOf(folder, Date.now());
  output.say(describe(folder, usage), { type: 'usage', folder, ...usage });
}

function describe(folder: string, usage: Usage): string {
  const { log_bytes, age_days, blobs, blob_bytes, last_day_bytes, last_week_bytes, free_bytes, total_bytes } = usage;
  // A hub of a few hours has no meaningful growth per day.
  const ofLog =
    age_days < 1
      ? 'of less than a day'
      : `${formatBytes(log_bytes / age_days)} a day, over ${formatCount(age_days)} days`;
  const left =
    last_day_bytes === 0
      ? ''
      : `; at the pace of the last day full in ${formatCount(free_bytes / last_day_bytes)} days`;
  return [
    `${folder}`,
    `  log    ${formatBytes(log_bytes)}, ${ofLog}`,
    `  blobs  ${formatBytes(blob_bytes)} in ${formatCount(blobs)} blobs; ${formatBytes(last_day_bytes)} came in the last day, ${formatBytes(last_week_bytes)} in the last week`,
    `  disk   ${formatBytes(free_bytes)} of ${formatBytes(total_bytes)} are free${left}`,
  ].join('\n');
}
