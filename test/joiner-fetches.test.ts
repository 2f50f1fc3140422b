// A device that held an earlier model of a run fetches, over HTTP from a real hub, the manifest and the parts that changed, also after a restart.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTensors } from '../src/games/state.ts';
import { openHub } from '../src/hub/hub.ts';
import { openFolderBlobStore } from '../src/ledger/folder-blob-store.ts';
import { writeParts } from '../src/model/parts.ts';
import { encodeModelManifest, PART_BYTES, type TensorSpec } from '../src/model/tensor-manifest.ts';
import { openBlobFolder } from '../src/peer/blob-folder.ts';
import { openPeerBlobs } from '../src/peer/blobs.ts';
import { createIdentity } from '../src/protocol/identity.ts';
import { sizeOf } from '../src/tensor/shape.ts';

const SPECS: readonly TensorSpec[] = [
  { name: 'frozen', dtype: 'f32', shape: [PART_BYTES / 4] },
  { name: 'small', dtype: 'f32', shape: [3] },
  { name: 'long', dtype: 'f32', shape: [2, PART_BYTES / 4] },
];

test('who held an earlier model fetches the manifest and the parts that changed, and nothing where nothing changed', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'potluck-joiner-'));
  const folder = join(root, 'hub');
  const blobs = await openFolderBlobStore(join(folder, 'blobs'));
  const values = SPECS.map(({ shape }, i) => new Float32Array(sizeOf(shape)).fill(i + 0.5));
  values[2].fill(7, PART_BYTES / 4);
  // The second half of the last tensor lies in a part of its own.
  const later = values.map((tensor) => tensor.slice());
  later[2].fill(9, PART_BYTES / 4);
  const keep = async (tensors: readonly Float32Array[]) => {
    const manifest = await writeParts(SPECS, tensors, blobs.put);
    return { model: await blobs.put(encodeModelManifest(manifest)), parts: manifest.parts };
  };
  const [first, second] = [await keep(values), await keep(later)];
  const hub = await openHub({ folder, host: '127.0.0.1', port: 0 });
  t.after(async () => {
    await hub.close();
    rmSync(root, { recursive: true, force: true });
  });

  /** Reads a model as a device that was just started; resolves with what came over the line. */
  const fetchedFor = async (model: string, expected: readonly Float32Array[]): Promise<string[]> => {
    const kept = openBlobFolder(join(root, 'peer'));
    const fetched: string[] = [];
    const cache: typeof kept = {
      get: kept.get,
      put(hash, bytes) {
        fetched.push(hash);
        return kept.put(hash, bytes);
      },
    };
    const peer = openPeerBlobs({ url: hub.url, hub: hub.id, identity: createIdentity(), cache });
    try {
      let at = 0;
      for await (const tensor of readTensors(SPECS, model, peer.fetch)) assert.deepEqual(tensor, expected[at++]);
      assert.equal(at, SPECS.length);
    } finally {
      peer.close();
    }
    return fetched.sort();
  };
  assert.deepEqual(await fetchedFor(first.model, values), [first.model, ...first.parts].sort());
  const changed = second.parts.filter((part) => !first.parts.includes(part));
  assert.equal(changed.length, 1);
  assert.deepEqual(await fetchedFor(second.model, later), [second.model, ...changed].sort());
  assert.deepEqual(await fetchedFor(first.model, values), []);
});
