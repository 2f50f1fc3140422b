// Signed notes, checkpoints and cosignatures: Go's published note, the specification's form, and every way to be misled by one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '../protocol/hash.ts';
import { identityFromSecret, verifySignature } from '../protocol/identity.ts';
import { cosignCheckpoint, openCheckpoint, signCheckpoint, verifyCosignature } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import {
  fromBase64,
  NOTE_COSIGNATURE_V1,
  NOTE_ED25519,
  noteKeyId,
  parseNote,
  parseVerifierKey,
  signaturesBy,
  toBase64,
  verifierKey,
} from './signed-note.ts';
import { isEquivocation } from './testing/equivocation.ts';
import { throwsWith } from './testing/log-store-compliance.ts';

const hub = identityFromSecret(new Uint8Array(32).fill(1));
const mallory = identityFromSecret(new Uint8Array(32).fill(2));
const witness = identityFromSecret(new Uint8Array(32).fill(3));
const ORIGIN = 'example.com/log';
const ROOT = sha256(Uint8Array.of(42));
const CHECKPOINT = { origin: ORIGIN, size: 20852163, root: ROOT };
const LOG = { id: hub.id, origin: ORIGIN };
const WITNESS = { name: 'witness.example.com/w1', id: witness.id };

test("the note and keys of the reference implementation (golang.org/x/mod/sumdb/note's tests)", async () => {
  const secret = fromBase64('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz')!;
  const peter = identityFromSecret(secret.slice(1));
  const key = { name: 'PeterNeumann', id: peter.id };
  const vkey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
  assert.equal(verifierKey(key, NOTE_ED25519), vkey);
  assert.deepEqual(parseVerifierKey(vkey), { key, type: NOTE_ED25519 });
  for (const wrong of [
    '',
    vkey.replace('c74', 'c75'),
    vkey.replace('Peter', 'Petra'),
    vkey.slice(0, -4),
    vkey.replace('+AR', '+AS'),
  ]) {
    assert.throws(() => parseVerifierKey(wrong), { code: 'malformed' }, wrong);
  }
  const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
  const line =
    '\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
  const note = parseNote(`${text}\n${line}`);
  assert.equal(note.text, text);
  const [found] = signaturesBy(note, key, NOTE_ED25519);
  assert.ok(verifySignature(key.id, new TextEncoder().encode(text), found.signature));
  assert.deepEqual(await peter.sign(new TextEncoder().encode(text)), found.signature);
});

test('the form of a signed checkpoint, byte by byte', async () => {
  const note = await signCheckpoint(hub, CHECKPOINT);
  const text = `${ORIGIN}\n20852163\n${Buffer.from(ROOT).toString('base64')}\n`;
  const keyId = sha256(Buffer.from(`${ORIGIN}\n\x01`), Buffer.from(hub.id, 'hex')).subarray(0, 4);
  const signature = Buffer.concat([keyId, await hub.sign(Buffer.from(text))]).toString('base64');
  assert.equal(note, `${text}\n\u2014 ${ORIGIN} ${signature}\n`);
  assert.deepEqual(openCheckpoint(note, LOG), CHECKPOINT);
  assert.deepEqual(openCheckpoint(note, { id: hub.id }), CHECKPOINT);
  const empty = { ...CHECKPOINT, size: 0 };
  assert.deepEqual(openCheckpoint(await signCheckpoint(hub, empty), LOG), empty);
});

