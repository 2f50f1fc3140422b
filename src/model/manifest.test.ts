// A signed folder: whatever is changed, taken away or added is named, and the signature is one that other tools can check.
import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { createIdentity } from '../protocol/identity.ts';
import { ModelError, type ModelErrorCode } from './errors.ts';
import { MANIFEST_FILE, openManifest, signFolder, verifyFolder } from './manifest.ts';

const signer = createIdentity();

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'potluck-manifest-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'sub'));
  mkdirSync(join(dir, '.git'));
  writeFileSync(join(dir, 'config.json'), '{}');
  writeFileSync(join(dir, 'sub', 'weights.bin'), new Uint8Array(100_000).fill(7));
  writeFileSync(join(dir, 'Ä b.txt'), '');
  writeFileSync(join(dir, '.git', 'HEAD'), 'left out');
  return dir;
}

async function refused(code: ModelErrorCode, dir: string, expected: object = {}): Promise<void> {
  await assert.rejects(verifyFolder(dir), (error) => {
    assert.ok(error instanceof ModelError && error.code === code, String(error));
    for (const [field, value] of Object.entries(expected)) assert.deepEqual(error.details[field], value);
    return true;
  });
}

test('an untouched folder is what was signed, wherever it is moved', async (t) => {
  const dir = folder(t);
  await signFolder(dir, signer);
  const { files, signer: found } = await verifyFolder(dir);
  assert.equal(found, signer.id);
  assert.deepEqual([...files.keys()], ['config.json', 'sub/weights.bin', 'Ä b.txt']);
  const moved = `${dir}-moved`;
  t.after(() => rmSync(moved, { recursive: true, force: true }));
  renameSync(dir, moved);
  await verifyFolder(moved);
});

test('changed, missing and added files are named', async (t) => {
  const dir = folder(t);
  await signFolder(dir, signer);
  writeFileSync(join(dir, 'config.json'), '{ }');
  rmSync(join(dir, 'Ä b.txt'));
  writeFileSync(join(dir, 'sub', 'more.bin'), 'x');
  await refused('changed-files', dir, { changed: ['config.json'], missing: ['Ä b.txt'], added: ['sub/more.bin'] });
  rmSync(join(dir, MANIFEST_FILE));
  await refused('missing-file', dir);
});

test('links are neither signed nor followed, and an empty folder is no model', async (t) => {
  const dir = folder(t);
  symlinkSync('/', join(dir, 'link'));
  await assert.rejects(
    signFolder(dir, signer),
    (error) => error instanceof ModelError && error.code === 'bad-manifest',
  );
  const empty = join(dir, '.git', 'empty');
  mkdirSync(empty);
  await assert.rejects(
    signFolder(empty, signer),
    (error) => error instanceof ModelError && error.code === 'bad-manifest',
  );
});

test('the bundle is DSSE around an in-toto statement, and plain crypto verifies it', async (t) => {
  const dir = folder(t);
  await signFolder(dir, signer);
  const bundle = JSON.parse(readFileSync(join(dir, MANIFEST_FILE), 'utf8'));
  const { payload, payloadType, signatures } = bundle.dsseEnvelope;
  const bytes = Buffer.from(payload, 'base64');
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(signer.id, 'hex')]);
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  const signed = Buffer.concat([Buffer.from(`DSSEv1 28 application/vnd.in-toto+json ${bytes.length} `), bytes]);
  assert.equal(payloadType, 'application/vnd.in-toto+json');
  assert.ok(verify(null, signed, key, Buffer.from(signatures[0].sig, 'base64')));
  const pem = key.export({ format: 'pem', type: 'spki' });
  assert.equal(bundle.verificationMaterial.publicKey.hint, createHash('sha256').update(pem).digest('hex'));
  const statement = JSON.parse(bytes.toString());
  assert.equal(statement.predicateType, 'https://model_signing/signature/v1.0');
  assert.deepEqual(
    statement.predicate.resources.map(({ name, digest }: { name: string; digest: string }) => [name, digest]),
    ['config.json', 'sub/weights.bin', 'Ä b.txt'].map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(dir, name)))
        .digest('hex'),
    ]),
  );
});

test('a manifest with any character changed is refused, or says the same', async (t) => {
  const dir = folder(t);
  await signFolder(dir, signer);
  const text = readFileSync(join(dir, MANIFEST_FILE), 'utf8');
  const whole = openManifest(text);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom('a', 'B', '0', '"', ' ', '{', '='), (at, character) => {
      try {
        const changed = openManifest(text.slice(0, at) + character + text.slice(at + 1));
        assert.deepEqual(changed, whole);
      } catch (error) {
        assert.ok(error instanceof ModelError, String(error));
      }
    }),
    { numRuns: 400 },
  );
  // Another key, with its own fingerprint, signs nothing by being named.
  const other = createIdentity().id;
  assert.throws(
    () => openManifest(text.replace(signer.id, other)),
    (error) => error instanceof ModelError && error.code === 'bad-signature',
  );
});
