// Receives uploads: signed, streamed to disk while they are hashed, whole or in parts. Only bytes that have come take up room, not announced ones.
import { Readable } from 'node:stream';
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { sleep, systemClock } from '../protocol/clock.ts';
import { HASH_FORM } from '../protocol/hash.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { addressOfAsker, announcedBytes, malformedHash, problem } from './answers.ts';
import type { BlobServices, BlobTurns } from './blob-services.ts';
import { descriptorsHere } from './descriptors.ts';
import { HubError } from './errors.ts';
import { EXTRA_PLACES, limitsFor, openTransfers, SMALL_UPLOAD_BYTES, type Transfers } from './transfers.ts';
import type { Uploader } from './unnamed-blobs.ts';
import { isSignedUpload, unsignedUpload } from './upload-signature.ts';
import {
  type Claim,
  openPartialUploads,
  type Part,
  type PartialUploads,
  type Upload,
  unfinishedLimits,
  uploadedPart,
} from './uploads.ts';

/** How many uploads may wait for a place; each holds what Node has buffered of it, at most 64 kB. */
const WAITING = { most: 1024, tries: 3, moment_ms: 2000 } as const;

/** An upload with a valid signature and an acceptable size. */
interface Asked {
  readonly hash: string;
  readonly who: Uploader;
  /** Whether the uploader takes part in a run or owns one. */
  readonly known: boolean;
  /** null: the whole blob. */
  readonly part: Part | null;
  /** The size of this request's body. */
  readonly announced_bytes: number;
  readonly total_bytes: number;
}

/** Takes as many uploads at once as there are places. */
export function receiver(hub: BlobServices & BlobTurns): (c: Context) => Promise<Response> {
  const { files } = descriptorsHere();
  const transfers = openTransfers(hub.clock, limitsFor(files).up);
  const held = unfinishedLimits(files);
  const uploads = {
    known: openPartialUploads(systemClock, held.known),
    strangers: openPartialUploads(systemClock, held.strangers),
  };
  let waiting = 0;
  /** Waits a moment for a place where there is none: one may become free, and a flooding client is slowed down. */
  const place = async (asked: Parameters<Transfers['mustHavePlace']>[0]): Promise<void> => {
    for (let tries: number = WAITING.tries; ; tries--) {
      try {
        transfers.mustHavePlace(asked);
        return;
      } catch (error) {
        if (tries === 0 || waiting >= WAITING.most) throw error;
      }
      waiting++;
      await sleep(hub.clock, WAITING.moment_ms).finally(() => waiting--);
    }
  };
  return async (c) => {
    const address = addressOfAsker(c);
    hub.rates.take('upload_address', address);
    const announced_bytes = announcedBytes(c, WIRE_LIMITS.blob_bytes);
    if (announced_bytes instanceof Response) return announced_bytes;
    // Checked before the signature, which costs more than everything else; nobody loses a place to an unsigned request.
    const known = hub.isKnown(c.req.header('x-potluck-peer') ?? '');
    await place({ address, extra_places: extraPlaces(announced_bytes, known) });
    const asked = askedOf(c, hub, announced_bytes, known);
    if (asked instanceof Response) return asked;
    hub.unnamed.mustFit(asked.who, asked.total_bytes);
    await hub.mustHaveRoom(asked.total_bytes, known ? 'known' : 'stranger');
    return receive(c, hub, transfers, known ? uploads.known : uploads.strangers, asked);
  };
}

/** The parsed request, or the answer to an invalid one. Everything is decided before a byte of the body is read. */
function askedOf(c: Context, hub: BlobServices, announced_bytes: number, known: boolean): Asked | Response {
  const hash = c.req.param('hash') ?? '';
  const peer = c.req.header('x-potluck-peer') ?? '';
  if (!HASH_FORM.test(hash)) return malformedHash(c);
  if (!isSignedUpload(c, hub.id, hash)) return unsignedUpload(c);
  hub.rates.take('upload_key', peer);
  const range = c.req.header('content-range');
  const part = uploadedPart(range ?? '');
  if (range && (!part || part.end - part.start !== announced_bytes || part.total > WIRE_LIMITS.blob_bytes)) {
    const message = `expected content-range: bytes FIRST-LAST/TOTAL of the body's length, TOTAL at most ${WIRE_LIMITS.blob_bytes}`;
    return c.json(problem('bad-range', message), 400);
  }
  return {
    hash,
    who: { peer, address: addressOfAsker(c) },
    known,
    part,
    announced_bytes,
    total_bytes: part?.total ?? announced_bytes,
  };
}

