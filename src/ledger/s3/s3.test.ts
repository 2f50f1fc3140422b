// S3 against the double: the suites of every S3, then a store that fails, one that is unfit, and what must not be sent.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { seededRandom } from '../../protocol/random.ts';
import { EMPTY_JOURNAL } from '../journal.ts';
import { openObjectJournal } from '../object-journal.ts';
import { allOf } from '../testing/blob-store-compliance.ts';
import { type S3Double, type S3Faults, startS3Double } from '../testing/s3-double.ts';
import { s3Suites } from '../testing/s3-suites.ts';
import { openS3BlobStore } from './blob-store.ts';
import { checkBucket } from './check-bucket.ts';
import { openS3, type S3Options } from './client.ts';
import { s3Files, s3Objects } from './objects.ts';

let double: S3Double;
let folder: string;
const random = seededRandom('an S3 that fails', 0);
before(async () => {
  double = await startS3Double(() => random.below(1e6) / 1e6);
  folder = await mkdtemp(join(tmpdir(), 'potluck-s3-'));
});
after(async () => {
  await double.stop();
  await rm(folder, { recursive: true, force: true });
});

const optionsOf = ({ url, bucket, access_key_id, secret_access_key }: S3Double): S3Options => ({
  ...{ url: `${url}/${bucket}`, access_key_id, secret_access_key },
});
s3Suites('double', () => ({ options: optionsOf(double), folder }));

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** The double fails so for one test; waits take no time. */
const failing = async <T>(faults: Partial<S3Faults>, step: () => Promise<T>): Promise<T> => {
  const usual = { ...double.faults };
  Object.assign(double.faults, faults);
  try {
    return await step();
  } finally {
    Object.assign(double.faults, usual);
  }
};

test('a store that refuses a fifth of all requests and loses answers: everything is done, once', async () => {
  const s3 = openS3({ ...optionsOf(double), wait: soon });
  await failing({ busy_percent: 20, lost_percent: 15, conflict_percent: 20 }, async () => {
    const files = s3Files(s3);
    for (let i = 0; i < 60; i++) {
      const bytes = Uint8Array.of(i, 1);
      await s3.put(`fail/put-${i}`, bytes);
      assert.deepEqual(await s3.get(`fail/put-${i}`), bytes);
      await files.create(`fail/file-${i}`, bytes);
      await s3.delete(`fail/put-${i}`);
    }
  });
  assert.equal([...double.objects.keys()].filter((key) => key.startsWith('fail/file-')).length, 60);
  assert.equal([...double.objects.keys()].filter((key) => key.startsWith('fail/put-')).length, 0);
});

test('a store that refuses everything: each call ends, says so, and nothing is said to be done', async () => {
  const s3 = openS3({ ...optionsOf(double), wait: soon });
  const { size } = double.objects;
  await failing({ busy_percent: 100 }, async () => {
    const journal = openObjectJournal(s3Objects(s3), { wait: soon });
    const batch = { ...EMPTY_JOURNAL, entries: [Uint8Array.of(1)] };
    await assert.rejects(journal.append(batch), {
      code: 'write-failed',
      message: /no answer .* got 503 SlowDown to PUT/,
    });
    await assert.rejects(s3.put('x', Uint8Array.of(1)), { code: 's3-busy' });
    await assert.rejects(s3.get('x'), { code: 's3-busy' });
    await assert.rejects(allOf(s3.list('')), { code: 's3-busy' });
    await assert.rejects(s3Files(s3).replace('x', Uint8Array.of(1), 1), { code: 'write-failed' });
    await assert.rejects(s3Files(s3).get('x'), { code: 'read-failed' });
    const blobs = await openS3BlobStore(s3, { staging: join(folder, 'refused') });
    await assert.rejects(blobs.put(Uint8Array.of(1)), { code: 'store-busy' });
  });
  assert.equal(double.objects.size, size);
});

test('a slow store is waited for; a silent one is not', async () => {
  const patient = openS3({ ...optionsOf(double), silence_ms: 2_000 });
  const hasty = openS3({ ...optionsOf(double), silence_ms: 50, wait: soon });
  await failing({ slow_ms: 300 }, async () => {
    await patient.put('slow', Uint8Array.of(1));
    assert.deepEqual(await patient.get('slow'), Uint8Array.of(1));
    await assert.rejects(hasty.get('slow'), { code: 's3-unreachable', message: /silent for 0.05 s/ });
  });
});

test('what a store that is unfit does is found by the check', async () => {
  const s3 = openS3(optionsOf(double));
  await failing({ unfit: 'conditions' }, () =>
    assert.rejects(checkBucket(s3), { code: 's3-unfit', message: /no conditional writes/ }),
  );
  const loose = await failing({ unfit: 'hash' }, () => checkBucket(s3));
  assert.equal(loose.checks_hash, false);
  assert.match(loose.lines[1], /expected wrong bytes under a signed hash to be refused/);
  const other = await startS3Double();
  other.faults.unfit = 'cors';
  other.faults.ahead_ms = 120_000;
  const { cors, ahead_ms, lines } = await checkBucket(openS3(optionsOf(other)));
  assert.equal(cors, false);
  assert.ok(Math.abs(ahead_ms! - 120_000) < 5_000);
  assert.match(lines[2], /tabs cannot take part/);
  assert.match(lines[3], /its clock is 1\d\d s ahead/);
  await other.stop();
});

test('bytes that are not those of the name are never read as a blob', async () => {
  const blobs = await openS3BlobStore(openS3(optionsOf(double)), { staging: join(folder, 'damaged') });
  const hash = await blobs.put(new Uint8Array(200_000));
  double.objects.get(`blobs/${hash}`)!.bytes[150_000] ^= 1;
  await assert.rejects(blobs.get(hash), { code: 'blob-corrupt' });
  await assert.rejects(allOf((await blobs.stream(hash))!), { code: 'blob-corrupt' });
  await blobs.put(new Uint8Array(200_000));
  assert.equal((await blobs.get(hash))!.length, 200_000);
});

test('a large blob goes up in parts and comes back; what was staged is gone', async () => {
  const staging = join(folder, 'large');
  const blobs = await openS3BlobStore(openS3(optionsOf(double)), { staging, parts_above_bytes: 17 << 20 });
  const draft = blobs.draft();
  const piece = new Uint8Array(1 << 20);
  for (let i = 0; i < 18; i++) await draft.write(piece.fill(i));
  const { hash } = draft;
  assert.deepEqual(await draft.keep(), { known: false });
  assert.deepEqual(await readdir(staging), []);
  assert.equal(await blobs.sizeOf(hash), 18 << 20);
  let bytes = 0;
  for await (const part of (await blobs.stream(hash))!) bytes += part.length;
  assert.equal(bytes, 18 << 20, 'and its hash was checked on the way');
  assert.ok(await blobs.delete(hash));
});
