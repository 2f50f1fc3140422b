// The Worker that replays the log for the page: the same code as `potluck audit`, `why`, `shares` and `certificate`, over HTTP.
import '../tab/no-eval.ts';
import { openAuditPool, threadsFor } from '#audit-threads';
import { openPublicLog } from '#public-log-open';
import { auditWith } from '../../audit/audit.ts';
import type { KnownHead } from '../../audit/heads.ts';
import { AuditFailure, type PublicLog } from '../../audit/public-log.ts';
import { holdingsOf } from '../../audit/shares.ts';
import { explainSubmission } from '../../audit/why.ts';
import { sentencesOf } from '../../audit/why-sentences.ts';
import { CodedError } from '../../errors.ts';
import { makeCertificate } from '../../owner/certificate-make.ts';
import { headsOfTab } from '../tab/seen-heads.ts';
import { openTabStore } from '../tab/store.ts';
import type { LogNews, LogOrder, LogPlace } from './log-messages.ts';

/** The progress bar moves at most this often. */
const PROGRESS_MS = 100;
/** Submissions that a certificate proves event by event: the default of `potluck certificate`. */
const EVIDENCE = 100;

async function audit(log: PublicLog, models: boolean, heads: readonly KnownHead[]): Promise<LogNews> {
  const pool = await openAuditPool(log.where, threadsFor(log.size));
  let told_ms = 0;
  try {
    const report = await auditWith(pool, log, {
      ...{ models, heads },
      onProgress(progress) {
        if (performance.now() - told_ms < PROGRESS_MS) return;
        told_ms = performance.now();
        postMessage({ kind: 'progress', ...progress } satisfies LogNews);
      },
    });
    return { kind: 'audited', report };
  } finally {
    await pool.close();
  }
}

async function obey(place: LogPlace, order: LogOrder): Promise<LogNews> {
  const { url, hub } = place;
  if (order.kind === 'certificate') {
    const { run, holder } = order;
    const { text } = await makeCertificate(url, { run, holder, evidence: EVIDENCE });
    return { kind: 'certificate', text };
  }
  const heads = order.kind === 'audit' ? await headsOfTab(await openTabStore(), hub) : []; // read before the log is opened
  const log = await openPublicLog(url, hub);
  if (order.kind === 'audit') return audit(log, order.models, heads);
  if (order.kind === 'why')
    return { kind: 'why', sentences: sentencesOf(await explainSubmission(log, order.submission)) };
  return { kind: 'holdings', holdings: await holdingsOf(log, order.run) };
}

/** Every error is reported to the page, because a Worker that only fails would leave it waiting. */
function newsOf(error: unknown): LogNews {
  if (!(error instanceof CodedError)) {
    return { kind: 'problem', message: error instanceof Error ? error.message : String(error) };
  }
  const { index } = error.details;
  const at = typeof index === 'number' ? index : null;
  if (error instanceof AuditFailure) return { kind: 'untrue', code: error.code, message: error.message, index: at };
  return { kind: 'problem', message: error.message };
}

addEventListener('message', async ({ data }: MessageEvent<{ place: LogPlace; order: LogOrder }>) => {
  postMessage(await obey(data.place, data.order).catch(newsOf));
});
