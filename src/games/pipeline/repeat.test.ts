// Judging work of a stage: honest work is accepted whole and in part, on every kind of runtime; what was not computed as asked is found, and only
// its author is refused for it.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Weights } from '../../model/config.ts';
import { createIdentity, type Identity } from '../../protocol/identity.ts';
import { createNativeRuntime } from '../../tensor/native-runtime.ts';
import { type ReusingRuntime, reusingRuntime } from '../../tensor/testing/reusing-runtime.ts';
import { createWasmRuntime } from '../../tensor/wasm-runtime.ts';
import { HEADER_BYTES } from '../../training/shards.ts';
import { decodeUpdate, encodeUpdate, type SparseTensor } from '../../training/sparse.ts';
import type { Claim, Device, Judging, Verdict } from '../game.ts';
import { game } from '../pipeline.ts';
import { merged, type PipelineExample, pipelineExample, sourceOf, type Worker } from '../testing/example-pipeline.ts';
import { deskOf } from './desk.ts';
import type { Shown } from './kept.ts';
import { type Leaving, lyingRuntime, sending } from './lying-runtime.ts';
import { decodeMessage, encodeMessage, handedStatement, hashOfPayload, type PipelineMessage } from './messages.ts';
import { stagePlans } from './params.ts';
import { decodeStageWork, encodeStageWork } from './work.ts';

// Time for everything, also where ten programs share a core: who shall be out of time is given less.
const WHOLE: Judging = {
  ...{ runtime: 'native-cpu', repeat_permille: 1000, looks: true, place: 0, time_ms: 600_000 },
  earlier: async () => [],
};

let example: PipelineExample;
let native: ReusingRuntime;
let wasm: ReusingRuntime;
let weights: Weights;
before(async () => {
  native = reusingRuntime(await createNativeRuntime({ threads: 1 }));
  wasm = reusingRuntime(await createWasmRuntime({ threads: 1 }));
  example = await pipelineExample({}, { on: native });
});
after(async () => {
  await native.close();
  await wasm.close();
});
beforeEach(() => {
  // Each device loads its stage, and no test needs those of another.
  native.reclaim();
  wasm.reclaim();
  example.air.stages.clear();
  example.air.passes = () => true;
  weights = example.first;
});

interface Played {
  readonly worker: Worker;
  readonly claim: Claim;
  readonly number: number;
  readonly last: string | null;
  readonly weights: Weights;
}

const taskOf = ({ worker, number, last, weights: state }: Omit<Played, 'claim'>) =>
  game.task(example.params, example.round(number, worker.stage, last), worker.id, sourceOf(state));

/** All of these work in a round, on the weights of the round or on others of their own. */
async function play(workers: readonly Worker[], own: ReadonlyMap<Worker, Weights> = new Map(), number = 0) {
  const played = (worker: Worker) => ({ worker, number, last: null, weights });
  return Promise.all(
    workers.map(async (worker): Promise<Played> => {
      const task = taskOf({ ...played(worker), weights: own.get(worker) ?? weights });
      const claim = await game.perform(task, worker.device, new AbortController().signal);
      return { ...played(worker), claim: claim! };
    }),
  );
}

const judge = (played: Played, judging: Partial<Judging> = {}, device: Device = example.worker(null).device) =>
  game.check(taskOf(played), played.claim, device, { ...WHOLE, ...judging });

const said = ({ code, fraud }: Verdict): string => (fraud ? `${code}, fraud` : code);
const repeated = ({ evidence }: Verdict) => evidence.repeated as Record<string, number>;
const onWasm = (worker: Worker): Worker => ({ ...worker, device: { ...worker.device, runtime: wasm } });
type Change = (leaving: Leaving, values: Float32Array) => Float32Array;
const lying = (worker: Worker, change: Change): Worker => ({
  ...worker,
  device: { ...worker.device, runtime: lyingRuntime(worker.device.runtime, sending(change)) },
});
const three = (): Worker[] => [0, 1, 2].map((stage) => example.worker(stage));

