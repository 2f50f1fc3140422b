// Pre-training as a game: honest work is accepted, everything else is a verdict with a reason; tasks and merges follow from the log alone.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { acceptedSubmissions } from '../core/judging.ts';
import { reexecutionPermille } from '../core/reexecution.ts';
import type { NetworkState, RunState, Submission } from '../core/state.ts';
import { parameterSpecs, type Weights } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { buildDataset, type DatasetManifest, encodeManifest } from '../training/shards.ts';
import { compressUpdate, decodeUpdate, encodeUpdate } from '../training/sparse.ts';
import { encodeBundle } from './bundle.ts';
import type { Claim, Device, Judging } from './game.ts';
import { catchUp, type History } from './history.ts';
import { game, type PretrainParams, PretrainParamsSchema } from './pretrain.ts';
import { decodeWork, encodeWork } from './pretrain-work.ts';

const blobs = new Map<string, Uint8Array>();
let runtime: Runtime;
let params: PretrainParams;
let manifest: DatasetManifest;
let weights: Weights;

before(async () => {
  runtime = await createNativeRuntime({ threads: 1 });
  const put = async (blob: Uint8Array): Promise<string> => {
    blobs.set(sha256Hex(blob), blob);
    return sha256Hex(blob);
  };
  const tokenizer = byteTokenizer();
  const texts = Array.from(
    { length: 300 },
    (_, i) => `Sentence ${i}: the quick brown fox jumps over ${i * 7} lazy dogs. `,
  );
  manifest = await buildDataset([texts.join('')], tokenizer, put);
  params = PretrainParamsSchema.parse({
    model: {
      vocab_size: tokenizer.vocab_size,
      hidden_size: 16,
      intermediate_size: 32,
      num_hidden_layers: 1,
      num_attention_heads: 2,
    },
    dataset: await put(encodeManifest(manifest)),
    batch: 4,
    context: 16,
    inner_steps: 20,
    learning_rate: 0.01,
    min_learning_rate: 0.01,
    warmup_steps: 0,
  });
  weights = initialWeights(params.model, 'test');
});
after(() => runtime.close());

const round = (number: number, seed = 'a'.repeat(64)) => ({ run: 'r', number, rounds: 10, seed });
const running = new AbortController().signal;

/** A device with a drawer in memory, which writes down what it fetches. */
function device(): Device & { readonly fetched: Set<string> } {
  const drawer = new Map<string, Uint8Array>();
  const fetched = new Set<string>();
  return {
    fetched,
    runtime,
    fetchBlob: async (hash) => {
      fetched.add(hash);
      return blobs.get(hash)!;
    },
    drawer: {
      get: async (name) => drawer.get(name) ?? null,
      put: async (name, bytes) => void drawer.set(name, bytes),
      delete: async (name) => void drawer.delete(name),
    },
    progress: async () => {},
  };
}

const work = async (peer: string, seed?: string, on = device()): Promise<Claim> =>
  (await game.perform(game.task(params, round(0, seed), peer, weights), on, running))!;
/** Somebody's claim with another update in its work. */
function withUpdate(claim: Claim, update: Uint8Array): Claim {
  const { state, losses } = decodeWork(claim.work);
  return { ...claim, work: encodeWork(state, [...losses], update) };
}
const judging: Judging = {
  runtime: 'native-cpu',
  repeat: true,
  time_ms: 60_000,
  earlier: async () => [],
};
const verdict = (claim: Claim, peer = 'ada') =>
  game.check(game.task(params, round(0), peer, weights), claim, device(), judging);

