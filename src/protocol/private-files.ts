// File modes for what belongs to one user of a machine: keys, a private run's data, a device's state. They are set when a file is
// created and not changed later, because an owner who widens them has a reason.

import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

export const PRIVATE_FOLDER = 0o700;
export const PRIVATE_FILE = 0o600;

/**
 * Makes a folder, and those above it. One after the other: Node's `recursive` says "no such file" where a disk is read-only, and never
 * returns below /proc. Throws the file system's error.
 */
export function makePrivateFolder(folder: string): void {
  const missing: string[] = [];
  for (let path = resolve(folder); !existsSync(path) && dirname(path) !== path; path = dirname(path))
    missing.push(path);
  for (const path of missing.reverse()) {
    try {
      mkdirSync(path, PRIVATE_FOLDER);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // another process has just made it
    }
  }
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER }); // throws where a file has that name
}

/** Makes an empty file, private to this user, where there is none: SQLite gives its companion files the same mode. Throws the file system's error. */
export function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', PRIVATE_FILE));
  } catch (error) {
    // An existing file is not opened here: closing it would release the locks that this process may hold on it.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
