// Pre-training as a game: honest work is accepted, everything else is a verdict with a reason; tasks and merges follow from the log alone.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { acceptedSubmissions } from '../core/rounds/judging.ts';
import type { NetworkState, RunState, Submission } from '../core/state.ts';
import { parameterSpecs, type Weights } from '../model/config.ts';
import { type RoundedDtype, roundedWeights } from '../model/dtypes.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { type Exchange, sendUpdates, sharedMerge, type Text, trainAlone } from '../training/alone.ts';
import { assignedBatches } from '../training/assignment.ts';
import { encodeTrace } from '../training/loss-trace.ts';
import { decodeShard } from '../training/shards.ts';
import { compressUpdate, decodeUpdate, encodeUpdate } from '../training/sparse.ts';
import { encodeBundle } from './bundle.ts';
import type { AcceptedWork, Claim, Judging, Told } from './game.ts';
import { catchUp, type HeldState, type History, type Way } from './history.ts';
import { decodeWork } from './pretrain/work.ts';
import { game } from './pretrain.ts';
import { judgedWork } from './rated-weight.ts';
import {
  cutKept,
  cutState,
  followState,
  hashOfState,
  type Kept,
  keepState,
  mergeState,
  partsNamedIn,
} from './state.ts';
import { judging, type PretrainExample, pretrainExample, round, withUpdate } from './testing/example-pretrain.ts';

const running = new AbortController().signal;
let example: PretrainExample;
before(async () => {
  example = await pretrainExample();
});
after(() => example.runtime.close());

const work = async (peer: string, seed?: string, on = example.device()): Promise<Claim> =>
  (await game.perform(game.task(example.params, round(0, { seed }), peer, example.weights), on, running))!;
const verdict = (claim: Claim, peer = 'ada') =>
  game.check(game.task(example.params, round(0), peer, example.weights), claim, example.device(), judging);

