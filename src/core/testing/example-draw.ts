// A hub with a real key, for tests and benches with handmade histories: it draws the judges of a round as every hub must.
import { type DrawingIdentity, identityFromSecret } from '../../protocol/identity.ts';
import type { RoundDrawn } from '../events/round-drawn.ts';
import { roundDrawn } from '../rounds/panel.ts';
import type { RunState } from '../state.ts';

export const EXAMPLE_HUB: DrawingIdentity = identityFromSecret(new Uint8Array(32).fill(1));

/** Making a proof takes longer than everything else in a handmade history, and the same ones are needed again and again. */
const made = new Map<string, RoundDrawn>();

/** The event with which a hub draws the judges of the open round. */
export function drawnBy(hub: DrawingIdentity, run: RunState): RoundDrawn {
  const key = `${hub.id} ${run.id} ${run.round} ${run.attempt}`;
  const drawn = made.get(key) ?? roundDrawn(run, hub.prove);
  made.set(key, drawn);
  return drawn;
}
