// The form of a stage's work: what honest software never gets wrong is fraud before anything is repeated.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Claim } from '../game.ts';
import { game } from '../pipeline.ts';
import { type PipelineExample, pipelineExample, sourceOf, type Worker } from '../testing/example-pipeline.ts';
import { mostMade } from './params.ts';
import { decodeStageWork, type Entry, encodeStageWork, type StageWork } from './work.ts';

let example: PipelineExample;
let workers: Worker[];
let claims: Claim[];
before(async () => {
  example = await pipelineExample({ inner_steps: 2 });
  workers = [0, 1, 2].map((stage) => example.worker(stage));
  const performed = await Promise.all(
    workers.map((worker) => game.perform(taskOf(worker.stage), worker.device, new AbortController().signal)),
  );
  claims = performed.map((claim) => claim!);
});
after(() => example.runtime.close());

const taskOf = (stage: number) =>
  game.task(example.params, example.round(0, stage), workers[stage].id, sourceOf(example.first));

async function said(stage: number, claim: Claim): Promise<string> {
  const { code, fraud, accepted } = await game.check(taskOf(stage), claim, example.worker(null).device, {
    ...{ runtime: 'native-cpu', repeat_permille: 0, looks: false, place: 0, time_ms: 1000 },
    earlier: async () => [],
  });
  assert.equal(accepted, code === 'ok');
  assert.equal(fraud, code !== 'ok');
  return code;
}

/** The claim of a stage with another transcript, in which a way back still names its own way forward, or with more that differs. */
function changed(stage: number, edit: (entries: Entry[]) => readonly Entry[], more: Partial<StageWork> = {}): Claim {
  const work = decodeStageWork(claims[stage].work);
  const forwardOf = new Map(
    work.transcript.map((one) => [one, one.kind === 'backward' ? work.transcript[one.forward] : one]),
  );
  const edited = edit([...work.transcript]);
  const transcript = edited.map((one) => {
    const forward = one.kind === 'backward' ? edited.indexOf(forwardOf.get(one)!) : -1;
    return forward < 0 ? one : { ...one, forward };
  });
  return { ...claims[stage], work: encodeStageWork({ ...work, transcript, ...more }) };
}
const kindAt = (entries: readonly Entry[], kind: Entry['kind']): number =>
  entries.findIndex((one) => one.kind === kind);

