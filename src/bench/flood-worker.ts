// The thread of one flood, so that the flood does not disturb the measurements of the honest clients.
import { parentPort, workerData } from 'node:worker_threads';
import { BEGUN, type Target } from './flood.ts';
import { floodNamed } from './floods.ts';

const { name, target } = workerData as { name: string; target: Target };
const ending = new AbortController();
parentPort!.once('message', () => ending.abort());
const flood = floodNamed(name);
const prepared = (await flood.prepare?.(target)) ?? '';
parentPort!.postMessage(BEGUN);
const counts = await flood.run(target, ending.signal, prepared);
parentPort!.postMessage(counts);
parentPort!.close();
