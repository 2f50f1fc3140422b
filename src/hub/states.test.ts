// Models are merged from blobs to blobs, in a thread or here: the same hash, nothing left behind, and errors come back as what they were.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RoundMerged } from '../core/events/round-merged.ts';
import type { NetworkState, RunState, Submission } from '../core/state.ts';
import { decodeBundle } from '../games/bundle.ts';
import type { AcceptedWork, Claim, Cut } from '../games/game.ts';
import { game } from '../games/pretrain.ts';
import { cutState, followState, hashOfState, keepState, readState } from '../games/state.ts';
import { type PretrainExample, pretrainExample, round } from '../games/testing/example-pretrain.ts';
import { type BlobStore, createMemoryBlobStore } from '../ledger/blob-store.ts';
import type { Weights } from '../model/config.ts';
import { decodeModelManifest } from '../model/tensor-manifest.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { HubError } from './errors.ts';
import { openModels } from './models.ts';
import { openStateHost } from './state-host.ts';

const states = openStateHost();
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
  states.close();
  await example.runtime.close();
});

const namesIn = async (blobs: BlobStore): Promise<string[]> => {
  const names: string[] = [];
  for await (const name of blobs.list()) names.push(name);
  return names;
};

/** A run that has merged nothing, and the store with what it names. */
async function begun() {
  const blobs = createMemoryBlobStore();
  const spec = {
    ...{ game: 'pretrain', rounds: 9, checkpoint_every: 3, keep: 'all' },
    params: await blobs.put(new TextEncoder().encode(JSON.stringify(example.params))),
    model: await keepState(game, example.params, example.weights, blobs.put),
  };
  const submissions = new Map<string, Submission>();
  for (const { work, steps } of claims) {
    const id = sha256Hex(work);
    submissions.set(id, {
      ...{ id, worker: `w${id}`, body: { steps, work: await blobs.put(work) }, verdicts: new Map() },
    } as unknown as Submission);
  }
  const run = {
    ...{ id: 'r', round: 0, attempt: 0, model: spec.model, spec, submissions, eligible: [], rules: { validators: [] } },
    ...{ checkpoint: { merged_rounds: 0, model: spec.model, rest: null }, recent: [] as RunState['recent'] },
  };
  return { blobs, run: run as unknown as RunState };
}

/** Takes a merge as the core does. */
function follow(run: RunState, { bundle, step, rest, model, checkpoint }: RoundMerged): void {
  run.recent.push({ round: run.round++, parent: run.model, bundle: bundle!, step: step ?? null, model });
  run.model = model;
  if (checkpoint) run.checkpoint = { merged_rounds: run.round, model, rest: rest ?? null };
}

describe('a merge', () => {
  for (const [where, options] of [
    ['here', {}],
    ['in a thread', { states }],
  ] as const) {
    test(`${where}, gives what everybody computes; between checkpoints only the newest state is kept, beside the blobs`, async () => {
      const { blobs, run } = await begun();
      const present = createMemoryBlobStore();
      const models = openModels(blobs, present, options);
      let state = example.weights;
      let rest: Weights | null = null;
      for (let number = 0; number < 3; number++) {
        const merged = await models.merge({} as NetworkState, run);
        const works: AcceptedWork[] = decodeBundle((await blobs.get(merged.bundle!))!);
        const cut: Cut<Weights> = (await cutState(game, example.params, rest, works))!;
        state = await followState(game, example.params, state, cut.step);
        rest = cut.rest;
        assert.equal(merged.step, sha256Hex(cut.step));
        const left = await hashOfState(game, example.params, rest);
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
  }

  test('after a start begins at the checkpoint, and finds a log whose models do not follow from its work', async () => {
    const { blobs, run } = await begun();
    const first = openModels(blobs, createMemoryBlobStore());
    follow(run, await first.merge({} as NetworkState, run));
    const going_on = await first.merge({} as NetworkState, run);
    const again = openModels(blobs, createMemoryBlobStore(), { states });
    assert.deepEqual(await again.merge({} as NetworkState, run), going_on);
    run.recent[0] = { ...run.recent[0], model: 'd'.repeat(64) };
    run.model = 'd'.repeat(64);
    const present = createMemoryBlobStore();
    const lied = openModels(blobs, present, { states }).merge({} as NetworkState, run);
    await assert.rejects(lied, { code: 'wrong-model' });
    run.recent[0] = { ...run.recent[0], step: 'd'.repeat(64) };
    const stepped = openModels(blobs, createMemoryBlobStore()).merge({} as NetworkState, run);
    await assert.rejects(stepped, { code: 'wrong-step' });
  });

  test('that fails leaves nothing, says why, and succeeds when it is tried again', async () => {
    const { blobs, run } = await begun();
    const present = createMemoryBlobStore();
    const [, last] = decodeModelManifest((await blobs.get(run.model))!).parts.concat(run.model);
    const lost = (await blobs.get(last))!;
    await blobs.delete(last);
    const models = openModels(blobs, present, { states });
    const failed = models.merge({} as NetworkState, run);
    await assert.rejects(failed, (error) => error instanceof HubError && error.code === 'missing-blob');
    assert.deepEqual(await namesIn(present), []);
    await blobs.put(lost);
    const full = { ...present, put: () => Promise.reject(new HubError('disk-full', 'no room')) };
    const without_room = openModels(blobs, full, { states }).merge({} as NetworkState, run);
    await assert.rejects(without_room, (error) => error instanceof HubError && error.code === 'disk-full');
    assert.equal((await models.merge({} as NetworkState, run)).checkpoint, false);
  });
});

describe('the thread', () => {
  test('says what is wrong with the form of work, and with a first state', async () => {
    const { blobs, run } = await begun();
    const models = openModels(blobs, createMemoryBlobStore(), { states });
    await models.checkForm(run.spec, claims[0].work);
    await assert.rejects(models.checkForm(run.spec, claims[0].work.subarray(1)), { code: 'bad-work' });
    const cut = claims[0].work.slice(0, -1);
    await assert.rejects(models.checkForm(run.spec, cut), { name: 'CodedError', code: 'truncated' });
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

  test('is not asked for a game from elsewhere that has the name of one of ours', async () => {
    const { blobs, run } = await begun();
    const mine = { ...game, checkForm: () => assert.fail('asked here') };
    const models = openModels(blobs, createMemoryBlobStore(), { loadGame: async () => mine, states });
    await assert.rejects(models.checkForm(run.spec, claims[0].work), /asked here/);
  });

  test('ends with the hub: what is under way fails, and nothing is begun', async () => {
    const { blobs, run } = await begun();
    const host = openStateHost();
    const models = openModels(blobs, createMemoryBlobStore(), { states: host });
    const merging = models.merge({} as NetworkState, run);
    host.close();
    await assert.rejects(merging, /closing/);
    await assert.rejects(models.checkForm(run.spec, claims[0].work), /closing/);
  });
});
