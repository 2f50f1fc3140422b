// The suites that every S3 passes, the double and a real one: the client, blobs, public files, the check of a bucket, and the journal.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256Hex } from '../../protocol/hash.ts';
import { openObjectJournal } from '../object-journal.ts';
import { openS3BlobStore } from '../s3/blob-store.ts';
import { checkBucket } from '../s3/check-bucket.ts';
import { openS3, type S3, type S3Options } from '../s3/client.ts';
import { s3Files, s3Objects } from '../s3/objects.ts';
import { allOf, blobStoreCompliance } from './blob-store-compliance.ts';
import { journalCompliance } from './journal-compliance.ts';
import { publicFilesCompliance } from './public-files-compliance.ts';

/** A started store with a bucket, and a folder for what is staged. */
export interface SuiteS3 {
  readonly options: S3Options;
  readonly folder: string;
}

/** @param given is called in each test, after everything has started */
export function s3Suites(name: string, given: () => SuiteS3): void {
  let opened = 0;
  /** A part of the bucket that nothing else uses. */
  const fresh = (options: Partial<S3Options> = {}): S3 => {
    const base = given().options;
    return openS3({ ...base, url: `${base.url}/part-${opened++}`, ...options });
  };
  const stores = () =>
    openS3BlobStore(fresh(), { staging: join(given().folder, `staging-${opened}`), max_blob_bytes: 100_000 });

  blobStoreCompliance(`${name}: blobs`, stores);
  publicFilesCompliance(`${name}: public files`, async (place) => {
    const base = given().options;
    return s3Files(openS3({ ...base, url: `${base.url}/files-${place}` }));
  });
  test(`${name}: an object is put, read in parts, listed page by page and deleted`, async () => {
    const s3 = fresh();
    const bytes = randomBytes(100_000);
    await s3.put('a/b-c.d_e', bytes);
    assert.deepEqual(Buffer.from((await s3.get('a/b-c.d_e'))!), bytes);
    const part = async (from: number, to?: number) =>
      Buffer.concat(await allOf((await s3.stream('a/b-c.d_e', from, to))!));
    assert.deepEqual(await part(10, 90_000), bytes.subarray(10, 90_000));
    assert.deepEqual(await part(99_999), bytes.subarray(99_999));
    assert.equal((await part(100_000)).length, 0);
    assert.equal((await part(5, 5)).length, 0);
    assert.equal(await s3.get('a/b'), null);
    assert.equal(await s3.head('a/b'), null);
    assert.equal(await s3.stream('a/b'), null);
    const info = (await s3.head('a/b-c.d_e'))!;
    assert.equal(info.size_bytes, 100_000);
    assert.ok(Math.abs(info.modified_ms - Date.now()) < 60_000);
    await s3.delete('a/b-c.d_e');
    await s3.delete('a/b-c.d_e');
    assert.equal(await s3.get('a/b-c.d_e'), null);
  });

  test(`${name}: a list has more than one page, and nothing of others`, async () => {
    const s3 = fresh();
    const keys = Array.from({ length: 105 }, (_, i) => `l/${String(i).padStart(4, '0')}`);
    for (let at = 0; at < keys.length; at += 50)
      await Promise.all(keys.slice(at, at + 50).map((key) => s3.put(key, new Uint8Array(1))));
    await s3.put('m', new Uint8Array(1));
    assert.deepEqual(
      (await allOf(s3.list('l/', 50))).map(({ key }) => key),
      keys,
    );
    assert.deepEqual((await allOf(fresh().list(''))).length, 0);
  });

  test(`${name}: of eight who create one object one wins, and its bytes stay`, async () => {
    const s3 = fresh();
    for (let race = 0; race < 5; race++) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) => s3.create(`r${race}`, new Uint8Array(5_000).fill(i))),
      );
      assert.equal(answers.filter((answer) => answer === 'created').length, 1);
      assert.equal((await s3.get(`r${race}`))![0], answers.indexOf('created'));
      assert.equal(await s3.create(`r${race}`, new Uint8Array(1)), 'exists');
    }
  });

  test(`${name}: an upload with a presigned address is held against its hash, its size, its name and its time`, async () => {
    const s3 = fresh();
    const bytes = randomBytes(1_000);
    const hash = sha256Hex(bytes);
    const key = `blobs/${hash}`;
    const send = async (
      body: Uint8Array,
      { url, headers } = s3.presignPut(key, hash, bytes.length, 300),
    ): Promise<number> => {
      const answer = await fetch(url, {
        method: 'PUT',
        headers: { ...headers },
        body: body as Uint8Array<ArrayBuffer>,
      });
      await answer.arrayBuffer();
      return answer.status;
    };
    const refused = async (what: string, status: Promise<number>): Promise<void> => {
      assert.ok([400, 403].includes(await status), what);
      assert.equal(await s3.head(key), null, `${what}: nothing is kept`);
    };
    await refused('wrong bytes', send(randomBytes(1_000)));
    await refused('more bytes', send(Buffer.concat([bytes, bytes])));
    await refused('fewer bytes', send(bytes.subarray(1)));
    const honest = s3.presignPut(key, hash, bytes.length, 300);
    await refused('without the headers', send(bytes, { url: honest.url, headers: {} }));
    const other = randomBytes(1_000);
    const otherHash = sha256Hex(other);
    await refused(
      'another hash in the header',
      send(other, { url: honest.url, headers: { ...honest.headers, 'x-amz-content-sha256': otherHash } }),
    );
    await refused('under another name', send(bytes, { ...honest, url: honest.url.replace(hash, otherHash) }));
    assert.equal(await s3.head(`blobs/${otherHash}`), null);
    const old = fresh({ now_ms: () => Date.now() - 400_000 }).presignPut(key, hash, bytes.length, 300);
    assert.equal(await send(bytes, old), 403, 'expired');
    assert.equal(await send(bytes), 200);
    assert.equal(await send(bytes), 200, 'the same blob may be uploaded again');
    assert.deepEqual(Buffer.from((await s3.get(key))!), bytes);
    const answer = await fetch(s3.presignGet(key, 300), { headers: { range: 'bytes=1-2' } });
    assert.equal(answer.status, 206);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes.subarray(1, 3));
  });

  test(`${name}: an object in parts is there once all of it is; one that breaks off leaves nothing`, async () => {
    const s3 = fresh();
    const parts = [randomBytes(5 << 20), randomBytes(5 << 20), randomBytes(10)];
    await s3.putParts(
      'big',
      (async function* () {
        yield* parts;
      })(),
    );
    assert.deepEqual(Buffer.from((await s3.get('big'))!), Buffer.concat(parts));
    const broken = s3.putParts(
      'broken',
      (async function* () {
        yield parts[0];
        throw new Error('the disk is gone');
      })(),
    );
    await assert.rejects(broken, /the disk is gone/);
    assert.equal(await s3.head('broken'), null);
  });

  test(`${name}: what is wrong is said in one line`, async () => {
    const { options } = given();
    const key = { key: 'k' };
    const says = (changed: Partial<S3Options>, code: string, words: RegExp) =>
      assert.rejects(openS3({ ...options, ...changed }).get(key.key), (error: Error & { code: string }) => {
        assert.equal(error.code, code, error.message);
        assert.match(error.message, words);
        assert.ok(!error.message.includes('\n'));
        return true;
      });
    await says(
      { url: `${new URL(options.url).origin}/no-such-bucket` },
      's3-no-bucket',
      /expected a bucket there, got 404 NoSuchBucket/,
    );
    await says({ access_key_id: 'nobody' }, 's3-wrong-key', /expected an access key that the store knows, got 403/);
    await says({ secret_access_key: 'other' }, 's3-wrong-key', /expected the secret key that belongs/);
    await says(
      { now_ms: () => Date.now() - 3_600_000 },
      's3-clock-skew',
      /3\d\d\d s ahead.*got 403 RequestTimeTooSkewed/,
    );
    await says(
      { url: 'http://127.0.0.1:9/pot', wait: async () => {} },
      's3-unreachable',
      /expected an answer to GET k, got none: .*(ECONNREFUSED|bad port)/,
    );
    for (const url of [
      'http://host',
      'ftp://host/pot',
      'pot',
      'http://host/pot?x=1',
      'http://host/pot/..%2f',
      'http://host/P',
    ]) {
      assert.throws(() => openS3({ ...options, url }), { code: 's3-bad-address' });
    }
  });

  test(`${name}: the check finds that the bucket is fit, and leaves nothing`, async () => {
    const s3 = fresh();
    const { checks_hash, cors, lines } = await checkBucket(s3);
    assert.deepEqual([checks_hash, cors, lines.length], [true, true, 4], lines.join('\n'));
    assert.deepEqual(await allOf(s3.list('')), []);
    assert.equal((await checkBucket(s3)).cors, true);
  });

  test(`${name}: files that follow from their name are made once; those that change are replaced`, async () => {
    const s3 = fresh();
    const files = s3Files(s3);
    await files.create('log/tile/0/x001/067', Uint8Array.of(1));
    await files.create('log/tile/0/x001/067', Uint8Array.of(1));
    await assert.rejects(files.create('log/tile/0/x001/067', Uint8Array.of(2)), { code: 'file-differs' });
    await files.replace('log/checkpoint', Uint8Array.of(1), 1);
    await files.replace('log/checkpoint', Uint8Array.of(2), 1);
    assert.deepEqual(await files.get('log/checkpoint'), Uint8Array.of(2));
    assert.deepEqual(await files.get('log/tile/0/x001/067'), Uint8Array.of(1));
    assert.equal(await files.get('log/tile/0/x001/068'), null);
    const answer = await fetch(s3.presignGet('log/checkpoint', 60));
    await answer.arrayBuffer();
    assert.equal(answer.headers.get('cache-control'), 'public, max-age=1');
  });
}

/** Requests over HTTP take longer than calls in memory. */
export const S3_RUNS = 8;

/** The suite of all journals on an S3; see s3Suites. */
export function s3JournalSuite(name: string, given: () => SuiteS3): void {
  let opened = 0;
  const open = () => {
    const base = given().options;
    const s3 = openS3({ ...base, url: `${base.url}/journal-${opened++}` });
    return () => openObjectJournal(s3Objects(s3));
  };
  journalCompliance(name, open, S3_RUNS);
}
