// Sessions between devices: only the two ends can make one, and a frame that was changed, repeated, left out or moved is none.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createIdentity } from './identity.ts';
import {
  answerRelaySession,
  type Ends,
  HELLO_BYTES,
  openRelaySession,
  SEAL_BYTES,
  type Sealing,
} from './relay-seal.ts';

const [ALICE, BOB, EVE] = [createIdentity(), createIdentity(), createIdentity()];
const RUN = 'a'.repeat(64);
const ENDS: Ends = { run: RUN, from: ALICE.id, to: BOB.id };
const words = (text: string): Uint8Array => new TextEncoder().encode(text);
const isCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

async function session(): Promise<{ seal: Sealing; open: Sealing }> {
  const opening = await openRelaySession(ALICE, ENDS);
  const { reply, open } = await answerRelaySession(BOB, ENDS, opening.hello);
  return { seal: opening.accept(reply), open };
}

describe('a session between two devices', () => {
  test('carries frames in order, also empty ones, that are not to be read on the way', async () => {
    const { seal, open } = await session();
    // So long that its bytes do not stand in a sealed frame by chance.
    for (const text of ['a word or two', '', 'a word or two']) {
      const frame = seal(words(text));
      assert.equal(frame.length, text.length + SEAL_BYTES);
      assert.ok(text === '' || !Buffer.from(frame).includes(text));
      assert.deepEqual(open(frame), words(text));
    }
  });

  test('takes no frame twice, none out of order, none after one that was left out, none that was changed', async () => {
    for (const harm of [
      (frames: Uint8Array[]) => [frames[0], frames[0]],
      (frames: Uint8Array[]) => [frames[1], frames[0]],
      (frames: Uint8Array[]) => [frames[0], frames[2]],
      (frames: Uint8Array[]) => [frames[0], frames[1].map((byte, i) => (i === 0 ? byte ^ 1 : byte))],
      (frames: Uint8Array[]) => [frames[0], frames[1].subarray(1)],
      (frames: Uint8Array[]) => [frames[0], new Uint8Array()],
    ]) {
      const { seal, open } = await session();
      const given = harm(['a', 'b', 'c'].map((text) => seal(words(text))));
      assert.throws(() => given.forEach(open), isCode('bad-seal'));
    }
  });

  test('has keys of its own each time: what was recorded opens nowhere else', async () => {
    const [one, other] = [await session(), await session()];
    assert.throws(() => other.open(one.seal(words('again'))), isCode('bad-seal'));
    const opening = await openRelaySession(ALICE, ENDS);
    const first = await answerRelaySession(BOB, ENDS, opening.hello);
    const second = await answerRelaySession(BOB, ENDS, opening.hello);
    const seal = opening.accept(first.reply);
    assert.throws(() => second.open(seal(words('x'))), isCode('bad-seal'));
  });
});

describe('nobody else', () => {
  const refused = (hello: Uint8Array, ends: Ends = ENDS) =>
    assert.rejects(answerRelaySession(BOB, ends, hello), isCode('bad-signature'));

  test('begins one in the name of a device', async () => {
    const { hello } = await openRelaySession(EVE, { ...ENDS, from: EVE.id });
    await refused(hello);
    await refused(new Uint8Array(HELLO_BYTES));
    await refused(hello.subarray(1));
    await refused(new Uint8Array());
  });

  test('uses a beginning for another run, another direction or another receiver', async () => {
    const { hello } = await openRelaySession(ALICE, ENDS);
    await refused(hello, { ...ENDS, run: 'b'.repeat(64) });
    await refused(hello, { ...ENDS, to: EVE.id });
    await refused(hello, { ...ENDS, from: BOB.id, to: ALICE.id });
  });

  test('answers for a device, or with an answer to another beginning', async () => {
    const opening = await openRelaySession(ALICE, ENDS);
    const other = await openRelaySession(ALICE, ENDS);
    const forged = await answerRelaySession(EVE, ENDS, opening.hello);
    const old = await answerRelaySession(BOB, ENDS, other.hello);
    assert.throws(() => opening.accept(forged.reply), isCode('bad-signature'));
    assert.throws(() => opening.accept(old.reply), isCode('bad-signature'));
  });

  test('makes a device agree on a key that everybody knows', async () => {
    // The beginning is signed rightly, but its point has small order.
    const point = new Uint8Array(32);
    const label = words('potluck-relay-v1\0');
    const signed = Buffer.concat([label, ...[RUN, ALICE.id, BOB.id].map((id) => Buffer.from(id, 'hex')), point]);
    await refused(new Uint8Array(Buffer.concat([point, await ALICE.sign(new Uint8Array(signed))])));
  });
});
