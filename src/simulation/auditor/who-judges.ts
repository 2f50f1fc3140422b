// Who may judge: the validators whom the round's seed draws for a worker, of each account first one; a judge seals before it shows.
import type { DrawAnnounced, VerdictGiven, VerdictSealed } from '../../core/events.ts';
import { sha256, sha256Hex } from '../../protocol/hash.ts';
import { verifySignature } from '../../protocol/identity.ts';
import { encodeStrict } from '../../protocol/strict-cbor-encode.ts';
import { accountOf, type Books, present, type RunBook, type Work } from './books.ts';

/** Judges of a worker's submission among those who are here, in order of id; all of them where no more are here than the rules ask for. */
function drawn(books: Books, run: RunBook, worker: string): string[] {
  const here = present(run, 'validator');
  if (here.length <= run.rules.judges) return here;
  const own = accountOf(books, worker);
  const lots = here
    .map((id) => ({ id, account: accountOf(books, id), lot: sha256Hex(encodeStrict([run.seed, worker, id])) }))
    .sort((a, b) => (a.lot < b.lot ? -1 : 1));
  // Everybody's first device, then everybody's second …, last of all those of the worker's own account.
  const turnOf = (at: number): number => lots.slice(0, at).filter(({ account }) => account === lots[at].account).length;
  const turns = lots.map(({ id, account }, at) => ({ id, turn: account === own ? 1e9 : turnOf(at) }));
  turns.sort((a, b) => a.turn - b.turn);
  return turns
    .slice(0, run.rules.judges)
    .map(({ id }) => id)
    .sort();
}

/** The judges of new work, or again after a validator came or went: whoever has sealed stays. */
export function appoint(books: Books, run: RunBook, work: Work): void {
  const sealed = [...work.seals.keys()];
  const others = drawn(books, run, work.worker).filter((id) => !work.seals.has(id));
  work.judges = [...sealed, ...others.slice(0, Math.max(0, run.rules.judges - sealed.length))].sort();
}

/** A number below a thousand in a signature that nobody can choose. */
export const lotOf = (signature: string): number =>
  new DataView(sha256(Buffer.from(signature, 'hex')).buffer).getUint32(0) % 1000;

/** Always during probation; then ever more rarely, but never less often than the rules say. */
function repeatedPermille(run: RunBook, worker: string): number {
  const { valid } = run.peers.get(worker)!;
  if (valid < Math.max(1, run.rules.probation)) return 1000;
  return Math.max(1, run.rules.reexecute_permille, Math.ceil(1000 / valid));
}

const knowsWork = (run: RunBook, author: string, id: string): string | Work =>
  run.peers.get(author)?.role !== 'validator' ? 'no validator' : (run.works.get(id) ?? 'no such work');

export function mayNotDraw(run: RunBook, author: string, body: DrawAnnounced): string | null {
  const work = knowsWork(run, author, body.submission);
  if (typeof work === 'string') return work;
  if (work.draw !== null) return 'the draw is known';
  const lot = sha256(encodeStrict(['potluck-first-judge-v1', run.seed, work.worker]));
  const first = work.judges[new DataView(lot.buffer).getUint32(0) % Math.max(1, work.judges.length)];
  if (first !== author) return 'not the first judge';
  const message = new TextEncoder().encode(`potluck-draw-v1\n${work.id}`);
  if (!verifySignature(author, message, Buffer.from(body.signature, 'hex'))) return 'not its signature';
  return body.alarm && lotOf(body.signature) >= repeatedPermille(run, work.worker) ? 'an alarm without a draw' : null;
}

export function mayNotSeal(run: RunBook, author: string, body: VerdictSealed): string | null {
  const work = knowsWork(run, author, body.submission);
  if (typeof work === 'string') return work;
  if (work.seals.has(author)) return 'sealed already';
  if (!work.judges.includes(author)) return 'not drawn';
  return run.phase === 'working' || run.phase === 'judging' ? null : `sealed while ${run.phase}`;
}

export function mayNotShow(run: RunBook, author: string, body: VerdictGiven): string | null {
  const work = knowsWork(run, author, body.submission);
  if (typeof work === 'string') return work;
  if (work.verdicts.has(author)) return 'shown already';
  if (run.phase !== 'revealing') return `shown while ${run.phase}`;
  const seal = sha256Hex(encodeStrict(['potluck-verdict-v1', author, body]));
  if (work.seals.get(author) !== seal) return 'not what was sealed';
  if (body.weight > work.body.tokens) return 'vouches for more than was claimed';
  if (body.accepted !== body.weight > 0) return 'accepted work has a weight, other work has none';
  return body.accepted && body.fraud ? 'accepts what it calls made up' : null;
}
