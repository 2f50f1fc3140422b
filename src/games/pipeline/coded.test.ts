// A run in stages with boundaries of few bits: it learns, its messages are as small as the arithmetic coder makes them, and judges repeat it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Runtime } from '../../tensor/runtime.ts';
import { createWasmRuntime } from '../../tensor/wasm-runtime.ts';
import type { Claim, Judging } from '../game.ts';
import { game } from '../pipeline.ts';
import { merged, type PipelineExample, pipelineExample, sourceOf, type Worker } from '../testing/example-pipeline.ts';
import { decodeMessage, encodeMessage, windowBytes } from './messages.ts';
import { bytesOfToken } from './params.ts';

const WHOLE: Judging = {
  ...{ runtime: 'native-cpu', repeat_permille: 1000, looks: true, place: 0, time_ms: 60_000 },
  earlier: async () => [],
};

let example: PipelineExample;
let wasm: Runtime;
before(async () => {
  const boundary = { tokens: 'trained', width: 8, bits: 5, gradient_bits: 4, scale_rows: 2 } as const;
  example = await pipelineExample({ boundary });
  wasm = await createWasmRuntime({ threads: 1 });
});
after(async () => {
  await example.runtime.close();
  await wasm.close();
});

const taskOf = ({ id, stage }: Worker) =>
  game.task(example.params, example.round(0, stage), id, sourceOf(example.first));
const work = (worker: Worker, signal = new AbortController().signal) =>
  game.perform(taskOf(worker), worker.device, signal);
const loss = async (weights: PipelineExample['first']) =>
  (await game.evaluate(example.params, sourceOf(weights), example.worker(null).device)).loss_micro / 1e6;

test('it learns by small messages, and its work is the same to the bit again, and within bounds on another runtime', async () => {
  const { params, first, air } = example;
  air.stages.clear();
  const sizes = { activations: [] as number[], gradient: [] as number[] };
  air.passes = (_from, _to, encoded) => {
    const message = decodeMessage(encoded);
    if (message.kind === 'activations' || message.kind === 'gradient') sizes[message.kind].push(message.payload.length);
    return true;
  };
  const workers = [0, 1, 2].map((stage) => example.worker(stage));
  const claims = (await Promise.all(workers.map((worker) => work(worker)))) as Claim[];
  assert.ok((await loss(merged(params, first, claims))) < (await loss(first)) - 0.1);

  const mean = (all: readonly number[]) => all.reduce((sum, size) => sum + size, 0) / all.length;
  const tokens = params.batch * params.context;
  const plain_bytes = tokens * bytesOfToken(params) + windowBytes({ ...params, vocab_size: params.model.vocab_size });
  const sent_bytes = mean(sizes.activations) + mean(sizes.gradient);
  assert.ok(sent_bytes < 0.95 * plain_bytes && sent_bytes > plain_bytes / 3, `${sent_bytes} of ${plain_bytes}`);

  for (const [i, claim] of claims.entries()) {
    const { device } = example.worker(null);
    const again = await game.check(taskOf(workers[i]), claim, device, WHOLE);
    const { same, agreed } = again.evidence.repeated as Record<string, number>;
    assert.deepEqual([again.code, same], ['ok', agreed]);
    const other = await game.check(taskOf(workers[i]), claim, { ...device, runtime: wasm }, WHOLE);
    assert.equal(other.code, 'ok', JSON.stringify(other.evidence));
  }
});

test('bytes that the arithmetic coder does not write are the sender’s error, and nothing is learned from them', async () => {
  const { air } = example;
  air.stages.clear();
  const stop = new AbortController();
  const workers = [0, 1, 2].map((stage) => example.worker(stage));
  const [maker, middle] = workers;
  const { send } = maker.device.channel!;
  const refused = Promise.withResolvers<unknown>();
  Object.assign(maker.device.channel!, {
    send: async (to: string, encoded: Uint8Array, signal?: AbortSignal) => {
      const message = decodeMessage(encoded);
      if (message.kind !== 'activations') return send(to, encoded, signal);
      const payload = new Uint8Array(message.payload.length + 400).fill(1);
      await send(to, encodeMessage({ ...message, payload }), signal).catch((error: unknown) => {
        refused.resolve(error);
        throw error;
      });
    },
  });
  const rounds = workers.map((worker) => work(worker, stop.signal));
  assert.equal(((await refused.promise) as { code?: string }).code, 'bad-activations');
  assert.ok(air.stages.has(middle.id), 'the one that it was sent to goes on');
  stop.abort();
  assert.ok((await Promise.all(rounds)).every((claim) => (claim?.numbers.micro_batches ?? 0) === 0));
});
