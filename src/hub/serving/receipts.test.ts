// The collector of receipts: nothing that was taken is lost by a kill at any point, nothing is settled twice, nobody spends what is not there.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openProven } from '../../core/serving/batch.ts';
import { creditLeft, earnedBy } from '../../core/serving/credit.ts';
import { LedgerError } from '../../ledger/errors.ts';
import { createMemoryLogStore } from '../../ledger/testing/memory-log.ts';
import { type AnswerReceipt, RECEIPT_MINUTE_MS, signClaim } from '../../protocol/answer-receipt.ts';
import { signEvent } from '../../protocol/envelope.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { bindingOf, exampleClaim, hashOf, person, type ReceiptWishes } from '../../protocol/testing/example-receipt.ts';
import { type HandClock, handClock } from '../../protocol/testing/hand-clock.ts';
import { openSequencer, type Sequencer } from '../sequencer.ts';
import { openReceipts, RECEIPT_LIMITS, type Receipts, type ReceiptsOptions, type Terms } from './receipts.ts';

const [hub, device, owner, stranger] = [1, 2, 3, 4].map(person);
const CALLER = hashOf('caller');
const TERMS: Terms = { caller: CALLER, run: null, holders_micro: 0, gateway_micro: 30 };

let folder: string;
let log: ReturnType<typeof createMemoryLogStore>;
let blobs: Map<string, Uint8Array>;
let clock: HandClock;
let sequencer: Sequencer;
let receipts: Receipts;
let problems: unknown[];
let requests = 0;

const grant = (account: string, amount_micro: number, number = 0) =>
  sequencer.write({ type: 'credit.granted', version: 1, account, number, amount_micro });

const open = (more: Partial<ReceiptsOptions> = {}): Promise<Receipts> =>
  openReceipts({
    ...{ path: join(folder, 'receipts.sqlite'), identity: hub, sequencer, log, clock },
    blobs: {
      async put(bytes) {
        blobs.set(sha256Hex(bytes), bytes);
        return sha256Hex(bytes);
      },
      get: async (hash) => blobs.get(hash) ?? null,
    },
    onProblem: (error) => problems.push(error),
    ...more,
  });

/** A claim of 70 by the owner's device. */
const claim = (more: ReceiptWishes = {}, by = device, gateway = hub.id): Promise<Uint8Array> =>
  signClaim(by, exampleClaim(gateway, { request: hashOf(`request ${requests++}`), ...more }));
const add = async (more: ReceiptWishes = {}): Promise<AnswerReceipt> => receipts.add(await claim(more), TERMS);

