// Merges of a game in stages made again from blobs to blobs: the log's lies are found, and what is not kept accuses nobody.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeBundle } from '../games/bundle.ts';
import type { AcceptedWork, AnyGame } from '../games/game.ts';
import { cutKept, type KeptState, keepState, mergeKept } from '../games/state.ts';
import { stagedGame, stagedWeights } from '../games/testing/example-staged.ts';
import { decodeModelManifest } from '../model/tensor-manifest.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { MergeTask, ModelTask } from './model-tasks.ts';
import { createModelChecker } from './models.ts';

const RUN = 'f'.repeat(64);

/** A run of three rounds, of which every model is stored whole. */
async function story(steps: boolean) {
  const game = stagedGame(steps);
  const blobs = new Map<string, Uint8Array>();
  const keep = async (bytes: Uint8Array): Promise<string> => {
    const hash = sha256Hex(bytes);
    blobs.set(hash, bytes.slice());
    return hash;
  };
  const store = { fetch: async (hash: string) => blobs.get(hash)!, put: keep };
  const params = await keep(new TextEncoder().encode('{}'));
  const first = await keepState(game, {}, stagedWeights(), keep);
  const tasks: MergeTask[] = [];
  let before: KeptState = { model: first, rest: null };
  for (let round = 0; round < 3; round++) {
    const works: AcceptedWork[] = [1, 2].map((n) => ({ work: Uint8Array.of(n + round), weight: n }));
    const cut = await cutKept(game, {}, before, works, store);
    const made = cut ?? { model: await mergeKept(game, {}, before.model, works, store), rest: null, step: null };
    const named = works.map(({ work, weight }, i) => ({
      ...{ index: 10 * round + i, event: `e${round}.${i}`, work: sha256Hex(work), size_bytes: 1, weight },
    }));
    for (const { work } of works) await keep(work);
    tasks.push({
      ...{ kind: 'merge', run: RUN, index: 10 * round + 5, round, parent: before.model, works: named },
      ...{ bundle: await keep(encodeBundle(works)), model: made.model, checkpoint: true, rest: made.rest },
      step: made.step && (await keep(made.step)),
    });
    before = made;
  }
  const asked: string[] = [];
  const check = async (list: readonly ModelTask[], as: AnyGame = game) => {
    const blob = async (hash: string) => {
      asked.push(hash);
      return blobs.get(hash) ?? null;
    };
    const checker = createModelChecker({ blob }, async () => as);
    const run = { ...{ run: RUN, index: 0, game: 'staged', params }, model: first, rest: null };
    const begun = await checker.check({ kind: 'run', ...run });
    const reports = [];
    for (const task of list) reports.push(await checker.check(task));
    return { begun, reports };
  };
  return { blobs, tasks, first, check };
}

