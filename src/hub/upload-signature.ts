// Who uploads: the key in a request's headers, which has signed the hash of what it brings.
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Context } from 'hono';
import { HASH_FORM } from '../protocol/hash.ts';
import { verifySignature } from '../protocol/identity.ts';
import { uploadChallenge } from '../protocol/messages.ts';
import { problem } from './answers.ts';

/** Whether the key that a request names has signed that it uploads this blob to this hub. */
export function isSignedUpload(c: Context, hub: string, hash: string): boolean {
  const peer = c.req.header('x-potluck-peer') ?? '';
  const signature = c.req.header('x-potluck-signature') ?? '';
  if (!HASH_FORM.test(peer) || !/^[0-9a-f]{128}$/.test(signature)) return false;
  return verifySignature(peer, uploadChallenge(hub, hash), hexToBytes(signature));
}

export const unsignedUpload = (c: Context) =>
  c.json(problem('bad-signature', "expected the uploader's signature over this blob's hash"), 401);
