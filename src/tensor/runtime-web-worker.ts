// Both ends of a runtime's worker in a browser: a Worker behind the two port interfaces.
import type { WorkerPort } from './runtime-client.ts';
import type { Response } from './runtime-messages.ts';
import type { OwnerPort } from './runtime-server.ts';

export function startWebWorker(worker: Worker): WorkerPort {
  return {
    sharesMemory: true,
    send: (request, transfer) => worker.postMessage(request, transfer),
    onResponse: (handler) => {
      worker.onmessage = (event: MessageEvent<Response>) => handler(event.data);
    },
    onEnd: (handler) => {
      worker.onerror = (event) => {
        worker.terminate();
        handler(event.message);
      };
    },
    setBusy: () => {}, // a page does not wait for its workers
    end: async () => worker.terminate(),
  };
}

export function webOwnerPort(): OwnerPort {
  return {
    send: (response, transfer) => globalThis.postMessage(response, { transfer }),
    onRequest: (handler) => {
      globalThis.onmessage = (event) => handler(event.data);
    },
  };
}
