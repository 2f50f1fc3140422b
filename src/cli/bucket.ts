// The bucket of a hub, as the command line and the environment name it: keys never stand on a command line, where everybody on the machine reads them.
import { type Filled, fillBucket } from '../hub/fill-bucket.ts';
import type { S3Place } from '../hub/named-place.ts';
import { openS3 } from '../ledger/s3/client.ts';
import { CliError, formatBytes, formatCount, type Output } from './output.ts';

/** Reads the keys from the environment. Throws CliError `bad-argument` where one is missing, S3Error `s3-bad-address`. */
export function bucketAt(url: string, env: NodeJS.ProcessEnv = process.env): S3Place {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION } = env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) {
    const missing = AWS_ACCESS_KEY_ID ? 'AWS_SECRET_ACCESS_KEY' : 'AWS_ACCESS_KEY_ID';
    throw new CliError(
      'bad-argument',
      `--s3: expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, ${missing} is missing`,
    );
  }
  const place = {
    ...{ url, access_key_id: AWS_ACCESS_KEY_ID, secret_access_key: AWS_SECRET_ACCESS_KEY },
    ...(AWS_REGION && { region: AWS_REGION }),
    ...(AWS_SESSION_TOKEN && { session_token: AWS_SESSION_TOKEN }),
  };
  openS3(place); // a wrong address is said before anything starts
  return place;
}

const SAID_EVERY_MS = 5000;

/** Moves what a folder has into the bucket. Throws CliError `bad-argument` without one, and as fillBucket does. */
export async function fillFirst(folder: string, place: S3Place | undefined, output: Output): Promise<void> {
  if (!place) throw new CliError('bad-argument', '--fill-bucket: expected --s3 beside it, got none');
  const { url: bucket } = place;
  const say = (type: 'filling' | 'filled', done: Filled): void => {
    const { blobs, known_blobs, size_bytes, entries } = done;
    const what = `${formatCount(blobs)} blobs (${formatBytes(size_bytes)}; ${formatCount(known_blobs)} more were there), ${formatCount(entries)} events`;
    output.say(`${type === 'filling' ? 'On their way' : 'Copied'} to ${bucket}: ${what}.`, {
      type,
      bucket,
      copied: { ...done },
    });
  };
  let said_ms = performance.now();
  const done = await fillBucket(folder, place, (now) => {
    if (performance.now() - said_ms < SAID_EVERY_MS) return;
    said_ms = performance.now();
    say('filling', now);
  });
  if (done) say('filled', done);
  else output.say(`${folder} is the copy of a bucket already.`, { type: 'filled', bucket, copied: null });
}
