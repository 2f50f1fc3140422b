// The worker thread of the native runtime: onnxruntime-node with the settings that docs/decisions/0001 explains.
import { parentPort, workerData } from 'node:worker_threads';
import type { NativeOptions } from './native-runtime.ts';
import { nodeOwnerPort } from './runtime-node-worker.ts';
import { serveRuntime } from './runtime-server.ts';
import type { OrtModule, SessionSettings } from './session-program.ts';

// From native-runtime.ts. A schema for it would take longer to load than all else that this thread loads.
const { threads, alone } = workerData as Required<NativeOptions>;

const settings: SessionSettings = {
  preallocate: true,
  session: {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    enableMemPattern: false, // its one big block for all activations costs two thirds more memory and gains no time
    logSeverityLevel: 4, // errors reach the caller; ONNX Runtime would also print them
    extra: { session: { intra_op: { allow_spinning: alone ? '1' : '0' } } }, // threads that spin starve other work on the same cores
  },
};

async function loadOrt(): Promise<OrtModule> {
  const ort = await import('onnxruntime-node'); // may be missing on a platform without binaries: that answers the calls
  ort.env.logLevel = 'fatal';
  return ort;
}

serveRuntime(nodeOwnerPort(parentPort!), loadOrt(), settings);