describe('honest work', () => {
  test('is the same to the bit on the same runtime, whole, in part and where nothing is repeated', async () => {
    const played = await play(three());
    for (const [stage, one] of played.entries()) {
      const whole = await judge(one);
      assert.equal(said(whole), 'ok');
      assert.equal(whole.weight, one.claim.amount);
      const entries = decodeStageWork(one.claim.work).transcript.length;
      const outputs = 10 * (stage === 1 ? 2 : 1);
      const { same, agreed, update } = repeated(whole);
      assert.deepEqual([repeated(whole).entries, same, agreed, update], [entries, outputs, outputs, 0]);
      const half = await judge(one, { repeat_permille: 500 });
      assert.equal(said(half), 'ok');
      assert.deepEqual([repeated(half).entries, repeated(half).update], [Math.ceil(entries / 2), undefined]);
      const none = await judge(one, { repeat_permille: 0 });
      assert.deepEqual([said(none), none.evidence.repeated], ['ok', undefined]);
      assert.ok(JSON.stringify(whole.evidence).length < 2000);
    }
  });

  test('is within the bounds on another runtime, and exact on WASM', async () => {
    const [first, middle, last] = three();
    const played = await play([first, onWasm(middle), last]);
    for (const one of played) {
      const runtime = one.worker === played[1].worker ? 'wasm' : 'native-cpu';
      const onOther = example.worker(null).device;
      const verdict = await judge(
        one,
        { runtime },
        { ...onOther, runtime: runtime === 'wasm' ? onOther.runtime : wasm },
      );
      assert.equal(said(verdict), 'ok');
      const { compared, apart, update } = repeated(verdict);
      assert.ok(compared >= 10 && apart > 0 && apart < 1e-4 && update < 0.01, JSON.stringify(verdict.evidence));
    }
    const exact = await judge(played[1], { runtime: 'wasm' }, onWasm(example.worker(null)).device);
    assert.deepEqual([said(exact), repeated(exact).same, repeated(exact).update], ['ok', 20, 0]);
  });

  test('that goes on from the last round is repeated by who has followed it, and by others from the state that it shows', async () => {
    const follower = example.worker(null).device;
    const { first, next } = await twoRounds(follower);
    const whole = await judge(next, {}, follower);
    assert.deepEqual([said(whole), repeated(whole).update], ['ok', 0]);
    const stranger = await judge(next);
    assert.deepEqual([said(stranger), repeated(stranger).update], ['ok', 0]);
    // A state that no merged work has left is nobody's.
    assert.equal(said(await judge({ ...next, last: null }, {}, follower)), 'unknown-start');
    assert.deepEqual(decodeStageWork(next.claim.work).start, decodeStageWork(first.claim.work).end);
  });

  test('from a state that is not shown is refused, but nobody is accused; one too large to be shown is judged until its first step', async () => {
    const hideState = async (next: Played): Promise<void> => {
      const channel = next.worker.device.channel!;
      const { send } = channel;
      Object.assign(channel, {
        send: (to: string, encoded: Uint8Array, signal?: AbortSignal) => {
          const message = decodeMessage(encoded);
          const { kind, seed } = message;
          const isState = kind === 'shown-carried';
          return send(to, isState ? encodeMessage({ kind, seed, ask: message.ask }) : encoded, signal);
        },
      });
    };
    const { next } = await twoRounds(example.worker(null).device);
    await hideState(next);
    assert.equal(said(await judge(next)), 'state-withheld');
    const small = example;
    const model = { ...small.params.model, hidden_size: 128, intermediate_size: 256 };
    example = await pipelineExample({ model, inner_steps: 2 }, { on: native });
    weights = example.first;
    try {
      const { next: large } = await twoRounds(example.worker(null).device);
      await hideState(large);
      const verdict = await judge(large, { time_ms: 10_000 });
      const { transcript } = decodeStageWork(large.claim.work);
      const until = transcript.findIndex(({ kind }) => kind === 'step');
      assert.deepEqual([said(verdict), repeated(verdict).entries, repeated(verdict).update], ['ok', until, undefined]);
    } finally {
      example = small;
    }
  });

  test('of a device that shows nothing is judged by what its neighbours have; without them nobody is accused', async () => {
    const played = await play(three());
    const silent = played[1].worker;
    silent.device.channel!.listen(async () => {});
    const verdict = await judge(played[1], { time_ms: 4000 });
    assert.deepEqual([said(verdict), repeated(verdict).same], ['ok', 20]);
    example.air.stages.clear();
    assert.equal(said(await judge(played[1], { time_ms: 4000 })), 'inputs-withheld');
  });

  test('of many micro-batches is shown piece by piece', async () => {
    const many = await pipelineExample({ inner_steps: 20 }, { on: native });
    const workers = [0, 1, 2].map((stage) => many.worker(stage));
    const task = (worker: Worker) =>
      game.task(many.params, many.round(0, worker.stage), worker.id, sourceOf(many.first));
    const running = new AbortController().signal;
    const claims = await Promise.all(workers.map((worker) => game.perform(task(worker), worker.device, running)));
    const verdict = await game.check(task(workers[1]), claims[1]!, many.worker(null).device, WHOLE);
    const { entries, same, agreed } = repeated(verdict);
    assert.deepEqual([said(verdict), entries, same, agreed], ['ok', 100, 80, 80]);
  });

  test('is not judged from the log alone, where nobody can be asked', async () => {
    const [one] = await play(three());
    const { channel: _, ...device } = example.worker(null).device;
    assert.equal(said(await judge(one, {}, device)), 'inputs-not-kept');
  });
});

