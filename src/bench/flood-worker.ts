// The thread in which one flood runs, so that what the strangers do costs the clocks of the honest nothing.
import { parentPort, workerData } from 'node:worker_threads';
import type { Target } from './flood.ts';
import { floodNamed } from './floods.ts';

const { name, target } = workerData as { name: string; target: Target };
const ending = new AbortController();
parentPort!.once('message', () => ending.abort());
const counts = await floodNamed(name).run(target, ending.signal);
parentPort!.postMessage(counts);
parentPort!.close();
