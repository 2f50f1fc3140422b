// Models are merged from blobs to blobs, in a thread or here: the same hash, nothing left behind, and errors come back as what they were.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RoundMerged } from '../core/events/round-merged.ts';
import type { NetworkState, RunState, Submission } from '../core/state.ts';
import { decodeBundle } from '../games/bundle.ts';
import type { AcceptedWork, Claim, Cut } from '../games/game.ts';
import { game } from '../games/pretrain.ts';
import { cutState, followState, hashOfState, keepState, readState } from '../games/state.ts';
import { type PretrainExample, pretrainExample, round } from '../games/testing/example-pretrain.ts';
import { type BlobStore, createMemoryBlobStore } from '../ledger/blob-store.ts';
import { LedgerError } from '../ledger/errors.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import type { Weights } from '../model/config.ts';
import { decodeModelManifest } from '../model/tensor-manifest.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { openBlobHolds } from './blob-holds.ts';
import { HubError } from './errors.ts';
import { openModels } from './models.ts';
import { openStateHost, type StateHost } from './state-host.ts';

const folder = mkdtempSync(join(tmpdir(), 'potluck-states-'));
const hosts = new Set<StateHost>();
let example: PretrainExample;
const claims: Claim[] = [];
before(async () => {
  example = await pretrainExample();
  for (const peer of ['ada', 'bob']) {
    const task = game.task(example.params, round(0), peer, example.weights);
    claims.push((await game.perform(task, example.device(), new AbortController().signal))!);
  }
});
after(async () => {
  for (const host of hosts) host.close();
  await example.runtime.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A hub's two stores, and its thread on the same folders. */
async function disk() {
  const at = mkdtempSync(join(folder, 'hub-'));
  const folders = { named: join(at, 'blobs'), present: join(at, 'present') };
  const states = openStateHost({ named: { folder: at, s3: null }, present: folders.present });
  hosts.add(states);
  return {
    ...{ at, states },
    blobs: await openFolderBlobStore(folders.named),
    present: await openFolderBlobStore(folders.present),
  };
}

const inMemory = async () => ({ blobs: createMemoryBlobStore(), present: createMemoryBlobStore() });

const namesIn = async (blobs: BlobStore): Promise<string[]> => {
  const names: string[] = [];
  for await (const name of blobs.list()) names.push(name);
  return names;
};

/** A run that has merged nothing; what it names is put into the store. */
async function begunIn(blobs: BlobStore): Promise<RunState> {
  const spec = {
    ...{ game: 'pretrain', rounds: 9, checkpoint_every: 3, keep: 'all' },
    params: await blobs.put(new TextEncoder().encode(JSON.stringify(example.params))),
    model: await keepState(game, example.params, example.weights, blobs.put),
  };
  const submissions = new Map<string, Submission>();
  for (const { work, amount } of claims) {
    const id = sha256Hex(work);
    submissions.set(id, {
      ...{ id, worker: `w${id}`, body: { amount, work: await blobs.put(work) }, verdicts: new Map() },
    } as unknown as Submission);
  }
  const run = {
    ...{ id: 'r', round: 0, attempt: 0, model: spec.model, spec, submissions, eligible: [], rules: { validators: [] } },
    ...{ checkpoint: { merged_rounds: 0, model: spec.model, rest: null }, recent: [] as RunState['recent'] },
  };
  return run as unknown as RunState;
}

/** Takes a merge as the core does. */
function follow(run: RunState, { bundle, step, rest, model, checkpoint }: RoundMerged): void {
  run.recent.push({ round: run.round++, parent: run.model, bundle: bundle!, step: step ?? null, model });
  run.model = model;
  if (checkpoint) run.checkpoint = { merged_rounds: run.round, model, rest: rest ?? null };
}

describe('a merge', () => {
  for (const [where, open] of [
    ['here', inMemory],
    ['in a thread', disk],
  ] as const) {
    test(`${where}, gives what everybody computes; between checkpoints only the newest state is kept, beside the blobs`, async () => {
      const { blobs, present, ...options } = await open();
      const run = await begunIn(blobs);
      const models = openModels(blobs, present, options);
      let state = example.weights;
      let rest: Weights | null = null;
      for (let number = 0; number < 3; number++) {
        const merged = await models.merge({} as NetworkState, run);
        const works: AcceptedWork[] = decodeBundle((await blobs.get(merged.bundle!))!);
        assert.deepEqual(
          works.map(({ weight }) => weight),
          claims.map(({ amount }) => amount),
        );
        const cut: Cut<Weights> = (await cutState(game, example.params, { state, rest }, works))!;
        state = await followState(game, example.params, state, cut.step);
        rest = cut.rest;
        assert.equal(merged.step, sha256Hex(cut.step));
        assert.deepEqual(await blobs.get(merged.step), cut.step);
        const left = await hashOfState(game, example.params, rest, 'rest');
        assert.equal(merged.rest, merged.checkpoint ? left : undefined);
        assert.equal(merged.model, await hashOfState(game, example.params, state));
        assert.equal(merged.checkpoint, number === 2);
        const kept = merged.checkpoint ? blobs : present;
        const fetch = async (hash: string): Promise<Uint8Array> => (await kept.get(hash))!;
        assert.deepEqual(await readState(game, example.params, merged.model, fetch), state);
        const { parts } = decodeModelManifest(await fetch(merged.model));
        const all = new Set([merged.model, ...parts, left, ...decodeModelManifest(await fetch(left)).parts]);
        assert.deepEqual(await namesIn(present), merged.checkpoint ? [] : [...all].sort());
        follow(run, merged);
      }
    });

    test(`${where}, keeps what it puts from being deleted, until it is made`, async () => {
      const { blobs, present, ...options } = await open();
      const run = await begunIn(blobs);
      const before = await namesIn(blobs);
      const holds = openBlobHolds();
      const held: string[] = [];
      let over = 0;
      const holding: typeof holds.holding = (hashes, work) => {
        held.push(...hashes);
        return holds.holding(hashes, work).finally(() => over++);
      };
      const models = openModels(blobs, present, { ...options, holds: { holding } });
      for (let number = 0; number < 3; number++) {
        const merged = await models.merge({} as NetworkState, run);
        await new Promise(setImmediate);
        assert.equal(over, held.length);
        follow(run, merged);
      }
      const put = (await namesIn(blobs)).filter((hash) => !before.includes(hash));
      assert.deepEqual([...new Set(held)].sort(), put);
    });
  }

  test('in a thread reads no part of a state and no work here, and puts none', async () => {
    const { blobs, present, states } = await disk();
    const run = await begunIn(blobs);
    const read: string[] = [];
    const nothing = () => assert.fail('put here');
    const watched = (store: BlobStore): BlobStore => ({
      ...{ ...store, put: nothing, draft: nothing, stream: nothing },
      get(hash) {
        read.push(hash);
        return store.get(hash);
      },
    });
    const models = openModels(watched(blobs), watched(present), { states });
    await models.checkFirst(run.spec, run.model);
    for (const { body } of run.submissions.values()) await models.checkForm(run.spec, body.work);
    for (let number = 0; number < 3; number++) follow(run, await models.merge({} as NetworkState, run));
    assert.deepEqual([...new Set(read)], [run.spec.params]);
  });

  test('looks for work, bundles and settings only where the log names them', async () => {
    const { blobs, present } = await inMemory();
    const run = await begunIn(blobs);
    const named = new Set(await namesIn(blobs));
    const states = new Set([run.model, ...decodeModelManifest((await blobs.get(run.model))!).parts]);
    const get = (hash: string) => {
      if (named.has(hash) && !states.has(hash)) assert.fail('looked for beside what the log names');
      return present.get(hash);
    };
    const models = openModels(blobs, { ...present, get });
    for (const { body } of run.submissions.values()) await models.checkForm(run.spec, body.work);
    const first = await models.merge({} as NetworkState, run);
    named.add(first.bundle!);
    follow(run, first);
    // As after a start: the bundle is merged again.
    await openModels(blobs, { ...present, get }).merge({} as NetworkState, run);
  });

  test('after a start begins at the checkpoint, and finds a log whose models do not follow from its work', async () => {
    const { blobs, present, states } = await disk();
    const run = await begunIn(blobs);
    const first = openModels(blobs, createMemoryBlobStore());
    follow(run, await first.merge({} as NetworkState, run));
    const going_on = await first.merge({} as NetworkState, run);
    const again = openModels(blobs, present, { states });
    assert.deepEqual(await again.merge({} as NetworkState, run), going_on);
    run.recent[0] = { ...run.recent[0], model: 'd'.repeat(64) };
    run.model = 'd'.repeat(64);
    const lied = openModels(blobs, present, { states }).merge({} as NetworkState, run);
    await assert.rejects(lied, { code: 'wrong-model' });
    run.recent[0] = { ...run.recent[0], step: 'd'.repeat(64) };
    const stepped = openModels(blobs, createMemoryBlobStore()).merge({} as NetworkState, run);
    await assert.rejects(stepped, { code: 'wrong-step' });
  });

  test('that fails leaves nothing, says why, and succeeds when it is tried again', async () => {
    const { at, blobs, present, states } = await disk();
    const run = await begunIn(blobs);
    const [, last] = decodeModelManifest((await blobs.get(run.model))!).parts.concat(run.model);
    const lost = (await blobs.get(last))!;
    const path = join(at, 'blobs', last.slice(0, 2), last.slice(2, 4), last);
    await blobs.delete(last);
    const models = openModels(blobs, present, { states });
    const failed = models.merge({} as NetworkState, run);
    await assert.rejects(failed, (error) => error instanceof HubError && error.code === 'missing-blob');
    assert.deepEqual(await namesIn(present), []);
    await writeFile(path, lost.slice().fill(0));
    const damaged = models.merge({} as NetworkState, run);
    await assert.rejects(damaged, (error) => error instanceof LedgerError && error.code === 'blob-corrupt');
    await blobs.delete(last);
    await blobs.put(lost);
    await rename(join(at, 'present'), join(at, 'aside'));
    await writeFile(join(at, 'present'), 'no folder');
    const without_room = models.merge({} as NetworkState, run);
    await assert.rejects(without_room, (error) => error instanceof LedgerError && error.code === 'store-unusable');
    await rm(join(at, 'present'));
    await rename(join(at, 'aside'), join(at, 'present'));
    assert.equal((await models.merge({} as NetworkState, run)).checkpoint, false);
  });
});

describe('the thread', () => {
  test('says what is wrong with the form of work, and with a first state', async () => {
    const { blobs, present, states } = await disk();
    const run = await begunIn(blobs);
    const models = openModels(blobs, present, { states });
    const formOf = async (work: Uint8Array) => models.checkForm(run.spec, await blobs.put(work));
    await formOf(claims[0].work);
    await assert.rejects(formOf(claims[0].work.subarray(1)), { code: 'bad-work' });
    await assert.rejects(formOf(claims[0].work.slice(0, -1)), { name: 'CodedError', code: 'truncated' });
    const missing = models.checkForm(run.spec, 'd'.repeat(64));
    await assert.rejects(missing, (error) => error instanceof HubError && error.code === 'missing-blob');
    await models.checkFirst(run.spec, run.spec.model);
    await assert.rejects(models.checkFirst(run.spec, await blobs.put(Uint8Array.of(1))), { code: 'bad-manifest' });
    const less = new Map([...example.weights].slice(1));
    const other = await keepState(
      { ...game, tensors: (params) => game.tensors(params).slice(1) },
      example.params,
      less,
      blobs.put,
    );
    await assert.rejects(models.checkFirst(run.spec, other), { code: 'wrong-weights', message: /tensor 0 is/ });
  });

  test('is given of a run what names its game, and nothing else', async () => {
    const { blobs, present, states } = await disk();
    const run = await begunIn(blobs);
    const spec = { ...run.spec, rules: () => assert.fail('not to be copied') };
    await openModels(blobs, present, { states }).checkForm(spec, await blobs.put(claims[0].work));
  });

  test('is not asked for a game from elsewhere that has the name of one of ours', async () => {
    const { blobs, present, states } = await disk();
    const run = await begunIn(blobs);
    const mine = { ...game, checkForm: () => assert.fail('asked here') };
    const models = openModels(blobs, present, { loadGame: async () => mine, states });
    await assert.rejects(models.checkForm(run.spec, await blobs.put(claims[0].work)), /asked here/);
  });

  test('ends with the hub: what is under way fails, and nothing is begun', async () => {
    const { blobs, present, states } = await disk();
    const run = await begunIn(blobs);
    const models = openModels(blobs, present, { states });
    const merging = models.merge({} as NetworkState, run);
    states.close();
    await assert.rejects(merging, /closing/);
    await assert.rejects(models.checkForm(run.spec, await blobs.put(claims[0].work)), /closing/);
  });
});
