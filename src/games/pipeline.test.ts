// Training in stages between devices in memory: it learns, each device reads its stage alone, and no device that leaves or lies holds the others up.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Weights } from '../model/config.ts';
import type { Claim, Numbers, Told } from './game.ts';
import { encodeForward, encodeMessage, handedStatement, hashOfPayload } from './pipeline/messages.ts';
import { mostMade, stagePlans } from './pipeline/params.ts';
import { RoundText } from './pipeline/text.ts';
import { decodeStageWork, type MicroBatch } from './pipeline/work.ts';
import { game } from './pipeline.ts';
import { merged, type PipelineExample, pipelineExample, sourceOf, type Worker } from './testing/example-pipeline.ts';

describe('a run in stages', () => {
  let example: PipelineExample;
  before(async () => {
    example = await pipelineExample();
  });
  after(() => example.runtime.close());

  const work = (
    worker: Worker,
    number: number,
    weights: Weights,
    signal = new AbortController().signal,
    read = new Set<string>(),
  ) =>
    game.perform(
      game.task(example.params, example.round(number, worker.stage), worker.id, sourceOf(weights, read)),
      worker.device,
      signal,
    );
  const loss = async (weights: Weights): Promise<number> =>
    (await game.evaluate(example.params, sourceOf(weights), example.worker(null).device)).loss_micro / 1e6;

  test('learns: a device a stage, each of which reads its own tensors alone', async () => {
    const { params, first } = example;
    example.air.stages.clear();
    const workers = [0, 1, 2].map((stage) => example.worker(stage));
    const read = workers.map(() => new Set<string>());
    let weights = first;
    const losses = [await loss(weights)];
    for (let number = 0; number < 3; number++) {
      const claims = await Promise.all(workers.map((worker, i) => work(worker, number, weights, undefined, read[i])));
      for (const [i, claim] of claims.entries()) {
        assert.equal(claim?.numbers.micro_batches, 10, `stage ${i}`);
        assert.equal(claim.numbers.steps, 5);
        game.checkForm(params, claim.work);
      }
      weights = merged(params, weights, claims as Claim[]);
      losses.push(await loss(weights));
    }
    assert.ok(losses[3] < losses[0] - 0.3, `losses ${losses.join(', ')}`);
    for (const { stage, specs } of stagePlans(params)) {
      assert.deepEqual(read[stage], new Set(specs.map(({ name }) => name)));
    }
  });

  test('with two devices a stage all of them work', async () => {
    example.air.stages.clear();
    const workers = [0, 0, 1, 1, 2, 2].map((stage) => example.worker(stage));
    const claims = await Promise.all(workers.map((worker) => work(worker, 7, example.first)));
    const counts = claims.map((claim) => claim?.numbers.micro_batches ?? 0);
    for (const stage of [0, 1, 2]) assert.equal(counts[2 * stage] + counts[2 * stage + 1], 20, counts.join());
    assert.ok(
      counts.every((count) => count > 0),
      counts.join(),
    );
    for (const claim of claims) assert.equal(decodeStageWork(claim!.work).transcript.length > 0, true);
  });

  test('a device that leaves in mid-round is passed by, and none of its micro-batches is lost', async () => {
    const { air, first } = example;
    air.stages.clear();
    const [maker, leaver, other, last] = [0, 1, 1, 2].map((stage) => example.worker(stage));
    const stop = new AbortController();
    let heard = 0;
    air.passes = (_from, to) => {
      if (to === leaver.id && ++heard === 9) {
        air.stages.delete(leaver.id);
        stop.abort();
      }
      return true;
    };
    const leaving = work(leaver, 8, first, stop.signal);
    const claims = await Promise.all([maker, other, last].map((worker) => work(worker, 8, first)));
    await leaving;
    air.passes = () => true;
    const [made, taken, learned] = claims.map((claim) => claim!.numbers.micro_batches);
    assert.equal(made, 10);
    // What the leaver had in hand is done again; what it had finished is not.
    assert.ok(taken > 0 && taken < 10 && learned >= 10, `${taken} of 10 through the other device, ${learned} learned`);
  });

  test('one that is moved to a stage whose only device has died goes on there, and nothing is lost', async () => {
    const { air, first } = example;
    air.stages.clear();
    const [maker, moved, other, last] = [0, 1, 1, 2].map((stage) => example.worker(stage));
    const [drop, dead] = [new AbortController(), new AbortController()];
    let heard = 0;
    air.passes = (from, to) => {
      // What it is given in this moment is neither done nor refused.
      if (from === maker.id && to === moved.id && ++heard === 4) {
        air.stages.delete(last.id);
        air.stages.set(moved.id, 2);
        dead.abort();
        drop.abort();
      }
      return from !== last.id || !dead.signal.aborted;
    };
    const before = work(moved, 12, first, drop.signal);
    const after = before.then(() => work({ ...moved, stage: 2 }, 12, first));
    const [made, taken, learned] = await Promise.all([
      ...[maker, other].map((worker) => work(worker, 12, first)),
      after,
      work(last, 12, first, dead.signal),
    ]);
    air.passes = () => true;
    assert.equal(made!.numbers.micro_batches, 10);
    assert.equal(decodeStageWork(learned!.work).stage, 2);
    const counts = [taken, learned].map((claim) => claim!.numbers.micro_batches);
    assert.ok(counts[0] > 0 && counts[1] > 0 && counts[1] < 10, counts.join());
  });

  test('what a maker that leaves would have made, the other one makes, and judges take it for what it is', async () => {
    const { air, first, params } = example;
    air.stages.clear();
    const workers = [0, 0, 1, 2].map((stage) => example.worker(stage));
    const stop = new AbortController();
    let heard = 0;
    air.passes = (from) => {
      if (from === workers[1].id && ++heard === 7) {
        air.stages.delete(from);
        stop.abort();
      }
      return true;
    };
    const [claim, , taken] = await Promise.all(
      workers.map((worker, i) => work(worker, 12, first, i === 1 ? stop.signal : undefined)),
    );
    air.passes = () => true;
    const made = claim!.numbers.micro_batches;
    assert.ok(made > 10 && made <= 20, `${made} of 20`);
    assert.ok(taken!.numbers.micro_batches >= made);
    const judging = {
      runtime: 'native-cpu',
      repeat_permille: 0,
      looks: false,
      place: 0,
      time_ms: 1000,
      earlier: async () => [],
    };
    const task = game.task(params, example.round(12, 0), workers[0].id, sourceOf(first));
    assert.equal((await game.check(task, claim!, example.worker(null).device, judging)).code, 'ok');
  });

  test('a device that takes nothing and says nothing is passed by', async () => {
    const { air, first } = example;
    air.stages.clear();
    const [maker, silent, other, last] = [0, 1, 1, 2].map((stage) => example.worker(stage));
    silent.device.channel!.listen(() => new Promise(() => {}));
    const claims = await Promise.all([maker, other, last].map((worker) => work(worker, 9, first)));
    assert.deepEqual(
      claims.map((claim) => claim!.numbers.micro_batches),
      [10, 10, 10],
    );
  });

  test('while it works a worker tells what is under way and what waits, of which nothing is in its claim', async () => {
    const { air, first } = example;
    air.stages.clear();
    const heard: Numbers[][] = [[], [], []];
    const workers = [0, 1, 2].map((stage) => {
      const worker = example.worker(stage);
      const progress = async ({ numbers }: Told): Promise<void> => void heard[stage].push(numbers);
      return { ...worker, device: { ...worker.device, progress } };
    });
    const claims = await Promise.all(workers.map((worker) => work(worker, 13, first)));
    for (const [stage, claim] of claims.entries()) {
      assert.deepEqual(
        heard[stage].map(({ micro_batches }) => micro_batches),
        Array.from({ length: 10 }, (_, i) => i + 1),
      );
      const names = Object.keys(claim!.numbers).sort();
      assert.deepEqual(names, stage === 2 ? ['loss_micro', 'micro_batches', 'steps'] : ['micro_batches', 'steps']);
    }
    // Of the two micro-batches of a step one is still away when the other is back, and none after the second.
    assert.deepEqual(
      heard[0].map(({ under_way, queued }) => under_way + queued),
      Array.from({ length: 10 }, (_, i) => 1 - (i % 2)),
    );
    assert.ok(heard[2].every(({ under_way }) => under_way === 0));
  });

  test('it tells how many micro-batches of others wait for it', async () => {
    const { air, params, first } = example;
    air.stages.clear();
    const [maker, middle, last] = [0, 1, 2].map((stage) => example.worker(stage));
    const others = [0, 1, 2].map(() => example.worker(1));
    const seed = example.round(14, 0).seed;
    const shape = { ...params, vocab_size: params.model.vocab_size };
    const of = { origin: maker.id, number: 0 };
    const values = new Uint8Array(4 * params.batch * params.context * params.model.hidden_size);
    const payload = encodeForward(shape, await new RoundText(params, example.round(14, 0), last.device).of(of), values);
    const handOn = async ({ device }: Worker): Promise<void> => {
      const statement = handedStatement('activations', seed, 1, last.id, of, hashOfPayload(payload));
      const signature = await device.channel!.sign(statement);
      await device.channel!.send(last.id, encodeMessage({ kind: 'activations', seed, ...of, payload, signature }));
    };
    const waits: number[] = [];
    const progress = async ({ numbers }: Told): Promise<void> => {
      if (waits.push(numbers.queued) > 1) return;
      const come = Promise.withResolvers<void>();
      let away = others.length;
      air.passes = (from) => {
        if (others.some(({ id }) => id === from) && --away === 0) setImmediate(come.resolve);
        return true;
      };
      for (const other of others) handOn(other).catch(() => {}); // they hear no answer
      await come.promise;
    };
    const busy = { ...last, device: { ...last.device, progress } };
    await Promise.all([maker, middle, busy].map((worker) => work(worker, 14, first)));
    air.passes = () => true;
    // What came of the middle is taken up after one of theirs at the latest.
    assert.deepEqual([waits[0], Math.max(...waits) >= 2], [0, true], waits.join());
  });

  test('one that stops early hands in what it has done, and nobody waits for what it would have done', async () => {
    const { air, first } = example;
    air.stages.clear();
    const workers = [0, 1, 2].map((stage) => example.worker(stage));
    const stop = new AbortController();
    const [, , last] = workers;
    let done = 0;
    const counted = {
      ...last,
      device: {
        ...last.device,
        progress: async () => {
          if (++done === 3) stop.abort();
        },
      },
    };
    const claims = await Promise.all([
      work(workers[0], 10, first),
      work(workers[1], 10, first),
      work(counted, 10, first, stop.signal),
    ]);
    const counts = claims.map((claim) => claim!.numbers.micro_batches);
    assert.equal(counts[2], 3);
    assert.ok(counts[0] <= 3 && counts[1] <= 3, counts.join());
    const { transcript } = decodeStageWork(claims[2]!.work);
    assert.deepEqual(
      transcript.map(({ kind }) => kind),
      ['learn', 'learn', 'step', 'learn', 'step'],
    );
  });

  test('whose messages cannot be is told so, and the round goes on', async () => {
    const { air, params, first } = example;
    air.stages.clear();
    const workers = [0, 1, 2].map((stage) => example.worker(stage));
    const [liar, stranger] = [example.worker(0), example.worker(null)];
    const seed = example.round(11, 0).seed;
    const shape = { ...params, vocab_size: params.model.vocab_size };
    const tokens = new Int32Array(params.batch * params.context);
    const values = (value: number) =>
      new Uint8Array(new Float32Array(params.batch * params.context * params.model.hidden_size).fill(value).buffer);
    const say = async (
      from: Worker,
      stage: number,
      payload: Uint8Array,
      signed = true,
      of = { origin: from.id, number: 0 },
    ): Promise<string> => {
      const statement = handedStatement(
        'activations',
        seed,
        stage,
        workers[1].id,
        of,
        signed ? hashOfPayload(payload) : '',
      );
      const signature = await from.device.channel!.sign(statement);
      const message = encodeMessage({ kind: 'activations', seed, ...of, payload, signature });
      return from.device.channel!.send(workers[1].id, message).then(
        () => 'taken',
        (error: Error & { code?: string }) => error.code ?? error.message,
      );
    };
    const begun = Promise.withResolvers<void>();
    workers[0] = { ...workers[0], device: { ...workers[0].device, progress: async () => begun.resolve() } };
    const working = Promise.all(workers.map((worker) => work(worker, 11, first)));
    await begun.promise;
    const of = (value: number) => encodeForward(shape, { tokens, targets: tokens }, values(value));
    const text = new RoundText(params, example.round(11, 0), stranger.device);
    const right = async (of: MicroBatch) => say(liar, 0, encodeForward(shape, await text.of(of), values(0)), true, of);
    const own = await text.of({ origin: liar.id, number: 0 });
    const otherFirst = encodeForward(
      shape,
      { ...own, tokens: own.tokens.with(0, (own.tokens[0] + 1) % 256) },
      values(0),
    );
    assert.deepEqual(
      await Promise.all([
        right({ origin: liar.id, number: mostMade(params) }),
        right({ origin: stranger.id, number: 0 }),
        say(liar, 0, of(0)), // another text than its own
        say(liar, 0, otherFirst),
        say(stranger, 0, of(0)),
        say(liar, 0, of(0), false),
        say(liar, 0, of(0).subarray(1)),
        say(liar, 0, of(Number.NaN)),
        say(liar, 0, new Uint8Array(3)),
      ]),
      [...Array.from({ length: 6 }, () => 'bad-message'), 'bad-activations', 'bad-activations', 'bad-activations'],
    );
    air.stages.delete(liar.id);
    // If the other maker hears in time that the liar has left, it makes the liar's part, too.
    const counts = (await working).map((claim) => claim!.numbers.micro_batches);
    assert.ok(counts[0] >= 10 && counts.every((count) => count === counts[0]), counts.join());
  });
});