describe('check', () => {
  test('accepts honest work and says what it is worth', async () => {
    const claim = await work('ada');
    assert.deepEqual([claim.steps, claim.tokens], [20, 20 * 4 * 16]);
    const { accepted, code, score_micro, loss_before_micro, loss_after_micro } = await verdict(claim);
    assert.deepEqual([accepted, code], [true, 'ok']);
    assert.ok(score_micro > 100_000, `${score_micro}`);
    assert.equal(score_micro, loss_before_micro - loss_after_micro);
    for (const value of [score_micro, loss_before_micro, loss_after_micro]) assert.ok(Number.isSafeInteger(value));
  });

  test('two validators find the same', async () => {
    const claim = await work('ada');
    assert.deepEqual(await verdict(claim), await verdict(claim));
  });

  test('refuses work that does harm: here, what unlearns the last round', async () => {
    const specs = parameterSpecs(params.model);
    const claim = await work('ada');
    const learned = game.merge(params, weights, [{ work: claim.work, weight: 1 }]);
    const reversed = new Map(
      [...decodeUpdate(specs, decodeWork(claim.work).update, params.sparse)].map(([name, tensor]) => {
        return [name, { ...tensor, table: tensor.table.map((value) => (value === 0 ? 0 : -value)) }];
      }),
    );
    const task = game.task(params, round(1), 'ada', learned);
    const next = (await game.perform(task, device(), running))!;
    const harmful = withUpdate(next, encodeUpdate(specs, reversed, params.sparse));
    const { accepted, code, score_micro } = await game.check(task, harmful, device(), judging);
    assert.deepEqual([accepted, code], [false, 'harmful']);
    assert.ok(score_micro < -100_000, `${score_micro}`);
  });

  test('refuses more steps than the round has, and tokens that do not follow from the steps', async () => {
    const claim = await work('ada');
    const codeOf = async (more: Partial<Claim>) => (await verdict({ ...claim, ...more })).code;
    assert.equal(await codeOf({ steps: 21, tokens: 21 * 64 }), 'too-many-steps');
    assert.equal(await codeOf({ tokens: claim.tokens * 10 }), 'tokens-do-not-follow-from-steps');
    assert.equal(await codeOf({ steps: 10 }), 'tokens-do-not-follow-from-steps');
  });

  test('finds a copy of earlier work, and of one’s own from the round before', async () => {
    const [ada, bob] = [await work('ada'), await work('bob')];
    const stolen = withUpdate(bob, decodeWork(ada.work).update);
    const task = game.task(params, round(0), 'bob', weights);
    const seen = { ...judging, earlier: async () => [ada.work] };
    const { accepted, fraud, code, evidence } = await game.check(task, stolen, device(), seen);
    assert.deepEqual([accepted, fraud, code, evidence.overlap], [false, true, 'copied', 1]);
    const honest = await game.check(task, bob, device(), seen);
    assert.ok(honest.accepted, honest.code);
  });

  test('finds work on other data than what was assigned', async () => {
    const claim = await work('ada');
    const { accepted, fraud, code } = await verdict(claim, 'bob');
    assert.deepEqual([accepted, fraud, code], [false, true, 'not-on-its-data']);
  });

  test('finds steps that were claimed and not done, when it repeats them', async () => {
    const claim = await work('ada');
    const { state, losses, update } = decodeWork(claim.work);
    // Half of the steps were done; the rest of the losses is made up to look like the last ones.
    const half = losses.length / 2;
    const made_up = [...losses.slice(0, half), ...losses.slice(0, half).map((_, i) => losses[half - 1] + i / 4)];
    const mean = made_up.reduce((a, b) => a + b, 0) / made_up.length;
    const lie = { ...claim, work: encodeWork(state, made_up, update), loss_micro: Math.round(mean * 1e6) };
    const { accepted, fraud, code } = await verdict(lie);
    assert.deepEqual([accepted, fraud, code], [false, true, 'other-losses']);
    // A worker with a long record is repeated only when the draw says so.
    const permille = reexecutionPermille({ consecutive_valid: 1000 }, 50, 10);
    const check = (draw_permille: number) => {
      const repeat = draw_permille < permille;
      return game.check(game.task(params, round(0), 'ada', weights), lie, device(), { ...judging, repeat });
    };
    assert.equal((await check(49)).code, 'other-losses');
    assert.equal((await check(50)).code, 'ok');
  });

  test('finds an update that is not what the losses came from', async () => {
    const specs = parameterSpecs(params.model);
    const claim = await work('ada');
    const noise = new Map(
      specs.map(({ name, shape }) => [
        name,
        new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => Math.sin(i * 12.9898) * 1e-6),
      ]),
    );
    const update = encodeUpdate(specs, compressUpdate(specs, noise, new Map(), params.sparse), params.sparse);
    const { accepted, fraud, code } = await verdict(withUpdate(claim, update));
    assert.deepEqual([accepted, fraud, code], [false, true, 'other-update']);
  });

  test('gives a verdict on any bytes, and never an exception', async () => {
    const claim = await work('ada');
    const honest = claim.work;
    const edited = fc.tuple(fc.nat(honest.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
      const bytes = honest.slice();
      bytes[at] ^= flip;
      return bytes;
    });
    const cut = fc.nat(honest.length).map((at) => honest.slice(0, at));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 300 }), edited, cut), async (bytes) => {
        const {
          accepted,
          code,
          fraud: _fraud,
          evidence: _evidence,
          ...numbers
        } = await verdict({ ...claim, work: bytes });
        assert.equal(typeof accepted, 'boolean');
        assert.ok(code.length > 0 && code.length <= 60);
        for (const value of Object.values(numbers)) assert.ok(Number.isSafeInteger(value), `${value}`);
      }),
      { numRuns: 40, examples: [[honest]] },
    );
  });

  test('an update so large that the model overflows is refused, not merged', async () => {
    const specs = parameterSpecs(params.model);
    const huge = new Map(
      specs.map(({ name, shape }) => [
        name,
        new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => (i % 2 ? 3e38 : -3e38)),
      ]),
    );
    const bytes = encodeUpdate(specs, compressUpdate(specs, huge, new Map(), params.sparse), params.sparse);
    const { accepted, loss_after_micro } = await verdict(withUpdate(await work('ada'), bytes));
    assert.equal(accepted, false);
    assert.ok(Number.isSafeInteger(loss_after_micro), `${loss_after_micro}`);
  });
});

