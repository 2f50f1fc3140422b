// A state as blobs: larger than any blob may be, in other dtypes at rest, and never fetched again where it has not changed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { writeParts } from '../model/parts.ts';
import { decodeModelManifest, encodeModelManifest, PART_BYTES, type TensorSpec } from '../model/tensor-manifest.ts';
import { game as chain } from './addition-chain.ts';
import type { AcceptedWork, AnyGame, TensorGame } from './game.ts';
import {
  checkState,
  hashOfState,
  keepState,
  mergeKept,
  mergeState,
  openSource,
  partsNamedIn,
  readState,
} from './state.ts';

const SPECS: readonly TensorSpec[] = [
  { name: 'frozen', dtype: 'f32', shape: [PART_BYTES / 4] },
  { name: 'small', dtype: 'f32', shape: [3] },
  { name: 'learned', dtype: 'f32', shape: [2, PART_BYTES / 4] },
];

/** A game that adds what it is handed to one of its tensors. */
const adds = {
  tensors: () => SPECS,
  openMerge:
    (_params: unknown, accepted: readonly AcceptedWork[]) =>
    ({ name }: TensorSpec, before: Float32Array) => {
      const more = accepted.reduce((sum, { work }) => sum + work[0], 0);
      return name === 'learned' ? before.map((value) => value + more) : before.slice();
    },
} as unknown as AnyGame;
const first = new Map(
  SPECS.map(({ name, shape }) => [name, new Float32Array(shape.reduce((a, b) => a * b)).fill(0.5)]),
);
const works: AcceptedWork[] = [{ work: Uint8Array.of(2), weight: 1 }];

/** A store whose largest blob is a third of the model, and what was asked of it. */
function smallStore() {
  const blobs = createMemoryBlobStore({ max_blob_bytes: PART_BYTES });
  const fetched: string[] = [];
  const fetch = async (hash: string): Promise<Uint8Array> => {
    fetched.push(hash);
    return (await blobs.get(hash))!;
  };
  return { blobs, fetched, fetch };
}

test('a model that is larger than any blob is kept, merged from blobs to blobs, and read again', async () => {
  const { blobs, fetch } = smallStore();
  await assert.rejects(blobs.put(new Uint8Array(PART_BYTES + 1)), { code: 'blob-too-large' });
  const before = await keepState(adds, null, first, blobs.put);
  const after = await mergeKept(adds, null, before, works, { fetch, put: blobs.put });
  const merged = await mergeState(adds, null, first, works);
  assert.equal(after, await hashOfState(adds, null, merged));
  assert.deepEqual(await readState(adds, null, after, fetch), merged);
  assert.equal(merged.get('learned')![0], 2.5);
  await checkState(adds, null, after, fetch);
});

test('who has the model before fetches the manifest and what has changed', async () => {
  const { blobs, fetch, fetched } = smallStore();
  const before = await keepState(adds, null, first, blobs.put);
  const after = await mergeKept(adds, null, before, works, { fetch, put: blobs.put });
  const held = new Map<string, Uint8Array>();
  const cached = async (hash: string): Promise<Uint8Array> => {
    const bytes = held.get(hash) ?? (await fetch(hash));
    held.set(hash, bytes);
    return bytes;
  };
  await readState(adds, null, before, cached);
  fetched.length = 0;
  await readState(adds, null, after, cached);
  const parts = (hash: string) => blobs.get(hash).then((bytes) => decodeModelManifest(bytes!).parts);
  const changed = (await parts(after)).filter((part) => !held.has(part) || fetched.includes(part));
  assert.deepEqual([...new Set(fetched)], [after, ...new Set(changed)]);
  assert.ok(changed.length < (await parts(after)).length, 'the frozen tensor is not fetched again');
});

test('a first model may lie there in half the bytes; what a merge makes of it is float32, as of the same values', async () => {
  const { blobs, fetch } = smallStore();
  const halves = SPECS.map((spec): TensorSpec => ({ ...spec, dtype: 'bf16' }));
  const manifest = await writeParts(halves, first.values(), blobs.put);
  const small = await blobs.put(encodeModelManifest(manifest));
  assert.notEqual(small, await hashOfState(adds, null, first));
  assert.deepEqual(await readState(adds, null, small, fetch), first);
  const after = await mergeKept(adds, null, small, works, { fetch, put: blobs.put });
  assert.equal(after, await hashOfState(adds, null, await mergeState(adds, null, first, works)));
});

