// What whoever wants more of a run than it is worth tries at the hubs: its owner, who has a hub, those who hold shares, and those who read logs.
import { decode, encode } from '@ipld/dag-cbor';
import { type EventBody, EventBodySchema } from '../../core/events.ts';
import { sessionOf } from '../../core/rounds/presence.ts';
import { settleable, settlementRoot } from '../../core/shares/settlement.ts';
import { nextStakeChange } from '../../core/shares/stake.ts';
import { foreignLog } from '../../core/testing/foreign-log.ts';
import { partsOf } from '../../core/testing/foreign-run.ts';
import { openEvent, signEvent } from '../../protocol/envelope.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import type { HubLog } from './hub-log.ts';
import type { Departure, World } from './world.ts';

/** Tries something. @returns whether there was something to try */
type Try = (world: World) => boolean | Promise<boolean>;

/** Says that a run has come, and brings all of it if the hub lets it in. */
function bring(world: World, hub: HubLog, { owner, arrived, parts }: Departure): boolean {
  if (world.say(hub, owner.id, arrived)) for (const part of parts) world.say(hub, owner.id, part);
  return true;
}

const some = <T>(world: World, list: readonly T[]): T | null => (list.length === 0 ? null : world.oneOf(list));

/** A departure that is not the last, or whose run has come already. */
function oldOne(world: World): Departure | null {
  const waits = world.pending();
  return some(
    world,
    world.departures.filter((one) => one !== waits),
  );
}

/**
 * With proof of something else: a head in the hub's name that it has not signed, or a departure that it has not written. What a hub writes
 * into its own log against the rules convicts it there, and is not tried.
 */
async function forged(world: World, departure: Departure, kind: number): Promise<Departure['arrived']> {
  const { arrived } = departure;
  const { moved } = arrived;
  if (kind === 0) return { ...arrived, moved: { ...moved, head: { ...moved.head, signature: '0'.repeat(128) } } };
  if (kind === 1) return { ...arrived, moved: { ...moved, index: moved.index + 1 } };
  const own = world.hubs.find(({ id }) => id !== moved.hub)!;
  const body = openEvent(moved.event).body as Extract<EventBody, { type: 'run.moved' }>;
  const more = { ...body, move: body.move + 4, to: world.oneOf(world.hubs).id };
  const log = foreignLog(own.key);
  log.entries.push(await signEvent(kind === 2 ? world.owner : own.key, more));
  const proof = await log.prove(0);
  // By the owner in another hub's log, by that hub in the name of the other, or the true one in that hub's tree.
  if (kind === 2) return { ...arrived, moved: proof };
  if (kind === 3) return { ...arrived, moved: { ...proof, hub: moved.hub } };
  log.entries[0] = moved.event;
  return { ...arrived, moved: { ...(await log.prove(0)), hub: moved.hub } };
}

/** Bytes of the same length that say something else: two holders change places, or there is one proposal more. */
function otherBytes(bytes: Uint8Array): Uint8Array {
  const form = decode<{ shares: [string, number][]; proposals: number }>(bytes);
  const [first, second] = form.shares;
  if (second && first[1] !== second[1]) [first[0], second[0]] = [second[0], first[0]];
  else form.proposals ^= 1;
  return encode(form);
}

/**
 * A run that its owner has begun at a hub of its own, which lets it go with numbers that no later round could count on from, with an ancestor that its
 * first event does not name, or with nothing at all.
 */
