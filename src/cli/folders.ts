// Where a person's Potluck lives on disk, and the rule that one folder serves one process.
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CliError } from './output.ts';

/** ~/.potluck, or what POTLUCK_HOME says. */
export function homeFolder(): string {
  return process.env.POTLUCK_HOME ?? join(homedir(), '.potluck');
}

/** The key of the person at this machine: runs are theirs, and what their devices earn. */
export function ownerKeyFile(): string {
  return join(homeFolder(), 'owner.key');
}

export interface LockedFolder {
  readonly folder: string;
  release(): void;
}

/** Takes a folder for this process. null when another living process has it. */
export function tryLock(folder: string): LockedFolder | null {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'lock');
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const handle = openSync(file, 'wx', 0o600);
      writeSync(handle, String(process.pid));
      closeSync(handle);
      const release = (): void => rmSync(file, { force: true });
      process.on('exit', release);
      return { folder, release };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (isAlive(file)) return null;
      rmSync(file, { force: true }); // its process was killed
    }
  }
  return null;
}

function isAlive(file: string): boolean {
  const pid = Number(readFileSync(file, 'utf8'));
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const PEERS_A_MACHINE = 256;

/** A peer's folder: the one that was named, or the first free one of this machine's peers. */
export function peerFolder(named: string | undefined, role: string): LockedFolder {
  if (named) {
    const locked = tryLock(named);
    if (locked) return locked;
    throw new CliError('in-use', `another potluck process works in ${named}; give this one its own --folder`);
  }
  for (let i = 1; i <= PEERS_A_MACHINE; i++) {
    const locked = tryLock(join(homeFolder(), 'peers', i === 1 ? role : `${role}-${i}`));
    if (locked) return locked;
  }
  throw new CliError('in-use', `${PEERS_A_MACHINE} ${role}s already work on this machine`);
}
