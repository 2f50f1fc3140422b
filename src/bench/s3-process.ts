// An S3 for `bench cluster`: the double as a process of its own, so that what it takes of a processor is not what a hub or the bench takes, or Ceph's.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { S3Place } from '../hub/named-place.ts';
import { openS3 } from '../ledger/s3/client.ts';
import { cephMissing, startCephRgw } from '../ledger/testing/ceph-rgw.ts';
import { startS3Double } from '../ledger/testing/s3-double.ts';
import { nextMessage } from './child-messages.ts';
import { BenchError } from './errors.ts';

export const STORES = ['double', 'ceph'] as const;
export type Store = (typeof STORES)[number];

export interface S3Process {
  readonly place: S3Place;
  close(): Promise<void>;
}

/** Starts a store with an empty bucket. Throws BenchError `usage` where it is not installed. */
export const startS3Process = (store: Store): Promise<S3Process> => (store === 'ceph' ? startCeph() : startDouble());

async function startCeph(): Promise<S3Process> {
  const missing = cephMissing();
  if (missing) throw new BenchError('usage', missing);
  const { url, access_key_id, secret_access_key, stop } = await startCephRgw();
  const place = { url: `${url}/pot`, access_key_id, secret_access_key };
  const made = await openS3(place).ofBucket('PUT', '');
  if (made.status === 200) return { place, close: stop };
  await stop();
  throw new BenchError('engine-failed', `Ceph made no bucket: ${made.text}`);
}

async function startDouble(): Promise<S3Process> {
  const child: ChildProcess = fork(import.meta.filename);
  const place = (await nextMessage(child, 'the S3 double')) as S3Place;
  return {
    place,
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    },
  };
}

if (import.meta.main) {
  const { url, bucket, access_key_id, secret_access_key } = await startS3Double();
  process.on('disconnect', () => process.exit());
  process.send!({ url: `${url}/${bucket}`, access_key_id, secret_access_key } satisfies S3Place);
}
