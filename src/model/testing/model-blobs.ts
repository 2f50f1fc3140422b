// A model's manifest and parts in memory, for tests that serve or name one.
import { sha256Hex } from '../../protocol/hash.ts';
import { modelTensors } from '../checkpoint.ts';
import type { LlamaConfig, Weights } from '../config.ts';
import { writeParts } from '../parts.ts';
import { encodeModelManifest } from '../tensor-manifest.ts';

/** The model's name, and all its blobs by their hashes; `manifest` is the blob with the name as its hash. */
export async function modelBlobs(config: LlamaConfig, weights: Weights) {
  const blobs = new Map<string, Uint8Array>();
  const put = async (bytes: Uint8Array): Promise<string> => {
    const hash = sha256Hex(bytes);
    blobs.set(hash, bytes.slice());
    return hash;
  };
  const values = modelTensors(config, 'f32').map(({ name }) => weights.get(name)!);
  const manifest = encodeModelManifest(await writeParts(modelTensors(config, 'f32'), values, put));
  return { id: await put(manifest), manifest, blobs };
}
