// A Worker of an audit in a browser: answers each task with one reply, in order.
import '../tab/no-eval.ts';
import { hubBlobs } from '../../audit/public-log-http.ts';
import { type AuditTask, auditHandler } from '../../audit/tasks.ts';

const handle = auditHandler(hubBlobs(self.name));

addEventListener('message', ({ data }: MessageEvent<AuditTask>) => {
  handle(data).then(postMessage, (error: unknown) => {
    // A rejection would stay in this Worker, and the audit would wait for ever: only a thrown error reaches the page.
    setTimeout(() => {
      throw error;
    });
  });
});
