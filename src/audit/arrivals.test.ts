// A run that came from another log, for everything that reads logs: its models go on from what it brought, and its name, shares and work are there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neededBlobs } from '../core/rounds/needed-blobs.ts';
import { initialState } from '../core/state.ts';
import { apply } from '../core/testing/checked-apply.ts';
import { emptyReport } from './model-report.ts';
import type { ModelTask } from './model-tasks.ts';
import { ModelAudit } from './model-work.ts';
import type { AuditPool } from './pool.ts';
import { beginningOf } from './run-beginning.ts';
import { ExampleLog, SETTINGS, signed } from './testing/example-log.ts';
import { move } from './testing/moved-log.ts';

/** A run of two rounds at A that goes on for one more at B. */
const a = new ExampleLog();
await a.begin();
for (let i = 0; i < 2; i++) await a.playRound();
const b = new ExampleLog(3, a);
await move(a, b);
await b.playRound();

/** Gives a log's events to the check of models. @param absent a blob that no task finds */
async function modelsOf({ entries, hub }: ExampleLog, absent?: string) {
  const tasks: (ModelTask & { readonly key: number | undefined })[] = [];
  const pool: AuditPool = {
    threads: 2,
    async run(task, key) {
      assert.ok(task.kind !== 'page');
      tasks.push({ ...task, key });
      return { model: { ...emptyReport(), absent: absent ? [{ hash: absent, index: 1 }] : [] } };
    },
    close: async () => {},
  };
  const state = initialState(hub.id);
  const models = new ModelAudit(pool, () => {});
  for (const [index, { event }] of entries.entries()) {
    models.before(event, index, state);
    assert.equal(apply(state, event), null);
    await models.after(event, index, state);
  }
  await models.finish(state);
  return tasks;
}

test('the models of a run that came are computed from its last whole one, by the merges that it brought', async () => {
  const tasks = await modelsOf(b);
  const [run, recent, merge] = tasks;
  const index = b.entries.findLastIndex(({ event }) => event.body.type === 'run.part');
  assert.deepEqual(
    tasks.map(({ kind }) => kind),
    ['run', 'recent', 'merge', 'evidence'],
  );
  assert.ok(run.kind === 'run' && recent.kind === 'recent' && merge.kind === 'merge');
  assert.deepEqual([run.run, run.index, run.model, run.params], [a.run, index, SETTINGS, SETTINGS]);
  const merged = a.entries.flatMap(({ event: { body } }) => (body.type === 'round.merged' ? [body.model] : []));
  assert.deepEqual(
    recent.merges.map(({ round, parent, model }) => [round, parent, model]),
    [
      [0, SETTINGS, merged[0]],
      [1, merged[0], merged[1]],
    ],
  );
  assert.deepEqual([merge.round, merge.parent, merge.works.length], [2, merged[1], 3]);
  // One thread holds the model all the way.
  assert.equal(new Set([run.key, recent.key, merge.key]).size, 1);
  assert.notEqual(run.key, undefined);
});

test('an arrival says how the run began only where its first event is that of the run', async () => {
  const { event } = b.entries.find(({ event: { body } }) => body.type === 'run.arrived')!;
  assert.ok(event.body.type === 'run.arrived');
  const [first, second] = a.entries;
  const { run, owner, created } = beginningOf(event)!;
  assert.deepEqual([run, owner, created], [a.run, a.owner.id, first.event.body]);
  assert.deepEqual(beginningOf(first.event), { run, owner, created });
  for (const bytes of [second.bytes, (await signed(a.owner, { ...created, name: 'y' })).bytes, Uint8Array.of(1)]) {
    assert.equal(beginningOf({ ...event, body: { ...event.body, created: bytes } }), null);
  }
  assert.equal(beginningOf(second.event), null);
});

test('what peers need of a run must be where it is, and nowhere else', async () => {
  const needed = neededBlobs(b.open).map(([, hash]) => hash);
  for (const blob of new Set(needed)) {
    await assert.rejects(modelsOf(b, blob), { code: 'missing-blob' });
    await modelsOf(a, blob);
  }
});