/** The middle stage's work of two rounds; a judge has repeated the first. */
async function twoRounds(follower: Device): Promise<{ readonly first: Played; readonly next: Played }> {
  const workers = three();
  const first = await play(workers);
  assert.equal(said(await judge(first[1], {}, follower)), 'ok');
  const claims = first.map(({ claim }) => claim);
  weights = merged(example.params, weights, claims);
  const next = await playOn(workers, example.bundleOf(claims));
  return { first: first[1], next: next[1] };
}

async function playOn(workers: readonly Worker[], last: string): Promise<Played[]> {
  return Promise.all(
    workers.map(async (worker): Promise<Played> => {
      const of = { worker, number: 1, last, weights };
      const claim = await game.perform(taskOf(of), worker.device, new AbortController().signal);
      return { ...of, claim: claim! };
    }),
  );
}

describe('what was not computed as asked', () => {
  const random = (values: Float32Array) => values.map((_, i) => Math.sin(i * 12.9898) * 0.5);
  const only =
    (which: 'sent' | 'returned', change: (values: Float32Array) => Float32Array): Change =>
    (leaving, values) =>
      leaving === which ? change(values) : values;
  const lies: readonly (readonly [string, number, Change])[] = [
    ['random activations of the first stage', 0, only('sent', random)],
    ['random activations', 1, only('sent', random)],
    ['zero activations', 1, only('sent', (values) => values.map(() => 0))],
    ['no way back: random gradients', 1, only('returned', random)],
    ['no way back in the last stage', 2, only('returned', random)],
    ['gradients of the wrong sign', 1, only('returned', (values) => values.map((value) => -value))],
    ['gradients of the wrong sign in the last stage', 2, only('returned', (values) => values.map((value) => -value))],
    ['gradients of the wrong scale', 2, only('returned', (values) => values.map((value) => value * 1.1))],
  ];
  for (const [name, stage, lie] of lies) {
    test(`is fraud, and its neighbours are accepted: ${name}`, async () => {
      const workers = three();
      workers[stage] = lying(workers[stage], lie);
      const played = await play(workers);
      for (const [i, one] of played.entries()) {
        const expected = i === stage ? 'other-outputs, fraud' : 'ok';
        for (const repeat_permille of [500, 1000]) {
          assert.equal(said(await judge(one, { repeat_permille })), expected, `stage ${i}, ${repeat_permille}`);
        }
        const onOther = { ...example.worker(null).device, runtime: wasm };
        assert.equal(said(await judge(one, {}, onOther)), expected, `stage ${i}, on another runtime`);
      }
    });
  }

  test('is fraud where it is the stage of an earlier round', async () => {
    const [before] = await Promise.all([play(three())]);
    example.air.stages.clear();
    const stale = weights;
    weights = merged(
      example.params,
      weights,
      before.map(({ claim }) => claim),
    );
    const workers = three();
    const played = await play(workers, new Map([[workers[1], stale]]), 3);
    assert.deepEqual(await Promise.all(played.map(async (one) => said(await judge(one)))), [
      'ok',
      'other-outputs, fraud',
      'ok',
    ]);
    assert.equal(said(await judge(played[1], { repeat_permille: 100 })), 'other-outputs, fraud');
  });

  /** A device that reads another text than the run's: its shards backwards. */
  function misreading(worker: Worker): Worker {
    const { fetchBlob } = worker.device;
    const turned = async (hash: string): Promise<Uint8Array> => {
      const blob = await fetchBlob(hash);
      if (hash === example.params.dataset) return blob;
      const shard = blob.slice();
      new Uint16Array(shard.buffer, HEADER_BYTES).reverse();
      return shard;
    };
    return { ...worker, device: { ...worker.device, fetchBlob: turned } };
  }

  test('is fraud of all who vouch for another text than the round gives its maker', async () => {
    const played = await play(three().map(misreading));
    assert.deepEqual(await Promise.all(played.map(async (one) => said(await judge(one)))), [
      'other-outputs, fraud',
      'another-text, fraud',
      'another-text, fraud',
    ]);
  });

  test('is not taken of a maker that learns from other text: nobody else is refused for it', async () => {
    const [honest, middle, last] = three();
    const maker = misreading(example.worker(0));
    const stop = new AbortController();
    const perform = async (worker: Worker): Promise<Claim> => {
      const claim = await game.perform(taskOf({ worker, number: 0, last: null, weights }), worker.device, stop.signal);
      if (worker === honest) stop.abort(); // the others would wait until the maker gives up
      return claim!;
    };
    const workers = [honest, middle, last, maker];
    const claims = await Promise.all(workers.map(perform));
    assert.deepEqual(
      claims.map(({ numbers }) => numbers.micro_batches),
      [10, 10, 10, 0],
    );
    const verdicts = workers.map((worker, i) => judge({ worker, number: 0, last: null, weights, claim: claims[i] }));
    assert.deepEqual((await Promise.all(verdicts)).map(said), ['ok', 'ok', 'ok', 'other-outputs, fraud']);
  });

  test('is fraud of who has done something else with the tokens, though all else is as it should be', async () => {
    const [first, middle, last] = three();
    const channel = middle.device.channel!;
    const { seed } = example.round(0, 1);
    const work = (played: Played) => decodeStageWork(played.claim.work);
    const played = await play([first, middle, last]);
    const entries = work(played[1]).transcript;
    const at = entries.findIndex(({ kind }) => kind === 'forward');
    const entry = entries[at];
    assert.ok(entry.kind === 'forward');
    const question = { seed, payloads: true, time_ms: 5000 };
    const wanted = { kind: 'activations', by: middle.id, ...entry.of, hash: entry.went } as const;
    const [shown] = await deskOf(example.worker(null).device).ask(middle.id, { ...question, wanted: [wanted] });
    const other = shown!.payload!.with(0, shown!.payload![0] ^ 1);
    const hash = hashOfPayload(other);
    const transcript = entries.with(at, { ...entry, went: hash });
    const { send } = channel;
    Object.assign(channel, {
      send: (to: string, encoded: Uint8Array, signal?: AbortSignal) => {
        const message = decodeMessage(encoded);
        const was = { hash, signature: new Uint8Array(64), payload: other };
        const isAsked = message.kind === 'shown' && !message.was;
        return send(to, isAsked ? encodeMessage({ ...message, was }) : encoded, signal);
      },
    });
    const lie = encodeStageWork({ ...work(played[1]), transcript });
    const verdict = await judge({ ...played[1], claim: { ...played[1].claim, work: lie } });
    assert.equal(said(verdict), 'handed-on-another');
    example.air.stages.delete(last.id);
    assert.equal(said(await judge({ ...played[1], claim: { ...played[1].claim, work: lie } })), 'other-outputs, fraud');
  });

  test('is fraud on WASM to the last bit', async () => {
    const workers = three();
    const middle = onWasm(workers[1]);
    workers[1] = lying(
      middle,
      only('sent', (values) => values.with(3, values[3] * (1 + 2 ** -22))),
    );
    const played = await play(workers);
    const on = onWasm(example.worker(null)).device;
    assert.equal(said(await judge(played[1], { runtime: 'wasm' }, on)), 'other-outputs, fraud');
    assert.equal(said(await judge(played[1], { runtime: 'native-cpu' }, on)), 'ok');
  });

  test('is fraud where the update is another one, and only a whole repetition finds it', async () => {
    const played = await play(three());
    for (const one of played) {
      const lie = { ...one, claim: edited(one, (values) => values.map((value) => (value === 0 ? 0 : -value))) };
      assert.equal(said(await judge(lie, { repeat_permille: 900 })), 'ok');
      assert.equal(said(await judge(lie)), 'other-update, fraud');
    }
  });

  test('is fraud where the loss is another one', async () => {
    const [, , one] = await play(three());
    const work = decodeStageWork(one.claim.work);
    const transcript = work.transcript.map((entry) =>
      entry.kind === 'learn' ? { ...entry, loss_micro: entry.loss_micro - 100_000 } : entry,
    );
    const loss_micro = one.claim.numbers.loss_micro - 100_000;
    const claim = {
      ...one.claim,
      work: encodeStageWork({ ...work, transcript }),
      numbers: { ...one.claim.numbers, loss_micro },
    };
    assert.equal(said(await judge({ ...one, claim })), 'other-losses, fraud');
  });
});

