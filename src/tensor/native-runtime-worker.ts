// The worker thread of the native runtime: onnxruntime-node with the settings that docs/decisions/0001 explains.
import { parentPort, workerData } from 'node:worker_threads';
import type { NativeOptions } from './native-runtime.ts';
import { nodeOwnerPort } from './runtime-node-worker.ts';
import { serveRuntime } from './runtime-server.ts';
import type { OrtModule, SessionSettings } from './session-program.ts';

// From native-runtime.ts. Loading a schema library would take longer than everything else that this thread loads.
const { threads, alone } = workerData as Required<NativeOptions>;

const settings: SessionSettings = {
  preallocate: true,
  session: {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    enableMemPattern: false, // it would allocate one big block for all activations, which takes two thirds more memory and is no faster
    logSeverityLevel: 4, // errors reach the caller; ONNX Runtime would also print them
    extra: { session: { intra_op: { allow_spinning: alone ? '1' : '0' } } }, // spinning threads starve other work on the same cores
  },
};

async function loadOrt(): Promise<OrtModule> {
  const ort = await import('onnxruntime-node'); // missing on a platform without binaries; the calls are then answered with that error
  ort.env.logLevel = 'fatal';
  return ort;
}

serveRuntime(nodeOwnerPort(parentPort!), loadOrt(), settings);
