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
import { createIdentityFile, loadOrCreateIdentity, readIdentitySecret } from './identity-file.ts';

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
  const directory = join(folder, 'a-directory');
  await mkdir(directory, { mode: 0o700 });
  await rejectsWith(loadOrCreateIdentity(directory), 'identity-file-unreadable');
});
