// Devices without a record, beside others that have one: they get and make a few micro-batches, so that they can have one, and no more of theirs are taken.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { game } from '../pipeline.ts';
import { type PipelineExample, pipelineExample, sourceOf, type Worker } from '../testing/example-pipeline.ts';
import { encodeForward, encodeMessage, handedStatement, hashOfPayload } from './messages.ts';
import { RoundText } from './text.ts';
import { decodeStageWork } from './work.ts';

describe('devices without a record', () => {
  let example: PipelineExample;
  before(async () => {
    example = await pipelineExample();
  });
  after(() => example.runtime.close());

  const work = ({ stage, id, device }: Worker, number: number, signal = new AbortController().signal) =>
    game.perform(game.task(example.params, example.round(number, stage), id, sourceOf(example.first)), device, signal);
  const opened = (...stages: readonly number[]): Worker[] => {
    example.air.stages.clear();
    example.air.proven = new Set();
    return stages.map((stage) => example.worker(stage));
  };
  const prove = (...workers: readonly Worker[]): void => {
    example.air.proven = new Set(workers.map(({ id }) => id));
  };

  test('make one micro-batch, are handed one of each worker, and the others do the rest', async () => {
    const workers = opened(0, 0, 1, 1, 2, 2);
    prove(workers[0], workers[2], workers[4]);
    const claims = await Promise.all(workers.map((worker) => work(worker, 3)));
    const counts = claims.map((claim) => claim?.numbers.micro_batches ?? 0);
    assert.deepEqual(counts.slice(0, 2), [19, 1], counts.join());
    for (const stage of [1, 2]) {
      const [known, fresh] = counts.slice(2 * stage, 2 * stage + 2);
      assert.equal(known + fresh, 20, counts.join());
      assert.ok(fresh >= 1 && fresh <= 2, counts.join());
    }
  });

  test('leave the rest of their part to makers with a record, however many they are', async () => {
    const workers = opened(0, 0, 0, 1, 2);
    prove(workers[0], workers[3], workers[4]);
    const claims = await Promise.all(workers.map((worker) => work(worker, 6)));
    assert.deepEqual(
      claims.map((claim) => claim!.numbers.micro_batches),
      [28, 1, 1, 30, 30],
    );
  });

  test('do all of the work where nobody has a record, and where those with one are of another stage', async () => {
    for (const known of [[], [2]]) {
      const workers = opened(0, 0, 1, 2);
      prove(...known.map((i) => workers[i]));
      const claims = await Promise.all(workers.map((worker) => work(worker, 4)));
      assert.deepEqual(
        claims.map((claim) => claim!.numbers.micro_batches),
        [10, 10, 20, 20],
      );
    }
  });

  test('are not listened to beyond their part, whatever they send', async () => {
    const { params, round } = example;
    const workers = opened(0, 1, 2);
    const liar = example.worker(0);
    prove(...workers);
    const [, middle] = workers;
    const { seed } = round(5, 0);
    const shape = { ...params, vocab_size: params.model.vocab_size };
    const text = new RoundText(params, round(5, 0), liar.device);
    const values = new Uint8Array(4 * params.batch * params.context * params.model.hidden_size);
    const flood = async (): Promise<void> => {
      for (let number = 0; number < 10; number++) {
        const of = { origin: liar.id, number };
        const payload = encodeForward(shape, await text.of(of), values);
        const statement = handedStatement('activations', seed, 0, middle.id, of, hashOfPayload(payload));
        const signature = await liar.device.channel!.sign(statement);
        const message = encodeMessage({ kind: 'activations', seed, ...of, payload, signature });
        // One after the other: what is not taken holds up the rest.
        await liar.device.channel!.send(middle.id, message).catch(() => {});
      }
    };
    const begun = Promise.withResolvers<void>();
    const progress = async (): Promise<void> => begun.resolve();
    workers[0] = { ...workers[0], device: { ...workers[0].device, progress } };
    let heard = 0;
    example.air.passes = (from) => {
      // Its second is not taken. It never says that it has finished, but leaves.
      if (from === liar.id && ++heard === 2) setImmediate(() => example.air.stages.delete(liar.id));
      return true;
    };
    const working = Promise.all(workers.map((worker) => work(worker, 5)));
    await begun.promise;
    await flood();
    const claims = await working;
    example.air.passes = () => true;
    const { transcript } = decodeStageWork(claims[1]!.work);
    const ofLiar = transcript.filter((entry) => entry.kind === 'forward' && entry.of.origin === liar.id);
    assert.equal(ofLiar.length, 1);
    assert.ok(claims[0]!.numbers.micro_batches >= 10);
  });
});
