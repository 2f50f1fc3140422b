// A Worker of an audit in a browser: answers each task with one reply, in order.
import '../tab/no-eval.ts';
import { type AuditTask, auditHandler } from '../../peer/audit-tasks.ts';
import { hubBlobs } from '../../peer/public-log-http.ts';

const handle = auditHandler(hubBlobs(self.name));

addEventListener('message', ({ data }: MessageEvent<AuditTask>) => {
  handle(data).then(postMessage, (error: unknown) => {
    // A rejection would stay in this Worker, and the audit would wait for ever: only what is thrown reaches whoever started it.
    setTimeout(() => {
      throw error;
    });
  });
});
