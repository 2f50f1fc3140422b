// A checkpoint that nobody needs goes with its parts; a part that a kept model has as well stays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoggedEvent } from '../core/events.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { encodeModelManifest, PART_BYTES } from '../model/tensor-manifest.ts';
import { openBlobHolds } from './blob-holds.ts';
import { openCompaction } from './compaction.ts';

/** Blobs, and models of parts that have these texts. */
function storeOfModels() {
  const blobs = createMemoryBlobStore();
  const put = (text: string): Promise<string> => blobs.put(new TextEncoder().encode(text));
  const modelOf = async (...texts: string[]) => {
    const parts = await Promise.all(texts.map(put));
    const tensors = [{ name: 'weight', dtype: 'i8' as const, shape: [parts.length * PART_BYTES] }];
    return { parts, model: await blobs.put(encodeModelManifest({ tensors, parts })) };
  };
  return { blobs, put, modelOf };
}

test('an old checkpoint is deleted with those of its parts that no first model and no last checkpoint has', async () => {
  const { blobs, put, modelOf } = storeOfModels();
  const first = await modelOf('frozen', 'begun');
  const models = [await modelOf('frozen', 'one'), await modelOf('frozen', 'two'), await modelOf('frozen', 'three')];
  const spec = { params: await put('{}'), model: first.model, keep: 'recent' };
  const run = { id: 'r', spec, checkpoint: { model: first.model }, recent: [], submissions: new Map() };
  const other = {
    ...run,
    id: 'o',
    spec: { ...spec, keep: 'all' },
    checkpoint: { model: (await modelOf('one', 'x')).model },
  };
  const runs = new Map<string, RunState>([run, other].map((each) => [each.id, each as unknown as RunState]));
  const failed = (error: unknown): void => assert.fail(String(error));
  const compact = openCompaction({ runs } as unknown as NetworkState, blobs, openBlobHolds(), failed);
  for (const { model } of models) {
    run.checkpoint = { model };
    compact({
      body: { type: 'round.merged', run: 'r', bundle: null, checkpoint: true, model },
    } as unknown as LoggedEvent);
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  const [one, two, three] = models;
  const [frozen, part_one] = one.parts;
  assert.ok(!(await blobs.has(one.model)), 'what went out of use at the merge before');
  assert.ok(await blobs.has(part_one), "the other run's checkpoint has it");
  for (const hash of [frozen, two.model, two.parts[1], three.model, three.parts[1], first.model, ...first.parts]) {
    assert.ok(await blobs.has(hash), hash);
  }
  run.checkpoint = { model: (await modelOf('frozen', 'four')).model };
  compact({ body: { type: 'round.merged', run: 'r', bundle: null, checkpoint: false } } as unknown as LoggedEvent);
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(!(await blobs.has(two.model)) && !(await blobs.has(two.parts[1])));
  assert.ok(await blobs.has(frozen));
});

for (const when of ['while it is put', 'while others are deleted'] as const) {
  test(`a part that another run's new checkpoint shares stays: ${when}`, async () => {
    const { blobs: inner, put, modelOf } = storeOfModels();
    const first = await modelOf('begun');
    const spec = { params: await put('{}'), model: first.model, keep: 'recent' };
    const run = { id: 'r', spec, checkpoint: { model: first.model }, recent: [], submissions: new Map() };
    const other = { ...run, id: 'o', checkpoint: { model: first.model } };
    const runs = new Map<string, RunState>([run, other].map((each) => [each.id, each as unknown as RunState]));
    const [old, shares] = [await modelOf('shared', 'a'), await modelOf('shared', 'b')];
    const holds = openBlobHolds();
    const reading = Promise.withResolvers<void>();
    const blobs = {
      ...inner,
      delete: (hash: string) => {
        // The other run merges between the deletion of the model and that of its parts.
        if (when === 'while others are deleted') other.checkpoint = { model: shares.model };
        return inner.delete(hash);
      },
      get: (hash: string) => inner.get(hash),
      sizeOf: (hash: string) => inner.sizeOf(hash),
    };
    const compact = openCompaction({ runs } as unknown as NetworkState, blobs, holds, (error) =>
      assert.fail(String(error)),
    );
    const merged = (model: string) => {
      run.checkpoint = { model };
      compact({
        body: { type: 'round.merged', run: 'r', bundle: null, checkpoint: true, model },
      } as unknown as LoggedEvent);
    };
    const held = when === 'while it is put' ? holds.holding([shares.parts[0]], () => reading.promise) : null;
    merged(old.model);
    for (const text of ['c', 'd']) {
      merged((await modelOf(text)).model);
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    other.checkpoint = { model: shares.model };
    reading.resolve();
    await held;
    assert.deepEqual([await inner.has(old.model), await inner.has(old.parts[1])], [false, false]);
    assert.ok(await inner.has(shares.parts[0]), 'it would be lost');
  });
}