test('the form of a cosignature, byte by byte', async () => {
  const note = await signCheckpoint(hub, CHECKPOINT);
  const cosigned = await cosignCheckpoint(witness, WITNESS.name, note, 1679315147);
  const { text } = parseNote(note);
  const keyId = sha256(Buffer.from(`${WITNESS.name}\n\x04`), Buffer.from(witness.id, 'hex')).subarray(0, 4);
  const time = Buffer.from('0000000064184f0b'.replace('64184f0b', (1679315147).toString(16)), 'hex');
  const signature = await witness.sign(Buffer.from(`cosignature/v1\ntime 1679315147\n${text}`));
  assert.equal(
    cosigned,
    `${note}\u2014 ${WITNESS.name} ${Buffer.concat([keyId, time, signature]).toString('base64')}\n`,
  );
  assert.deepEqual(verifyCosignature(cosigned, WITNESS), { checkpoint: CHECKPOINT, time_s: 1679315147 });
  assert.deepEqual(openCheckpoint(cosigned, LOG), CHECKPOINT, "a witness's line does not disturb the log's");
  const later = await cosignCheckpoint(witness, WITNESS.name, cosigned, 1679315148);
  assert.equal(verifyCosignature(later, WITNESS).time_s, 1679315148, 'the latest counts');
});

test('who signed is who is asked for, and nobody else', async () => {
  const note = await signCheckpoint(hub, CHECKPOINT);
  throwsWith(() => openCheckpoint(note, { id: mallory.id, origin: ORIGIN }), 'bad-signature');
  throwsWith(() => openCheckpoint(note, { id: hub.id, origin: 'example.com/other' }), 'bad-signature');
  throwsWith(() => verifyCosignature(note, WITNESS), 'bad-signature');
  // Signed by another under the log's name: another key id, so as good as unsigned.
  throwsWith(() => openCheckpoint('x', LOG), 'malformed');
  const forged = await signCheckpoint(mallory, CHECKPOINT);
  throwsWith(() => openCheckpoint(forged, LOG), 'bad-signature');
  // The right key id before another's signature.
  const { text, signatures } = parseNote(forged);
  const disguised = toBase64(
    Uint8Array.from([...noteKeyId({ name: ORIGIN, id: hub.id }, NOTE_ED25519), ...signatures[0].signature]),
  );
  throwsWith(() => openCheckpoint(`${text}\n\u2014 ${ORIGIN} ${disguised}\n`, LOG), 'bad-signature');
  // One true and one false line in the same name: the note is refused.
  throwsWith(() => openCheckpoint(`${note}\u2014 ${ORIGIN} ${disguised}\n`, LOG), 'bad-signature');
  // Lines by unknown keys are ignored.
  assert.deepEqual(openCheckpoint(`${note}${forged.slice(forged.indexOf('\u2014'))}`, LOG), CHECKPOINT);
});

test("a log's signature is no cosignature, and the reverse", async () => {
  const note = await signCheckpoint(witness, { ...CHECKPOINT, origin: WITNESS.name });
  throwsWith(() => verifyCosignature(note, WITNESS), 'bad-signature');
  const { text } = parseNote(note);
  const [line] = parseNote(note).signatures;
  const keyId = noteKeyId(WITNESS, NOTE_COSIGNATURE_V1);
  const relabelled = toBase64(Uint8Array.from([...keyId, ...new Uint8Array(8), ...line.signature]));
  throwsWith(() => verifyCosignature(`${text}\n\u2014 ${WITNESS.name} ${relabelled}\n`, WITNESS), 'bad-signature');
  const short = toBase64(Uint8Array.from([...keyId, ...line.signature]));
  throwsWith(() => verifyCosignature(`${text}\n\u2014 ${WITNESS.name} ${short}\n`, WITNESS), 'bad-signature');
  await assert.rejects(signCheckpoint(hub, { ...CHECKPOINT, origin: 'cosignature/v1' }), { code: 'malformed' });
});

