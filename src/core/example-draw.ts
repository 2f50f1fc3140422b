// A hub with a real key, for tests and benches that make histories by hand: it draws the judges of a round as every hub must.
import { bytesToHex } from '@noble/hashes/utils.js';
import { type DrawingIdentity, identityFromSecret } from '../protocol/identity.ts';
import type { RoundDrawn } from './events.ts';
import { drawInput } from './panel.ts';
import type { RunState } from './state.ts';

export const EXAMPLE_HUB: DrawingIdentity = identityFromSecret(new Uint8Array(32).fill(1));

/** A proof takes longer than all else in a history made by hand, and the same ones are asked for again and again. */
const proofs = new Map<string, string>();

/** What a hub writes when the work of the open round is in. */
export function drawnBy(hub: DrawingIdentity, { id: run, round, attempt }: RunState): RoundDrawn {
  const key = `${hub.id} ${run} ${round} ${attempt}`;
  const proof = proofs.get(key) ?? bytesToHex(hub.prove(drawInput({ run, round, attempt })));
  proofs.set(key, proof);
  return { type: 'round.drawn', version: 1, run, round, attempt, proof };
}
