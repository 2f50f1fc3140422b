// An audit on this machine: with as many threads as the log is worth, and the receipts of a file.
import { type AuditOptions, type AuditReport, auditWith } from './audit.ts';
import { readReceipts } from './audit-receipts-file.ts';
import { openAuditPool, threadsFor } from './audit-threads.ts';
import type { PublicLog } from './public-log.ts';

export interface LocalAuditOptions extends Omit<AuditOptions, 'receipts'> {
  /** Where receipts.jsonl is, if somebody has receipts. */
  readonly receipts?: string;
  readonly threads?: number;
}

/** Audits a log. Throws Untruth at the first thing that is not true, PublicLogError where the log or the receipts cannot be read. */
export async function audit(log: PublicLog, options: LocalAuditOptions = {}): Promise<AuditReport> {
  const receipts = options.receipts === undefined ? undefined : await readReceipts(options.receipts, log.hub);
  const pool = openAuditPool(log.where, threadsFor(log.size, options.threads));
  try {
    return await auditWith(pool, log, { ...options, receipts });
  } finally {
    await pool.close();
  }
}
