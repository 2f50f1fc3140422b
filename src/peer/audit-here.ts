// An audit on this machine: with as many threads as the log is worth, and the receipts of a file.
import { type AuditOptions, type AuditReport, auditWith } from './audit.ts';
import { readReceipts } from './audit-receipts-file.ts';
import { openAuditPool, threadsFor } from './audit-threads.ts';
import type { PublicLog } from './public-log.ts';

export interface LocalAuditOptions extends Omit<AuditOptions, 'receipts'> {
  /** Where receipts.jsonl is, if somebody has receipts. */
  readonly receipts?: string;
  readonly threads?: number;
  /** Files of games that are not of this build. */
  readonly game_files?: readonly string[];
}

/** Audits a log. Throws Untruth at the first thing that is not true, PublicLogError where the log or the receipts cannot be read, GameError bad-game-file. */
export async function audit(log: PublicLog, options: LocalAuditOptions = {}): Promise<AuditReport> {
  const receipts = options.receipts === undefined ? undefined : await readReceipts(options.receipts, log.hub);
  const pool = await openAuditPool(log.where, threadsFor(log.size, options.threads), options.game_files);
  try {
    return await auditWith(pool, log, { ...options, receipts });
  } finally {
    await pool.close();
  }
}
