// What a service says, where the system keeps no log for it: a file that is begun anew when it is full, and the one before it.
import { appendFileSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { PRIVATE_FILE, PRIVATE_FOLDER } from '../protocol/private-files.ts';

/** Two files of this size: weeks of what people read, and nothing that a disk notices. */
export const LOG_BYTES = 1_000_000;
/** A line that is longer is cut, so that the bound holds. */
const LINE_CHARACTERS = 4000;

export interface ServiceLog {
  /** Text as it comes from a pipe: whole lines are written with their time, the rest waits. */
  write(chunk: string): void;
}

export function openServiceLog(path: string, now_ms: () => number = Date.now, most_bytes = LOG_BYTES): ServiceLog {
  mkdirSync(dirname(path), { recursive: true, mode: PRIVATE_FOLDER });
  let size_bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  let rest = '';
  const append = (line: string): void => {
    const text = `${new Date(now_ms()).toISOString()} ${line.slice(0, LINE_CHARACTERS)}\n`;
    const length = Buffer.byteLength(text);
    if (size_bytes > 0 && size_bytes + length > most_bytes) {
      renameSync(path, `${path}.1`);
      size_bytes = 0;
    }
    appendFileSync(path, text, { mode: PRIVATE_FILE });
    size_bytes += length;
  };
  return {
    write(chunk) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!.slice(0, LINE_CHARACTERS);
      for (const line of lines) {
        try {
          append(line.trimEnd());
        } catch {
          // A full disk: the service goes on, and says so where its device is shown.
        }
      }
    },
  };
}

/** The last lines of both files. */
export function lastLines(path: string, most: number): string[] {
  const lines = [`${path}.1`, path].flatMap((file) => {
    try {
      return readFileSync(file, 'utf8').split('\n');
    } catch {
      return [];
    }
  });
  return lines.filter((line) => line !== '').slice(-most);
}
