// S3 against a real one, Ceph's gateway: the suites that the double passes too.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cephMissing, startCephRgw, type TestS3 } from '../testing/ceph-rgw.ts';
import { s3JournalSuite, s3Suites } from '../testing/s3-suites.ts';
import { openS3, type S3Options } from './client.ts';

const missing = cephMissing();
let ceph: TestS3;
let options: S3Options;
let folder: string;

if (missing) {
  test('S3 suites against Ceph', { skip: missing }, () => {});
} else {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-s3-'));
    ceph = await startCephRgw();
    const { access_key_id, secret_access_key } = ceph;
    options = { url: `${ceph.url}/pot`, access_key_id, secret_access_key };
    await openS3(options).ofBucket('PUT', '');
  });
  after(async () => {
    await ceph?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  s3Suites('Ceph', () => ({ options, folder }));
  s3JournalSuite('Ceph', () => ({ options, folder }));
}
