// The identity file: made once, kept private, never overwritten, and every way it can be wrong is a typed error that hides the secret.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { bytesToHex } from '@noble/hashes/utils.js';
import { ProtocolError, type ProtocolErrorCode } from './errors.ts';
import { generateSecret, identityFromSecret } from './identity.ts';
import {
  createIdentityFile,
  idInFile,
  loadOrCreateIdentity,
  readIdentitySecret,
  relockIdentityFile,
} from './identity-file.ts';
import { passphrasesFrom } from './passphrase-source.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'potluck-identity-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const rejectsWith = (step: Promise<unknown>, code: ProtocolErrorCode) =>
  assert.rejects(step, (error) => {
    assert.ok(error instanceof ProtocolError, String(error));
    assert.equal(error.code, code);
    return true;
  });

test('made on first use, in a folder that may not exist yet, and the same ever after', async () => {
  const path = join(folder, 'new', 'folder', 'identity.json');
  const first = await loadOrCreateIdentity(path);
  assert.equal((await loadOrCreateIdentity(path)).id, first.id);
  if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(folder, 'new', 'folder')), ['identity.json'], 'nothing else may be left behind');
});

test('many first uses at once, also from other processes, give one identity', async () => {
  const path = join(folder, 'race.json');
  const module = JSON.stringify(join(import.meta.dirname, 'identity-file.ts'));
  const script = `import(${module}).then((m) => m.loadOrCreateIdentity(${JSON.stringify(path)})).then((i) => console.log(i.id))`;
  const elsewhere = [1, 2, 3].map(async () =>
    (await promisify(execFile)(process.execPath, ['-e', script])).stdout.trim(),
  );
  const here = Array.from({ length: 8 }, async () => (await loadOrCreateIdentity(path)).id);
  const ids = new Set(await Promise.all([...elsewhere, ...here]));
  assert.equal(ids.size, 1, [...ids].join(' '));
});

test('an imported secret comes out again, and never replaces one that is there', async () => {
  const path = join(folder, 'imported.json');
  const secret = generateSecret();
  assert.equal(await createIdentityFile(path, secret), true);
  assert.equal(await createIdentityFile(path, generateSecret()), false);
  assert.deepEqual(await readIdentitySecret(path), secret);
  assert.equal((await loadOrCreateIdentity(path)).id, identityFromSecret(secret).id);
});

test('a file that others may read is refused', { skip: process.platform === 'win32' }, async () => {
  const path = join(folder, 'loose.json');
  await loadOrCreateIdentity(path);
  for (const mode of [0o640, 0o604, 0o660, 0o601]) {
    await chmod(path, mode);
    await rejectsWith(loadOrCreateIdentity(path), 'identity-file-permissions');
  }
  await chmod(path, 0o600);
  await loadOrCreateIdentity(path);
  const other = join(folder, 'letter.txt');
  await writeFile(other, 'no key at all', { mode: 0o644 });
  await rejectsWith(readIdentitySecret(other), 'identity-file-corrupt');
});

test('a damaged file is a typed error that does not quote the secret, and is left as it is', async () => {
  const path = join(folder, 'damaged.json');
  const secret = generateSecret();
  await createIdentityFile(path, secret);
  const intact = await readFile(path, 'utf8');
  const otherId = identityFromSecret(generateSecret()).id;
  const damaged = [
    '',
    intact.slice(0, 150),
    intact.replace('{', '['),
    intact.replace('v1', 'v2'),
    intact.replace(bytesToHex(secret), bytesToHex(secret).slice(1)),
    intact.replace(identityFromSecret(secret).id, otherId),
    JSON.stringify({ ...JSON.parse(intact), extra: 1 }),
    'null',
    'x'.repeat(5000),
  ];
  for (const text of damaged) {
    await writeFile(path, text);
    await assert.rejects(loadOrCreateIdentity(path), (error) => {
      assert.ok(error instanceof ProtocolError, String(error));
      assert.equal(error.code, 'identity-file-corrupt', text);
      assert.ok(!error.message.includes(bytesToHex(secret).slice(1, 20)), 'the message quotes the secret');
      return true;
    });
    assert.equal(await readFile(path, 'utf8'), text);
  }
});

test('a path that cannot be used', async () => {
  const file = join(folder, 'a-file');
  await writeFile(file, '');
  await rejectsWith(loadOrCreateIdentity(join(file, 'identity.json')), 'identity-file-unreadable');
  await assert.rejects(readIdentitySecret(join(folder, 'none')), /no key is kept at .*none$/);
  const directory = join(folder, 'a-directory');
  await mkdir(directory, { mode: 0o700 });
  await rejectsWith(loadOrCreateIdentity(directory), 'identity-file-unreadable');
});

const CHEAP = { n: 16, r: 8, p: 1 };
const asking = (answer: string | null): void => passphrasesFrom(async () => answer);

test('under a passphrase the file holds no secret, and opens for who knows it', async (t) => {
  t.after(() => asking(null));
  const path = join(folder, 'locked.key');
  const { id } = await loadOrCreateIdentity(path);
  const secret = await readIdentitySecret(path);
  assert.equal((await relockIdentityFile(path, 'correct horse', CHEAP)).id, id);
  const text = await readFile(path, 'utf8');
  assert.ok(!text.includes(bytesToHex(secret)));
  if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600);
  await rejectsWith(readIdentitySecret(path), 'identity-locked');
  assert.deepEqual([await idInFile(path), await idInFile(`${path}.none`)], [id, null]);
  asking('correct  horse');
  await rejectsWith(readIdentitySecret(path), 'wrong-passphrase');
  asking('correct horse');
  assert.deepEqual(await readIdentitySecret(path), secret);
  assert.equal((await loadOrCreateIdentity(path)).id, id, 'it is not made anew');

  await relockIdentityFile(path, 'another', CHEAP);
  await rejectsWith(readIdentitySecret(path), 'wrong-passphrase');
  asking('another');
  await relockIdentityFile(path, null);
  asking(null);
  assert.deepEqual(await readIdentitySecret(path), secret);
  const left = (await readdir(folder)).filter((name) => name.startsWith('.identity-'));
  assert.deepEqual(left, [], 'nothing else is left behind');
});

test('a locked file that was changed opens for nobody, and none can ask for more work than this build gives', async (t) => {
  t.after(() => asking(null));
  asking('correct horse');
  const path = join(folder, 'changed.key');
  const { id } = await loadOrCreateIdentity(path);
  await relockIdentityFile(path, 'correct horse', CHEAP);
  const file = JSON.parse(await readFile(path, 'utf8'));
  const other = identityFromSecret(generateSecret()).id;
  const flipped = (file.sealed.startsWith('0') ? '1' : '0') + file.sealed.slice(1);
  for (const change of [{ sealed: flipped }, { id: other }, { salt: '00'.repeat(16) }, { nonce: '00'.repeat(12) }]) {
    await writeFile(path, JSON.stringify({ ...file, ...change }));
    await rejectsWith(readIdentitySecret(path), 'wrong-passphrase');
  }
  for (const change of [{ n: 1 << 30 }, { r: 1024 }, { p: 64 }, { kdf: 'none' }, { secret: '00'.repeat(32) }]) {
    await writeFile(path, JSON.stringify({ ...file, ...change }));
    await rejectsWith(readIdentitySecret(path), 'identity-file-corrupt');
  }
  assert.equal(file.id, id);
});
