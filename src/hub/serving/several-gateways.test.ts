// Receipts of several gateways of one hub: whatever answers of the log are lost, and however late each hears of the others, every receipt is settled once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeEvent } from '../../core/codec.ts';
import { receiptsIn } from '../../core/serving/batch.ts';
import { creditLeft, earnedBy } from '../../core/serving/credit.ts';
import { createMemoryBlobStore } from '../../ledger/blob-store.ts';
import { createMemoryLogStore } from '../../ledger/testing/memory-log.ts';
import { openReceipt, RECEIPT_MINUTE_MS, servedPart, signClaim } from '../../protocol/answer-receipt.ts';
import { bindingOf, exampleClaim, hashOf, person } from '../../protocol/testing/example-receipt.ts';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { HubError } from '../errors.ts';
import { openSequencer } from '../sequencer.ts';
import type { SettledEntry } from './noted-batches.ts';
import { openReceipts, type Receipts, type Terms } from './receipts.ts';

const [hub, device, owner] = [1, 2, 3].map(person);
const CALLER = hashOf('caller');
const TERMS: Terms = { caller: CALLER, run: null, holders_micro: 0, gateway_micro: 30 };
const CREDIT_MICRO = 100_000;

/** What becomes of a gateway's next batch on its way to the log. */
type Fate = 'well' | 'answer-lost' | 'never-came' | 'asked-twice';

/** Gateways do not hear of each other. */
let deaf = false;

interface Gateway {
  readonly receipts: Receipts;
  readonly fates: Fate[];
  /** Batches of the log that it has not heard of yet. */
  readonly late: SettledEntry[];
  hear(): void;
}

async function openHub() {
  const log = createMemoryLogStore();
  const blobs = createMemoryBlobStore();
  const sequencer = openSequencer(log, hub);
  await sequencer.submit(await bindingOf(owner, device));
  await sequencer.write({ type: 'tick', version: 1, time_ms: 5 * RECEIPT_MINUTE_MS });
  const granted = { type: 'credit.granted', version: 1, account: CALLER, amount_micro: CREDIT_MICRO } as const;
  await sequencer.write({ ...granted, number: 0 });
  const problems: unknown[] = [];
  const held: Map<string, number>[] = [];
  const gateway = async (): Promise<Gateway> => {
    const number = held.push(new Map()) - 1;
    const fates: Fate[] = [];
    const late: SettledEntry[] = [];
    let listener: (batch: SettledEntry) => void = () => {};
    sequencer.onEvent(({ body }, entry) => {
      if (body.type === 'answers.settled') late.push({ entry, body });
    });
    const receipts = await openReceipts({
      ...{ path: ':memory:', identity: hub, log, blobs, clock: handClock() },
      onProblem: (error) => problems.push(error),
      sequencer: {
        state: sequencer.state,
        async write(body) {
          const fate = fates.shift() ?? 'well';
          const lost = new HubError('no-leader', 'no answer');
          if (fate === 'never-came') throw lost;
          const written = await sequencer.write(body);
          if (fate === 'asked-twice') return sequencer.write(body);
          if (fate === 'answer-lost') throw lost;
          return written;
        },
      },
      others: {
        heldOf: (account) =>
          deaf ? 0 : held.reduce((sum, one, i) => sum + (i === number ? 0 : (one.get(account) ?? 0)), 0),
        holds: (account, micro) => void held[number].set(account, micro),
        onSettled: (to) => {
          listener = to;
        },
      },
    });
    const hear = (): void => {
      for (const one of late.splice(0)) listener(one);
    };
    return { receipts, fates, late, hear };
  };
  let requests = 0;
  const claim = (earns_micro = 70) =>
    signClaim(device, exampleClaim(hub.id, { request: hashOf(`request ${requests++}`), earns_micro }));
  /** How often each part of an answer is in a batch of the log. */
  const settled = async (): Promise<Map<string, number>> => {
    const times = new Map<string, number>();
    for (const bytes of log.read(0, log.size)) {
      const { body } = decodeEvent(bytes);
      if (body.type !== 'answers.settled') continue;
      for (const one of receiptsIn((await blobs.get(body.blob))!)) {
        const part = servedPart(openReceipt(one));
        times.set(part, (times.get(part) ?? 0) + 1);
      }
    }
    return times;
  };
  return { sequencer, gateway, claim, settled, problems };
}