const DIVERGING_PLAYS = 12;

describe('a run that diverges', () => {
  test('has honest work refused on another runtime, and nobody is accused but who lies', async () => {
    const calm = example;
    example = await pipelineExample({ learning_rate: 1, min_learning_rate: 1, inner_steps: 20 }, { on: native });
    weights = example.first;
    try {
      const on = () => ({ ...example.worker(null).device, runtime: wasm });
      // How far two runtimes part follows from the texts, which the workers' keys draw: one play in eight parts too little.
      let far = false;
      for (let i = 0; i < DIVERGING_PLAYS && !far; i++) {
        example.air.stages.clear();
        const honest = await Promise.all((await play(three())).map((one) => judge(one, {}, on())));
        assert.ok(
          honest.every(({ fraud }) => !fraud),
          honest.map(said).join(),
        );
        far = honest.some(({ evidence }) => {
          const refused = evidence.refused as { apart: number; limit: number } | undefined;
          return refused && refused.apart > 3 * refused.limit;
        });
      }
      assert.ok(far, 'none of them was as far away as a lie');
      example.air.stages.clear();
      const [first, middle, last] = three();
      const liar = lying(middle, (leaving, values) => (leaving === 'sent' ? values.map(() => 0) : values));
      const played = await play([first, liar, last]);
      assert.equal(said(await judge(played[1], {}, on())), 'other-outputs, fraud');
    } finally {
      example = calm;
    }
  });
});

