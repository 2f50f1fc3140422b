// What stands on the disk of an installed service: what it runs, which files were written, and whether they are still as they were.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { CliError } from './output.ts';
import type { ServiceFile } from './service-plan.ts';

const RecordSchema = z.strictObject({
  version: z.literal(1),
  node: z.string(),
  potluck: z.string(),
  words: z.array(z.string()),
  home: z.string(),
  folder: z.string(),
  /** Linux: this installation asked for the user's services to outlive a log-out. */
  asks_linger: z.boolean(),
  /** Each file outside Potluck's folder, and the SHA-256 of what was written. */
  files: z.record(z.string(), z.string()),
  installed_ms: z.int(),
});
export type ServiceRecord = z.infer<typeof RecordSchema>;

/** null where there is none, or no JSON. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

export const findRecord = (path: string): ServiceRecord | null => RecordSchema.safeParse(readJson(path)).data ?? null;

/** Throws CliError missing-file. */
export function readRecord(path: string): ServiceRecord {
  const record = findRecord(path);
  if (record) return record;
  throw new CliError('missing-file', `expected what "potluck service install" has written at ${path}`);
}

export function bytesOf({ text, utf16 }: ServiceFile): Uint8Array {
  return utf16 ? new Uint8Array(Buffer.from(`\ufeff${text}`, 'utf16le')) : utf8(text);
}

/** What is at a file's place: nothing, what would be written, what was written before, or something else. */
export function standingOf(file: ServiceFile, record: ServiceRecord | null): 'none' | 'same' | 'ours' | 'other' {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(readFileSync(file.path));
  } catch {
    return 'none';
  }
  const hash = sha256Hex(bytes);
  if (hash === sha256Hex(bytesOf(file))) return 'same';
  return record?.files[file.path] === hash ? 'ours' : 'other';
}