async function madeUp(world: World, { arrived, bytes, owner, parts }: Departure, to: string): Promise<Departure> {
  const own = world.hubs.at(-1)!;
  const first = openEvent(arrived.created).body as Extract<EventBody, { type: 'run.created' }>;
  const created = await signEvent(owner, { ...first, hub: own.id, created_ms: world.below(2 ** 30) });
  const run = openEvent(created).id;
  const form = decode<{ lineage: object | null; forgetting: object }>(bytes);
  const [key, lineage] = ['c'.repeat(64), { merged_rounds: 1, royalty_permille: 999, holders: [] }];
  const untrue: object[] = [
    { attempt: Number.MAX_SAFE_INTEGER },
    { forgetting: { ...form.forgetting, next_session: 2 ** 52 + 1 } },
    { bonds: [[key, [[key, 65_536]]]] },
    { lineage: form.lineage ? null : { run: key, model: key, ...lineage } },
    {},
  ];
  const kind = world.below(untrue.length);
  const taken = encode({ ...form, ...untrue[kind] });
  const size_bytes = kind === untrue.length - 1 ? 0 : taken.length;
  const log = foreignLog(own.key);
  const left = { ...openEvent(arrived.moved.event).body, run, move: 0, to, state: sha256Hex(taken), size_bytes };
  log.entries.push(await signEvent(own.key, left));
  const blobs = parts.flatMap((part) => part.blobs);
  const { way: _way, ...about } = arrived;
  const brought = { ...about, run, created, moved: await log.prove(0) };
  return { owner, run, bytes: taken, to, arrived: brought, parts: partsOf(run, taken, blobs) };
}

export const TRIES: Readonly<Record<string, Try>> = {
  'an old departure again'(world) {
    const old = oldOne(world);
    return old !== null && bring(world, world.hubNamed(old.to), old);
  },
  'a departure to another hub'(world) {
    const departure = some(world, world.departures);
    const elsewhere = world.hubs.filter(({ id }) => id !== departure?.to);
    return departure !== null && bring(world, world.oneOf(elsewhere), departure);
  },
  'a run that nobody else brings'(world) {
    const departure = some(world, world.departures);
    if (!departure) return false;
    const author = world.hubs[0].id;
    const hub = world.hubNamed(departure.to);
    return !world.say(hub, author, departure.arrived) && !world.say(hub, author, departure.parts[0]);
  },
  async 'a forged proof'(world) {
    const departure = world.pending() ?? some(world, world.departures);
    if (!departure) return false;
    const arrived = await forged(world, departure, world.below(5));
    return bring(world, world.hubNamed(departure.to), { ...departure, arrived });
  },
  async 'a departure that its own hub invents'(world) {
    const last = world.departures.at(-1);
    const own = world.hubs.at(-1)!;
    if (!last || world.hadBy(last.run, own.id)) return false;
    // A hub that has had the run can lie about it in its own log, and whoever follows the run there sees it. One that never had it cannot.
    const { arrived } = last;
    const body = openEvent(arrived.moved.event).body as Extract<EventBody, { type: 'run.moved' }>;
    const hub = world.hubs[world.below(2)];
    const way = world.wayOf(last.run);
    const log = foreignLog(own.key);
    const shown = way.slice(0, world.below(way.length + 1));
    const move = world.below(2) === 0 ? shown.length : body.move + 2;
    log.entries.push(await signEvent(own.key, { ...body, move, to: hub.id }));
    return bring(world, hub, { ...last, arrived: { ...arrived, way: shown, moved: await log.prove(0) } });
  },
  'a forged state'(world) {
    const waits = world.pending();
    const hub = waits && world.hubNamed(waits.to);
    if (!hub?.state.arriving.has(waits!.run)) return false;
    const bytes = otherBytes(waits!.bytes);
    const last = waits!.parts.at(-1)!;
    if (waits!.parts.length > 1 || bytes.length !== last.bytes.length) return false;
    world.say(hub, waits!.owner.id, { ...last, bytes });
    return true;
  },
  async 'a run that could not go on'(world) {
    const last = world.departures.at(-1);
    const hub = world.hubs[world.below(2)];
    // It stays on its way, and holds one of the places of those that come.
    if (!last || hub.state.arriving.size > 1) return false;
    return bring(world, hub, await madeUp(world, last, hub.id));
  },
  'a part without its blobs'(world) {
    const waits = world.pending();
    const hub = waits && world.hubNamed(waits.to);
    if (!hub?.state.arriving.has(waits!.run)) return false;
    const part = world.oneOf(waits!.parts);
    world.say(hub, waits!.owner.id, { ...part, blobs: part.blobs.slice(1) });
    return true;
  },
  'words at the log that was left'(world) {
    const left = world.hubs.flatMap((hub) => [...hub.state.runs.values()].map((run) => ({ hub, run })));
    const old = some(
      world,
      left.filter(({ run }) => run.moved !== null),
    );
    if (!old) return false;
    const { hub, run } = old;
    const word = world.oneOf(wordsAbout(world, hub, run.id));
    world.say(hub, ...word);
    return true;
  },
  'words of one log at another'(world) {
    const event = some(world, world.heard);
    if (!event) return false;
    const hub = world.oneOf(world.hubs);
    // Whoever brings a run may begin again; that is tried elsewhere.
    if (event.body.type === 'run.arrived' || event.body.type === 'run.part') return false;
    world.hear(hub, event);
    return true;
  },
  'the last words at the other log'(world) {
    const event = some(world, world.heard.slice(-12));
    const going = world.going();
    if (!event || !going || event.body.type === 'run.arrived' || event.body.type === 'run.part') return false;
    world.hear(going.hub, event);
    return true;
  },
  'a run that begins in another log'(world) {
    const departure = some(world, world.departures);
    if (!departure) return false;
    const { created } = departure.arrived;
    const body = EventBodySchema.parse(openEvent(created).body);
    const author = departure.owner.id;
    for (const hub of world.hubs) hub.say({ id: departure.run, author, body });
    return true;
  },
  'a run that begins while it comes'(world) {
    const departure = world.pending();
    if (!departure) return false;
    const body = EventBodySchema.parse(openEvent(departure.arrived.created).body);
    const hub = world.hubNamed(departure.to);
    if (!hub.state.arriving.has(departure.run)) return false;
    hub.say({ id: departure.run, author: departure.owner.id, body });
    return true;
  },
};

