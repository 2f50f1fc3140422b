// Runs that come from another hub's log: whether that log has let the run go to here, what it brings, and the book that follows from it.
import type { RunArrived } from '../../core/events/run-arrived.ts';
import type { RunCreated } from '../../core/events/run-created.ts';
import type { RunMoved } from '../../core/events/run-moved.ts';
import type { RunPart } from '../../core/events/run-part.ts';
import { leafHash, verifyInclusion } from '../../ledger/merkle.ts';
import { openEvent } from '../../protocol/envelope.ts';
import { sha256Hex, utf8 } from '../../protocol/hash.ts';
import { verifySignature } from '../../protocol/identity.ts';
import { accountOf, type Books, type Coming, type RunBook } from './books.ts';
import { bookOfForm } from './what-a-run-brings.ts';

const COMING_AT_A_TIME = 4;
const PART_BYTES = 40_960;
const NAMED_BLOBS = 8192;
/** A run that is not here within an hour of its first event begins again. */
const WITHIN_MS = 3_600_000;
const MOST_BYTES = 32 * 1024 * 1024;
const MOVES_OF_A_RUN = 16;
const RUNS_OF_ALL = 64;
const RUNS_OF_ONE = 8;

const hex = (bytes: string): Uint8Array => new Uint8Array(Buffer.from(bytes, 'hex'));

/** What somebody has signed; null: nobody has. */
function signed(bytes: Uint8Array): ReturnType<typeof openEvent> | null {
  try {
    return openEvent(bytes);
  } catch {
    return null;
  }
}

/** The departure, if the hub's signed head has it as an entry by the hub itself; otherwise why it proves nothing. */
function departureIn({ hub, head, index, event, inclusion_proof }: RunArrived['moved']): RunMoved | string {
  const text = `potluck/${hub}\n${head.size}\n${Buffer.from(head.root, 'hex').toString('base64')}\n`;
  if (!verifySignature(hub, utf8(text), hex(head.signature))) return 'a head that its hub has not signed';
  if (!verifyInclusion(leafHash(event), index, head.size, inclusion_proof, hex(head.root))) return 'not in that log';
  const opened = signed(event);
  if (opened?.author !== hub) return 'not by that hub';
  if (opened.body.type !== 'run.moved' || opened.body.version !== 1) return 'no departure';
  const body = opened.body as unknown as RunMoved;
  const within = (value: number, least: number, most: number) =>
    Number.isSafeInteger(value) && value >= least && value <= most;
  if (!within(body.size_bytes, 1, MOST_BYTES)) return 'nothing, or more than a run may take along';
  return within(body.move, 0, MOVES_OF_A_RUN - 1) ? body : 'more moves than a run has';
}

/** Whether a run that began at a hub was not let go by it, and then by each where it went. */
function strays(run: string, first: string, departures: readonly RunArrived['moved'][]): string | null {
  const hubs = [first];
  for (const proof of departures) {
    const left = departureIn(proof);
    if (typeof left === 'string') return left;
    if (proof.hub !== hubs.at(-1) || left.run !== run || left.move !== hubs.length - 1) return 'not on its way';
    hubs.push(left.to);
  }
  return null;
}

