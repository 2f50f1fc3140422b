// Three hubs with a log each, and what their participants know: of each run that has left a log the proof of it and what it takes along.
import { type EventBody, EventBodySchema, type LoggedEvent } from '../../core/events.ts';
import type { ForeignEvent } from '../../core/moving/foreign-event.ts';
import { encodeMovedRun } from '../../core/moving/moved-run.ts';
import { neededBlobs } from '../../core/rounds/needed-blobs.ts';
import type { RunState } from '../../core/state.ts';
import { type Cast, openCast } from '../../core/testing/cast.ts';
import { type Departure as Leave, partsOf } from '../../core/testing/foreign-run.ts';
import { openEvent, signEvent } from '../../protocol/envelope.ts';
import { sha256Hex, utf8 } from '../../protocol/hash.ts';
import { type DrawingIdentity, type Identity, identityFromSecret } from '../../protocol/identity.ts';
import { type Random, seededRandom } from '../../protocol/random.ts';
import { AcrossLogs } from './across-logs.ts';
import { HubLog } from './hub-log.ts';

/** A run has left a log. */
export interface Departure extends Leave {
  readonly to: string;
}

/** The last one is its runs' owner's own. */
const HUBS: readonly DrawingIdentity[] = [21, 22, 23].map((byte) => identityFromSecret(new Uint8Array(32).fill(byte)));

/** Where a run of these histories goes on. */
const URL = 'http://elsewhere.example';

let cast: Promise<Cast> | undefined;

export async function openWorld(seed: number): Promise<World> {
  cast ??= openCast();
  return new World(seed, await cast);
}

export class World {
  readonly random: Random;
  readonly across = new AcrossLogs();
  readonly hubs: readonly HubLog[];
  /** Of all runs, by whoever sends them away. */
  readonly owner: Identity;
  /** In the order in which they have happened. */
  readonly departures: Departure[] = [];
  /** Every word of a run that some log has taken. */
  readonly heard: LoggedEvent[] = [];
  readonly #created = new Map<string, Uint8Array>();
  readonly #seed: number;
  #words = 0;

  constructor(seed: number, cast: Cast) {
    this.#seed = seed;
    this.random = seededRandom('moving runs', seed);
    this.owner = cast.comes.owner;
    this.hubs = HUBS.map((key) => new HubLog(key, cast, seed, this.across));
    this.across.hubs.push(...this.hubs);
  }

  below(bound: number): number {
    return this.random.below(bound);
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }

  hubNamed(id: string): HubLog {
    return this.hubs.find((hub) => hub.id === id)!;
  }

  /** Says something with an id of its own. @returns whether it was taken */
  say(hub: HubLog, author: string, body: EventBody): boolean {
    return this.hear(hub, { id: sha256Hex(utf8(`${this.#seed} word ${this.#words++}`)), author, body });
  }

  /** Says an event, and remembers it if it was taken. */
  hear(hub: HubLog, event: LoggedEvent): boolean {
    if (hub.say(event)) return false;
    if ('run' in event.body) this.heard.push(event);
    return true;
  }

  /** A drawn run begins, by the owner's real word. */
  async begin(hub: HubLog, drawn: Extract<EventBody, { type: 'run.created' }>): Promise<void> {
    const body = { ...drawn, hub: hub.id };
    const bytes = await signEvent(this.owner, body);
    const { id, author } = openEvent(bytes);
    if (hub.say({ id, author, body }, bytes) === null) this.#created.set(id, bytes);
  }

  /** The run that goes on somewhere. */
  going(): { readonly hub: HubLog; readonly run: RunState } | null {
    for (const hub of this.hubs) {
      for (const run of hub.state.runs.values()) if (run.phase !== 'finished') return { hub, run };
    }
    return null;
  }

  /** The last departure, while the run is not where it goes. */
  pending(): Departure | null {
    const last = this.departures.at(-1);
    const there = last && this.hubNamed(last.to).state.runs.get(last.run);
    return last === undefined || (there && there.moves >= moveOf(last)) ? null : last;
  }

  /** A run's departures so far, with their proofs. */
  wayOf(run: string): ForeignEvent[] {
    return this.departures.filter((one) => one.run === run).map(({ arrived }) => arrived.moved);
  }

  /** Whether a run has ever been in the log of a hub, or was let go to it. */
  hadBy(run: string, hub: string): boolean {
    const sent = this.departures.some((one) => one.run === run && one.to === hub);
    return sent || this.hubNamed(hub).state.runs.has(run);
  }

  /** The hub lets a run go whose owner has sent it away. */
  async letGo(hub: HubLog, run: RunState): Promise<void> {
    const to = run.leaving!.hub;
    const bytes = encodeMovedRun(hub.state, run);
    const taken = { state: sha256Hex(bytes), size_bytes: bytes.length };
    const about = { run: run.id, owner: run.owner, to, url: URL, move: run.moves, ...taken };
    const parts = partsOf(
      run.id,
      bytes,
      neededBlobs(run).map(([, hash]) => hash),
    );
    const signed = await signEvent(hub.key, { type: 'run.moved', version: 1, ...about });
    const { id, author, body } = openEvent(signed);
    const event = { id, author, body: EventBodySchema.parse(body) };
    if (hub.say(event, signed)) return;
    this.heard.push(event);
    const created = this.#created.get(run.id)!;
    const moved = await hub.proveLast();
    const way = this.wayOf(run.id);
    const arrived = { type: 'run.arrived', version: 1, run: run.id, created, moved, way, url: URL } as const;
    this.departures.push({ owner: this.owner, run: run.id, bytes, arrived, parts, to });
  }

  /** An owner revokes a device that has a record in a run. */
  revokeOne({ hub, run }: { readonly hub: HubLog; readonly run: RunState }): void {
    const bound = [...hub.state.devices].filter(([id]) => (run.peers.get(id)?.consecutive_valid ?? 0) > 0);
    if (bound.length === 0) return;
    const [device, { owner }] = this.oneOf(bound);
    this.say(hub, owner, { type: 'device.revoked', version: 1, device });
  }

  /** The owner sends a paused run to another hub. */
  send({ hub, run }: { readonly hub: HubLog; readonly run: RunState }, to: HubLog): boolean {
    const { id, round, attempt } = run;
    const body = { type: 'run.leaving', version: 1, run: id, round, attempt, to: to.id, url: URL } as const;
    return this.say(hub, run.owner, body);
  }
}

/** How often a run has moved with a departure. */
export const moveOf = ({ arrived }: Departure): number =>
  (openEvent(arrived.moved.event).body as unknown as { move: number }).move + 1;