for (const steps of [false, true]) {
  describe(steps ? 'merges by steps' : 'merges by everybody', () => {
    test('each is computed from the blobs of the model before', async () => {
      const { tasks, check } = await story(steps);
      const { reports } = await check(tasks);
      assert.deepEqual(
        reports.map(({ models, works, reason }) => ({ models, works, reason })),
        [0, 1, 2].map(() => ({ models: 1, works: 2, reason: null })),
      );
    });

    test('a model that its work does not give', async () => {
      const { tasks, first, check } = await story(steps);
      const lie = { ...tasks[1], model: tasks[2].model, rest: tasks[2].rest };
      await assert.rejects(check([tasks[0], lie]), {
        code: 'wrong-model',
        details: { index: tasks[1].index, blob: lie.model, found: tasks[1].model },
      });
      // One that is there and is another run's work is no better.
      await assert.rejects(check([{ ...tasks[0], model: first }]), { code: 'wrong-model' });
    });

    test('after a model whose blobs are not kept, the next that is kept is believed by its hash, and what follows is checked', async () => {
      const { tasks, blobs, check } = await story(steps);
      const [part] = decodeModelManifest(blobs.get(tasks[0].model)!).parts.slice(-1);
      blobs.delete(part);
      const { reports } = await check(tasks);
      assert.deepEqual(
        reports.map(({ models, unchecked_models }) => [models, unchecked_models]),
        [
          [1, 0],
          [0, 1],
          [1, 0],
        ],
      );
      assert.match(reports[1].reason!, /^round 1 .*the model before is not known/);
      assert.deepEqual(reports[0].absent, [{ hash: tasks[0].model, index: tasks[0].index }]);
    });

    test('a blob that goes while the merge is made', async () => {
      const { tasks, blobs, check } = await story(steps);
      const [part] = decodeModelManifest(blobs.get(tasks[0].model)!).parts.slice(-1);
      const { work } = tasks[1].works[1];
      // Read when the second merge begins, after the first model was found whole.
      const get = blobs.get.bind(blobs);
      blobs.get = (hash) => {
        if (hash === work) blobs.delete(part);
        return get(hash);
      };
      const { reports } = await check(tasks);
      assert.deepEqual(
        reports.map(({ models }) => models),
        [1, 0, 1],
      );
      assert.match(reports[1].reason!, /the model before is not kept any more/);
    });

    test('what a run brought from another log is merged anew from its bundles', async () => {
      const { tasks, blobs, check } = await story(steps);
      // A game in stages has every model whole, and nothing since: the same game in memory.
      const whole = { ...stagedGame(steps), stages: undefined } as AnyGame;
      const merges = tasks.map(({ round, parent, bundle, step, model }) => ({ round, parent, bundle, step, model }));
      const recent = (list: typeof merges) => ({ kind: 'recent', run: RUN, index: 7, merges: list }) as const;
      // The workers' own blobs stayed behind.
      for (const { work } of tasks.flatMap(({ works }) => works)) blobs.delete(work);
      const { reports } = await check([recent(merges.slice(0, 2)), tasks[2]], whole);
      assert.deepEqual(
        reports.map(({ models, works, unchecked_models }) => [models, works, unchecked_models]),
        [
          [2, 4, 0],
          [1, 2, 0],
        ],
      );
      await assert.rejects(check([recent([merges[0], { ...merges[1], model: merges[2].model }])], whole), {
        code: 'wrong-model',
        details: { index: 7, blob: merges[2].model, found: merges[1].model },
      });
      blobs.delete(merges[0].bundle);
      const [lost] = (await check([recent(merges)], whole)).reports;
      assert.deepEqual([lost.models, lost.unchecked_models], [0, 3]);
      assert.deepEqual(lost.absent, [{ hash: merges[0].bundle, index: 7 }]);
    });

    test('work that cannot be merged is its worker’s', async () => {
      const { tasks, blobs, check } = await story(steps);
      const bad = Uint8Array.of(1, 2);
      blobs.set(sha256Hex(bad), bad);
      const works = [{ ...tasks[0].works[0], work: sha256Hex(bad), size_bytes: 2, weight: 1 }];
      const bundle = encodeBundle([{ work: bad, weight: 1 }]);
      blobs.set(sha256Hex(bundle), bundle);
      await assert.rejects(check([{ ...tasks[0], works, bundle: sha256Hex(bundle) }]), {
        code: 'bad-work',
        details: { index: works[0].index, blob: works[0].work },
      });
    });
  });
}

test('a step that the work does not give, and a merge without the step that the game has', async () => {
  const { tasks, check } = await story(true);
  await assert.rejects(check([{ ...tasks[0], step: tasks[1].step }]), { code: 'wrong-step' });
  await assert.rejects(check([{ ...tasks[0], step: null, rest: null }]), { code: 'wrong-model' });
  await assert.rejects(check([{ ...tasks[0], rest: tasks[1].rest }]), { code: 'wrong-step' });
  const plain = await story(false);
  await assert.rejects(plain.check([{ ...plain.tasks[0], step: tasks[0].bundle }]), { code: 'wrong-step' });
});