/** What an arrival begins, or why it may not. Of its first event no more is asked than that it is one. */
export function comingOf(books: Books, author: string, body: RunArrived): Coming | string {
  const known = books.runs.get(body.run);
  if (books.arriving.has(body.run)) return 'it comes already';
  if (known && !known.gone) return 'it is here';
  if (books.arriving.size >= COMING_AT_A_TIME) return 'too many come';
  const full = tooManyRuns(books, author);
  if (full) return full;
  const left = departureIn(body.moved);
  if (typeof left === 'string') return left;
  const created = signed(body.created);
  if (left.run !== body.run || created?.id !== body.run || created.body.type !== 'run.created') return 'another run';
  if (created.author !== left.owner || author !== left.owner) return 'not its owner';
  if (left.to !== books.hub) return 'it was let go to elsewhere';
  // It goes on from where it was left last, wherever that was.
  if (known && left.move < known.moves) return 'it has been here since';
  const spec = created.body as unknown as RunCreated;
  const lost = spec.hub === undefined ? null : strays(body.run, spec.hub, [...(body.way ?? []), body.moved]);
  if (lost) return lost;
  if (spec.stages === undefined ? spec.apart_rounds !== undefined : spec.checkpoint_every > 1) return 'no such stages';
  const { state, size_bytes } = left;
  const about = { by: author, from: body.moved.hub, spec, moves: left.move + 1, state, size_bytes };
  return { ...about, since_ms: books.time_ms, bytes: new Uint8Array(), parts: 0, blobs: [] };
}

/** Runs that are here and go on, and those that come, take a place each. */
export function tooManyRuns(books: Books, author: string): string | null {
  const going = [...books.runs.values()].filter(({ phase }) => phase !== 'finished').map(({ owner }) => owner);
  const owners = [...going, ...[...books.arriving.values()].map(({ by }) => by)];
  const own = owners.filter((owner) => accountOf(books, owner) === accountOf(books, author));
  if (owners.length >= RUNS_OF_ALL) return 'too many runs';
  return own.length >= RUNS_OF_ONE ? 'too many runs of one owner' : null;
}

/** What has come when this part is added to it, or why it may not be. */
export function withPart(books: Books, author: string, { run, part, bytes, blobs }: RunPart): Coming | string {
  const coming = books.arriving.get(run);
  if (!coming) return 'it does not come';
  if (author !== coming.by) return 'not by who brings it';
  if (part !== coming.parts) return 'not the next part';
  if (coming.blobs.length + blobs.length > NAMED_BLOBS) return 'too many blobs';
  const namesOnly = bytes.length === 0 && blobs.length > 0;
  const left_bytes = coming.size_bytes - coming.bytes.length;
  if (!namesOnly && bytes.length !== Math.min(PART_BYTES, left_bytes)) return 'not a whole part';
  const all = new Uint8Array(Buffer.concat([coming.bytes, bytes]));
  return { ...coming, bytes: all, parts: part + 1, blobs: [...coming.blobs, ...blobs] };
}

const isWhole = ({ bytes, size_bytes }: Coming): boolean => bytes.length === size_bytes;

export function mayNotBring(books: Books, author: string, body: RunPart): string | null {
  const coming = withPart(books, author, body);
  if (typeof coming === 'string') return coming;
  if (!isWhole(coming)) return null;
  const book = bookOf(books, body.run, coming);
  return typeof book === 'string' ? book : null;
}

/** The book of a run that is here as a whole, or why it is none. */
function bookOf(books: Books, id: string, { by, spec, moves, state, bytes, blobs }: Coming): RunBook | string {
  if (sha256Hex(bytes) !== state) return 'not what it took along';
  const brought = bookOfForm(bytes, { id, owner: by, spec, size: books.events, moves });
  if (brought === null) return 'no run';
  const { book, needed } = brought;
  if (needed.some((hash) => !blobs.includes(hash))) return 'a blob that nobody names';
  const held = [...book.shares.values()].reduce((sum, shares) => sum + shares, book.unearned);
  return held === book.promised ? book : 'shares out of nothing';
}

/** Notes a part that may follow. */
export function bring(books: Books, author: string, body: RunPart): void {
  const coming = withPart(books, author, body) as Coming;
  books.arriving.delete(body.run);
  if (!isWhole(coming)) books.arriving.set(body.run, coming);
  else books.runs.set(body.run, bookOf(books, body.run, coming) as RunBook);
}

/** Call it after a tick. */
export function giveUpLate({ arriving, time_ms }: Books): void {
  for (const [run, { since_ms }] of [...arriving]) if (time_ms >= since_ms + WITHIN_MS) arriving.delete(run);
}
