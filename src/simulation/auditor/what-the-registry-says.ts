// What a log takes from its registry, and where runs are listed: a head goes on from the last, entries are under it, and they say what they would say there.

import type { RegistrySeen } from '../../core/events/registry-seen.ts';
import type { RunListed } from '../../core/events/run-listed.ts';
import type { EventBody } from '../../core/events.ts';
import { assembleCheckpoint, openCheckpoint } from '../../ledger/checkpoint.ts';
import { originOf } from '../../ledger/key-names.ts';
import { EMPTY_ROOT, leafHash, verifyConsistency, verifyInclusion } from '../../ledger/merkle.ts';
import { openEvent } from '../../protocol/envelope.ts';
import type { Books } from './books.ts';

const LISTED_RUNS = 10_000;
const LISTED_RUNS_OF_ONE = 64;

type Said = { readonly id: string; readonly author: string; readonly body: EventBody };
/** Whether a device or an address may be named, where the registry's own rule is asked; and what becomes of it. */
export interface People {
  mayNot(books: Books, said: Said): string | null;
  follow(books: Books, said: Said): void;
}

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

/** Whether the hub has signed this head. */
function isSigned(hub: string, { size, root, signature }: RegistrySeen['head']): boolean {
  const log = { id: hub, name: originOf(hub) };
  try {
    const parts = { size, root: bytesOf(root), signature: bytesOf(signature) };
    return openCheckpoint(assembleCheckpoint(parts, log), { id: hub, origin: log.name }).size === size;
  } catch {
    return false;
  }
}

/** An entry under a head; null: it is not there, or nobody has signed it. */
function entryOf(
  { index, event, inclusion_proof }: RegistrySeen['facts'][number],
  { size, root }: RegistrySeen['head'],
): Said | null {
  if (!verifyInclusion(leafHash(event), index, size, inclusion_proof, bytesOf(root))) return null;
  return signed(event);
}

function signed(event: Uint8Array): Said | null {
  try {
    return openEvent(event) as unknown as Said;
  } catch {
    return null;
  }
}

export const OF_PEOPLE: readonly EventBody['type'][] = ['device.bound', 'device.revoked', 'account.address'];

export function mayNotSee(books: Books, author: string, body: RegistrySeen, people: People): string | null {
  const { registry, head, facts } = body;
  const last = books.registry;
  if (author !== books.hub) return 'not the hub';
  if (registry === books.hub) return 'its own registry';
  if (last && last.hub !== registry) return 'another registry';
  if (!last && books.devices.size + books.addresses.size > 0) return 'it has devices or addresses itself';
  if (last && head.size === last.size && facts.length === 0) return 'nothing new';
  if (!isSigned(registry, head)) return 'a head that the registry has not signed';
  const from = last ? bytesOf(last.root) : EMPTY_ROOT;
  if (!verifyConsistency(last?.size ?? 0, head.size, body.consistency, from, bytesOf(head.root)))
    return 'another history';
  // One after another, in books of their own.
  const draft: Books = {
    ...books,
    devices: new Map([...books.devices].map(([id, device]) => [id, { ...device }])),
    ...{ addresses: new Map(books.addresses), runs: new Map() },
  };
  for (const fact of facts) {
    const said = entryOf(fact, head);
    if (!said || !OF_PEOPLE.includes(said.body.type)) return 'not an entry of the registry';
    const why = mayNotCount(draft, registry, said, people);
    if (why) return why;
    people.follow(draft, said);
  }
  return null;
}

function mayNotCount(books: Books, registry: string, said: Said, people: People): string | null {
  const { author, body } = said;
  if (body.type !== 'account.address') {
    return body.type === 'device.bound' && books.devices.get(author)?.revoked
      ? 'its owner has revoked the key'
      : people.mayNot(books, said);
  }
  if (books.devices.has(author)) return 'a device';
  if (body.hub !== registry) return 'for another hub';
  return body.change < (books.addresses.get(author)?.changes ?? 0) ? 'an older address' : null;
}

export function see(books: Books, { registry, url, head, facts }: RegistrySeen, people: People): void {
  books.registry = { hub: registry, url, size: head.size, root: head.root };
  for (const fact of facts) people.follow(books, entryOf(fact, head)!);
}

/** Where a listing says that a run is; null: it does not show it. */
function listingOf({ run, number, url, held }: RunListed) {
  const said = isSigned(held.hub, held.head) ? entryOf(held, held.head) : null;
  if (!said) return null;
  const place = { hub: held.hub, url, owner: said.author, listed: number + 1 };
  if (said.body.type === 'run.created' && said.id === run) return { ...place, name: said.body.name, moves: 0 };
  if (said.body.type !== 'run.arrived' || said.body.run !== run) return null;
  const { created, moved } = said.body;
  const first = signed(created);
  const left = isSigned(moved.hub, moved.head) ? entryOf(moved, moved.head) : null;
  if (first?.id !== run || first.author !== said.author || first.body.type !== 'run.created') return null;
  if (left?.body.type !== 'run.moved' || left.author !== moved.hub) return null;
  const { owner, to } = left.body;
  if (left.body.run !== run || to !== held.hub || owner !== said.author) return null;
  return { ...place, name: first.body.name, moves: left.body.move + 1 };
}

export function mayNotList(books: Books, author: string, body: RunListed): string | null {
  const known = books.directory.get(body.run);
  if (body.number !== (known?.listed ?? 0)) return 'not its next listing';
  const listing = listingOf(body);
  if (!listing) return 'no proof that the run is there';
  if (listing.owner !== author) return 'not the owner';
  if (known) return listing.moves < known.moves ? 'where it was before' : null;
  const own = [...books.directory.values()].filter(({ owner }) => owner === author).length;
  return books.directory.size >= LISTED_RUNS || own >= LISTED_RUNS_OF_ONE ? 'too many are listed' : null;
}

export function list(books: Books, body: RunListed): void {
  books.directory.set(body.run, listingOf(body)!);
}
