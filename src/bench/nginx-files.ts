// Files behind nginx, as docs/operating/nginx-mirror.conf has it: for benches and tests of what needs no hub.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from '../protocol/testing/free-ports.ts';
import { BenchError } from './errors.ts';

const CONFIG = join(import.meta.dirname, '..', '..', 'docs', 'operating', 'nginx-mirror.conf');
/** nginx answers a few milliseconds after it was started. */
const START = { tries: 500, wait_ms: 20 } as const;

export const hasNginx = (): boolean => spawnSync('nginx', ['-v']).status === 0;

export interface NginxFiles {
  readonly url: string;
  /** Resolves when it has ended. */
  stop(): Promise<void>;
}

/** Serves a folder on a free port of this machine; `work`: a folder for nginx's own files, which is made. Throws BenchError `engine-failed`. */
export async function serveFiles(folder: string, work: string): Promise<NginxFiles> {
  mkdirSync(work);
  const [port] = await freePorts(1);
  const server = readFileSync(CONFIG, 'utf8')
    .replace(/^ *listen .*;/m, `listen 127.0.0.1:${port};`)
    .replace(/^ *server_name .*;/m, '')
    .replace(/^ *root .*;/m, `root ${folder};`);
  const kept = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${work}/${name};`);
  const config = join(work, 'nginx.conf');
  // As root, nginx would serve as somebody who may not look into a folder for temporary files.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  writeFileSync(
    config,
    `${user} daemon off; worker_processes 1; pid ${work}/pid;\nevents {}\nhttp { access_log off; ${kept.join(' ')}\n${server}}\n`,
  );
  const child: ChildProcess = spawn('nginx', ['-p', work, '-c', config, '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    said = (said + chunk).slice(-2000);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < START.tries && child.exitCode === null; tries++) {
    const answers = await fetch(url).then(
      () => true,
      () => false,
    );
    if (answers) return { url, stop };
    await pause(START.wait_ms);
  }
  await stop();
  throw new BenchError('engine-failed', `nginx did not answer: ${said.trim()}`);
}