describe('the form of work', () => {
  test('of every stage is right as it comes', async () => {
    assert.deepEqual(await Promise.all(claims.map((claim, stage) => said(stage, claim))), ['ok', 'ok', 'ok']);
  });

  test('must follow from its transcript', async () => {
    for (const [stage, claim] of claims.entries()) {
      const { amount, numbers } = claim;
      const told = (more: Record<string, number>) => said(stage, { ...claim, numbers: { ...numbers, ...more } });
      assert.equal(await said(stage, { ...claim, amount: amount + 1 }), 'amount-does-not-follow');
      assert.equal(await told({ micro_batches: numbers.micro_batches + 1 }), 'micro-batches-do-not-follow');
      assert.equal(await told({ steps: numbers.steps + 1 }), 'steps-do-not-follow');
    }
    const [, , { numbers }] = claims;
    const other = { ...claims[2], numbers: { ...numbers, loss_micro: numbers.loss_micro + 1 } };
    assert.equal(await said(2, other), 'loss-does-not-follow');
  });

  test('is of its own stage, with the entries that one has', async () => {
    assert.equal(
      await said(
        1,
        changed(1, (all) => all, { stage: 0 }),
      ),
      'another-stage',
    );
    for (const [stage, other] of [
      [0, 1],
      [1, 0],
      [1, 2],
      [2, 1],
    ]) {
      const { transcript } = decodeStageWork(claims[other].work);
      assert.equal(
        await said(
          stage,
          changed(stage, () => transcript),
        ),
        'entries-of-another-stage',
        `${other} as ${stage}`,
      );
    }
  });

  test('has each micro-batch once, and those that were to be made', async () => {
    for (const stage of [0, 1]) {
      const twice = changed(stage, (all) => [...all, all[kindAt(all, 'forward')]]);
      assert.equal(await said(stage, twice), 'micro-batch-twice', `forward, ${stage}`);
      const back = changed(stage, (all) =>
        all.with(
          all.findLastIndex(({ kind }) => kind === 'backward'),
          all[kindAt(all, 'backward')],
        ),
      );
      assert.equal(await said(stage, back), 'micro-batch-twice', `back, ${stage}`);
    }
    const learned = changed(2, (all) =>
      all.with(
        all.findLastIndex(({ kind }) => kind === 'learn'),
        all[0],
      ),
    );
    assert.equal(await said(2, learned), 'micro-batch-twice');
    const of = (stage: number, origin: string | null, number: number) =>
      changed(stage, (all) =>
        all.map((entry, i) =>
          i === 0 && (entry.kind === 'forward' || entry.kind === 'learn')
            ? { ...entry, of: { origin: origin ?? entry.of.origin, number } }
            : entry,
        ),
      );
    for (const stage of [0, 1, 2])
      assert.equal(await said(stage, of(stage, null, mostMade(example.params))), 'micro-batch-of-nobody');
    assert.equal(await said(0, of(0, workers[1].id, 3)), 'micro-batch-of-nobody');
  });

  test('steps when a step is due, and not else', async () => {
    for (const stage of [0, 1, 2]) {
      const step = (all: readonly Entry[]) => kindAt(all, 'step');
      const late = changed(stage, (all) => {
        const [taken] = all.splice(step(all), 1);
        return all.toSpliced(step(all), 0, taken);
      });
      assert.equal(await said(stage, late), 'steps-do-not-follow', `too late, ${stage}`);
      const unmoved = changed(stage, (all) => all.toSpliced(step(all), 0, { kind: 'step' }));
      assert.equal(await said(stage, unmoved), 'steps-do-not-follow', `of nothing, ${stage}`);
      const open = changed(stage, (all) => all.slice(0, -1));
      assert.equal(await said(stage, open), 'steps-do-not-follow', `missing at the end, ${stage}`);
      const back = stage === 2 ? 'learn' : 'backward';
      const half = changed(stage, (all) => all.toSpliced(kindAt(all, back) + 1, 0, { kind: 'step' }));
      assert.equal(await said(stage, half), 'steps-do-not-follow', `half way, ${stage}`);
    }
  });

  test('is that of work at all', async () => {
    assert.equal(await said(1, { ...claims[1], work: claims[1].work.subarray(1) }), 'bad-work');
    assert.equal(
      await said(
        1,
        changed(1, (all) => all, { update: new Uint8Array(3) }),
      ),
      'bad-magic',
    );
  });
});

describe('what came in', () => {
  const known = (more: readonly (readonly [string, readonly number[]])[] = []) =>
    new Map(
      [...workers.map(({ id, stage }) => [id, [stage]] as const), ...more].map(([id, held]) => [id, new Set(held)]),
    );
  const judged = async (stage: number) => {
    const { code, fraud } = await game.check(taskOf(stage), claims[stage], example.worker(null).device, {
      ...{ runtime: 'native-cpu', repeat_permille: 0, looks: false, place: 0, time_ms: 1000 },
      earlier: async () => [],
    });
    assert.equal(fraud, false);
    return code;
  };
  after(() => {
    example.air.held = null;
  });

  test('comes of who held the stages beside it in the round, and the first', async () => {
    example.air.held = known();
    for (const stage of [0, 1, 2]) assert.equal(await judged(stage), 'ok');
    const [first, middle, last] = workers;
    // Who has moved has held both.
    example.air.held = known([[middle.id, [0, 1]]]);
    for (const stage of [0, 1, 2]) assert.equal(await judged(stage), 'ok');
    for (const [stranger, refused] of [
      [first, [1, 2]],
      [middle, [0, 2]],
      [last, [1]],
    ] as const) {
      for (const held of [[], [5]]) {
        example.air.held = known([[stranger.id, held]]);
        for (const stage of [0, 1, 2]) {
          const expected = refused.some((other) => other === stage) ? 'from-strangers' : 'ok';
          assert.equal(await judged(stage), expected, `stage ${stage}, without ${stranger.stage}`);
        }
      }
    }
  });
});
