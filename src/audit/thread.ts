// A thread of the audit: answers each task with one reply, in order.
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadData } from '#audit-threads';
import { openPublicBlobs } from '#public-log-open';
import { gamesOf } from '../games/game-file.ts';
import { type AuditTask, auditHandler } from './tasks.ts';

const { where, games } = workerData as ThreadData;
const handle = auditHandler(openPublicBlobs(where), await gamesOf(games));

parentPort?.on('message', async (task: AuditTask) => {
  parentPort?.postMessage(await handle(task));
});
