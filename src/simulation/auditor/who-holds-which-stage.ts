// Stages of a model: whoever comes takes one that few hold, and whoever is needed least goes where nobody is. Where the run keeps its stages
// apart, whoever lacks one stage alone does without it, but for those who belong to the run's owner.
import { seededRandom } from '../../protocol/random.ts';
import { accountOf, type Books, type Peer, type RunBook } from './books.ts';

/** A run that does not say for how long it keeps stages apart remembers who held them for so many rounds. */
const REMEMBERED = 100;

const chancesOf = ({ events }: Books, { id }: RunBook) => seededRandom('stage', id, events);

const here = ({ peers }: RunBook): Peer[] =>
  [...peers.values()].filter(({ present, role }) => present && role === 'worker');

/** By stage, the workers that are here and hold it, in the order in which they first came. */
export const holders = (run: RunBook): Peer[][] =>
  Array.from({ length: run.spec.stages ?? 0 }, (_, stage) => here(run).filter((peer) => peer.stage === stage));

/** Which stages somebody may be given, by what all devices of the same account are known to have held. */
function allowed(books: Books, run: RunBook, peer: Peer): number[] {
  const all = Array.from({ length: run.spec.stages ?? 0 }, (_, stage) => stage);
  const account = accountOf(books, peer.id);
  const family = [...run.peers.values()].filter(({ id }) => accountOf(books, id) === account);
  const lacking = all.filter((stage) => family.every(({ held }) => !held.has(stage)));
  const free = run.spec.apart_rounds === undefined || account === accountOf(books, run.owner);
  return free || lacking.length !== 1 ? all : all.filter((stage) => stage !== lacking[0]);
}

/** To be called before the one who comes counts as present. */
export function give(books: Books, run: RunBook, peer: Peer): void {
  const sizes = holders(run).map(({ length }) => length);
  const may = allowed(books, run, peer);
  const least = may.reduce((size, stage) => Math.min(size, sizes[stage]), Number.MAX_SAFE_INTEGER);
  const open = may.filter((stage) => sizes[stage] === least);
  if (peer.role === 'validator' || open.length === 0) peer.stage = null;
  else {
    if (!open.some((stage) => stage === peer.stage)) peer.stage = open[chancesOf(books, run).below(open.length)];
    peer.held.set(peer.stage!, run.round);
  }
}

/** Somebody has come, has left, or may hold more than before. */
export function fill(books: Books, run: RunBook): void {
  const chances = chancesOf(books, run);
  for (const [stage] of holders(run).entries()) {
    if (holders(run)[stage].length === 0) send(books, run, stage, chances);
  }
}

/** A round opens. */
export function level(books: Books, run: RunBook): void {
  const chances = chancesOf(books, run);
  const neediest = () =>
    holders(run)
      .map((held, stage) => ({ stage, size: held.length }))
      .sort((a, b) => a.size - b.size || a.stage - b.stage);
  for (let moved = true; moved; ) moved = neediest().some(({ stage }) => send(books, run, stage, chances));
}

/** A round is in the model: who is here has its stage in the next one too, and old times are forgotten. */
export function passOn(run: RunBook): void {
  const since = run.round - (run.spec.apart_rounds ?? REMEMBERED);
  for (const peer of here(run)) if (peer.stage !== null) peer.held.set(peer.stage, run.round);
  for (const { held } of run.peers.values()) {
    for (const [stage, round] of [...held]) if (round <= since) held.delete(stage);
  }
}

/** Whether somebody could be sent to a stage. */
function send(books: Books, run: RunBook, stage: number, chances: ReturnType<typeof chancesOf>): boolean {
  const held = holders(run);
  const willing = here(run).filter(
    (peer) => held[peer.stage!].length >= held[stage].length + 2 && allowed(books, run, peer).includes(stage),
  );
  const crowd = (peer: Peer) => held[peer.stage!].length;
  const spare = willing.filter((peer) => willing.every((other) => crowd(other) <= crowd(peer)));
  const poorest = spare.filter(({ credit_amount }) => spare.every((other) => credit_amount <= other.credit_amount));
  if (poorest.length === 0) return false;
  const sent = poorest[chances.below(poorest.length)];
  sent.stage = stage;
  sent.held.set(stage, run.round);
  return true;
}
