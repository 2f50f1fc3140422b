// A small text as the dataset of an example's run, in blobs in memory.
import { byteTokenizer } from '../../model/tokenizer.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { buildDataset } from '../../training/dataset.ts';
import { type DatasetManifest, encodeManifest } from '../../training/shards.ts';

export interface ExampleData {
  readonly blobs: Map<string, Uint8Array>;
  readonly keep: (blob: Uint8Array) => string;
  readonly manifest: DatasetManifest;
  /** The manifest's blob. */
  readonly dataset: string;
  readonly vocab_size: number;
}

const SENTENCES = Array.from(
  { length: 300 },
  (_, i) => `Sentence ${i}: the quick brown fox jumps over ${i * 7} lazy dogs. `,
).join('');

export async function exampleData(text = SENTENCES): Promise<ExampleData> {
  const blobs = new Map<string, Uint8Array>();
  const keep = (blob: Uint8Array): string => {
    const hash = sha256Hex(blob);
    blobs.set(hash, blob);
    return hash;
  };
  const tokenizer = byteTokenizer();
  const manifest = await buildDataset([text], tokenizer, async (blob) => keep(blob));
  return { blobs, keep, manifest, dataset: keep(encodeManifest(manifest)), vocab_size: tokenizer.vocab_size };
}
