// An audit on this machine: with a number of threads that suits the log, receipts from files, and what this machine's own peers saw of the hub.

import { openAuditPool, threadsFor } from '#audit-threads';
import { isAddress, openPublicLog } from '#public-log-open';
import type { AgreedGames } from '../games/game-file.ts';
import { type AuditOptions, type AuditReport, auditWith } from './audit.ts';
import type { OtherLog } from './follow.ts';
import type { KnownHead } from './heads.ts';
import type { Testimony } from './local-testimony.ts';
import { type PublicLog, PublicLogError } from './public-log.ts';
import { oldMirror } from './public-log-mirror.ts';
import { joinBooks, type ReceiptBook, receiptsWithin } from './receipts.ts';
import { readReceipts } from './receipts-file.ts';

export interface LocalAuditOptions extends Omit<AuditOptions, 'receipts' | 'heads' | 'not_compared' | 'openOther'> {
  /** The path of receipts.jsonl, if the caller has receipts. */
  readonly receipts?: string | readonly string[];
  /** What this machine's peers have seen, gathered before the log was opened. */
  readonly testimony?: Testimony;
  readonly threads?: number;
  /** Whether the logs that runs came from are read too, over the network if need be (default true). */
  readonly follow?: boolean;
  /** Where copies of such logs are: addresses and folders, which come before the address that the log names. */
  readonly from?: readonly string[];
  /** Games that are not built in. */
  readonly games?: AgreedGames;
}

/** Audits a log. Throws AuditFailure at the first thing that is not true, PublicLogError where the log or the receipts cannot be read, GameError bad-game-file. */
export async function audit(log: PublicLog, options: LocalAuditOptions = {}): Promise<AuditReport> {
  const asked = [options.receipts ?? []].flat();
  const books = await Promise.all(asked.map((file) => readReceipts(file, log.hub)));
  const found = await readTestimony(log, options.testimony, asked);
  const receipts = books.length + found.books.length > 0 ? joinBooks([...books, ...found.books]) : undefined;
  if (log.is_mirror) mustBeUpToDate(log, found.heads, receipts);
  const pool = await openAuditPool(log.where, threadsFor(log.size, options.threads), options.games);
  try {
    const { heads, not_compared } = found;
    const { follow = true, from = [], ...others } = options;
    const other = follow && { openOther: otherLogs(from) };
    return await auditWith(pool, log, { ...others, ...other, receipts, heads, not_compared });
  } finally {
    await pool.close();
  }
}

/** Opens the log of a hub at one of these places, otherwise where it is said to be. */
function otherLogs(places: readonly string[]): (hub: string, url: string) => Promise<OtherLog> {
  const hubs = new Map<string, string>();
  return async (hub, url) => {
    for (const place of places) {
      if ((hubs.get(place) ?? hub) !== hub) continue;
      const log = await openPublicLog(place);
      hubs.set(place, log.hub);
      if (log.hub === hub) return { log, is_copy: true };
      log.close();
    }
    return { log: await openPublicLog(url, hub), is_copy: false };
  };
}

/** These files were not asked for: damage is only reported, because a folder may be an older copy. */
async function readTestimony(log: PublicLog, testimony: Testimony | undefined, asked: readonly string[]) {
  const books: ReceiptBook[] = [];
  const not_compared = [...(testimony?.not_compared ?? [])];
  let later = 0;
  const whole = log.is_mirror || isAddress(log.where);
  for (const file of testimony?.receipts ?? []) {
    if (asked.includes(file)) continue;
    try {
      const book = await readReceipts(file, log.hub);
      const within = whole ? book : receiptsWithin(book, log.size);
      later += book.count - within.count;
      books.push(within);
    } catch (error) {
      if (!(error instanceof PublicLogError)) throw error;
      not_compared.push(error.message);
    }
  }
  const known = testimony?.heads ?? [];
  const heads = whole ? known : known.filter(({ size }) => size <= log.size);
  later += known.length - heads.length;
  if (later > 0) {
    not_compared.push(
      `${later} receipts and heads of this machine's peers, which are of a longer log: this folder is an older copy, or was cut short`,
    );
  }
  return { books, heads, not_compared };
}

/** Throws PublicLogError `old-mirror` where the hub is known to have signed more than a mirror shows: the mirror's fault, whoever is behind it. */
function mustBeUpToDate(
  { where, size }: PublicLog,
  heads: readonly KnownHead[],
  receipts: ReceiptBook | undefined,
): void {
  for (const head of heads) if (head.size > size) throw oldMirror(where, size, head.size, head.from);
  for (const signed of receipts?.roots.keys() ?? [])
    if (signed > size) throw oldMirror(where, size, signed, 'a receipt');
}
