// The processes of one hub that `bench cluster` starts, kills and stops: real ones, with a real NATS server and an S3 of their own.
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Child, startChild } from '../cli/children.ts';
import { type NatsServers, startNats } from '../hub/cluster/testing/nats-server.ts';
import type { S3Place } from '../hub/named-place.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { BenchError } from './errors.ts';
import type { S3Process } from './s3-process.ts';

const POLL_MS = 50;
/** How long a process may take to listen, and a hub to have a leader, on a machine that does much else. */
const LISTENS_MS = 120_000;

export interface ClusterProcess {
  readonly name: string;
  /** Where it listens: at the same address each time. */
  readonly url: string;
  pid(): number;
  /** How often it has begun to listen: once a start, and again whenever it starts again by itself. */
  readonly begun: number;
  /** What it said went wrong. */
  readonly problems: readonly string[];
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  /** Starts it anew on its folder. Resolves when it listens. */
  restart(): Promise<void>;
  /** Resolves when it has begun to listen so often. Throws BenchError `engine-failed`. */
  untilBegun(times: number): Promise<void>;
}

export interface Cluster {
  readonly hub: string;
  readonly place: S3Place;
  readonly nats: NatsServers;
  readonly sequencers: readonly ClusterProcess[];
  readonly fronts: readonly ClusterProcess[];
  /** The sequencer that leads, by its own word; a process that stands still is not asked. */
  leader(asked?: readonly ClusterProcess[]): Promise<ClusterProcess>;
  close(): Promise<void>;
}

export interface ClusterOptions {
  readonly sequencers: number;
  readonly fronts: number;
  /** How many NATS servers; 1 by default. */
  readonly nats?: 1 | 3;
  /** The store, which ends with the cluster. */
  readonly s3: S3Process;
  /** What sequencers do beside leading and merging. */
  readonly also?: string;
}

/** Starts NATS servers and the processes. Resolves when all listen and one leads. */
export async function startCluster(folder: string, options: ClusterOptions): Promise<Cluster> {
  const { s3, also = '' } = options;
  const closers: (() => Promise<unknown>)[] = [s3.close];
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).reverse()) await one();
  };
  try {
    const nats = await startNats({ jetstream: true, servers: options.nats });
    closers.push(nats.close);
    const key = join(folder, 'hub.key');
    const { id: hub } = await loadOrCreateIdentity(key);
    const open = async (name: string, roles: string): Promise<ClusterProcess> => {
      const own = join(folder, name);
      await mkdir(own, { mode: 0o700 });
      if (roles.includes('sequencer')) await copyFile(key, join(own, 'hub.key'));
      const words = ['--s3', s3.place.url, '--nats', nats.urls.join(','), '--roles', roles];
      const process = await startProcess(name, s3.place, [
        '--folder',
        own,
        '--no-page',
        '--log-level',
        'error',
        ...words,
      ]);
      closers.push(process.stop);
      return process;
    };
    const named = (what: string, of: number): string[] => Array.from({ length: of }, (_, i) => `${what}-${i}`);
    const all = (names: string[], roles: string) => Promise.all(names.map((name) => open(name, roles)));
    const sequencers = await all(named('sequencer', options.sequencers), `sequencer,merger${also}`);
    const fronts = await all(named('front', options.fronts), 'front');
    const leader = (asked: readonly ClusterProcess[] = sequencers) => leaderOf(asked);
    await leader();
    return { hub, place: s3.place, nats, sequencers, fronts, leader, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** How often a process of the hub ended and began again. */
export const begunAgain = ({ sequencers, fronts }: Cluster): number =>
  [...sequencers, ...fronts].reduce((sum, { begun }) => sum + begun - 1, 0);

async function startProcess(
  name: string,
  place: S3Place,
  words: readonly string[],
): Promise<ClusterProcess & { stop(): Promise<void> }> {
  let [begun, url] = [0, ''];
  const problems: string[] = [];
  let wake = (): void => {};
  const env = { AWS_ACCESS_KEY_ID: place.access_key_id, AWS_SECRET_ACCESS_KEY: place.secret_access_key };
  const start = (port: string): Child =>
    startChild({
      ...{ args: ['hub', '--port', port, ...words], restart_ms: null, env },
      onLine: (line) => {
        if (line.type === 'problem' || line.type === 'condition') problems.push(String(line.message ?? line.reason));
        if (line.type !== 'listening') return;
        [begun, url] = [begun + 1, String(line.url)];
        wake();
      },
      onDeath: (lastWords) => {
        if (lastWords !== '') problems.push(`it ended: ${lastWords}`);
        wake();
      },
    });
  const untilBegun = async (times: number): Promise<void> => {
    const late = AbortSignal.timeout(LISTENS_MS);
    late.addEventListener('abort', () => wake());
    while (begun < times) {
      if (late.aborted) {
        throw new BenchError(
          'engine-failed',
          `${name} does not listen: ${problems.slice(-3).join('; ') || 'it says nothing'}`,
        );
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  let child = start('0');
  await untilBegun(1);
  return {
    ...{ name, problems, url, untilBegun },
    pid: () => child.pid()!,
    get begun() {
      return begun;
    },
    signal: (which) => void process.kill(child.pid()!, which),
    async restart() {
      const times = begun + 1;
      child = start(new URL(url).port);
      await untilBegun(times);
    },
    stop: () => child.stop(),
  };
}

async function leaderOf(asked: readonly ClusterProcess[]): Promise<ClusterProcess> {
  const until_ms = performance.now() + LISTENS_MS;
  while (performance.now() < until_ms) {
    for (const one of asked) {
      try {
        const metrics = await (await fetch(`${one.url}/metrics`, { signal: AbortSignal.timeout(5000) })).text();
        if (/^potluck_leads 1$/m.test(metrics)) return one;
      } catch {
        // It does not listen now: it may be starting.
      }
    }
    await pause(POLL_MS);
  }
  throw new BenchError('engine-failed', `none of ${asked.map(({ name }) => name).join(', ')} leads`);
}
