// A model in stages as a device follows it: nothing is fetched before it is read, and a model that is not whole is nobody's to merge.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { decodeModelManifest } from '../model/tensor-manifest.ts';
import type { AcceptedWork, TensorSource } from './game.ts';
import { catchUp, type History } from './history.ts';
import { keepState, mergeKept } from './state.ts';
import { STAGED_SPECS, stagedGame, stagedWeights } from './testing/example-staged.ts';

const game = stagedGame();
const works: AcceptedWork[] = [{ work: Uint8Array.of(2), weight: 3 }];
const blobs = createMemoryBlobStore();
const fetched: string[] = [];
const fetch = async (hash: string): Promise<Uint8Array> => {
  fetched.push(hash);
  return (await blobs.get(hash))!;
};
beforeEach(() => {
  fetched.length = 0;
});

const first = await keepState(game, {}, stagedWeights(), blobs.put);
const second = await mergeKept(game, {}, first, works, { fetch, put: blobs.put });
const recent = [{ round: 0, parent: first, bundle: 'b'.repeat(64), step: null, model: second }];
const history: History = { model: second, checkpoint: { model: second, rest: null }, recent };

test('the present model is read tensor by tensor, by whoever works and whoever judges', async () => {
  for (const way of ['follow', 'merge'] as const) {
    fetched.length = 0;
    const { hash, state } = await catchUp(game, {}, history, null, fetch, way);
    assert.equal(hash, second);
    assert.deepEqual(fetched, []);
    const source = state as TensorSource;
    const read = await source.read(['learned']);
    assert.deepEqual([...read], [['learned', Float32Array.of(8.5, 8.5, 8.5)]]);
    const { parts } = decodeModelManifest((await blobs.get(second))!);
    assert.deepEqual(fetched, [second, parts.at(-1)]);
  }
});

test('a model that is held is not opened again; the next one is, whatever was held', async () => {
  const held = await catchUp(game, {}, history, null, fetch);
  assert.equal(await catchUp(game, {}, history, held, fetch), held);
  const before: History = { model: first, checkpoint: { model: first, rest: null }, recent: [] };
  const other = await catchUp(game, {}, before, held, fetch);
  assert.equal(other.hash, first);
  const all = await (other.state as TensorSource).read(STAGED_SPECS.map(({ name }) => name));
  assert.deepEqual(all, stagedWeights());
});

test('a model in stages that is not stored whole is nobody’s to merge', async () => {
  const wrong = { ...history, checkpoint: { model: first, rest: null } };
  for (const held of [null, { hash: first, state: {}, rest: null }]) {
    await assert.rejects(catchUp(game, {}, wrong, held, fetch), {
      code: 'not-whole',
      details: { model: second, checkpoint: first },
    });
  }
  assert.deepEqual(fetched, []);
});
