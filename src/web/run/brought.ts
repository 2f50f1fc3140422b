// Who brought how much to a run: the largest parts by name and colour, and the rest together.
import type { PeerView } from '../../protocol/messages.ts';

/** As many colours as the style sheet has: after those they come round again. */
export const DISHES = 8;
/** Parts that are shown by name; a bar of more is a bar of slivers. */
const NAMED = 8;

/** The colour of each worker: by the order in which they came, which does not change. */
export function dishesOf(peers: Iterable<PeerView>): ReadonlyMap<string, number> {
  const dishes = new Map<string, number>();
  for (const { id, role } of peers) if (role === 'worker') dishes.set(id, dishes.size % DISHES);
  return dishes;
}

export interface Part {
  /** null: everybody else together. */
  readonly peer: PeerView | null;
  readonly dish: number | 'rest';
  readonly you: boolean;
  readonly amount: number;
  /** Of the whole, from 0 to 1. */
  readonly share: number;
  /** How many devices it stands for. */
  readonly devices: number;
}

export interface Brought {
  readonly parts: readonly Part[];
  /** What is counted: checked work in the game's unit, or pieces of merged work where nobody has checked any. */
  readonly unit: 'checked' | 'pieces';
  readonly devices: number;
}

/** `you` is this browser's device, which is always shown by name. */
export function broughtBy(peers: Iterable<PeerView>, you: string | null): Brought {
  const all = [...peers];
  const dishes = dishesOf(all);
  const workers = all.filter(({ role }) => role === 'worker');
  const unit = workers.some(({ credit_amount }) => credit_amount > 0) ? 'checked' : 'pieces';
  const amountOf = (peer: PeerView): number => (unit === 'checked' ? peer.credit_amount : peer.merged_submissions);
  const givers = workers
    .filter((peer) => amountOf(peer) > 0)
    .sort((a, b) => amountOf(b) - amountOf(a) || (a.id < b.id ? -1 : 1));
  const sum = givers.reduce((total, peer) => total + amountOf(peer), 0);
  const room = givers.length <= NAMED ? NAMED : NAMED - 1;
  const named = givers.filter((peer, i) => i < room || peer.id === you);
  const others = givers.filter((peer) => !named.includes(peer));
  const parts: Part[] = named.map((peer) => ({
    peer,
    dish: dishes.get(peer.id)!,
    you: peer.id === you,
    amount: amountOf(peer),
    share: amountOf(peer) / sum,
    devices: 1,
  }));
  if (others.length > 0) {
    const amount = others.reduce((total, peer) => total + amountOf(peer), 0);
    parts.push({ peer: null, dish: 'rest', you: false, amount, share: amount / sum, devices: others.length });
  }
  return { parts, unit, devices: givers.length };
}

/** A part in per cent, as people read it: never "0 %" of something. */
export function percent(share: number): string {
  const value = 100 * share;
  return value >= 9.95 ? `${Math.round(value)} %` : value < 0.1 && value > 0 ? '< 0.1 %' : `${value.toFixed(1)} %`;
}
