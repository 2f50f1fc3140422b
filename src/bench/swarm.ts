// A whole network for a bench: a hub, a validator and workers as real processes on loopback, each worker behind a proxy that counts its bytes.
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, startChild } from '../cli/children.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { createRun } from '../owner/owner.ts';
import { trainingFor } from '../owner/run-settings.ts';
import { observeHub } from '../peer/hub-observer.ts';
import { createIdentity } from '../protocol/identity.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { readTexts } from '../training/corpus.ts';
import { defaultCorpus } from '../training/corpus-default.ts';
import { LEARNING_RATE, shapeOf, WORKLOADS } from './compute-workload.ts';
import { startHub } from './hub-process.ts';

/** Config (a) of `bench compute`, on bytes. */
const MODEL = shapeOf(WORKLOADS.small);
const SHAPE = { batch: WORKLOADS.small.batch, context: WORKLOADS.small.context, learning_rate: LEARNING_RATE };

/** The TCP payload of a worker's connections, in both directions. */
export interface WireCount {
  up_bytes: number;
  down_bytes: number;
}

export interface SwarmOptions {
  readonly workers: number;
  readonly rounds: number;
  readonly steps: number;
  readonly round_seconds: number;
  /** Text; by default what npm installed. */
  readonly data: string | null;
  /** How long a killed worker stays away. */
  readonly restart_ms: number;
}

export interface SwarmWorker {
  readonly name: string;
  readonly wire: WireCount;
  kill(): void;
}

export interface Swarm {
  readonly workers: readonly SwarmWorker[];
  readonly tokens_per_step: number;
  /** Calls back with every status until the run is finished and measured; resolves with the last. */
  watch(onStatus: (status: RunStatus) => void): Promise<RunStatus>;
  close(): Promise<void>;
}

/** Starts everything; the run begins when all workers are there. */
export async function startSwarm(options: SwarmOptions): Promise<Swarm> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-'));
  const children: Child[] = [];
  const closers: (() => void)[] = [];
  const close = async (): Promise<void> => {
    const [hub, ...peers] = children;
    await Promise.all(peers.map((peer) => peer.stop()));
    await hub.stop();
    for (const closeOne of closers) closeOne();
    rmSync(folder, { recursive: true, force: true });
  };
  const { child, listening } = startHub(folder);
  children.push(child);
  const { url } = await listening;
  const { rounds, round_seconds, steps } = options;
  const training = trainingFor({ ...SHAPE, rounds, round_seconds, steps, min_workers: options.workers });
  let run: string;
  try {
    const texts = options.data ? readTexts(options.data) : defaultCorpus();
    const settings = { name: 'bench', texts, tokenizer: byteTokenizer(), model: MODEL, seed: 'bench', ...training };
    run = await createRun(url, createIdentity(), join(folder, 'owner'), settings);
  } catch (error) {
    await close(); // a running hub would keep this process from ending
    throw error;
  }
  const join_ = (name: string, address: string, ...more: string[]): Child => {
    const args = ['join', address, '--run', run, '--name', name, '--folder', join(folder, name), ...more];
    return startChild({ args, restart_ms: options.restart_ms, onLine: () => {}, onDeath: () => {} });
  };
  children.push(join_('validator', url, '--role', 'validator'));
  const workers: SwarmWorker[] = [];
  for (let i = 1; i <= options.workers; i++) {
    const name = `worker-${i}`;
    const counter = await countingProxy(url);
    closers.push(counter.close);
    const child = join_(name, counter.url);
    children.push(child);
    const kill = (): void => {
      const pid = child.pid();
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    };
    workers.push({ name, wire: counter.wire, kill });
  }
  return {
    workers,
    tokens_per_step: SHAPE.batch * SHAPE.context,
    watch: (onStatus) =>
      new Promise((resolve) => {
        const observer = observeHub(url, (runs) => {
          const status = runs.find((candidate) => candidate.run === run);
          if (!status) return;
          onStatus(status);
          if (status.phase !== 'finished' || status.evaluated_rounds !== status.rounds) return;
          observer.close();
          resolve(status);
        });
      }),
    close,
  };
}

/** A TCP proxy in front of a hub that counts what passes. */
async function countingProxy(target: string): Promise<{ url: string; wire: WireCount; close(): void }> {
  const { hostname, port } = new URL(target);
  const wire: WireCount = { up_bytes: 0, down_bytes: 0 };
  const server = createServer((client) => {
    const hub = connect(Number(port), hostname);
    client.on('data', (chunk) => {
      wire.up_bytes += chunk.length;
    });
    hub.on('data', (chunk) => {
      wire.down_bytes += chunk.length;
    });
    // A killed worker resets its connection. This closes the other half and is no error of the bench.
    client.on('error', () => hub.destroy());
    hub.on('error', () => client.destroy());
    client.pipe(hub).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    wire,
    close: () => server.close(),
  };
}