/** Whatever is under way in memory comes to rest. */
const rest = async (): Promise<void> => {
  for (let n = 0; n < 10; n++) await new Promise((resolve) => setImmediate(resolve));
};
const quietly = (settling: Promise<unknown>): Promise<unknown> =>
  settling.catch((error) => assert.equal(error.code, 'no-leader'));

const fate = fc.constantFrom<Fate>('well', 'answer-lost', 'never-came', 'asked-twice');
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), who: fc.nat(1) }),
  fc.record({ kind: fc.constant('settle' as const), who: fc.nat(1), fate }),
  fc.record({ kind: fc.constant('both' as const), who: fc.nat(1), fate }),
  fc.record({ kind: fc.constant('hear' as const), who: fc.nat(1) }),
);

test('every receipt is in one batch, and none in two', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 16 }), async (steps) => {
      const { sequencer, gateway, claim, settled, problems } = await openHub();
      const gateways = [await gateway(), await gateway()];
      let added = 0;
      for (const one of steps) {
        const { receipts, fates, hear } = gateways[one.who];
        if (one.kind === 'add') {
          await receipts.add(await claim(), TERMS);
          added++;
        } else if (one.kind === 'hear') hear();
        else {
          fates.push(one.fate);
          const other = gateways[1 - one.who].receipts;
          await Promise.all([receipts, ...(one.kind === 'both' ? [other] : [])].map((of) => quietly(of.settle())));
          fates.length = 0;
        }
        await rest();
        for (const times of (await settled()).values()) assert.equal(times, 1);
      }
      for (let n = 0; n < 4; n++) {
        for (const { receipts, hear } of gateways) {
          hear();
          await rest();
          await receipts.settle();
          await rest();
        }
      }
      const times = await settled();
      assert.equal(times.size, added);
      assert.ok([...times.values()].every((one) => one === 1));
      assert.equal(earnedBy(sequencer.state, owner.id), 70 * added);
      const left_micro = CREDIT_MICRO - 100 * added;
      assert.equal(creditLeft(sequencer.state, CALLER), left_micro);
      for (const { receipts } of gateways) {
        assert.deepEqual([receipts.waiting, receipts.available(CALLER)], [0, left_micro]);
      }
      assert.deepEqual(
        problems.filter((error) => (error as HubError).code !== 'no-leader'),
        [],
      );
      for (const { receipts } of gateways) await receipts.close();
    }),
    { numRuns: 60 },
  );
});

test('what one gateway has settled the others can show', async () => {
  const { gateway, claim } = await openHub();
  const [one, two] = [await gateway(), await gateway()];
  const { request } = await one.receipts.add(await claim(), TERMS);
  await one.receipts.settle();
  assert.deepEqual(two.receipts.partsOf(request), []);
  two.hear();
  await rest();
  assert.deepEqual(two.receipts.partsOf(request), [{ part: 0, settled: true }]);
  assert.deepEqual(await two.receipts.prove({ request, part: 0 }), await one.receipts.prove({ request, part: 0 }));
});

test('credit that one gateway holds no other spends; where two have held the same at one moment, both devices have a receipt, and one waits for credit', async () => {
  const { sequencer, gateway, claim } = await openHub();
  const [one, two] = [await gateway(), await gateway()];
  const held = one.receipts.reserve(CALLER, 90_000)!;
  assert.equal(two.receipts.reserve(CALLER, 20_000), null);
  assert.equal(two.receipts.available(CALLER), 10_000);
  held.hold(0);
  // As if neither had heard of the other yet.
  const first = one.receipts.reserve(CALLER, 90_000)!;
  deaf = true;
  const second = two.receipts.reserve(CALLER, 90_000)!;
  deaf = false;
  assert.equal(second.hold(80_000), true, 'less may always be held');
  assert.equal(second.hold(85_000), false);
  await one.receipts.add(await claim(69_970), TERMS, first);
  await two.receipts.add(await claim(69_970), TERMS, second);
  await one.receipts.settle();
  two.hear();
  await rest();
  assert.deepEqual([await two.receipts.settle(), two.receipts.waiting], [null, 1]);
  const granted = { type: 'credit.granted', version: 1, account: CALLER, amount_micro: CREDIT_MICRO } as const;
  await sequencer.write({ ...granted, number: 1 });
  assert.equal((await two.receipts.settle())!.receipts, 1);
  assert.equal(creditLeft(sequencer.state, CALLER), 2 * CREDIT_MICRO - 2 * 70_000);
});