test('tensors that are not the game’s are refused by name, whichever it is', async () => {
  const { blobs, fetch } = smallStore();
  const refused = async (specs: readonly TensorSpec[], message: RegExp, game = adds): Promise<void> => {
    const values = specs.map(({ shape }) => new Float32Array(shape.reduce((a, b) => a * b)));
    const hash = await blobs.put(encodeModelManifest(await writeParts(specs, values, blobs.put)));
    await assert.rejects(readState(game, null, hash, fetch), { code: 'wrong-weights', message });
  };
  await refused(SPECS.slice(0, 2), /tensor 2 is missing, expected "learned"/);
  await refused([...SPECS, { name: 'more', dtype: 'i8', shape: [1] }], /"more" is no weight/);
  const halves = { ...adds, tensors: () => SPECS.map((spec) => ({ ...spec, dtype: 'bf16' })) } as unknown as AnyGame;
  await refused(SPECS, /"frozen" is f32, expected bf16/, halves);
  await refused([SPECS[1], SPECS[0], SPECS[2]], /tensor 0 is "small", expected "frozen"/);
  await refused([SPECS[0], { ...SPECS[1], shape: [4] }, SPECS[2]], /"small" has the shape \[4\], expected \[3\]/);
  await assert.rejects(hashOfState(adds, null, new Map()), { code: 'wrong-weights', message: /"frozen" is missing/ });
});

test('a state is read tensor by tensor: its manifest once, and of its parts those that hold what is read', async () => {
  const { blobs, fetch, fetched } = smallStore();
  const hash = await keepState(adds, null, first, blobs.put);
  const { parts } = decodeModelManifest((await blobs.get(hash))!);
  const open = (get = fetch) => openSource(adds as unknown as TensorGame<unknown, unknown>, null, hash, get);
  const source = open();
  assert.deepEqual(fetched, []);
  assert.deepEqual(await source.read([]), new Map());
  assert.deepEqual(fetched, [], 'nothing is fetched for nothing');
  assert.deepEqual(await source.read(['small']), new Map([['small', first.get('small')!]]));
  assert.deepEqual(fetched, [hash, parts[1]]);
  fetched.length = 0;
  const both = await source.read(['learned', 'frozen', 'learned']);
  assert.deepEqual(both, new Map(['frozen', 'learned'].map((name) => [name, first.get(name)!])));
  // Parts that hold the same are fetched as often as they are out of memory, once at least.
  assert.deepEqual(new Set(fetched), new Set([parts[0], ...parts.slice(2)]));
  fetched.length = 0;
  await assert.rejects(source.read(['small', 'other']), { code: 'wrong-weights', message: /"other" is no weight/ });
  assert.deepEqual(fetched, []);
  await Promise.all([open().read(['small']), open().read(['frozen'])]);

  let away = true;
  const line = open((hash) => (away ? Promise.reject(new Error('away')) : fetch(hash)));
  await assert.rejects(line.read(['small']), /away/);
  away = false;
  assert.deepEqual([...(await line.read(['small'])).keys()], ['small'], 'what failed is fetched again');
  const others = { tensors: () => [...SPECS].reverse() } as unknown as TensorGame<unknown, unknown>;
  await assert.rejects(openSource(others, null, hash, fetch).read(['small']), { code: 'wrong-weights' });
});

test('the state of another game is one blob, which names nothing', async () => {
  const { blobs, fetch } = smallStore();
  const params = chain.params.parse({ bits: 12, tries: 30 });
  const state = chain.first!(params);
  const hash = await keepState(chain, params, state, blobs.put);
  assert.deepEqual(await readState(chain, params, hash, fetch), state);
  assert.deepEqual(partsNamedIn((await blobs.get(hash))!), []);
  assert.equal(await mergeKept(chain, params, hash, [], { fetch, put: blobs.put }), hash);
});