async function receive(
  c: Context,
  hub: BlobServices & BlobTurns,
  transfers: Transfers,
  uploads: PartialUploads,
  { hash, who, known, part, announced_bytes }: Asked,
): Promise<Response> {
  const ending = new AbortController();
  const transfer = transfers.begin({
    key: who.peer,
    address: who.address,
    extra_places: extraPlaces(announced_bytes, known),
    onEnd: (error) => ending.abort(error),
  });
  const begin = (): Upload => ({ draft: hub.blobs.draft(), arriving: hub.unnamed.arriving(who) });
  const taken = (): void => ending.abort(new HubError('busy', 'a later request goes on with this upload'));
  try {
    const claim = part ? await uploads.claim(`${who.peer} ${hash}`, part, begin, taken) : alone(begin());
    if (!('draft' in claim)) {
      const { received_bytes } = claim;
      // The answer to the last part may have been lost.
      if (received_bytes === 0 && (await hub.blobs.has(hash))) return c.json({ hash }, 201);
      return c.json({ received_bytes }, 409);
    }
    const { draft, arriving } = claim;
    try {
      await readBody(bodyOf(c), ending.signal, async (bytes) => {
        transfer.moved(bytes.length);
        await hub.mustHaveRoom(0, known ? 'known' : 'stranger');
        arriving.grow(bytes.length);
        await hub.turns
          .pieces(() => draft.write(bytes))
          .catch((error) => {
            claim.end(); // nothing is left of a draft that could not be written
            throw error;
          });
      });
      if (part && part.end < part.total) return c.json({ received_bytes: draft.size_bytes }, 202);
      // Until it is a blob it counts as arriving, and a repeated last part waits for it.
      return await keep(c, hub, hash, who, draft).finally(claim.end);
    } finally {
      claim.release();
    }
  } finally {
    transfer.done();
  }
}

const extraPlaces = (announced_bytes: number, known: boolean): number => {
  if (announced_bytes > SMALL_UPLOAD_BYTES) return 0;
  return known ? EXTRA_PLACES.small_of_present : EXTRA_PLACES.small;
};

/** A whole blob in one request; if that breaks off, nothing stays. */
function alone({ draft, arriving }: Upload): Claim {
  let over = false;
  const end = (): void => {
    over = true;
    arriving.end();
  };
  const release = (): void => {
    if (over) return;
    end();
    draft.discard().catch(() => {}); // the next start deletes it
  };
  return { draft, arriving, end, release };
}

/** The request's own stream, which may be left unread without ending the connection; on other servers than Node's, the web stream. */
function bodyOf(c: Context): Readable {
  const { incoming } = c.env as HttpBindings;
  return incoming instanceof Readable ? incoming : Readable.from(c.req.raw.body ?? []);
}

/** Passes the body to `take`, piece by piece, at its pace. Throws HubError `broke-off`, the errors of `take`, and the reason of the signal. */
function readBody(body: Readable, signal: AbortSignal, take: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let taking: Promise<void> = Promise.resolve();
    const settle = (error: unknown): void => {
      body.off('data', onData).off('end', onEnd).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      body.pause();
      // Nobody else gets the draft while a piece of it is being written.
      taking.catch(() => {}).then(() => (error === null ? resolve() : reject(error)));
    };
    const onData = (bytes: Uint8Array): void => {
      body.pause();
      taking = take(bytes);
      taking.then(
        () => body.resume(),
        (error) => settle(error),
      );
    };
    const onEnd = (): void => settle(null);
    const onClose = (): void => settle(new HubError('broke-off', 'the connection was lost before all had come'));
    const onAbort = (): void => settle(signal.reason);
    if (signal.aborted) return onAbort();
    if (body.destroyed) return onClose();
    signal.addEventListener('abort', onAbort);
    body.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

async function keep(
  c: Context,
  hub: BlobServices & BlobTurns,
  hash: string,
  who: Uploader,
  draft: Upload['draft'],
): Promise<Response> {
  const found = draft.hash;
  if (found !== hash) {
    await draft.discard();
    return c.json(problem('wrong-hash', `expected bytes whose SHA-256 is ${hash}, got ${found}`, { found }), 400);
  }
  const { size_bytes } = draft;
  const keeping = () => hub.unnamed.holding([hash], () => draft.keep());
  const { known } = await (size_bytes > SMALL_UPLOAD_BYTES ? hub.turns.syncs(keeping) : keeping());
  // A blob that was here already counts against its first uploader, or against nobody any more.
  if (!known) hub.unnamed.add(who, hash, size_bytes);
  const seen = hub.telemetry.get(who.peer);
  if (seen) seen.bytes_up += size_bytes;
  hub.metrics.carried('up', size_bytes);
  return c.json({ hash, size_bytes }, 201);
}
