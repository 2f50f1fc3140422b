// The file of API keys: hashes only, readable by its owner alone. A server that runs takes up what is changed in it.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import { PRIVATE_FILE } from '../protocol/private-files.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { type KeyRecord, KeyRecordSchema, type Keys, keysIn } from '../serving/api/keys.ts';
import { homeFolder } from './folders.ts';
import { CliError } from './output.ts';

const KeyFileSchema = z.strictObject({ format: z.literal('potluck-api-keys-v1'), keys: z.array(KeyRecordSchema) });
/** How long a change in the file may go unnoticed by a server that runs. */
const FRESH_MS = 500;

export const keyFile = (): string => join(homeFolder(), 'serve', 'keys.json');

/** The keys in the file; none where there is no file. Throws CliError `bad-file`. */
export async function readKeys(path = keyFile()): Promise<KeyRecord[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new CliError('bad-file', `${path}: expected JSON`);
  }
  const parsed = KeyFileSchema.safeParse(json);
  if (parsed.success) return parsed.data.keys;
  throw new CliError('bad-file', `${path}: ${firstIssue(parsed.error)}`);
}

export async function writeKeys(keys: readonly KeyRecord[], path = keyFile()): Promise<void> {
  const text = `${JSON.stringify({ format: 'potluck-api-keys-v1', keys }, null, 2)}\n`;
  await writeWhole(path, text, { durable: true, mode: PRIVATE_FILE });
}

/** The keys in the file as it is at each request. Whoever removes one locks its holder out within a second. */
export function keysFromFile(path = keyFile()): Keys {
  let known: ReadonlyMap<string, KeyRecord> = new Map();
  let version = '';
  let looked_ms = Number.NEGATIVE_INFINITY;
  return keysIn(async () => {
    const now_ms = performance.now();
    if (now_ms - looked_ms < FRESH_MS) return known;
    looked_ms = now_ms;
    const found = await stat(path).catch(() => null);
    const seen = found ? `${found.ino} ${found.mtimeMs} ${found.size}` : 'none';
    if (seen !== version) known = new Map((await readKeys(path)).map((record) => [record.hash, record]));
    version = seen;
    return known;
  });
}
