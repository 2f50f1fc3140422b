// What a worker keeps across a restart: with its drawer it goes on bit for bit, with a damaged one it starts afresh.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Device } from '../games/game.ts';
import { game, type PretrainParams, PretrainParamsSchema } from '../games/pretrain.ts';
import { decodeErrorFeedback, decodeOptimiser } from '../games/pretrain-drawer.ts';
import { parameterSpecs, type Weights } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { buildDataset, encodeManifest } from '../training/shards.ts';
import { openDrawer } from './drawer.ts';
import { PeerError } from './errors.ts';
import { untilLeft } from './leaving.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-drawer-'));
after(() => rmSync(root, { recursive: true, force: true }));
const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i);

describe('a drawer', () => {
  test('gives back what was put in, also to the next process', async () => {
    const folder = join(root, 'a', 'b');
    await openDrawer(folder).put('thing', bytes);
    assert.deepEqual(await openDrawer(folder).get('thing'), bytes);
    await openDrawer(folder).put('thing', bytes.subarray(3));
    assert.deepEqual(await openDrawer(folder).get('thing'), new Uint8Array(bytes.subarray(3)));
    assert.deepEqual(readdirSync(folder), ['thing'], 'nothing else is left lying about');
    await openDrawer(folder).put('empty', new Uint8Array(0));
    assert.deepEqual(await openDrawer(folder).get('empty'), new Uint8Array(0));
  });

  test('has nothing where nothing was put, or what was put is damaged', async () => {
    const folder = join(root, 'damaged');
    const drawer = openDrawer(folder);
    assert.equal(await drawer.get('thing'), null);
    await drawer.put('thing', bytes);
    const file = join(folder, 'thing');
    const whole = readFileSync(file);
    for (const damage of [
      (file: Buffer) => file.subarray(0, -1),
      (file: Buffer) => file.subarray(0, 10),
      (file: Buffer) => Buffer.concat([file, Buffer.from('x')]),
      (file: Buffer) => Buffer.from(file).fill(file[500] ^ 4, 500, 501),
    ]) {
      writeFileSync(file, damage(whole));
      assert.equal(await drawer.get('thing'), null);
    }
    await drawer.delete('thing');
    await drawer.delete('thing');
    assert.equal(await drawer.get('thing'), null);
  });
});

describe('a pre-training worker that is started again', () => {
  const blobs = new Map<string, Uint8Array>();
  let runtime: Runtime;
  let params: PretrainParams;
  let first: Weights;

  before(async () => {
    runtime = await createNativeRuntime({ threads: 1 });
    const put = async (blob: Uint8Array): Promise<string> => {
      blobs.set(sha256Hex(blob), blob);
      return sha256Hex(blob);
    };
    const tokenizer = byteTokenizer();
    const texts = ['The drawer keeps what the wire does not carry. '.repeat(200)];
    const dataset = await put(encodeManifest(await buildDataset(texts, tokenizer, put)));
    params = PretrainParamsSchema.parse({
      model: {
        vocab_size: tokenizer.vocab_size,
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 1,
        num_attention_heads: 2,
      },
      dataset,
      batch: 2,
      context: 8,
      inner_steps: 3,
      learning_rate: 0.01,
      min_learning_rate: 0.01,
      warmup_steps: 0,
    });
    first = initialWeights(params.model, 'test');
  });
  after(() => runtime.close());

  const device = (folder: string): Device => ({
    runtime,
    fetchBlob: async (hash) => blobs.get(hash)!,
    drawer: openDrawer(folder),
    progress: async () => {},
  });

  const round = async (on: Device, number: number, weights: Weights): Promise<Uint8Array> => {
    const of = { run: 'r', number, rounds: 10, seed: String(number).repeat(64) };
    const claim = await game.perform(game.task(params, of, 'worker', weights), on, new AbortController().signal);
    return claim!.work;
  };

  /** Two rounds; `between` says which device does the second. The hash of what that hands in. */
  const secondRound = async (
    name: string,
    between: (folder: string, before: Device) => Promise<Device>,
  ): Promise<string> => {
    const folder = join(root, name);
    const before = device(folder);
    const work = await round(before, 0, first);
    const merged = game.merge(params, first, [{ work, weight: 3 }]);
    return sha256Hex(await round(await between(folder, before), 1, merged));
  };

  test('goes on exactly where it was: error feedback and AdamW', async () => {
    const specs = parameterSpecs(params.model);
    const uninterrupted = await secondRound('uninterrupted', async (_, before) => before);
    const restarted = await secondRound('restarted', async (folder) => device(folder));
    assert.equal(restarted, uninterrupted);
    const drawer = openDrawer(join(root, 'restarted'));
    assert.equal(decodeOptimiser(specs, await drawer.get('optimiser'))?.steps, 6);
    const error = decodeErrorFeedback(specs, await drawer.get('error-feedback'), 1);
    assert.ok([...error.values()].some((values) => values.some((value) => value !== 0)));
  });

  test('starts afresh where either of the two is damaged or gone, and that is a difference', async () => {
    const restarted = await secondRound('whole', async (folder) => device(folder));
    const flip = (file: string): void => {
      const content = readFileSync(file);
      content[content.length - 5] ^= 0x40;
      writeFileSync(file, content);
    };
    const results = new Set([restarted]);
    for (const name of ['optimiser', 'error-feedback']) {
      const gone = await secondRound(`gone-${name}`, async (folder) => {
        rmSync(join(folder, name));
        return device(folder);
      });
      const damaged = await secondRound(`damaged-${name}`, async (folder) => {
        flip(join(folder, name));
        return device(folder);
      });
      assert.equal(damaged, gone);
      results.add(damaged);
    }
    assert.equal(results.size, 3);
  });

  test('that was away for a round does not send what belonged to an older model', async () => {
    const specs = parameterSpecs(params.model);
    const folder = join(root, 'away');
    await round(device(folder), 0, first);
    const kept = await openDrawer(folder).get('error-feedback');
    const sum = (error: Map<string, Float32Array>) =>
      [...error.values()].flatMap((v) => [...v]).filter((x) => x !== 0).length;
    assert.ok(sum(decodeErrorFeedback(specs, kept, 0)) > 0);
    assert.equal(sum(decodeErrorFeedback(specs, kept, 1)), 0);
  });
});

describe('waiting', () => {
  const never = new Promise<never>(() => {});

  test('ends when the work does, whatever the owner wants', async () => {
    const leaving = new AbortController();
    assert.equal(await untilLeft(Promise.resolve(5), leaving.signal, 1), 5);
    await assert.rejects(() => untilLeft(Promise.reject(new Error('no')), leaving.signal, 1), /no/);
    leaving.abort();
    assert.equal(await untilLeft(Promise.resolve(6), leaving.signal, 1000), 6);
  });

  test('ends soon after the owner wants the device back, and not before', async () => {
    const leaving = new AbortController();
    const waiting = untilLeft(never, leaving.signal, 20);
    const started_ms = performance.now();
    leaving.abort();
    await assert.rejects(waiting, (error) => error instanceof PeerError && error.code === 'disconnected');
    assert.ok(performance.now() - started_ms >= 15);
    await assert.rejects(() => untilLeft(never, leaving.signal, 1), { code: 'disconnected' });
  });
});
