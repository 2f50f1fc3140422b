// A real S3 on this machine: Ceph's monitor, one storage daemon and its S3 gateway, on free loopback ports. For tests and benches in memory and a
// temporary folder; for a try of a hub of several processes in a folder that is kept.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from '../../protocol/testing/free-ports.ts';

const run = promisify(execFile);

/** Debian's packages radosgw, ceph-mon and ceph-osd (which bring the tools along). */
const PROGRAMS = ['radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'ceph', 'ceph-authtool', 'monmaptool'];
/** It answers after about 20 s on two idle cores. */
const START_MS = 120_000;

const isThere = (program: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** Why no Ceph can be started here; false where one can. */
export function cephMissing(): string | false {
  const missing = PROGRAMS.filter((program) => !isThere(program));
  return (
    missing.length > 0 &&
    `${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} not installed (Debian: radosgw ceph-mon ceph-osd)`
  );
}

export interface TestS3 {
  /** Of the server, without a bucket. */
  readonly url: string;
  readonly access_key_id: string;
  readonly secret_access_key: string;
  stop(): Promise<void>;
}

export interface CephOptions {
  /** Where everything is kept, and gone on with; by default it is in memory, and gone at the end. */
  readonly folder?: string;
  /** A program has ended by itself; it is started again. Without it, it is not. */
  onDeath?(program: string): void;
}

/** How long a program that has ended waits until it is started again. */
const RESTART_MS = 500;

interface Ports {
  readonly monitor: number;
  readonly gateway: number;
}

async function newPorts(): Promise<Ports> {
  const [monitor, gateway] = await freePorts(2);
  return { monitor, gateway };
}

const IN_MEMORY = `osd objectstore = memstore
memstore device bytes = 2147483648`;
/** A file that grows as it is filled. */
const LASTING = `osd objectstore = bluestore
bluestore block size = 8589934592
bluestore block create = true
bluestore cache autotune = false
bluestore cache size = 67108864`;

/** cephx is needed: without it this gateway does not get past its first request to the monitor. One copy of everything is enough for a try. */
const configOf = (folder: string, { monitor, gateway }: Ports, lasting: boolean): string => `[global]
fsid = 5d3b2f8e-0000-4000-8000-000000000001
mon host = [v2:127.0.0.1:${monitor}]
mon initial members = a
ms bind ipv4 = true
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = ${folder}/keyring
run dir = ${folder}
log file = ${folder}/$name.log
pid file =
admin socket = ${folder}/$name.asok
crash dir = ${folder}/crash
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data = ${folder}/mon
mon data avail warn = 1
mon data avail crit = 0
[osd]
osd data = ${folder}/osd
${lasting ? LASTING : IN_MEMORY}
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:${gateway}
rgw enable usage log = false
rgw thread pool size = 64
`;

const USER = { access_key_id: 'potluck', secret_access_key: 'only-for-tests' } as const;

/** Starts it, with one user and no bucket. Rejects where it does not answer in two minutes. `stop` removes a folder that is not to be kept. */
export async function startCephRgw(options: CephOptions = {}): Promise<TestS3> {
  const lasting = options.folder !== undefined;
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'potluck-rgw-')));
  const daemons = openDaemons(folder, options.onDeath);
  const stop = async (): Promise<void> => {
    await daemons.stop();
    if (!lasting) await rm(folder, { recursive: true, force: true });
  };
  const giveUp = AbortSignal.timeout(START_MS);
  try {
    const begun = join(folder, 'ports.json');
    const is_new = !existsSync(begun);
    if (is_new) await rm(folder, { recursive: true, force: true }); // what an unfinished start has left
    await mkdir(folder, { recursive: true });
    const ports = is_new ? await newPorts() : (JSON.parse(await readFile(begun, 'utf8')) as Ports);
    await writeFile(join(folder, 'ceph.conf'), configOf(folder, ports, lasting));
    const tool = (program: string, ...args: string[]) => run(program, args, { signal: giveUp });
    if (is_new) await makeKeys(folder, ports, tool);
    daemons.start('ceph-mon', '-i', 'a', '--public-addrv', addressOf(ports));
    if (is_new) await makeStorage(folder, tool);
    daemons.start('ceph-osd', '-i', '0');
    const gateway = daemons.start('radosgw', '-n', 'client.rgw.a');
    const url = `http://127.0.0.1:${ports.gateway}`;
    await answers(url, gateway, giveUp);
    if (is_new) await makeUser(folder, tool);
    await writeFile(begun, JSON.stringify(ports));
    return { url, ...USER, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Tool = (program: string, ...args: string[]) => Promise<{ readonly stdout: string }>;

const addressOf = ({ monitor }: Ports): string => `[v2:127.0.0.1:${monitor}]`;
const CLUSTER = '5d3b2f8e-0000-4000-8000-000000000001';
const STORAGE = '5d3b2f8e-0000-4000-8000-000000000002';

/** The keys of all programs, and the monitor's own files. */
async function makeKeys(folder: string, ports: Ports, tool: Tool): Promise<void> {
  const keyring = join(folder, 'keyring');
  const map = join(folder, 'monmap');
  for (const name of ['mon', 'osd', 'crash']) await mkdir(join(folder, name), { recursive: true });
  const caps = (...given: [to: string, what: string][]): string[] => given.flatMap(([to, what]) => ['--cap', to, what]);
  const key = (name: string, ...given: [to: string, what: string][]) =>
    tool('ceph-authtool', keyring, '--gen-key', '-n', name, ...caps(...given));
  await tool('ceph-authtool', '--create-keyring', keyring, '--gen-key', '-n', 'mon.', ...caps(['mon', 'allow *']));
  await key('client.admin', ['mon', 'allow *'], ['osd', 'allow *'], ['mgr', 'allow *']);
  await key('client.rgw.a', ['mon', 'allow rw'], ['osd', 'allow rwx']);
  await key('osd.0', ['mon', 'allow profile osd'], ['osd', 'allow *']);
  await tool('monmaptool', '--create', '--fsid', CLUSTER, '--addv', 'a', addressOf(ports), map);
  const files = ['--monmap', map, '--keyring', keyring];
  await tool('ceph-mon', '-c', join(folder, 'ceph.conf'), '--mkfs', '-i', 'a', ...files);
}

/** The files of the storage daemon, which the monitor must know. */
async function makeStorage(folder: string, tool: Tool): Promise<void> {
  const config = ['-c', join(folder, 'ceph.conf')];
  const made = await tool('ceph', ...config, '--connect-timeout', '60', 'osd', 'new', STORAGE);
  await tool('ceph-osd', ...config, '-i', made.stdout.trim(), '--mkfs', '--osd-uuid', STORAGE);
}

async function makeUser(folder: string, tool: Tool): Promise<void> {
  const named = ['--uid', 'potluck', '--display-name', 'potluck'];
  const keys = ['--access-key', USER.access_key_id, '--secret', USER.secret_access_key];
  const config = ['-c', join(folder, 'ceph.conf'), '-n', 'client.rgw.a'];
  await tool('radosgw-admin', ...config, 'user', 'create', ...named, ...keys);
}

/** Programs that run until they are stopped. */
function openDaemons(folder: string, onDeath: CephOptions['onDeath']) {
  const children = new Map<string, ChildProcess>();
  let stopping = false;
  const start = (program: string, ...args: string[]): ChildProcess => {
    const child = spawn(program, ['-c', join(folder, 'ceph.conf'), '-f', ...args], {
      stdio: 'ignore',
      detached: onDeath !== undefined, // Ctrl-C in a terminal is for whoever has started them
    });
    children.set(program, child);
    if (onDeath) {
      child.once('exit', () => {
        if (stopping) return;
        onDeath(program);
        setTimeout(() => stopping || start(program, ...args), RESTART_MS);
      });
    }
    return child;
  };
  return {
    start,
    async stop(): Promise<void> {
      stopping = true;
      for (const child of [...children.values()].reverse()) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    },
  };
}

/** Resolves when the gateway answers anything. */
async function answers(url: string, gateway: ChildProcess, giveUp: AbortSignal): Promise<void> {
  for (;;) {
    giveUp.throwIfAborted();
    if (gateway.exitCode !== null) throw new Error(`radosgw ended with code ${gateway.exitCode}`);
    const answer = await fetch(url, { signal: AbortSignal.any([giveUp, AbortSignal.timeout(5000)]) }).catch(() => null);
    if (answer) return void (await answer.arrayBuffer());
    await new Promise((resolve) => setTimeout(resolve, 100)); // a port that opens tells nobody
  }
}
