// A pool of processes as benches measure it: a hub, a run of a model of random weights, and devices that serve it alone.
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Child, startChild } from '../cli/children.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { createRun } from '../owner/owner.ts';
import { trainingFor } from '../owner/run-settings.ts';
import { createIdentity } from '../protocol/identity.ts';
import { defaultCorpus } from '../training/corpus-default.ts';
import { LEARNING_RATE, shapeOf, WORKLOADS } from './compute-workload.ts';
import { BenchError } from './errors.ts';
import { startHub } from './hub-process.ts';

const MODEL = { ...shapeOf(WORKLOADS.small), max_position_embeddings: 256 };
const SHAPE = { batch: WORKLOADS.small.batch, context: WORKLOADS.small.context, learning_rate: LEARNING_RATE };

export interface PoolProcesses {
  readonly url: string;
  readonly devices: readonly Child[];
  stop(): Promise<void>;
}

/** Starts them, and waits until all devices offer to serve. A device that dies comes back after a second. */
export async function startPool(folder: string, count: number): Promise<PoolProcesses> {
  const { child: hub, listening } = startHub(folder, '--no-page');
  const devices: Child[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(devices.map((one) => one.stop()));
    await hub.stop();
  };
  try {
    const { url } = await listening;
    await createServedRun(url, folder, MODEL);
    for (let i = 0; i < count; i++) devices.push(startDevice(url, folder, i));
    await untilCount(url, 'potluck_pool_devices', count);
    return { url, devices, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Creates a run "bench" of a model of random weights that nobody needs to train. Resolves with its id. */
export function createServedRun(url: string, folder: string, model: ReturnType<typeof shapeOf>): Promise<string> {
  const training = trainingFor({ ...SHAPE, rounds: 1, round_seconds: 10, steps: 1, min_workers: 1 });
  const settings = { name: 'bench', texts: defaultCorpus(), tokenizer: byteTokenizer(), model, seed: 'bench' };
  return createRun(url, createIdentity(), join(folder, 'owner'), { ...settings, ...training });
}

function startDevice(url: string, folder: string, i: number): Child {
  const name = `device-${i}`;
  const words = ['--serve-only', '--alone', '--device', 'cpu', '--name', name, '--folder', join(folder, name)];
  return startChild({ args: ['join', url, ...words], restart_ms: 1000, onLine() {}, onDeath() {} });
}

/** What the hub counts, by name and labels. */
export async function metricsOf(url: string): Promise<Map<string, number>> {
  const lines = (await (await fetch(new URL('/metrics', url))).text()).split('\n');
  return new Map(
    lines
      .filter((line) => line && !line.startsWith('#'))
      .map((line) => {
        const space = line.lastIndexOf(' ');
        return [line.slice(0, space), Number(line.slice(space + 1))] as const;
      }),
  );
}

async function untilCount(url: string, name: string, count: number): Promise<void> {
  for (let tries = 0; ((await metricsOf(url)).get(name) ?? 0) < count; tries++) {
    if (tries > 600) throw new BenchError('engine-failed', `expected ${count} of ${name}, they did not come`);
    await wait(200);
  }
}
