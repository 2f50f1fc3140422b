// A thread of the audit: answers each task with one reply, in order.
import { parentPort, workerData } from 'node:worker_threads';
import { type AuditTask, auditHandler } from './audit-tasks.ts';

const handle = auditHandler((workerData as { where: string }).where);

parentPort?.on('message', async (task: AuditTask) => {
  parentPort?.postMessage(await handle(task));
});
