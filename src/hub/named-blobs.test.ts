// Blobs that went out of use, in a hub of several processes: the one that leads deletes them, and whoever leads next goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoggedEvent } from '../core/events.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { encodeModelManifest, PART_BYTES } from '../model/tensor-manifest.ts';
import { openNamedBlobs } from './named-blobs.ts';
import { unnamedBlobs } from './unnamed-blobs.ts';

test('what went out of use is deleted by the process that leads alone, by the next one where that has changed', async () => {
  const blobs = createMemoryBlobStore();
  const put = (text: string): Promise<string> => blobs.put(new TextEncoder().encode(text));
  const modelOf = async (text: string): Promise<string> => {
    const tensors = [{ name: 'weight', dtype: 'i8' as const, shape: [PART_BYTES] }];
    return blobs.put(encodeModelManifest({ tensors, parts: [await put(text)] }));
  };
  const models = await Promise.all(['begun', 'one', 'two', 'three', 'four'].map(modelOf));
  const spec = { params: await put('{}'), model: models[0], keep: 'recent' };
  const run = { id: 'r', spec, checkpoint: { model: models[0] }, recent: [], submissions: new Map() };
  const state = { runs: new Map([['r', run as unknown as RunState]]) } as unknown as NetworkState;
  let leader = 0;
  const deleted: string[][] = [[], []];
  const hear = deleted.map((own, process) =>
    openNamedBlobs({
      blobs: {
        ...blobs,
        async delete(hash) {
          own.push(hash);
          return blobs.delete(hash);
        },
      },
      ...{ state, unnamed: unnamedBlobs(), leads: () => leader === process },
      onError: (error) => assert.fail(String(error)),
    }),
  );
  const merged = async (model: string): Promise<void> => {
    run.checkpoint = { model };
    const body = { type: 'round.merged', run: 'r', bundle: null, checkpoint: true, model };
    for (const one of hear) one({ body, author: 'hub' } as unknown as LoggedEvent);
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  for (const model of models.slice(1, 4)) await merged(model);
  assert.deepEqual([deleted[0].includes(models[1]), deleted[1]], [true, []]);
  leader = 1;
  await merged(models[4]);
  assert.deepEqual([deleted[0].includes(models[2]), deleted[1].includes(models[2])], [false, true]);
  assert.ok(await blobs.has(models[3]));
});
