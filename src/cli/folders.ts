// A person's Potluck folders, and the rule that one folder serves one process.
import { existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CodedError } from '../errors.ts';
import { makePrivateFolder } from '../protocol/private-files.ts';
import { CliError } from './output.ts';

/** ~/.potluck, or the value of POTLUCK_HOME, unless that is empty. */
export function homeFolder(): string {
  return process.env.POTLUCK_HOME || join(homeOfUser(), '.potluck');
}

/** Throws CliError `bad-folder` for a user without a home directory, as in a container or a service. */
function homeOfUser(): string {
  let home = '';
  try {
    home = homedir();
  } catch {
    // No HOME, and no entry for this user id.
  }
  if (home !== '') return home;
  throw new CliError('bad-folder', `this user has no home folder; ${ELSEWHERE}`);
}

const ELSEWHERE = 'say where Potluck keeps its files: POTLUCK_HOME=FOLDER potluck …';
const NOT_USABLE = /\b(EACCES|EPERM|EROFS|ENOENT|ENOTDIR)\b|unable to open database file/;

/** An error with advice, for a home that cannot be used where no other folder was named. */
export function withWayOut(error: unknown): unknown {
  if (process.env.POTLUCK_HOME || !(error instanceof Error) || !NOT_USABLE.test(error.message)) return error;
  let home: string;
  try {
    home = homeFolder();
  } catch {
    return error;
  }
  if (!error.message.includes(home)) return error;
  const message = `${error.message}; ${ELSEWHERE}`;
  return error instanceof CodedError
    ? new CodedError(error.code, message, error.details)
    : Object.assign(new Error(message), { code: (error as NodeJS.ErrnoException).code, syscall: 'open' });
}

/** The key of the person at this machine: the owner of their runs and of what their devices earn. */
export function ownerKeyFile(): string {
  return join(homeFolder(), 'owner.key');
}

/** Checks, before any work, that a result can be written to a file. Throws CliError `bad-folder`. */
export function mustBeWritable(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    throw new CliError('bad-folder', `expected a file to write, got the folder ${file}`, { file });
  }
  const folder = dirname(resolve(file));
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new CliError('bad-folder', `no folder at ${folder} to write ${basename(file)} into`, { folder });
  }
}

/** Files that mark a folder as a hub's, a peer's, a witness's or a person's; nothing else is written there. */
const OURS = ['hub.sqlite', 'identity.key', 'owner.key', 'witness.key', 'lock.sqlite'];

/** Checks, before any work, that files can be written into a folder. Throws CliError `bad-folder`. */
export function mustTakeFiles(folder: string): void {
  let there = resolve(folder);
  while (!existsSync(there) && dirname(there) !== there) there = dirname(there);
  if (!statSync(there).isDirectory()) {
    throw new CliError('bad-folder', `expected a folder to write, got the file ${there}`, { folder: there });
  }
  const taken = OURS.find((name) => existsSync(join(folder, name)));
  if (!taken) return;
  throw new CliError('bad-folder', `expected a folder for the model, but ${folder} is in use: it holds ${taken}`, {
    folder,
  });
}

export interface LockedFolder {
  readonly folder: string;
  release(): void;
}

/** The locks of this process, kept here because an unreferenced database is closed and its lock released. */
const held = new Set<DatabaseSync>();
const SQLITE_BUSY = 5;

/**
 * Locks a folder for this process; null when another process has it. The lock is the operating system's own, on an empty SQLite file,
 * so it ends with the process, however that ends, and no leftover file can block anybody.
 * Throws CliError `bad-folder`.
 */
export function tryLock(folder: string): LockedFolder | null {
  let database: DatabaseSync | undefined;
  try {
    makePrivateFolder(folder);
    database = new DatabaseSync(join(folder, 'lock.sqlite'), { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return null;
    throw new CliError('bad-folder', `cannot use the folder ${folder}: ${(error as Error).message}`, { folder });
  }
  const locked = database;
  held.add(locked);
  const release = (): void => {
    if (held.delete(locked)) locked.close();
  };
  return { folder, release };
}

const PEERS_A_MACHINE = 256;

const peersHere = (role: string): string[] =>
  Array.from({ length: PEERS_A_MACHINE }, (_, i) => join(homeFolder(), 'peers', i === 0 ? role : `${role}-${i + 1}`));

/** Where a peer keeps what it was given for its work in a run. */
const receiptsIn = (folder: string, run: string): string => join(folder, 'runs', run, 'receipts.jsonl');

/** A peer's folder: the one that was named, or the first free one of this machine's peers; of these, one that has worked in the run before. */
export function peerFolder(named: string | undefined, role: string, run?: string): LockedFolder {
  if (named) {
    const locked = tryLock(named);
    if (locked) return locked;
    throw new CliError('in-use', `another potluck process works in ${named}; give this one its own --folder`);
  }
  const all = peersHere(role);
  const known = run === undefined ? [] : all.filter((folder) => existsSync(receiptsIn(folder, run)));
  for (const folder of [...known, ...all]) {
    const locked = tryLock(folder);
    if (locked) return locked;
  }
  throw new CliError('in-use', `${PEERS_A_MACHINE} ${role}s already work on this machine`);
}

/** When a peer of this machine handed in something in a run last, in milliseconds since 1970; null: never. */
export function lastWorked_ms(named: string | undefined, role: string, run: string): number | null {
  const times_ms = (named ? [named] : peersHere(role)).map(
    (folder) => statSync(receiptsIn(folder, run), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.max(...times_ms) || null;
}
