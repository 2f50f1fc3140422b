// Stages of a model: whoever comes takes one that few hold, and whoever is needed least goes where nobody is.
import { seededRandom } from '../../protocol/random.ts';
import type { Books, Peer, RunBook } from './books.ts';

const chancesOf = ({ events }: Books, { id }: RunBook) => seededRandom('stage', id, events);

/** By stage, the workers that are here and hold it, in the order in which they first came. */
export const holders = ({ spec, peers }: RunBook): Peer[][] => {
  const here = [...peers.values()].filter(({ present, role }) => present && role === 'worker');
  return Array.from({ length: spec.stages ?? 0 }, (_, stage) => here.filter((peer) => peer.stage === stage));
};

/** To be called before the one who comes counts as present. */
export function give(books: Books, run: RunBook, peer: Peer): void {
  const sizes = holders(run).map(({ length }) => length);
  const open = sizes.flatMap((size, stage) => (size === Math.min(...sizes) ? [stage] : []));
  if (peer.role === 'validator' || open.length === 0) peer.stage = null;
  else if (!open.some((stage) => stage === peer.stage)) peer.stage = open[chancesOf(books, run).below(open.length)];
}

/** Somebody has left. */
export function fill(books: Books, run: RunBook, left: Peer): void {
  const held = holders(run);
  if (left.stage === null || held[left.stage].length > 0 || held.every(({ length }) => length < 2)) return;
  send(run, left.stage, chancesOf(books, run));
}

/** A round opens. */
export function level(books: Books, run: RunBook): void {
  const chances = chancesOf(books, run);
  for (;;) {
    const sizes = holders(run).map(({ length }) => length);
    const low = sizes.findIndex((size) => sizes.every((other) => size <= other));
    if (low === -1 || sizes.every((size) => size < sizes[low] + 2)) return;
    send(run, low, chances);
  }
}

function send(run: RunBook, stage: number, chances: ReturnType<typeof chancesOf>): void {
  const held = holders(run);
  const spare = new Set(held.filter(({ length }) => held.every((other) => other.length <= length)).flat());
  const free = [...run.peers.values()].filter((peer) => spare.has(peer));
  const poorest = free.filter(({ credit_amount }) => free.every((other) => credit_amount <= other.credit_amount));
  poorest[chances.below(poorest.length)].stage = stage;
}
