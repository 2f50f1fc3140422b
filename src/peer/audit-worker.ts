// A thread of the audit: answers each task with one reply, in order.
import { parentPort, workerData } from 'node:worker_threads';
import { type AuditTask, auditHandler } from './audit-tasks.ts';
import { openPublicBlobs } from './public-log-open.ts';

const handle = auditHandler(openPublicBlobs((workerData as { where: string }).where));

parentPort?.on('message', async (task: AuditTask) => {
  parentPort?.postMessage(await handle(task));
});
