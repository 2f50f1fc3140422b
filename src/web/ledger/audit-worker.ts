// The Worker that audits for the page: the same code as `potluck audit`, reading the log over HTTP.
import '../no-eval.ts';
import { auditWith } from '../../peer/audit.ts';
import { inlinePool } from '../../peer/audit-pool.ts';
import { PublicLogError, Untruth } from '../../peer/public-log.ts';
import { openHubLog } from '../../peer/public-log-http.ts';
import type { AuditNews, AuditOrder } from './audit-messages.ts';

/** The bar moves at most this often. */
const PROGRESS_MS = 100;

const say = (news: AuditNews): void => postMessage(news);

async function auditFor({ url, hub, models }: AuditOrder): Promise<void> {
  let told_ms = 0;
  try {
    const log = await openHubLog(url, hub);
    const report = await auditWith(inlinePool(log), log, {
      models,
      onProgress(progress) {
        if (performance.now() - told_ms < PROGRESS_MS) return;
        told_ms = performance.now();
        say({ kind: 'progress', ...progress });
      },
    });
    say({ kind: 'true', report });
  } catch (error) {
    if (error instanceof Untruth) {
      const { index } = error.details;
      say({
        kind: 'untrue',
        code: error.code,
        message: error.message,
        index: typeof index === 'number' ? index : null,
      });
    } else if (error instanceof PublicLogError) say({ kind: 'problem', message: error.message });
    else throw error;
  }
}

addEventListener('message', ({ data }: MessageEvent<AuditOrder>) => void auditFor(data));
