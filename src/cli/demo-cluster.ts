// `potluck demo --cluster`: the demo's hub as several processes on engines of this machine: NATS, Ceph's S3, each of which may be killed.
import { execFile } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NATS_SKIPPED, type NatsServers, startNats } from '../hub/cluster/testing/nats-server.ts';
import { openS3 } from '../ledger/s3/client.ts';
import { cephMissing, startCephRgw, type TestS3 } from '../ledger/testing/ceph-rgw.ts';
import { utf8 } from '../protocol/hash.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { makePrivateFolder } from '../protocol/private-files.ts';
import { type Child, POTLUCK, startChild } from './children.ts';
import { CliError, type Output } from './output.ts';
import { problemText } from './told-problems.ts';

const BUCKET = 'potluck-demo';
const HUB_RESTART_MS = 500;

/** The processes of the hub: which leads is decided among those that may. */
const PROCESSES = [
  { name: 'sequencer 1', roles: 'sequencer' },
  { name: 'sequencer 2', roles: 'sequencer' },
  { name: 'merger', roles: 'merger' },
  { name: 'front 1', roles: 'front' },
  { name: 'front 2', roles: 'front' },
] as const;

export interface ClusterDemo {
  /** Where devices and people connect. */
  readonly urls: readonly string[];
  /** Where the log and the blobs lie as files: for `potluck audit --mirror`. */
  readonly mirror: string;
  /** Stops the hub's processes, then the engines. */
  stop(): Promise<void>;
}

/** Throws CliError `no-engines` where this machine lacks them. */
export async function startClusterDemo(folder: string, say: Output['say']): Promise<ClusterDemo> {
  mustHaveEngines();
  const died = (name: string, lastWords = ''): void =>
    say(`${name} was killed; it starts again.`, { type: 'died', name, last_words: lastWords });
  say('Starting three NATS servers and an S3 (Ceph) …', { type: 'starting' });
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.reverse()) await one();
  };
  try {
    const nats = await startNats({
      ...{ servers: 3, jetstream: true, folder: join(folder, 'nats') },
      onDeath: (server) => died(`NATS server ${server + 1}`),
    });
    stops.push(nats.close);
    const s3 = await startCephRgw({ folder: join(folder, 'ceph'), onDeath: (program) => died(program) });
    stops.push(s3.stop);
    const mirror = await makeBucket(s3);
    say('Starting the processes of a hub: two sequencers, a merger, two front ends …', { type: 'starting' });
    const { children, urls } = await startHubs(folder, nats, s3, mirror, { say, died });
    stops.push(async () => void (await Promise.all(children.map((child) => child.stop()))));
    return { urls, mirror, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Audits the bucket's files with no process of the hub, as anybody may. Resolves to what the command says. */
export async function auditMirror(mirror: string): Promise<string> {
  const args = [POTLUCK, 'audit', '--mirror', mirror];
  const { stdout } = await promisify(execFile)(process.execPath, args).catch(
    (error: { stdout: string; stderr: string }) => {
      throw new CliError('child-failed', `the audit of ${mirror} failed: ${error.stderr || error.stdout}`);
    },
  );
  return stdout.trim();
}

function mustHaveEngines(): void {
  const missing = [NATS_SKIPPED, cephMissing()].filter((what) => what !== false);
  if (missing.length === 0) return;
  const how = 'on Debian: apt-get install --no-install-recommends nats-server radosgw ceph-mon ceph-osd';
  throw new CliError('no-engines', `--cluster needs NATS and Ceph on this machine: ${missing.join('; ')} (${how})`);
}

/** The demo's bucket, which everybody on this machine may read: so that its files can be audited as a CDN would serve them. */
async function makeBucket(s3: TestS3): Promise<string> {
  const url = `${s3.url}/${BUCKET}`;
  const bucket = openS3({ ...s3, url });
  const made = await bucket.ofBucket('PUT', '');
  if (made.status !== 200 && made.status !== 409)
    throw new CliError('no-engines', `the S3 made no bucket: ${made.text}`);
  const Statement = [
    { Effect: 'Allow', Principal: '*', Action: ['s3:GetObject'], Resource: [`arn:aws:s3:::${BUCKET}/*`] },
  ];
  const policy = utf8(JSON.stringify({ Version: '2012-10-17', Statement }));
  const opened = await bucket.ofBucket('PUT', 'policy', policy);
  if (opened.status >= 300) throw new CliError('no-engines', `the S3 let nobody read the bucket: ${opened.text}`);
  return url;
}

async function startHubs(
  folder: string,
  nats: NatsServers,
  s3: TestS3,
  bucket: string,
  { say, died }: { readonly say: Output['say']; died(name: string, lastWords: string): void },
): Promise<{ readonly children: Child[]; readonly urls: string[] }> {
  const folderOf = (name: string): string => join(folder, name.replace(' ', '-'));
  // Both sequencers sign with the hub's one key.
  const [first, second] = [folderOf(PROCESSES[0].name), folderOf(PROCESSES[1].name)];
  for (const one of [first, second]) makePrivateFolder(one);
  await loadOrCreateIdentity(join(first, 'hub.key'));
  await copyFile(join(first, 'hub.key'), join(second, 'hub.key'));
  const env = { AWS_ACCESS_KEY_ID: s3.access_key_id, AWS_SECRET_ACCESS_KEY: s3.secret_access_key };
  const shared = ['--s3', bucket, '--cdn', bucket, '--nats', nats.urls.join(','), '--log-level', 'error'];

  const children: Child[] = [];
  const start = async ({ name, roles }: (typeof PROCESSES)[number]): Promise<string> => {
    await mkdir(folderOf(name), { recursive: true });
    const args = ['hub', '--folder', folderOf(name), '--port', '0', '--roles', roles, ...shared];
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let url: string | null = null;
    children.push(
      startChild({
        ...{ args, env, restart_ms: HUB_RESTART_MS },
        onLine(line) {
          if (line.type === 'problem') {
            say(`${name}: ${problemText(line)}`, { type: 'problem', where: name, message: String(line.message) });
          }
          if (line.type !== 'listening') return;
          url = String(line.url);
          args[args.indexOf('--port') + 1] = new URL(url).port;
          resolve(url);
        },
        onDeath(lastWords) {
          if (url === null) reject(new CliError('child-failed', `${name} did not start: ${lastWords}`));
          else died(name, lastWords);
        },
      }),
    );
    return promise;
  };
  try {
    const urls = await Promise.all(PROCESSES.map(start));
    return { children, urls: urls.filter((_, i) => PROCESSES[i].roles === 'front') };
  } catch (error) {
    await Promise.all(children.map((child) => child.stop()));
    throw error;
  }
}
