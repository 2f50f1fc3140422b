// A hub merges a game in stages from blobs to blobs, and stores every model whole, so that everybody reads what they need of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedSubmissions } from '../core/rounds/judging.ts';
import type { NetworkState, RunState, Submission } from '../core/state.ts';
import type { TensorSource } from '../games/game.ts';
import { catchUp } from '../games/history.ts';
import { keepState } from '../games/state.ts';
import { STAGED_SPECS, stagedGame, stagedWeights } from '../games/testing/example-staged.ts';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { openModels } from './models.ts';

for (const steps of [false, true]) {
  test(`every model of a run in stages is whole, ${steps ? 'with' : 'without'} steps, also after a start without what was beside`, async () => {
    const game = stagedGame(steps);
    const blobs = createMemoryBlobStore();
    const model = await keepState(game, {}, stagedWeights(), blobs.put);
    const params = await blobs.put(new TextEncoder().encode('{}'));
    const spec = { ...{ game: 'staged', params, model, stages: 2, rounds: 3, checkpoint_every: 1 }, keep: 'all' };
    const run = {
      ...{ id: 'r', round: 0, attempt: 0, model, spec, eligible: [], rules: { validators: [] } },
      ...{ checkpoint: { merged_rounds: 0, model, rest: null }, recent: [], submissions: new Map() },
    } as unknown as RunState & { recent: RunState['recent'][number][] };
    let learned = 2.5;
    let left = 0;
    for (let round = 0; round < 3; round++) {
      run.submissions.clear();
      for (const byte of [1, 2 + round]) {
        const work = await blobs.put(Uint8Array.of(byte));
        const id = sha256Hex(Uint8Array.of(byte));
        const submission = { ...{ id, worker: `w${id}`, verdicts: new Map() }, body: { amount: 1, work } };
        run.submissions.set(id, submission as unknown as Submission);
      }
      assert.equal(acceptedSubmissions({} as NetworkState, run).length, 2);
      const present = createMemoryBlobStore();
      const merged = await openModels(blobs, present, { loadGame: async () => game }).merge({} as NetworkState, run);
      assert.equal(merged.checkpoint, true);
      assert.equal(merged.step !== undefined, steps);
      for await (const name of present.list()) assert.fail(`${name} lies beside the blobs`);
      const all = 3 + round + left;
      learned += steps ? (all * 3) / 4 : all;
      left = steps ? all / 4 : 0;
      const recent = [
        { round, parent: run.model, bundle: merged.bundle!, step: merged.step ?? null, model: merged.model },
      ];
      run.model = merged.model;
      run.checkpoint = { merged_rounds: ++run.round, model: merged.model, rest: merged.rest ?? null };
      run.recent = recent;
      const { state } = await catchUp(game, {}, run, null, async (hash) => (await blobs.get(hash))!);
      const expected = stagedWeights().set('learned', new Float32Array(3).fill(learned));
      assert.deepEqual(await (state as TensorSource).read(STAGED_SPECS.map(({ name }) => name)), expected);
    }
  });
}
