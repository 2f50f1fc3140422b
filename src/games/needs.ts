// What a game needs of a device, and the sentence about what a device lacks.
import { GameError } from './errors.ts';

/** What a device may lend. Every device lends `blobs` and `store`. */
export const CAPABILITIES = {
  blobs: 'fetches blobs by their hash',
  store: 'keeps a little between rounds',
  compute: 'computes graphs',
  generate: 'lets a model write',
  run: 'runs programs in a sandbox',
  channel: 'talks to other devices',
} as const;
export type Capability = keyof typeof CAPABILITIES;

/** What devices that take part lend, in a process as in a tab. */
export const PEER_LENDS: readonly Capability[] = ['blobs', 'store', 'compute', 'run', 'channel'];
/** What of it reaches a game that runs elsewhere, as a game from a file does: it talks to nobody. */
export const HOST_LENDS: readonly Capability[] = PEER_LENDS.filter((lent) => lent !== 'channel');

/** Throws GameError `bad-device` with one sentence. @param what the name of the device for its owner */
export function checkNeeds(
  { name, needs = [] }: { readonly name: string; readonly needs?: readonly Capability[] | undefined },
  lends: readonly Capability[],
  what: string,
): void {
  const missing = needs.filter((need) => !lends.includes(need));
  if (missing.length === 0) return;
  const words = missing.map((need) => `${CAPABILITIES[need]} (${need})`).join(' and ');
  throw new GameError('bad-device', `${name} needs a device that ${words}, and ${what} does not`, { missing });
}
