// A thread that writes one state as the bytes of a snapshot, and ends.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { stateBytes } from './snapshot-bytes.ts';

if (!isMainThread) parentPort!.postMessage(stateBytes(workerData as Uint8Array));
