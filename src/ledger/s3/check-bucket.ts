// Finds out by trying what a bucket can do, before a hub trusts it with its log.
import { createHash, randomBytes } from 'node:crypto';
import { sha256Hex } from '../../protocol/hash.ts';
import type { S3 } from './client.ts';
import { aheadText, S3Error } from './errors.ts';

export interface BucketCheck {
  /** Whether the store refuses bytes that are not those whose hash a presigned upload names. Otherwise devices must not upload by themselves. */
  readonly checks_hash: boolean;
  /** Whether tabs of any page may read and upload there. */
  readonly cors: boolean;
  /** The store's clock less this machine's; null where it says none. */
  readonly ahead_ms: number | null;
  /** What was found, a line each. */
  readonly lines: readonly string[];
}

/** Beyond this a presigned URL, which is valid for minutes, would be noticeably shorter-lived than meant, or not valid yet. */
const NOTABLE_SKEW_MS = 30_000;
const CHECKED = 'check/';

/**
 * Tries a bucket, and removes what it has tried with. Throws S3Error: `s3-unfit` where a second creation of an object is not refused, because two
 * writers could then overwrite each other's log; and what any request throws (wrong bucket, wrong key, clock, unreachable).
 */
export async function checkBucket(s3: S3): Promise<BucketCheck> {
  const key = CHECKED + randomBytes(12).toString('hex');
  try {
    await mustCreateOnce(s3, key);
    const checks_hash = await holdsHash(s3, `${key}-hash`);
    const cors = await allowPages(s3);
    const { ahead_ms } = s3;
    const lines = [
      `${s3.where}: an object is created once, as the log needs it.`,
      checks_hash
        ? `${s3.where}: uploads are held against their hash, so devices upload there by themselves.`
        : `${s3.where}: expected wrong bytes under a signed hash to be refused, they were taken: uploads go through the hub.`,
      cors
        ? `${s3.where}: pages may read and upload there (CORS).`
        : `${s3.where}: this key may not set the bucket's CORS rules; without a rule for GET and PUT, tabs cannot take part.`,
      ahead_ms !== null && Math.abs(ahead_ms) > NOTABLE_SKEW_MS
        ? `${s3.where}: its clock is ${aheadText(ahead_ms)} of this machine's: presigned addresses live shorter or longer than meant.`
        : `${s3.where}: its clock agrees with this machine's.`,
    ];
    return { checks_hash, cors, ahead_ms, lines };
  } finally {
    await s3.delete(key).catch(() => {}); // a leftover of a check does no harm
    await s3.delete(`${key}-hash`).catch(() => {});
  }
}

async function mustCreateOnce(s3: S3, key: string): Promise<void> {
  const [first, second] = [randomBytes(16), randomBytes(16)];
  // A lost answer may have created it already; what is read below decides.
  await tries(() => s3.create(key, first));
  const again = await tries(() => s3.create(key, second));
  const there = await s3.get(key);
  if (again === 'exists' && there && Buffer.compare(there, first) === 0) return;
  const message = `${s3.where}: expected 412 to the second PUT of an object with if-none-match: *, it was taken: this store has no conditional writes, and two hubs could overwrite each other's log`;
  throw new S3Error('s3-unfit', message);
}

/** `create` is attempted once by the client; a check may simply ask again. */
async function tries<T>(step: () => Promise<T>): Promise<T> {
  for (let left = 4; ; left--) {
    try {
      return await step();
    } catch (error) {
      if (left === 0 || !(error instanceof S3Error && (error.code === 's3-busy' || error.code === 's3-unreachable')))
        throw error;
    }
  }
}

/** Whether wrong bytes under a signed hash are refused, and leave nothing. */
async function holdsHash(s3: S3, key: string): Promise<boolean> {
  const bytes = randomBytes(64);
  const { url, headers } = s3.presignPut(key, sha256Hex(bytes), bytes.length, 60);
  const wrong = await fetch(url, { method: 'PUT', headers, body: randomBytes(64) });
  await wrong.arrayBuffer();
  return wrong.status >= 400 && wrong.status < 500 && (await s3.head(key)) === null;
}

/** No credentials cross: addresses are presigned, and names are content. */
const CORS = `<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>HEAD</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader><ExposeHeader>Content-Range</ExposeHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>86400</MaxAgeSeconds></CORSRule></CORSConfiguration>`;

/** Lets pages of any origin read and upload; false where this key may not say so and no rule is there. */
async function allowPages(s3: S3): Promise<boolean> {
  const there = await s3.ofBucket('GET', 'cors');
  if (there.status === 200 && /<AllowedMethod>PUT</.test(there.text)) return true;
  const body = new TextEncoder().encode(CORS);
  const md5 = createHash('md5').update(body).digest('base64'); // S3 demands it for a bucket's settings
  return (await s3.ofBucket('PUT', 'cors', body, { 'content-md5': md5 })).status < 300;
}
