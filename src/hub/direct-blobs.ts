// Blobs that go between devices and the bucket without passing the hub: presigned uploads, and downloads by redirect.
import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { BLOBS, PARTS_ABOVE_BYTES } from '../ledger/s3/blob-store.ts';
import type { S3 } from '../ledger/s3/client.ts';
import { HASH_FORM } from '../protocol/hash.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { addressOfAsker, announcedBytes, NO_STORE, problem } from './answers.ts';
import type { BlobServices } from './blob-services.ts';
import { isSignedUpload, unsignedUpload } from './upload-signature.ts';

export interface DirectBlobs {
  readonly s3: S3;
  /** Whether the store holds uploads against their hash; otherwise nobody but the hub uploads there. */
  readonly uploads: boolean;
  /** Where everybody may read the bucket's objects, without the last slash; null: by presigned addresses. */
  readonly cdn: string | null;
}

const QuestionSchema = z.object({
  hash: z.string().regex(HASH_FORM),
  size_bytes: z.int().min(0).max(WIRE_LIMITS.blob_bytes),
});
const QUESTION_BYTES = 1024;
/** An upload must begin within this time. */
const UPLOAD_S = 300;
/** The longest that an upload which has begun takes at 200 kB/s; until then no sweep deletes what comes. */
const UPLOADING_MS = (PARTS_ABOVE_BYTES / 200_000) * 1000;
/** An address for reading stays the same for so long, so that caches know it again, and is valid for an hour more. */
const SAME_ADDRESS_MS = 10 * 60_000;
const DOWNLOAD_S = 3600 + SAME_ADDRESS_MS / 1000;

export type DirectServices = Pick<BlobServices, 'id' | 'blobs' | 'unnamed' | 'telemetry' | 'rates' | 'onError'>;

/** Runs something once, later, unless the process has ended by then. */
export type Later = (run: () => void, delay_ms: number) => void;
const later: Later = (run, delay_ms) => void setTimeout(run, delay_ms).unref();

/**
 * Adds POST /uploads, and GET of /blobs/HASH as a redirect, to an app: call it before serveBlobs. An upload counts as one that no event names from
 * the moment that it is allowed; if it never comes, it counts no more.
 * @param direct null: blobs go through the hub
 */
export function serveDirect(app: Hono, hub: DirectServices, direct: DirectBlobs | null, soon: Later = later): void {
  // Devices ask any hub once; `ever` spares them the next time.
  if (!direct?.uploads) app.post('/uploads', (c) => c.json({ direct: null, ever: false }, 200, NO_STORE));
  else app.post('/uploads', (c) => allow(c, hub, direct.s3, soon));
  if (!direct) return;
  app.get('/blobs/:hash', async (c, next) => {
    const hash = c.req.param('hash');
    if (c.req.method !== 'GET' || !HASH_FORM.test(hash)) return next();
    const { cdn, s3 } = direct;
    if (cdn !== null)
      return c.body(null, 307, { location: `${cdn}/${BLOBS}${hash}`, 'cache-control': 'public, max-age=3600' });
    const since_ms = Math.floor(Date.now() / SAME_ADDRESS_MS) * SAME_ADDRESS_MS;
    const location = s3.presignGet(BLOBS + hash, DOWNLOAD_S, since_ms);
    return c.body(null, 307, { location, 'cache-control': `private, max-age=${SAME_ADDRESS_MS / 1000}` });
  });
}

async function allow(c: Context, hub: DirectServices, s3: S3, soon: Later): Promise<Response> {
  const address = addressOfAsker(c);
  hub.rates.take('upload_address', address);
  const announced = announcedBytes(c, QUESTION_BYTES);
  if (announced instanceof Response) return announced;
  const question = QuestionSchema.safeParse(await c.req.json().catch(() => null));
  if (!question.success) {
    const message = `expected {hash, size_bytes} with at most ${WIRE_LIMITS.blob_bytes} bytes`;
    return c.json(problem('malformed', message), 400);
  }
  const { hash, size_bytes } = question.data;
  if (!isSignedUpload(c, hub.id, hash)) return unsignedUpload(c);
  const peer = c.req.header('x-potluck-peer')!;
  hub.rates.take('upload_key', peer);
  // A large blob is better sent in parts, which the hub takes.
  if (size_bytes > PARTS_ABOVE_BYTES) return c.json({ direct: null, ever: true }, 200, NO_STORE);
  const who = { peer, address };
  hub.unnamed.mustFit(who, size_bytes);
  await held(hub, hash, soon);
  if (!(await hub.blobs.has(hash))) {
    hub.unnamed.add(who, hash, size_bytes);
    soon(() => void settle(hub, peer, hash, size_bytes), UPLOAD_S * 1000 + UPLOADING_MS);
  }
  return c.json({ direct: s3.presignPut(BLOBS + hash, hash, size_bytes, UPLOAD_S), ever: true }, 200, NO_STORE);
}

/** From here until the upload must be over nobody deletes the blob: it may be there already, and old. */
function held(hub: DirectServices, hash: string, soon: Later): Promise<void> {
  return new Promise((begun) => {
    void hub.unnamed.holding([hash], () => {
      begun();
      return new Promise((over) => soon(() => over(undefined), UPLOAD_S * 1000 + UPLOADING_MS));
    });
  });
}

/** What has not come by now never will, and does not count against its uploader. */
async function settle(hub: DirectServices, peer: string, hash: string, size_bytes: number): Promise<void> {
  try {
    if (!(await hub.blobs.has(hash))) return hub.unnamed.named(hash);
    const seen = hub.telemetry.get(peer);
    if (seen) seen.bytes_up += size_bytes;
  } catch (error) {
    hub.onError(error, 'looking for an upload'); // it goes on counting until the next sweep
  }
}
