// A dataset from a teacher in a folder, kept because a teacher's tokens cost money: its blobs by hash, and taught.json, written last.
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { firstIssue } from '../../errors.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { count, hash } from '../../protocol/schemas.ts';
import { writeWhole } from '../../protocol/whole-file.ts';
import { DataError } from '../../training/corpus-errors.ts';
import type { Piece, PreparedDataset } from '../../training/dataset.ts';
import { decodeManifest, encodeManifest } from '../../training/shards.ts';
import { LIMIT_TOP } from '../../training/soft-shards.ts';
import type { Collected } from './collect.ts';

const RECORD_FILE = 'taught.json';

const RecordSchema = z.strictObject({
  format: z.literal('potluck-taught-v1'),
  teacher: z.string(),
  model: z.string(),
  /** The dataset's manifest. */
  dataset: hash,
  top: z.int().min(1).max(LIMIT_TOP),
  texts: count,
  spent_tokens: count,
  train_tokens: count,
  validation_tokens: count,
});
export type TaughtRecord = z.infer<typeof RecordSchema>;

/** Stores a blob in the folder and returns its SHA-256. */
export const putInto =
  (dir: string) =>
  async (bytes: Uint8Array): Promise<string> => {
    const name = sha256Hex(bytes);
    await writeWhole(join(dir, name), bytes);
    return name;
  };

/** Completes a folder with what was collected into it. */
export async function finishTaught(
  dir: string,
  asked: Pick<TaughtRecord, 'teacher' | 'model'>,
  { manifest, texts, spent_tokens, train_tokens, validation_tokens }: Collected,
): Promise<TaughtRecord> {
  await mkdir(dir, { recursive: true });
  const dataset = await putInto(dir)(encodeManifest(manifest));
  const counts = { texts, spent_tokens, train_tokens, validation_tokens };
  const record: TaughtRecord = { format: 'potluck-taught-v1', ...asked, dataset, top: LIMIT_TOP, ...counts };
  await writeWhole(join(dir, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`, { durable: true });
  return record;
}

/** What a finished folder says of itself; null where nothing was finished. Throws DataError `corrupt-data`. */
export async function readRecord(dir: string): Promise<TaughtRecord | null> {
  const text = await readFile(join(dir, RECORD_FILE), 'utf8').catch(() => null);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new DataError('corrupt-data', `${join(dir, RECORD_FILE)}: not JSON`);
  }
  const parsed = RecordSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new DataError('corrupt-data', `${join(dir, RECORD_FILE)}: ${firstIssue(parsed.error)}`);
}

/**
 * The dataset of a finished folder, ready to be stored for a run whose student has this tokenizer.
 * Throws DataError `corrupt-data` for missing or changed blobs, also while it is read, and `bad-option` for another tokenizer.
 */
export async function preparedFrom(dir: string, record: TaughtRecord, tokenizer: Tokenizer): Promise<PreparedDataset> {
  const manifest = decodeManifest(await blobIn(dir, record.dataset));
  const json = new TextDecoder().decode(await blobIn(dir, manifest.tokenizer));
  if (json !== tokenizer.json) {
    const fact = `${dir} was collected for another tokenizer than the student's`;
    throw new DataError('bad-option', `${fact}: take the same one, or another folder`);
  }
  const pieces: Piece[] = [];
  const said = manifest.train.flatMap(({ soft }) => soft ?? []);
  const names = new Set([...manifest.train, ...manifest.validation].map(({ hash }) => hash).concat(said));
  for (const name of names) {
    const { size } = await stat(join(dir, name)).catch(() => {
      throw new DataError('corrupt-data', `${dir}: the blob ${name} is missing`);
    });
    pieces.push({ hash: name, size_bytes: size, read: () => blobIn(dir, name) });
  }
  return {
    manifest,
    documents: record.texts,
    ...{ train_tokens: record.train_tokens, validation_tokens: record.validation_tokens },
    shard_tokens: manifest.train[0].tokens,
    shard_bytes: pieces.reduce((bytes, { size_bytes }) => bytes + size_bytes, 0),
    pieces,
    tokenizer: json,
    close: async () => {},
  };
}

async function blobIn(dir: string, name: string): Promise<Uint8Array> {
  const bytes = await readFile(join(dir, name)).catch(() => null);
  if (bytes !== null && sha256Hex(bytes) === name) return new Uint8Array(bytes);
  throw new DataError('corrupt-data', `${dir}: the blob ${name} is missing or was changed`);
}