/** The claim with other values in its update. */
function edited({ claim, worker }: Played, edit: (table: Float32Array) => Float32Array): Claim {
  const { specs } = stagePlans(example.params)[worker.stage];
  const work = decodeStageWork(claim.work);
  const lie = new Map<string, SparseTensor>();
  for (const [name, { indices, codes, table }] of decodeUpdate(specs, work.update, example.params.sparse)) {
    const changed = edit(table);
    lie.set(name, { indices, codes, table: changed });
  }
  return { ...claim, work: encodeStageWork({ ...work, update: encodeUpdate(specs, lie, example.params.sparse) }) };
}

describe('what was not handed on so', () => {
  /** A device that changes what it sends, with its own signature. */
  function rewriting(
    stage: number,
    change: (message: PipelineMessage) => Uint8Array | null,
    identity: Identity = createIdentity(),
  ): Worker {
    const worker = example.worker(stage, identity);
    const channel = worker.device.channel!;
    const { seed } = example.round(0, stage);
    const send: typeof channel.send = async (to, encoded, signal) => {
      const message = decodeMessage(encoded);
      const payload = change(message);
      if (!payload || (message.kind !== 'activations' && message.kind !== 'gradient')) {
        return channel.send(to, encoded, signal);
      }
      const { kind, origin, number } = message;
      const statement = handedStatement(kind, seed, stage, to, { origin, number }, hashOfPayload(payload));
      const signature = await channel.sign(statement);
      return channel.send(to, encodeMessage({ ...message, payload, signature }), signal);
    };
    return { ...worker, device: { ...worker.device, channel: { ...channel, send } } };
  }
  const scaled = (payload: Uint8Array, by: number): Uint8Array => {
    const floats = new Float32Array(payload.slice().buffer);
    return new Uint8Array(floats.map((value) => value * by).buffer);
  };

  test('is found by what the neighbour has in hand, which names its author', async () => {
    const workers = three();
    const poison = rewriting(1, (message) => (message.kind === 'gradient' ? scaled(message.payload, -3) : null));
    example.air.stages.delete(workers[1].id);
    workers[1] = poison;
    const played = await play(workers);
    assert.deepEqual(await Promise.all(played.map(async (one) => said(await judge(one)))), [
      'ok',
      'handed-on-another',
      'ok',
    ]);
  });

  test('is fraud where the worker shows what is not what it has entered, or what its neighbour did not sign', async () => {
    const forgeries: readonly ((was: Shown) => Shown)[] = [
      ({ payload, ...was }) => ({ ...was, payload: payload?.map((byte, i) => (i === 100 ? byte ^ 1 : byte)) }),
      ({ signature, ...was }) => ({ ...was, signature: signature.map((byte, i) => (i === 10 ? byte ^ 1 : byte)) }),
    ];
    for (const forge of forgeries) {
      example.air.stages.clear();
      const [first, middle, last] = three();
      const channel = middle.device.channel!;
      const send: typeof channel.send = (to, encoded, signal) => {
        const message = decodeMessage(encoded);
        const isShown = message.kind === 'shown' && message.was;
        return channel.send(to, isShown ? encodeMessage({ ...message, was: forge(message.was!) }) : encoded, signal);
      };
      const forger = { ...middle, device: { ...middle.device, channel: { ...channel, send } } };
      const played = await play([first, forger, last]);
      assert.equal(said(await judge(played[1])), 'inputs-made-up, fraud');
      // What a neighbour shows accuses nobody but is of no use: the worker's own is there.
      assert.deepEqual([said(await judge(played[0])), said(await judge(played[2]))], ['ok', 'ok']);
    }
  });

  test('is not believed of a neighbour that says it without a signature', async () => {
    const [first, middle, last] = three();
    const channel = middle.device.channel!;
    const send: typeof channel.send = (to, encoded, signal) => {
      const message = decodeMessage(encoded);
      const isShown = message.kind === 'shown' && message.was;
      const was = { ...(isShown ? message.was! : { signature: new Uint8Array(64) }), hash: 'f'.repeat(64) };
      return channel.send(to, isShown ? encodeMessage({ ...message, was }) : encoded, signal);
    };
    const slanderer = { ...middle, device: { ...middle.device, channel: { ...channel, send } } };
    const played = await play([first, slanderer, last]);
    for (const one of [played[0], played[2]]) {
      const verdict = await judge(one);
      assert.deepEqual([said(verdict), repeated(verdict).agreed], ['ok', 0]);
    }
  });

  test('is refused where it is another’s: a replica’s work is shown by nobody as its own', async () => {
    const [replica, ...others] = [1, 0, 1, 2].map((stage) => example.worker(stage));
    const played = await play([replica, ...others]);
    const [of, , own] = played;
    const copy: Played = { ...own, claim: of.claim };
    assert.equal(said(await judge(copy, { time_ms: 4000 })), 'inputs-withheld');
    assert.equal(said(await judge(copy, { repeat_permille: 0, earlier: async () => [of.claim.work] })), 'copied');
    assert.equal(said(await judge(own, { earlier: async () => [of.claim.work] })), 'ok');
  });

  test('does not pass because the next stage is of the same owner: each is judged by what others have signed', async () => {
    const zero = (_: string, values: Float32Array) => values.map(() => 0);
    const [first, second, third] = three();
    const played = await play([first, lying(second, zero), lying(third, zero)]);
    assert.deepEqual(await Promise.all(played.map(async (one) => said(await judge(one)))), [
      'ok',
      'other-outputs, fraud',
      'other-outputs, fraud',
    ]);
  });
});
