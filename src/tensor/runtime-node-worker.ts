// Both ends of a runtime's worker on Node: worker_threads behind the two port interfaces.
import { type MessagePort, Worker } from 'node:worker_threads';
import type { WorkerPort } from './runtime-client.ts';
import type { OwnerPort } from './runtime-server.ts';

/** Starts `script` as a worker thread with `workerData`. */
export function startNodeWorker(script: URL, workerData: unknown): WorkerPort {
  const worker = new Worker(script, { workerData, execArgv: [] }); // the worker must not inherit the owner's flags (--test, --eval)
  let failure = 'it ended by itself';
  worker.on('error', (error: Error) => {
    failure = error.message; // 'exit' always follows
  });
  return {
    sharesMemory: true,
    send: (request, transfer) => worker.postMessage(request, transfer),
    onResponse: (handler) => {
      worker.on('message', handler);
    },
    onEnd: (handler) => {
      worker.once('exit', (code) => handler(`${failure} (exit code ${code})`));
    },
    setBusy: (busy) => {
      if (busy) worker.ref();
      else worker.unref();
    },
    end: async () => {
      await worker.terminate();
    },
  };
}

export function nodeOwnerPort(port: MessagePort): OwnerPort {
  return {
    send: (response, transfer) => port.postMessage(response, transfer),
    onRequest: (handler) => {
      port.on('message', handler);
    },
  };
}