describe('perform', () => {
  test('learns from what the round’s seed and the peer’s id say, and from nothing else', async () => {
    const [ada, again, bob, other] = [
      await work('ada'),
      await work('ada'),
      await work('bob'),
      await work('ada', 'b'.repeat(64)),
    ];
    assert.deepEqual(again.work, ada.work);
    assert.notDeepEqual(bob.work, ada.work);
    assert.notDeepEqual(other.work, ada.work);
  });

  test('never sees a validation shard; evaluate sees nothing else', async () => {
    const on = device();
    for (const peer of ['ada', 'bob', 'eve']) {
      for (const seed of ['c', 'd', 'e']) await work(peer, seed.repeat(64), on);
    }
    const held_out = new Set(manifest.validation.map(({ hash }) => hash));
    const train = new Set(manifest.train.map(({ hash }) => hash));
    assert.ok(held_out.size > 0);
    assert.deepEqual(
      [...on.fetched].filter((hash) => held_out.has(hash)),
      [],
    );
    assert.ok([...on.fetched].filter((hash) => train.has(hash)).length >= 2);
    const validator = device();
    const { tokens } = await game.evaluate(params, weights, validator);
    assert.ok(tokens > 0);
    assert.deepEqual(
      [...validator.fetched].filter((hash) => train.has(hash)),
      [],
    );
    const checker = device();
    await game.check(game.task(params, round(0), 'ada', weights), await work('ada'), checker, judging);
    assert.deepEqual(
      [...checker.fetched].filter((hash) => held_out.has(hash)),
      [],
    );
  });

  test('returns what is done when it is interrupted, and null when that is nothing', async () => {
    const stop = new AbortController();
    const on = { ...device(), progress: async ({ steps }: { steps: number }) => void (steps === 3 && stop.abort()) };
    const task = game.task(params, round(0), 'ada', weights);
    const claim = await game.perform(task, on, stop.signal);
    assert.deepEqual([claim?.steps, claim?.tokens], [3, 3 * 64]);
    assert.equal((await verdict(claim!)).accepted, true);
    assert.equal(await game.perform(task, on, stop.signal), null);
  });
});

