// A registry's log for generated histories, and what a log takes in of it: mostly what may follow, now and then another history or what is not in it.
import { consistencyProof, inclusionProof, leafHash, nodesOfLeaves } from '../../ledger/merkle.ts';
import { signEvent } from '../../protocol/envelope.ts';
import type { DrawingIdentity } from '../../protocol/identity.ts';
import type { RegistrySeen } from '../events/registry-seen.ts';
import type { RunListed } from '../events/run-listed.ts';
import type { EventBody } from '../events.ts';
import type { ForeignEvent } from '../moving/foreign-event.ts';
import type { NetworkState } from '../state.ts';
import type { Cast } from './cast.ts';
import { foreignLog } from './foreign-log.ts';
import type { Departure } from './foreign-run.ts';

/** A registry's log as it was at each size: by size and index, an entry with its proof. */
interface History {
  readonly size: number;
  at(size: number, index: number): ForeignEvent;
  consistency(from: number, to: number): Uint8Array[];
}

export interface CastRegistry {
  readonly hub: string;
  readonly true_history: History;
  /** Signed by the same key, and another one from the middle on. */
  readonly other_history: History;
  /** The same entries in a log of another hub's. */
  readonly elsewhere: { readonly hub: string; readonly history: History };
  /** A run is here, then elsewhere: what its owner says in a directory. */
  readonly listings: readonly ForeignEvent[];
}

const URL = 'http://registry.example';

/** Everything that the cast's people say in a registry: bindings, addresses, revocations, in turn. */
export async function openRegistry(
  hub: DrawingIdentity,
  another: DrawingIdentity,
  people: {
    readonly owners: readonly DrawingIdentity[];
    readonly devices: readonly DrawingIdentity[];
    readonly certificates: ReadonlyMap<string, readonly Uint8Array[]>;
    readonly owned: readonly number[];
  },
): Promise<Omit<CastRegistry, 'listings'>> {
  const { owners, devices, certificates, owned } = people;
  const said: (readonly [DrawingIdentity, EventBody])[] = [];
  for (const [change, owner] of owners.entries()) said.push([owner, address(hub.id, owner.id, 0, change)]);
  for (const i of owned.keys()) said.push([devices[i], bound(certificates.get(devices[i].id)![0])]);
  // A registry that is not audited may hold a device that is revoked and bound again.
  for (const [i, owner] of owned.entries()) {
    if (i % 3 === 0) said.push([owners[owner], { type: 'device.revoked', version: 1, device: devices[i].id }]);
    said.push([devices[i], bound(certificates.get(devices[i].id)![1])]);
  }
  for (const [i, owner] of owners.entries()) said.push([owner, address(hub.id, owners[0].id, 1, i)]);
  // Something that is of no device, and an address for another hub.
  said.push([hub, { type: 'tick', version: 1, time_ms: 5 }], [owners[0], address(owners[0].id, owners[0].id, 2, 0)]);
  const entries = await Promise.all(said.map(([author, body]) => signEvent(author, { ...body })));
  const half = entries.length >> 1;
  const others = [...entries.slice(0, half), ...entries.slice(half).reverse(), entries[0]];
  return {
    hub: hub.id,
    true_history: await historyOf(hub, entries),
    other_history: await historyOf(hub, others),
    elsewhere: { hub: another.id, history: await historyOf(another, entries) },
  };
}

const bound = (certificate: Uint8Array): EventBody => ({ type: 'device.bound', version: 1, certificate });
const address = (hub: string, of: string, change: number, digit: number): EventBody => ({
  ...{ type: 'account.address', version: 1, hub, change, chain: 'evm' },
  address: `0x${of.slice(0, 39)}${digit}`,
});

async function historyOf(hub: DrawingIdentity, entries: readonly Uint8Array[]): Promise<History> {
  const nodes = nodesOfLeaves(entries.map(leafHash));
  const log = foreignLog(hub);
  const heads: ForeignEvent[] = [];
  for (const event of entries) {
    log.entries.push(event);
    heads.push(await log.prove(0));
  }
  return {
    size: entries.length,
    at: (size, index) => {
      const placed = { index, event: entries[index], inclusion_proof: inclusionProof(index, size, nodes) };
      return { ...heads[size - 1], ...placed };
    },
    consistency: (from, to) => consistencyProof(from, to, nodes),
  };
}

/** That a run was in one log, and that it has come into the log of `to`. */
export async function listingsOf({ owner, arrived }: Departure, from: DrawingIdentity, to: DrawingIdentity) {
  const [before, after] = [foreignLog(from), foreignLog(to)];
  before.entries.push(arrived.created);
  after.entries.push(await signEvent(owner, { ...arrived }));
  return [await before.prove(0), await after.prove(0)];
}

/** The next head of the registry with some of its entries, or a listing of a run; null where there is nothing to say. */
export function drawRegistry(
  { hub, registry, comes }: Cast,
  state: NetworkState,
  below: (bound: number) => number,
): readonly [author: string, body: EventBody] | null {
  const seen = state.registry?.size ?? 0;
  if (seen > 0 && below(5) === 0) {
    const listed = state.directory.get(comes.run)?.listed ?? 0;
    const number = below(4) === 0 ? Math.max(0, listed - 1) : listed;
    const held = registry.listings[(number + below(2)) % 2];
    const body: RunListed = { type: 'run.listed', version: 1, run: comes.run, number, url: `${URL}/${number}`, held };
    return [below(6) === 0 ? hub : comes.owner.id, body];
  }
  const strange = below(20) === 0;
  const history = strange
    ? registry.elsewhere.history
    : below(9) === 0
      ? registry.other_history
      : registry.true_history;
  const size = Math.max(1, Math.min(history.size, seen + below(4)));
  const from = below(12) === 0 ? Math.max(0, seen - 1) : Math.min(seen, size);
  const { head } = history.at(size, 0);
  // Often those that came last, now and then any, in any order; one of them may be said to be another entry.
  const chosen = Array.from({ length: below(4) }, () =>
    below(3) > 0 ? Math.max(0, size - 1 - below(6)) : below(size),
  );
  const facts = [...new Set(chosen)].map((index) => {
    const { event, inclusion_proof } = history.at(size, index);
    return { index, inclusion_proof, event: below(24) === 0 ? history.at(size, below(size)).event : event };
  });
  const body: RegistrySeen = {
    ...{ type: 'registry.seen', version: 1, registry: strange ? registry.elsewhere.hub : registry.hub, url: URL, head },
    ...{ consistency: history.consistency(from, size), facts },
  };
  return [hub, body];
}
