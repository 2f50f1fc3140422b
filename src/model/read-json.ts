// Reads the small JSON files beside a model's weights.
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { ModelError } from './errors.ts';

/** config.json and similar files have a few kilobytes; the index of a large model has some hundred, the largest tokenizer.json 33 MB. */
const LIMIT_JSON_BYTES = 128 * 2 ** 20;

/** The text of a file; null where there is no file. Throws ModelError `too-large`, `missing-file` (it cannot be read), `corrupt-file`. */
export async function readText(path: string): Promise<string | null> {
  const name = basename(path);
  let bytes: Uint8Array;
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size > LIMIT_JSON_BYTES) {
        throw new ModelError('too-large', `${name}: ${size} bytes, at most ${LIMIT_JSON_BYTES} are read`);
      }
      bytes = await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof ModelError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new ModelError('missing-file', `${name} cannot be read: ${code ?? message}`, { name });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ModelError('corrupt-file', `${name}: not UTF-8`, { path });
  }
}

/** The value in a JSON file; null where there is no file. Throws as `readText`, and `corrupt-file` for text that is not JSON. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new ModelError('corrupt-file', `${basename(path)}: not JSON`, { path });
  }
}