describe('merge', () => {
  test('gives the same model whatever order the work came in', async () => {
    const claims = [await work('ada'), await work('bob'), await work('eve')];
    const submissions = claims.map((claim, i): [string, Submission, Claim] => {
      const id = sha256Hex(claim.work);
      return [
        id,
        { id, worker: `w${i}`, body: { steps: claim.steps }, verdicts: new Map() } as unknown as Submission,
        claim,
      ];
    });
    const merged = (order: typeof submissions): string => {
      const byId = new Map(order.map(([id, submission]) => [id, submission]));
      const run = { submissions: byId };
      const accepted = acceptedSubmissions({} as NetworkState, run as unknown as RunState);
      const works = accepted.map(({ submission }) => {
        const claim = submissions.find(([id]) => id === submission.id)![2];
        return { work: claim.work, weight: claim.steps };
      });
      return sha256Hex(game.encodeState(params, game.merge(params, weights, works)));
    };
    const [a, b, c] = submissions;
    const hashes = [
      [a, b, c],
      [c, b, a],
      [b, c, a],
      [a, c, b],
    ].map(merged);
    assert.equal(new Set(hashes).size, 1);
    assert.notEqual(merged([a, b]), hashes[0]);
  });

  test('weighs by steps, and refuses work that cannot be merged', async () => {
    const [ada, bob] = [(await work('ada')).work, (await work('bob')).work];
    const hash = (x: number, y: number) =>
      sha256Hex(
        game.encodeState(
          params,
          game.merge(params, weights, [
            { work: ada, weight: x },
            { work: bob, weight: y },
          ]),
        ),
      );
    assert.equal(hash(1, 1), hash(7, 7));
    assert.notEqual(hash(1, 1), hash(1, 20));
    assert.throws(() => game.merge(params, weights, [{ work: ada.subarray(1), weight: 1 }]), { code: 'bad-work' });
  });

  test('is what a latecomer does too: by the checkpoint or from any model on the way', async () => {
    const states = [weights];
    const recent: History['recent'][number][] = [];
    for (let number = 0; number < 3; number++) {
      const parent = states.at(-1)!;
      const task = game.task(params, round(number), 'ada', parent);
      const works = [{ work: (await game.perform(task, device(), running))!.work, weight: 20 }];
      const next = game.merge(params, parent, works);
      const bundle = encodeBundle(works);
      blobs.set(sha256Hex(bundle), bundle);
      const hashOf = (state: Weights) => sha256Hex(game.encodeState(params, state));
      recent.push({ round: number, parent: hashOf(parent), bundle: sha256Hex(bundle), model: hashOf(next) });
      states.push(next);
    }
    const first = game.encodeState(params, weights);
    blobs.set(sha256Hex(first), first);
    const history = { model: recent[2].model, checkpoint: { model: sha256Hex(first) }, recent };
    const fetch = async (hash: string) => blobs.get(hash)!;
    const catching = (held: Parameters<typeof catchUp>[3], list = history) => catchUp(game, params, list, held, fetch);
    const late = await catching(null);
    assert.equal(late.hash, history.model);
    const half = await catching({ hash: recent[0].model, state: states[1] });
    assert.deepEqual(half.state, late.state);
    const stranger = await catching({ hash: 'e'.repeat(64), state: states[2] });
    assert.deepEqual(stranger.state, late.state);
    const lie = { ...history, recent: [recent[0], { ...recent[1], model: 'd'.repeat(64) }] };
    await assert.rejects(() => catching(null, lie), { code: 'wrong-model' });
    const swapped = { ...history, recent: [recent[1], recent[0], recent[2]] };
    await assert.rejects(() => catching(null, swapped), { code: 'wrong-model' });
    await assert.rejects(() => catching(null, { ...history, recent: recent.slice(0, 2) }), { code: 'no-way' });
  });
});
