// Receipts of answers: what was signed comes out again, and nothing else is one, whoever changed what.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ANSWER_RECEIPT_LIMITS,
  answerHash,
  openClaim,
  openReceipt,
  RECEIPT_MINUTE_MS,
  signClaim,
  signReceipt,
} from './answer-receipt.ts';
import { type EventBody, openEvent, signEvent } from './envelope.ts';
import { ProtocolError } from './errors.ts';
import { exampleClaim, exampleReceipt, hashOf, person, type ReceiptWishes } from './testing/example-receipt.ts';

const [device, gateway, other] = [1, 2, 3].map(person);
const OUTER = { caller: hashOf('caller'), run: hashOf('run'), holders_micro: 10, gateway_micro: 20, time_ms: 0 };

test('a receipt says what device and gateway have signed, and what the caller pays', async () => {
  const time_ms = 7 * RECEIPT_MINUTE_MS;
  const receipt = await exampleReceipt(device, gateway, { time_ms, part: 2 });
  assert.deepEqual(
    [receipt.device, receipt.gateway, receipt.charge_micro, receipt.part, receipt.time_ms],
    [device.id, gateway.id, 100, 2, time_ms],
  );
  assert.deepEqual(openReceipt(receipt.bytes), receipt);
  assert.ok(receipt.bytes.length < ANSWER_RECEIPT_LIMITS.bytes / 2);
  // The device's word names neither the caller nor what it pays.
  const claim = openClaim(await signClaim(device, exampleClaim(gateway.id)));
  assert.equal('caller' in claim || 'gateway_micro' in claim, false);
});

test('the same words give the same bytes', async () => {
  const [one, two] = await Promise.all([exampleReceipt(device, gateway), exampleReceipt(device, gateway)]);
  assert.deepEqual(one.bytes, two.bytes);
});

test('a gateway signs only claims that are for it, and nobody opens another', async () => {
  const elsewhere = await signClaim(device, exampleClaim(other.id));
  await assert.rejects(signReceipt(gateway, { claim: elsewhere, ...OUTER }), { code: 'wrong-sender' });
  // Whoever signs around a claim for another gateway, for instance to be paid twice.
  const body = { type: 'answer.receipt', version: 1, claim: elsewhere, ...OUTER } as EventBody;
  const forged = await signEvent(gateway, body);
  assert.throws(() => openReceipt(forged), { code: 'wrong-sender' });
});

test('a claim that its device has not signed is none', async () => {
  const claim = await signClaim(device, exampleClaim(gateway.id));
  const changed = claim.slice();
  changed[changed.length - 1] ^= 1;
  await assert.rejects(signReceipt(gateway, { claim: changed, ...OUTER }), { code: 'bad-signature' });
  const receipt = await signEvent(gateway, { type: 'answer.receipt', version: 1, claim: changed, ...OUTER });
  assert.throws(() => openReceipt(receipt), { code: 'bad-signature' });
  // Another signed body of the device does not pass for a claim.
  const letter = await signEvent(device, { type: 'answer.claimed', version: 1, gateway: gateway.id });
  assert.throws(() => openClaim(letter), { code: 'malformed' });
});

test('amounts are whole, in bounds, and a model without a run has no holders', async () => {
  const claim = await signClaim(device, exampleClaim(gateway.id));
  const refused = async (more: Partial<typeof OUTER> | { run: null }): Promise<void> => {
    const step = signReceipt(gateway, { claim, ...OUTER, ...more });
    await assert.rejects(step, (error) => error instanceof ProtocolError && error.code === 'malformed');
  };
  await refused({ holders_micro: -1 });
  await refused({ gateway_micro: 0.5 });
  await refused({ gateway_micro: ANSWER_RECEIPT_LIMITS.micro + 1 });
  await refused({ time_ms: 1 });
  await refused({ run: null });
  await signReceipt(gateway, { claim, ...OUTER, run: null, holders_micro: 0 });
  for (const bad of [{ earns_micro: -1 }, { output_tokens: 1.5 }, { part: 64 }, { quantisation: 'Q8' }, { model: 'x' }])
    await assert.rejects(async () => signClaim(device, exampleClaim(gateway.id, bad as ReceiptWishes)), {
      code: 'malformed',
    });
});

test('no byte of a receipt can be another', async () => {
  const { bytes } = await exampleReceipt(device, gateway);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = bytes.slice();
      changed[at] ^= change;
      assert.throws(() => openReceipt(changed), ProtocolError);
    }),
    { numRuns: 300 },
  );
  assert.throws(() => openReceipt(new Uint8Array(ANSWER_RECEIPT_LIMITS.bytes + 1)), { code: 'too-large' });
  assert.throws(() => openReceipt(openEvent(bytes).body.claim as Uint8Array), { code: 'malformed' });
});

test('the hash of an answer depends on its salt, its tokens and their order', () => {
  const [salt, another] = [new Uint8Array(32), new Uint8Array(32).fill(1)];
  const hashes = [
    answerHash(salt, [1, 2]),
    answerHash(salt, [2, 1]),
    answerHash(salt, [1]),
    answerHash(salt, [1, 2, 0]),
    answerHash(another, [1, 2]),
    answerHash(salt, [258]),
  ];
  assert.equal(new Set(hashes).size, hashes.length);
  assert.equal(answerHash(salt, Int32Array.of(1, 2)), hashes[0]);
  assert.throws(() => answerHash(new Uint8Array(31), [1]), { code: 'malformed' });
});