/** What its owner, holders of its shares, devices and the hub might say of a run that is elsewhere. */
function wordsAbout(world: World, { id: hub, state }: HubLog, id: string): [author: string, body: EventBody][] {
  const run = state.runs.get(id)!;
  const about = { version: 1, run: id } as const;
  const now = { round: run.round, attempt: run.attempt };
  const { owner } = world;
  const words: [string, EventBody][] = [
    [owner.id, { type: 'run.resumed', ...about, ...now }],
    [owner.id, { type: 'run.ended', ...about, ...now }],
    [owner.id, { type: 'run.leaving', ...about, ...now, to: world.hubs.at(-1)!.id, url: 'http://b.example' }],
    [
      owner.id,
      { type: 'rules.proposed', ...about, proposal: run.proposals, from_round: run.round + 20, rules: run.rules },
    ],
    [hub, { type: 'round.opened', ...about, ...now }],
  ];
  const { balances, total } = settleable(state, run);
  if (total > 0n) {
    const format = 'merkle-distributor';
    const root = settlementRoot(format, balances);
    const about_log = { settlement: run.settlements, log_size: state.events, format, root } as const;
    words.push([owner.id, { type: 'payout.settled', ...about, ...about_log, total: Number(total) }]);
  }
  for (const { account, device: behind, shares } of run.locks) {
    const change = nextStakeChange(run, account);
    words.push([account, { type: 'stake.released', ...about, behind, shares, change }]);
  }
  for (const account of run.shares.keys()) {
    const change = nextStakeChange(run, account);
    words.push([account, { type: 'stake.locked', ...about, behind: account, shares: 1, change }]);
  }
  for (const { id: peer, role } of run.peers.values()) {
    const { session } = sessionOf(run, peer);
    words.push([peer, { type: 'peer.joined', ...about, session, role, name: 'x', runtime: 'y' }]);
  }
  return words;
}
