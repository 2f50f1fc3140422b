// The participants of an arena: keys that follow from the seed, a device in memory, and the cost of its work and its checks.

import type { PeerRole } from '../core/events/peer-joined.ts';
import type { AnyGame, Claim, Device } from '../games/game.ts';
import type { Air } from '../games/memory-channel.ts';
import { memoryDrawer } from '../games/memory-drawer.ts';
import { runProgram } from '../games/programs/node-programs.ts';
import { openRatings, type Ratings } from '../peer/ratings.ts';
import { sha256, utf8 } from '../protocol/hash.ts';
import { type DrawingIdentity, type Identity, identityFromSecret } from '../protocol/identity.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Adversary } from './adversaries/adversary.ts';
import type { RememberingRuntime } from './remembering-runtime.ts';

/** A device that takes part, under one name or under many. */
export interface ArenaDevice {
  readonly name: string;
  /** Its keys follow from this and the seed. An honest and a dishonest device have the same place, so the run and its tasks stay the same. */
  readonly place: string;
  readonly role: PeerRole;
  /** null: it is honest. */
  readonly adversary: Adversary | null;
  readonly runtime: Runtime | RememberingRuntime;
  /** The stake that the run's rules give its first key as a validator; if they give none to anybody, the run is open. */
  readonly stake?: number;
  /** A slow device stops after so many steps of work in a round; without it, the device does everything that is asked. */
  readonly steps_a_round?: number;
  /** How many accepted submissions it has when the run begins, with all that their pay could be lost; by default none. */
  readonly record?: number;
}

/** A cost. */
export interface Cost {
  /** Pieces of work, or of games with stages its amount, and checks of submissions, as the game itself counts them: the same on every machine. */
  units: number;
  /** Processor time of all threads of this process while it ran. */
  cpu_ms: number;
}

/** One identity of a device in the arena. */
export interface Participant {
  readonly device: ArenaDevice;
  readonly identity: Identity;
  readonly lent: Device;
  /** Its ratings of workers, as a judge. */
  readonly ratings: Promise<Ratings>;
  readonly game: AnyGame;
  readonly cost: Cost;
  /** Its device object, once it was first needed. */
  prepared: Promise<void> | null;
  /** Stops its work in the current round. */
  readonly time: { up: AbortController };
  /** What happened to it, by name and count: refusals by the hub, codes of verdicts, errors of the game. */
  readonly fates: Map<string, number>;
  /** The first error of the game on this device, in words. */
  problem: string | null;
}

/** What a participant gets to know of the run. */
export interface Table {
  readonly game: AnyGame;
  readonly params: unknown;
  readonly seed: string;
  fetchBlob(hash: string): Promise<Uint8Array>;
  /** Through which devices talk; null: the game needs no channel. */
  readonly air: Air | null;
  seen(): readonly Claim[];
  shown(judge: string): ReadonlyMap<string, boolean>;
  friends(): ReadonlySet<string>;
}

export const identityOf = (seed: string, name: string): DrawingIdentity =>
  identityFromSecret(sha256(utf8(`potluck-arena\n${seed}\n${name}`)));

/** The participants of one device: as many as its adversary has names; their keys follow from `place`. */
export function participantsOf(device: ArenaDevice, table: Table, place: string): Participant[] {
  const { adversary } = device;
  const family = new Map<string, Claim>();
  return Array.from({ length: adversary?.identities ?? 1 }, (_, i) => {
    const identity = identityOf(table.seed, i === 0 ? place : `${place}/${i}`);
    const cost: Cost = { units: 0, cpu_ms: 0 };
    const time = { up: new AbortController() };
    const fates = new Map<string, number>();
    const channel = table.air?.channel(identity);
    const lent = deviceInMemory(
      device.runtime,
      { fetchBlob: table.fetchBlob, ...(channel && { channel }) },
      cost,
      (pieces) => {
        if (device.steps_a_round !== undefined && pieces >= device.steps_a_round) time.up.abort();
      },
    );
    const counted = countChecks(table.game, cost);
    const random: Random = seededRandom('arena adversary', table.seed, place, i);
    const participant: Participant = {
      ...{ device, identity, lent, cost, time, ratings: openRatings(lent.drawer) },
      game: adversary
        ? adversary.play(counted, {
            ...{ role: device.role, peer: identity.id, params: table.params, random, family },
            get friends() {
              return table.friends();
            },
            seen: async () => table.seen(),
            shown: () => table.shown(identity.id),
          })
        : counted,
      fates,
      problem: null,
      prepared: null,
    };
    return participant;
  });
}

/** A sink for everything that the hub accepts. */
export const HANDED_IN = 'submitted';

/** A real check costs one unit; a pretended one costs nothing. */
function countChecks(game: AnyGame, cost: Cost): AnyGame {
  return {
    ...game,
    check(task, claim, device, judging) {
      cost.units++;
      return game.check(task, claim, device, judging);
    },
  };
}

function deviceInMemory(
  runtime: Runtime,
  lines: Pick<Device, 'fetchBlob' | 'channel'>,
  cost: Cost,
  onPiece: (pieces: number) => void,
): Device {
  let [last, pieces] = [0, 0];
  return {
    runtime,
    ...lines,
    drawer: memoryDrawer(),
    run: runProgram,
    // Reports count from the beginning of a piece of work, so a smaller amount begins another one.
    async progress({ amount }) {
      // Stages differ in what a piece of their work is, not in what an amount is.
      cost.units += lines.channel ? amount - (amount >= last ? last : 0) : 1;
      pieces = amount > last && last > 0 ? pieces + 1 : 1;
      last = amount;
      onPiece(pieces);
    },
  };
}

/** Runs a step of a device and records its processor time, as if nobody had computed any of it before. */
export async function charged<T>(cost: Cost, { runtime }: ArenaDevice, work: () => Promise<T>): Promise<T> {
  const spared_ms = (): number => ('spared_ms' in runtime ? runtime.spared_ms : 0);
  const before = { usage: process.cpuUsage(), spared_ms: spared_ms() };
  try {
    return await work();
  } finally {
    const { user, system } = process.cpuUsage(before.usage);
    cost.cpu_ms += (user + system) / 1000 + spared_ms() - before.spared_ms;
  }
}

export function countFate(participant: Participant, fate: string): void {
  participant.fates.set(fate, (participant.fates.get(fate) ?? 0) + 1);
}