test('checkpoints that cannot be signed or read', async () => {
  for (const bad of [
    { origin: '' },
    { origin: 'two words' },
    { origin: 'a+b' },
    { origin: 'a\nb' },
    { origin: 'a\u00a0b' },
  ]) {
    await assert.rejects(signCheckpoint(hub, { ...CHECKPOINT, ...bad }), { code: 'malformed' });
  }
  for (const bad of [{ size: -1 }, { size: 0.5 }, { size: 2 ** 53 }, { root: ROOT.subarray(1) }]) {
    await assert.rejects(signCheckpoint(hub, { ...CHECKPOINT, ...bad }), { code: 'malformed' });
  }
  const signed = async (text: string) => {
    const signature = await hub.sign(Buffer.from(text));
    const line = toBase64(Uint8Array.from([...noteKeyId({ name: ORIGIN, id: hub.id }, NOTE_ED25519), ...signature]));
    return `${text}\n\u2014 ${ORIGIN} ${line}\n`;
  };
  const root = toBase64(ROOT);
  const good = await signed(`${ORIGIN}\n7\n${root}\nan extension\nanother\n`);
  assert.equal(openCheckpoint(good, LOG).size, 7);
  for (const text of [
    `${ORIGIN}\n07\n${root}\n`,
    `${ORIGIN}\n+7\n${root}\n`,
    `${ORIGIN}\n-7\n${root}\n`,
    `${ORIGIN}\n7.0\n${root}\n`,
    `${ORIGIN}\n9007199254740992\n${root}\n`,
    `${ORIGIN}\n7\n${root.slice(0, -1)}\n`,
    `${ORIGIN}\n7\n${root.slice(0, -4)}\n`,
    `${ORIGIN}\n7\n${root.replace(/.=$/, (end) => (end === 'B=' ? 'C=' : 'B='))}\n`,
    `${ORIGIN}\n7\n`,
    `${ORIGIN}\n`,
    `\n7\n${root}\n`,
    `${ORIGIN}\n7\n${root}\n\nafter an empty line\n`,
  ]) {
    throwsWith(() => openCheckpoint(`${text}\n`, LOG), 'malformed');
    const note = await signed(text);
    throwsWith(() => openCheckpoint(note, LOG), 'malformed');
  }
});

test('no change of a single character survives', async () => {
  const note = await cosignCheckpoint(witness, WITNESS.name, await signCheckpoint(hub, CHECKPOINT), 5);
  fc.assert(
    fc.property(
      fc.nat(note.length - 1),
      fc.constantFrom('A', '0', '\n', ' ', '=', '\0', '\u2014', '\ud800', ''),
      (at, char) => {
        if (note[at] === char) return;
        const changed = note.slice(0, at) + char + note.slice(at + 1);
        for (const open of [() => openCheckpoint(changed, LOG), () => verifyCosignature(changed, WITNESS)]) {
          try {
            open();
            // A change in the other's line: then this one's is untouched and the text is the same.
            assert.equal(parseNote(changed).text, parseNote(note).text);
          } catch (error) {
            assert.ok(error instanceof LedgerError, String(error));
          }
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

test('arbitrary text is refused with a typed error; so are oversized notes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      throwsWith(() => openCheckpoint(text, LOG), 'malformed');
    }),
  );
  throwsWith(() => parseNote(`${'x'.repeat(200_000)}\n\n\u2014 a AAAAAAAA\n`), 'malformed');
  assert.equal(parseNote(`x\n\n${'\u2014 a AAAAAAAA\n'.repeat(64)}`).signatures.length, 64);
  throwsWith(() => parseNote(`x\n\n${'\u2014 a AAAAAAAA\n'.repeat(65)}`), 'malformed');
});

test('two histories of one size, both signed, are proof against the log', async () => {
  const note = await signCheckpoint(hub, CHECKPOINT);
  const other = await signCheckpoint(hub, { ...CHECKPOINT, root: sha256(ROOT) });
  assert.equal(isEquivocation(note, other, LOG), true);
  assert.equal(isEquivocation(note, note, LOG), false);
  assert.equal(isEquivocation(note, await signCheckpoint(hub, { ...CHECKPOINT, size: 5 }), LOG), false);
  const forged = await signCheckpoint(mallory, { ...CHECKPOINT, root: sha256(ROOT) });
  throwsWith(() => isEquivocation(note, forged, LOG), 'bad-signature');
});
