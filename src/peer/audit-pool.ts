// Who does the tasks of an audit: here it is the caller itself, in order; audit-threads.ts has threads, and a page its Workers.
import { type AuditReply, type AuditTask, auditHandler } from './audit-tasks.ts';
import type { PublicBlobs } from './public-log.ts';

export interface AuditPool {
  readonly threads: number;
  /** Does a task on any thread, or on the one of a key. Tasks of one key are done in their order. */
  run(task: AuditTask, key?: number): Promise<AuditReply>;
  close(): Promise<void>;
}

/** Everything happens here, in order, which is quickest for a short log. */
export function inlinePool(blobs: PublicBlobs): AuditPool {
  const handle = auditHandler(blobs);
  let tail: Promise<unknown> = Promise.resolve();
  return {
    threads: 1,
    run(task) {
      const reply = tail.then(() => handle(task));
      tail = reply.catch(() => {});
      return reply;
    },
    close: async () => {},
  };
}