/** The owner's device is bound, and the caller has 1000 micro-credits. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'potluck-answers-'));
  log = createMemoryLogStore();
  blobs = new Map();
  clock = handClock();
  problems = [];
  sequencer = openSequencer(log, hub);
  await sequencer.submit(await bindingOf(owner, device));
  await sequencer.write({ type: 'tick', version: 1, time_ms: 5 * RECEIPT_MINUTE_MS + 12_345 });
  await grant(CALLER, 1000);
  receipts = await open();
});
afterEach(async () => {
  await receipts.close();
  rmSync(folder, { recursive: true, force: true });
  assert.deepEqual(problems, []);
});

describe('a receipt', () => {
  test('is signed to the minute, counted against the credit at once, and settled into the books', async () => {
    const receipt = await add();
    assert.equal(receipt.time_ms, 5 * RECEIPT_MINUTE_MS);
    assert.deepEqual([receipts.waiting, receipts.available(CALLER)], [1, 900]);
    assert.equal(creditLeft(sequencer.state, CALLER), 1000);
    await add();
    const body = (await receipts.settle())!;
    assert.deepEqual([body.receipts, body.charges, body.gateway_micro], [2, [[CALLER, 200]], 60]);
    assert.deepEqual([receipts.waiting, receipts.available(CALLER)], [0, 800]);
    assert.deepEqual([creditLeft(sequencer.state, CALLER), earnedBy(sequencer.state, owner.id)], [800, 140]);
    assert.equal(await receipts.settle(), null);
  });

  test('is of a claim for this hub, by a device that this log knows and whose owner vouches for it', async () => {
    await assert.rejects(receipts.add(await claim({}, stranger), TERMS), { code: 'unknown-device' });
    await assert.rejects(receipts.add(await claim({}, device, owner.id), TERMS), { code: 'wrong-sender' });
    await assert.rejects(receipts.add(new Uint8Array(9), TERMS), { code: 'malformed' });
    const changed = (await claim()).with(-1, 0xff);
    await assert.rejects(receipts.add(changed, TERMS), { code: 'bad-signature' });
    await assert.rejects(receipts.add(await claim(), { ...TERMS, run: hashOf('no run') }), { code: 'unknown-run' });
    await sequencer.submit(await signEvent(owner, { type: 'device.revoked', version: 1, device: device.id }));
    await assert.rejects(add(), { code: 'unknown-device' });
    assert.equal(receipts.waiting, 0);
  });

  test('is taken once: not while it is signed, not while it waits, not when it is settled, not after a start', async () => {
    const one = await claim();
    const [first, second] = await Promise.allSettled([receipts.add(one, TERMS), receipts.add(one, TERMS)]);
    assert.equal(first.status, 'fulfilled');
    assert.equal((second as PromiseRejectedResult).reason.code, 'paid-already');
    await assert.rejects(receipts.add(one, TERMS), { code: 'paid-already' });
    // Another price for the same part of an answer is the same answer.
    const { request } = (first as PromiseFulfilledResult<AnswerReceipt>).value;
    await assert.rejects(add({ request, earns_micro: 1 }), { code: 'paid-already' });
    await receipts.settle();
    await assert.rejects(receipts.add(one, TERMS), { code: 'paid-already' });
    await receipts.close();
    receipts = await open();
    await assert.rejects(receipts.add(one, TERMS), { code: 'paid-already' });
    await add({ request, part: 1 });
  });

  test('by a device that the log has forgotten waits until it is known again, and holds up no other', async () => {
    const second = person(5);
    await sequencer.submit(await bindingOf(owner, second));
    await receipts.add(await claim({}, second), TERMS);
    await add();
    const known = sequencer.state.devices.get(second.id)!;
    sequencer.state.devices.delete(second.id);
    assert.deepEqual((await receipts.settle())!.earnings, [[device.id, 70]]);
    assert.deepEqual([receipts.waiting, receipts.available(CALLER)], [1, 800]);
    sequencer.state.devices.set(second.id, known);
    assert.deepEqual((await receipts.settle())!.earnings, [[second.id, 70]]);
  });

  test('is proven when it is settled, and not before', async () => {
    const [one, two] = [await add(), await add()];
    assert.equal(await receipts.prove(two), null);
    const body = (await receipts.settle())!;
    for (const receipt of [one, two]) {
      const { bytes, index, proof, entry } = (await receipts.prove(receipt))!;
      assert.deepEqual(openProven(body, bytes, index, proof), receipt);
      assert.equal(entry, log.size - 1);
    }
    assert.equal(await receipts.prove({ request: hashOf('never'), part: 0 }), null);
  });
});

describe('credit', () => {
  test('is never spent twice, however many answers are in the making', async () => {
    assert.equal(receipts.reserve(CALLER, 1001), null);
    const most = receipts.reserve(CALLER, 901)!;
    await assert.rejects(add(), { code: 'no-credit' });
    assert.ok(most.hold(0));
    const held = receipts.reserve(CALLER, 950)!;
    assert.equal(receipts.available(CALLER), 50);
    assert.equal(receipts.reserve(CALLER, 51), null);
    await assert.rejects(add(), { code: 'no-credit' });
    await receipts.add(await claim(), TERMS, held);
    assert.deepEqual([held.held_micro, receipts.available(CALLER)], [850, 50]);
    assert.equal(held.hold(901), false);
    assert.deepEqual([held.hold(900), held.held_micro, receipts.available(CALLER)], [true, 900, 0]);
    assert.ok(held.hold(0));
    assert.equal(receipts.available(CALLER), 900);
    // Beyond what is held, only what nobody else holds can be spent.
    const little = receipts.reserve(CALLER, 50)!;
    const others = receipts.reserve(CALLER, 840)!;
    await assert.rejects(receipts.add(await claim(), TERMS, little), { code: 'no-credit' });
    others.hold(0);
    assert.equal(receipts.available(CALLER), 900);
    assert.equal(receipts.reserve(hashOf('nobody'), 1), null);
  });

  test('that answers under way need is there for none of them twice, also when they end at once', async () => {
    const claims = await Promise.all(Array.from({ length: 12 }, () => claim()));
    const ended = await Promise.allSettled(claims.map((one) => receipts.add(one, TERMS)));
    assert.equal(ended.filter(({ status }) => status === 'fulfilled').length, 10);
    assert.equal(receipts.available(CALLER), 0);
    await receipts.settle();
    assert.equal(creditLeft(sequencer.state, CALLER), 0);
  });
});

test('while a batch is written its charges are not counted twice, so that an answer that ends then is paid', async () => {
  await receipts.close();
  const seen: number[] = [];
  const slow: ReceiptsOptions['sequencer'] = {
    state: sequencer.state,
    async write(body) {
      seen.push(receipts.available(CALLER));
      const written = await sequencer.write(body);
      // The state has the batch, and nothing has noted it yet.
      seen.push(receipts.available(CALLER));
      await add({ earns_micro: 270 });
      seen.push(receipts.available(CALLER));
      return written;
    },
  };
  receipts = await open({ sequencer: slow });
  await add({ earns_micro: 570 });
  await receipts.settle();
  assert.deepEqual([...seen, receipts.available(CALLER)], [400, 400, 100, 100]);
  assert.deepEqual([receipts.waiting, creditLeft(sequencer.state, CALLER)], [1, 400]);
});

describe('a kill', () => {
  /** As if the process had ended: nothing is closed, and everything is opened anew from what is on the disk. */
  const restart = async (): Promise<void> => {
    sequencer = openSequencer(log, hub);
    receipts = await open();
  };

  test('between taking and settling loses nothing', async () => {
    await add();
    await add();
    await restart();
    assert.deepEqual([receipts.waiting, receipts.available(CALLER)], [2, 800]);
    assert.equal((await receipts.settle())!.receipts, 2);
    assert.equal(earnedBy(sequencer.state, owner.id), 140);
  });

  test('after the blob and before the event settles later, once', async () => {
    await receipts.close();
    const state = sequencer.state;
    const dying = { state, write: () => Promise.reject(new LedgerError('write-failed', 'the process is gone')) };
    receipts = await open({ sequencer: dying });
    await add();
    await assert.rejects(receipts.settle(), { code: 'write-failed' });
    assert.deepEqual([blobs.size, receipts.waiting], [1, 1]);
    await restart();
    await receipts.settle();
    assert.deepEqual([sequencer.state.paid.batches, receipts.waiting], [1, 0]);
    assert.equal(creditLeft(sequencer.state, CALLER), 900);
  });

  test('after the event and before it is noted settles nothing a second time', async () => {
    await receipts.close();
    const { state } = sequencer;
    const dying: ReceiptsOptions['sequencer'] = {
      state,
      async write(body) {
        await sequencer.write(body);
        throw new LedgerError('write-failed', 'the process is gone');
      },
    };
    receipts = await open({ sequencer: dying });
    const settled = await add();
    await assert.rejects(receipts.settle(), { code: 'write-failed' });
    await restart();
    assert.deepEqual([receipts.waiting, receipts.available(CALLER)], [0, 900]);
    assert.equal(await receipts.settle(), null);
    assert.equal((await receipts.prove(settled))!.entry, log.size - 1);
    await assert.rejects(add({ request: settled.request }), { code: 'paid-already' });
  });

  test('of the file: what an older copy of it calls waiting and the log has settled is not settled again', async () => {
    await add();
    await receipts.settle();
    await add();
    await receipts.settle();
    await receipts.close();
    rmSync(folder, { recursive: true });
    folder = mkdtempSync(join(tmpdir(), 'potluck-answers-'));
    receipts = await open();
    assert.equal(await receipts.settle(), null);
    assert.equal(receipts.available(CALLER), 800);
    await add();
    assert.equal((await receipts.settle())!.number, 2);
    // Without the batch's receipts nobody knows which were settled: then nothing is settled at all.
    await receipts.close();
    rmSync(folder, { recursive: true });
    folder = mkdtempSync(join(tmpdir(), 'potluck-answers-'));
    const kept = blobs;
    blobs = new Map();
    await assert.rejects(open(), { code: 'bad-folder', message: /receipts of batch 0/ });
    blobs = kept;
    receipts = await open();
  });

  test('a file that knows more batches than the log is of another folder', async () => {
    await add();
    await receipts.settle();
    await receipts.close();
    const before = sequencer;
    sequencer = openSequencer(createMemoryLogStore(), hub);
    await assert.rejects(open(), { code: 'bad-folder', message: /1 batches, the log has 0/ });
    sequencer = before;
    receipts = await open();
  });
});

describe('batches', () => {
  test('come by themselves when enough wait, and after a while', async () => {
    await receipts.close();
    receipts = await open({ limits: { batch_receipts: 2 } });
    await add();
    assert.equal(sequencer.state.paid.batches, 0);
    await add();
    // A settle that is asked for now comes after the one under way.
    await receipts.settle();
    assert.deepEqual([sequencer.state.paid.batches, sequencer.state.paid.answers], [1, 2]);
    await add();
    clock.move(RECEIPT_LIMITS.batch_ms);
    await receipts.settle();
    assert.deepEqual([sequencer.state.paid.batches, sequencer.state.paid.answers], [2, 3]);
    await add();
    clock.move(RECEIPT_LIMITS.batch_ms);
    await receipts.settle();
    assert.equal(sequencer.state.paid.batches, 3);
  });

  test('that are asked for at once come one after the other, and none is of what another has', async () => {
    for (let i = 0; i < 5; i++) await add();
    const settled = await Promise.all([receipts.settle(), receipts.settle(), receipts.settle()]);
    assert.deepEqual(
      settled.map((body) => body?.receipts),
      [5, undefined, undefined],
    );
  });
});
