// A hub with a real key, for tests and benches that make histories by hand: it draws the judges of a round as every hub must.
import { type DrawingIdentity, identityFromSecret } from '../../protocol/identity.ts';
import type { RoundDrawn } from '../events/round-drawn.ts';
import { roundDrawn } from '../rounds/panel.ts';
import type { RunState } from '../state.ts';

export const EXAMPLE_HUB: DrawingIdentity = identityFromSecret(new Uint8Array(32).fill(1));

/** A proof takes longer than all else in a history made by hand, and the same ones are asked for again and again. */
const made = new Map<string, RoundDrawn>();

/** What a hub writes when the work of the open round is in. */
export function drawnBy(hub: DrawingIdentity, run: RunState): RoundDrawn {
  const key = `${hub.id} ${run.id} ${run.round} ${run.attempt}`;
  const drawn = made.get(key) ?? roundDrawn(run, hub.prove);
  made.set(key, drawn);
  return drawn;
}
