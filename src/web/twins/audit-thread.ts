// A Worker of an audit in a browser: answers each task with one reply, in order.
import '../tab/no-eval.ts';
import { type AuditTask, auditHandler } from '../../peer/audit-tasks.ts';
import { hubBlobs } from '../../peer/public-log-http.ts';

const handle = auditHandler(hubBlobs(self.name));

addEventListener('message', async ({ data }: MessageEvent<AuditTask>) => {
  postMessage(await handle(data));
});