describe('check', () => {
  test('accepts honest work and says what it is worth', async () => {
    const claim = await work('ada');
    assert.deepEqual([claim.numbers.steps, claim.amount], [20, 20 * 4 * 16]);
    const { accepted, code, score_micro, numbers } = await verdict(claim);
    const { loss_before_micro, loss_after_micro } = numbers;
    assert.deepEqual([accepted, code], [true, 'ok']);
    assert.ok(score_micro > 100_000, `${score_micro}`);
    assert.equal(score_micro, loss_before_micro - loss_after_micro);
    for (const value of [score_micro, loss_before_micro, loss_after_micro]) assert.ok(Number.isSafeInteger(value));
  });

  test('accepts the first work of a worker that may not claim more', async () => {
    const most_amount = game.firstAmount!(example.params);
    const task = game.task(example.params, { ...round(0), most_amount }, 'ada', example.weights);
    const claim = (await game.perform(task, example.device(), running))!;
    assert.deepEqual([claim.numbers.steps, claim.amount], [2, most_amount]);
    assert.equal((await verdict(claim)).code, 'ok');
  });

  test('two validators find the same', async () => {
    const claim = await work('ada');
    assert.deepEqual(await verdict(claim), await verdict(claim));
  });

  test('the data that nobody was assigned is what the draw says, which nobody knew while the work was done', async () => {
    const claim = await work('ada');
    const gainAt = async (draw: string | null) => {
      const task = game.task(example.params, round(0, { draw }), 'ada', example.weights);
      const { evidence } = await game.check(task, claim, example.device(), { ...judging, repeat_permille: 0 });
      return evidence.gain as { assigned: number; random: number };
    };
    const [one, other] = [await gainAt('b'.repeat(128)), await gainAt('c'.repeat(128))];
    assert.equal(one.assigned, other.assigned);
    assert.notEqual(one.random, other.random);
    assert.deepEqual(one, await gainAt('b'.repeat(128)));
  });

  test('refuses work that does harm: here, what unlearns the last round', async () => {
    const specs = parameterSpecs(example.params.model);
    const claim = await work('ada');
    const learned = mergeState(game, example.params, example.weights, [{ work: claim.work, weight: 1 }]);
    const reversed = new Map(
      [...decodeUpdate(specs, decodeWork(claim.work).update, example.params.sparse)].map(([name, tensor]) => {
        return [name, { ...tensor, table: tensor.table.map((value) => (value === 0 ? 0 : -value)) }];
      }),
    );
    const task = game.task(example.params, round(1), 'ada', learned);
    const next = (await game.perform(task, example.device(), running))!;
    const harmful = withUpdate(next, encodeUpdate(specs, reversed, example.params.sparse));
    // A judge that does not repeat it sees the harm, one that does sees that no steps lead there.
    const seen = await game.check(task, harmful, example.device(), { ...judging, repeat_permille: 0 });
    assert.deepEqual([seen.accepted, seen.code], [false, 'harmful']);
    assert.ok(seen.score_micro < -100_000, `${seen.score_micro}`);
    assert.equal((await game.check(task, harmful, example.device(), judging)).code, 'other-update');
  });

  test('refuses more steps than the round has, and tokens that do not follow from the steps', async () => {
    const claim = await work('ada');
    const codeOf = async (more: Partial<Claim>) => (await verdict({ ...claim, ...more })).code;
    const { numbers } = claim;
    assert.equal(await codeOf({ amount: 21 * 64, numbers: { ...numbers, steps: 21 } }), 'too-many-steps');
    assert.equal(await codeOf({ amount: claim.amount * 10 }), 'tokens-do-not-follow-from-steps');
    assert.equal(await codeOf({ numbers: { ...numbers, steps: 10 } }), 'tokens-do-not-follow-from-steps');
    assert.equal(await codeOf({ numbers: {} }), 'numbers-missing');
  });

  test('finds a copy of earlier work, and of one’s own from the round before', async () => {
    const [ada, bob] = [await work('ada'), await work('bob')];
    const stolen = withUpdate(bob, decodeWork(ada.work).update);
    const task = game.task(example.params, round(0), 'bob', example.weights);
    const seen = { ...judging, earlier: async () => [ada.work] };
    const { accepted, fraud, code, evidence } = await game.check(task, stolen, example.device(), seen);
    assert.deepEqual([accepted, fraud, code, evidence.overlap], [false, true, 'copied', 1]);
    const honest = await game.check(task, bob, example.device(), seen);
    assert.ok(honest.accepted, honest.code);
  });

  test('finds work on other data than what was assigned', async () => {
    const claim = await work('ada');
    const { accepted, fraud, code } = await verdict(claim, 'bob');
    assert.deepEqual([accepted, fraud, code], [false, true, 'not-on-its-data']);
  });

  describe('by a judge that is not to look', () => {
    const unlooked = { ...judging, looks: false, repeat_permille: 0 };
    const check = (claim: Claim, peer: string, duty: Judging) =>
      game.check(game.task(example.params, round(0), peer, example.weights), claim, example.device(), duty);

    test('sees to the form and measures nothing, which rates nobody', async () => {
      const claim = await work('ada');
      // Whoever looks, or repeats, finds it made up.
      const found = await check(claim, 'bob', unlooked);
      assert.deepEqual([found.code, found.evidence.looked, found.score_micro, found.numbers], ['ok', false, 0, {}]);
      assert.equal(judgedWork('bob', claim, found), null);
      const { numbers } = claim;
      const codes = [
        { numbers: { ...numbers, steps: 21 } },
        { amount: 1 },
        { numbers: { ...numbers, loss_micro: 1 } },
        { work: claim.work.slice(0, 70) },
      ].map(async (more) => (await check({ ...claim, ...more }, 'ada', unlooked)).code);
      assert.deepEqual(await Promise.all(codes), [
        ...['too-many-steps', 'tokens-do-not-follow-from-steps', 'loss-does-not-follow', 'bad-work'],
      ]);
    });

    test('is repeated where that is drawn: exactly without a look, loosely with what a look measures', async () => {
      const claim = await work('ada');
      const repeats = { ...unlooked, repeat_permille: 1000 };
      assert.equal((await check(claim, 'bob', repeats)).code, 'other-losses');
      const { code, evidence } = await check(claim, 'ada', repeats);
      assert.deepEqual([code, evidence.looked, evidence.gain], ['ok', false, undefined]);
      assert.ok(evidence.repeated);
      const ada = example.device();
      const first = await work('ada', undefined, ada);
      const weights = mergeState(game, example.params, example.weights, [{ work: first.work, weight: 20 }]);
      const task = game.task(example.params, round(1, { last: example.bundleOf(first) }), 'ada', weights);
      const next = (await game.perform(task, ada, running))!;
      const loose = await game.check(task, next, example.device(), repeats);
      assert.deepEqual([loose.code, loose.evidence.looked], ['ok', true]);
      assert.ok(loose.evidence.gain && judgedWork('ada', next, loose));
    });
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
          numbers,
          ...more
        } = await verdict({ ...claim, work: bytes });
        assert.equal(typeof accepted, 'boolean');
        assert.ok(code.length > 0 && code.length <= 60);
        for (const value of Object.values({ ...numbers, ...more })) assert.ok(Number.isSafeInteger(value), `${value}`);
      }),
      { numRuns: 40, examples: [[honest]] },
    );
  });

  test('an update so large that the model overflows is refused, not merged', async () => {
    const specs = parameterSpecs(example.params.model);
    const huge = new Map(
      specs.map(({ name, shape }) => [
        name,
        new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => (i % 2 ? 3e38 : -3e38)),
      ]),
    );
    const bytes = encodeUpdate(
      specs,
      compressUpdate(specs, huge, new Map(), example.params.sparse),
      example.params.sparse,
    );
    const { accepted, numbers } = await verdict(withUpdate(await work('ada'), bytes));
    const { loss_after_micro } = numbers;
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

  test('does in every round what training alone does (training/alone.ts): the same losses, update and next model', async () => {
    const { manifest, weights, runtime, blobs } = example;
    const params = { ...example.params, min_learning_rate: 0.001 };
    const specs = parameterSpecs(params.model);
    const on = example.device();
    const claims: Claim[] = [];
    const models: Weights[] = [];
    for (const seed of ['a'.repeat(64), 'b'.repeat(64)]) {
      const number = claims.length;
      const last = number === 0 ? null : example.bundleOf(claims[number - 1]);
      const model = models.at(-1) ?? weights;
      claims.push((await game.perform(game.task(params, round(number, { seed, last }), 'ada', model), on, running))!);
      models.push(mergeState(game, params, model, [{ work: claims[number].work, weight: claims[number].amount }]));
    }

    const { inner_steps } = params;
    const schedule = { ...params, total_steps: round(0).rounds * inner_steps };
    const training = { ...params, workers: 1, rounds: [inner_steps, inner_steps], schedule };
    const shardOf = async (hash: string) => decodeShard(blobs.get(hash)!, manifest);
    const text: Text = (_, number) =>
      assignedBatches(manifest, { ...params, seed: `worker:${'ab'[number].repeat(64)}`, worker: 'ada' }, shardOf);
    const merge = sharedMerge(specs, params.sparse);
    const seen: Exchange = {
      async merge(before, learned, number) {
        const { losses, update } = decodeWork(claims[number].work);
        assert.deepEqual(encodeTrace([...learned[0].losses]), encodeTrace([...losses]));
        const sent = sendUpdates(specs, learned, params.sparse);
        assert.deepEqual(sent, [update]);
        return merge(before, sent).weights;
      },
    };
    for (const exchange of [seen, undefined]) {
      const alone: Weights[] = [];
      for await (const model of trainAlone(runtime, training, text, weights, exchange)) alone.push(model);
      assert.deepEqual(alone, models);
    }
  });

  test('never sees a validation shard; evaluate sees nothing else', async () => {
    const on = example.device();
    for (const peer of ['ada', 'bob', 'eve']) {
      for (const seed of ['c', 'd', 'e']) await work(peer, seed.repeat(64), on);
    }
    const held_out = new Set(example.manifest.validation.map(({ hash }) => hash));
    const train = new Set(example.manifest.train.map(({ hash }) => hash));
    assert.ok(held_out.size > 0);
    assert.deepEqual(
      [...on.fetched].filter((hash) => held_out.has(hash)),
      [],
    );
    assert.ok([...on.fetched].filter((hash) => train.has(hash)).length >= 2);
    const validator = example.device();
    const { loss_micro } = await game.evaluate(example.params, example.weights, validator);
    assert.ok(loss_micro > 0);
    assert.deepEqual(
      [...validator.fetched].filter((hash) => train.has(hash)),
      [],
    );
    const checker = example.device();
    await game.check(game.task(example.params, round(0), 'ada', example.weights), await work('ada'), checker, judging);
    assert.deepEqual(
      [...checker.fetched].filter((hash) => held_out.has(hash)),
      [],
    );
  });

  test('returns what is done when it is interrupted, and null when that is nothing', async () => {
    const stop = new AbortController();
    const on = {
      ...example.device(),
      progress: async ({ numbers }: Told) => void (numbers.steps === 3 && stop.abort()),
    };
    const task = game.task(example.params, round(0), 'ada', example.weights);
    const claim = await game.perform(task, on, stop.signal);
    assert.deepEqual([claim?.numbers.steps, claim?.amount], [3, 3 * 64]);
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
        { id, worker: `w${i}`, body: { amount: claim.amount }, verdicts: new Map() } as unknown as Submission,
        claim,
      ];
    });
    const merged = (order: typeof submissions): Promise<string> => {
      const byId = new Map(order.map(([id, submission]) => [id, submission]));
      const run = { submissions: byId, eligible: [], rules: { validators: [] } };
      const accepted = acceptedSubmissions({} as NetworkState, run as unknown as RunState);
      const works = accepted.map(({ submission }) => {
        const claim = submissions.find(([id]) => id === submission.id)![2];
        return { work: claim.work, weight: claim.amount };
      });
      return hashOfState(game, example.params, mergeState(game, example.params, example.weights, works));
    };
    const [a, b, c] = submissions;
    const orders = [
      [a, b, c],
      [c, b, a],
      [b, c, a],
      [a, c, b],
    ];
    const hashes = await Promise.all(orders.map(merged));
    assert.equal(new Set(hashes).size, 1);
    assert.notEqual(await merged([a, b]), hashes[0]);
  });

  test('weighs by steps, and refuses work that cannot be merged', async () => {
    const [ada, bob] = [(await work('ada')).work, (await work('bob')).work];
    const hash = (x: number, y: number) =>
      hashOfState(
        game,
        example.params,
        mergeState(game, example.params, example.weights, [
          { work: ada, weight: x },
          { work: bob, weight: y },
        ]),
      );
    assert.equal(await hash(1, 1), await hash(7, 7));
    assert.notEqual(await hash(1, 1), await hash(1, 20));
    assert.throws(() => mergeState(game, example.params, example.weights, [{ work: ada.subarray(1), weight: 1 }]), {
      code: 'bad-work',
    });
  });

  const latecomer = async (weights: RoundedDtype): Promise<number> => {
    const { blobs } = example;
    const params = { ...example.params, sparse: { ...example.params.sparse, weights } };
    const first = roundedWeights(weights, example.weights);
    const keep = (bytes: Uint8Array): string => {
      blobs.set(sha256Hex(bytes), bytes);
      return sha256Hex(bytes);
    };
    const hashOf = (state: Weights, kept?: Kept) => keepState(game, params, state, async (bytes) => keep(bytes), kept);
    const rounds: { readonly state: Weights; readonly rest: Weights | null }[] = [{ state: first, rest: null }];
    const recent: History['recent'][number][] = [];
    for (let number = 0; number < 3; number++) {
      const before = rounds.at(-1)!;
      const works: AcceptedWork[] = [];
      for (const peer of ['ada', 'bob', 'eve']) {
        const task = game.task(params, round(number), peer, before.state);
        works.push({ work: (await game.perform(task, example.device(), running))!.work, weight: 20 });
      }
      const cut = (await cutState(game, params, before, works))!;
      const state = await followState(game, params, before.state, cut.step);
      const [bundle, step] = [keep(encodeBundle(works)), keep(cut.step)];
      const [parent, model] = [await hashOf(before.state), await hashOf(state)];
      // From blobs to blobs it is the same.
      const left = before.rest && (await hashOf(before.rest, 'rest'));
      const kept = { fetch: async (hash: string) => blobs.get(hash)!, put: async (bytes: Uint8Array) => keep(bytes) };
      const made = await cutKept(game, params, { model: parent, rest: left }, works, kept);
      assert.deepEqual(made, { model, rest: await hashOf(cut.rest, 'rest'), step: cut.step });
      recent.push({ round: number, parent, bundle, step, model });
      rounds.push({ state, rest: cut.rest });
    }
    const checkpoint = { model: await hashOf(first), rest: null };
    const parts = (hash: string) => partsNamedIn(blobs.get(hash)!);
    const history: History = { model: recent[2].model, checkpoint, recent };
    const fetched: string[] = [];
    const fetch = async (hash: string) => {
      fetched.push(hash);
      return blobs.get(hash)!;
    };
    const catching = (held: HeldState | null, list: History = history, way: Way = 'follow') => {
      fetched.length = 0;
      return catchUp(game, params, list, held, fetch, way);
    };
    const late = await catching(null);
    assert.equal(late.hash, history.model);
    assert.deepEqual(fetched, [checkpoint.model, ...parts(checkpoint.model), ...recent.map(({ step }) => step)]);
    const merged = await catching(null, history, 'merge');
    assert.deepEqual(fetched, [checkpoint.model, ...parts(checkpoint.model), ...recent.map(({ bundle }) => bundle)]);
    const { state, rest } = rounds[3];
    assert.deepEqual(merged, { hash: history.model, state, rest });
    assert.ok([...rest!.values()].some((values) => values.some((value) => value !== 0)));

    const half = await catching({ hash: recent[0].model, ...rounds[1] });
    assert.deepEqual(half.state, late.state);
    const stranger = await catching({ hash: 'e'.repeat(64), ...rounds[2] });
    assert.deepEqual(stranger.state, late.state);
    // From a model that is kept whole, all work gives the same only with what the steps before have left out.
    const later = { model: recent[1].model, rest: await hashOf(rounds[2].rest!, 'rest') };
    const from = { ...history, checkpoint: later, recent: recent.slice(2) };
    assert.deepEqual(await catching(null, from, 'merge'), merged);
    const whole = [later.model, later.rest].flatMap((hash) => [hash, ...parts(hash)]);
    assert.deepEqual(fetched, [...whole, recent[2].bundle]);
    assert.equal((await catching(null, from)).hash, history.model);
    const forgotten = { ...from, checkpoint: { ...later, rest: null } };
    await assert.rejects(() => catching(null, forgotten, 'merge'), { code: 'wrong-step' });

    const lie = { ...history, recent: [recent[0], { ...recent[1], model: 'd'.repeat(64) }, recent[2]] };
    const elsewhere = { ...history, recent: [{ ...recent[0], step: recent[1].step }, ...recent.slice(1)] };
    for (const list of [lie, elsewhere]) {
      await assert.rejects(() => catching(null, list), { code: 'wrong-model', message: /its step gives/ });
    }
    await assert.rejects(() => catching(null, elsewhere, 'merge'), { code: 'wrong-step' });
    // A log from before there were steps, in which everybody merges.
    const plain = recent.map((merge) => ({ ...merge, step: null }));
    await assert.rejects(() => catching(null, { ...history, recent: plain }), { message: /its work gives/ });
    const swapped = { ...history, recent: [recent[1], recent[0], recent[2]] };
    await assert.rejects(() => catching(null, swapped), { code: 'wrong-model' });
    await assert.rejects(() => catching(null, { ...history, recent: recent.slice(0, 2) }), { code: 'no-way' });
    return parts(checkpoint.model).reduce((sum, hash) => sum + blobs.get(hash)!.length, 0);
  };

  test('is what a latecomer does too: by the checkpoint or from any model on the way, by steps or by all work', async () => {
    const whole_bytes = await latecomer('f32');
    assert.equal(await latecomer('bf16'), whole_bytes / 2);
  });
});

describe('prepare', () => {
  test('loads what the first task needs beside its data; what fails is tried again by who needs it', async () => {
    const prepared = example.device();
    await game.prepare!(example.params, prepared);
    assert.deepEqual([...prepared.fetched], [example.params.dataset]);
    assert.deepEqual(await work('ada', undefined, prepared), await work('ada'));

    const whole = example.device();
    let away = true;
    const device = {
      ...whole,
      fetchBlob: (hash: string) => (away ? Promise.reject(new Error('away')) : whole.fetchBlob(hash)),
    };
    await assert.rejects(game.prepare!(example.params, device), /away/);
    away = false;
    assert.deepEqual(await work('ada', undefined, device as ReturnType<typeof example.device>), await work('ada'));
  });
});
