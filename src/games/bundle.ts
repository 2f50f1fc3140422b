// A merged round as one blob: the accepted work in canonical order with its weights, so that a peer catches up with one download per round.
import { decode, encode } from '@ipld/dag-cbor';
import { z } from 'zod';
import { CORE_LIMITS } from '../core/limits.ts';
import { GameError } from './errors.ts';
import type { AcceptedWork } from './game.ts';

const BundleSchema = z.tuple([
  z.literal(1),
  z.array(z.tuple([z.instanceof(Uint8Array), z.int().min(1).max(CORE_LIMITS.amount)])).max(20_000),
]);

/** Deterministic dag-cbor: [1, [[work, weight], …]]. */
export function encodeBundle(works: readonly AcceptedWork[]): Uint8Array {
  return encode([1, works.map(({ work, weight }) => [work, weight])]);
}

/** Throws GameError bad-bundle. */
export function decodeBundle(bytes: Uint8Array): AcceptedWork[] {
  let value: unknown;
  try {
    value = decode(bytes);
  } catch {
    throw new GameError('bad-bundle', `bundle: expected dag-cbor, got ${bytes.length} bytes that are none`);
  }
  const parsed = BundleSchema.safeParse(value);
  if (!parsed.success) throw new GameError('bad-bundle', `bundle: ${parsed.error.issues[0].message}`);
  return parsed.data[1].map(([work, weight]) => ({ work, weight }));
}
