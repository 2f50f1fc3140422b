// Runs the tasks of an audit in the calling thread or in several. Events go to any free thread; tasks about one model go to the thread that holds it.
import type { LoadGame } from '../games/registry.ts';
import type { PublicBlobs } from './public-log.ts';
import { type AuditReply, type AuditTask, auditHandler } from './tasks.ts';

export interface AuditPool {
  readonly threads: number;
  /** Runs a task on any thread, or on the thread of a key. Tasks with the same key run in order. */
  run(task: AuditTask, key?: number): Promise<AuditReply>;
  close(): Promise<void>;
}

/** Runs everything in this thread, in order, which is fastest for a short log. */
export function inlinePool(blobs: PublicBlobs, loadGame?: LoadGame): AuditPool {
  const handle = auditHandler(blobs, loadGame);
  let tail: Promise<unknown> = Promise.resolve();
  return {
    threads: 1,
    run(task) {
      const reply = tail.then(() => handle(task));
      tail = reply.catch(() => {}); // the caller of `run` handles the error
      return reply;
    },
    close: async () => {},
  };
}

/** A thread, in Node or in a browser: it answers each task with one reply, in order. */
export interface AuditSeat {
  post(task: AuditTask): void;
  listen(onReply: (reply: AuditReply) => void, onError: (error: Error) => void): void;
  end(): unknown;
}

interface Waiting {
  readonly task: AuditTask;
  readonly resolve: (reply: AuditReply) => void;
  readonly reject: (error: unknown) => void;
}

/** A pool of threads, at least one. */
export function poolOf(threads: readonly AuditSeat[]): AuditPool {
  const shared: Waiting[] = [];
  const seats = threads.map((thread) => ({ thread, own: [] as Waiting[], doing: null as Waiting | null }));
  let failure: Error | null = null;

  const fail = (error: Error): void => {
    failure ??= error;
    for (const waiting of [...shared.splice(0), ...seats.flatMap(({ own, doing }) => [...own.splice(0), doing])]) {
      waiting?.reject(failure);
    }
  };
  const dispatch = (): void => {
    for (const seat of seats) {
      if (seat.doing) continue;
      seat.doing = seat.own.shift() ?? shared.shift() ?? null;
      if (seat.doing) seat.thread.post(seat.doing.task);
    }
  };
  for (const seat of seats) {
    seat.thread.listen((reply) => {
      const done = seat.doing;
      seat.doing = null;
      dispatch();
      done?.resolve(reply);
    }, fail);
  }

  return {
    threads: seats.length,
    run: (task, key) =>
      new Promise((resolve, reject) => {
        if (failure) {
          reject(failure);
          return;
        }
        const queue = key === undefined ? shared : seats[key % seats.length].own;
        queue.push({ task, resolve, reject });
        dispatch();
      }),
    async close() {
      await Promise.all(seats.map(({ thread }) => thread.end()));
    },
  };
}
