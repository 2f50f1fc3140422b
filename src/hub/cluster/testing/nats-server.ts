// Real NATS servers for tests and benches: one, or three that form a cluster, on free ports of the loopback, each with a folder of its own.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../../protocol/testing/free-ports.ts';

/** Debian puts it where only administrators look. */
const SEARCHED = `${process.env.PATH}:/usr/sbin:/usr/local/bin`;
const READY_MS = 10_000;

/** A sentence that says why tests with real servers are skipped; false where they are not. */
export const NATS_SKIPPED: string | false =
  spawnSync('nats-server', ['--version'], { env: { PATH: SEARCHED } }).status === 0
    ? false
    : 'nats-server is not installed';

export interface NatsOptions {
  /** One, or three that form a cluster. */
  readonly servers?: 1 | 3;
  readonly jetstream?: boolean;
  /** Lines of a server's configuration. */
  readonly config?: string;
  /** Where everything is kept, the ports too, and gone on with; by default a temporary one. */
  readonly folder?: string;
  /** A server has ended by itself; it is started again. Without it, it is not. */
  onDeath?(server: number): void;
}

/** How long a server that has ended waits until it is started again. */
const RESTART_MS = 500;

export interface NatsServers {
  /** Where each is reached. */
  readonly urls: readonly string[];
  kill(server: number): Promise<void>;
  /** Starts it again at its address, with its folder. */
  restart(server: number): Promise<void>;
  /** It stands still, and goes on. */
  freeze(server: number): void;
  thaw(server: number): void;
  /** Its processor time so far: user and system. */
  pid(server: number): number;
  close(): Promise<void>;
}

/** Starts them; they answer when this resolves. */
export async function startNats({
  servers = 1,
  jetstream = false,
  config = '',
  folder: kept,
  onDeath,
}: NatsOptions = {}): Promise<NatsServers> {
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'potluck-nats-'));
  const ports = await portsIn(folder, 2 * servers);
  let closing = false;
  const children: ChildProcess[] = [];
  const clientPort = (server: number): number => ports[2 * server];
  const routes = Array.from({ length: servers }, (_, i) => `nats-route://127.0.0.1:${ports[2 * i + 1]}`);

  const start = async (server: number): Promise<void> => {
    const file = join(folder, `${server}.conf`);
    const lines = [`server_name: s${server}`, `listen: 127.0.0.1:${clientPort(server)}`, config];
    const store = join(folder, `store-${server}`);
    mkdirSync(store, { recursive: true });
    if (jetstream) lines.push(`jetstream { store_dir: "${store}" }`);
    if (servers > 1) {
      lines.push(`cluster { name: c, listen: "127.0.0.1:${ports[2 * server + 1]}", routes: [${routes.join(', ')}] }`);
    }
    writeFileSync(file, `${lines.join('\n')}\n`);
    const child = spawn('nats-server', ['-c', file], {
      env: { PATH: SEARCHED },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: onDeath !== undefined, // Ctrl-C in a terminal is for whoever has started them
    });
    children[server] = child;
    await untilReady(child);
    child.once('exit', () => {
      if (closing || !onDeath) return;
      onDeath(server);
      setTimeout(() => closing || void start(server).catch(() => onDeath(server)), RESTART_MS);
    });
  };
  const kill = async (server: number): Promise<void> => {
    const child = children[server];
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };

  await Promise.all(Array.from({ length: servers }, (_, i) => start(i)));
  return {
    urls: Array.from({ length: servers }, (_, i) => `nats://127.0.0.1:${clientPort(i)}`),
    kill,
    restart: start,
    freeze: (server) => void children[server].kill('SIGSTOP'),
    thaw: (server) => void children[server].kill('SIGCONT'),
    pid: (server) => children[server].pid!,
    async close() {
      closing = true;
      await Promise.all(children.map((_, server) => kill(server)));
      if (kept === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

function untilReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => reject(new Error(`nats-server is not ready: ${said}`)), READY_MS);
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      act();
    };
    child.once('error', (error) => settle(() => reject(error)));
    child.once('exit', () => settle(() => reject(new Error(`nats-server ended: ${said}`))));
    child.stderr!.on('data', (text: Buffer) => {
      if (said.length < 10_000) said += text.toString();
      if (said.includes('Server is ready')) settle(resolve);
    });
  });
}

/** The ports that a folder has named before, or free ones. */
async function portsIn(folder: string, count: number): Promise<number[]> {
  const file = join(folder, 'ports.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  const ports = await freePorts(count);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, JSON.stringify(ports));
  return ports;
}
