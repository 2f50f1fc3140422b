// Histories of runs that move between the logs of several hubs while rounds are worked, and while their owner tries to have more of them than one.
import type { EventBody } from '../../core/events.ts';
import type { HubLog } from './hub-log.ts';
import { TRIES } from './tries.ts';
import { openWorld, type World } from './world.ts';

/** So many steps a history has, and so many of a hundred are somebody's try to cheat. */
const [STEPS, TRIES_PERCENT] = [420, 25];
/** While a run is not on its way, its owner begins to send it to another hub at one of so many steps. */
const SENT_ONE_IN = 22;
/** So many steps its owner waits for a run that cannot leave yet. */
const PATIENCE = 30;

/** Before one of so many departures an owner revokes a device that has a record, of which no other log will know. */
const REVOKED_ONE_IN = 5;

export interface MovesOutcome {
  /** What did not hold; null: all did. */
  readonly violation: string | null;
  readonly rounds: number;
  readonly moves: number;
  readonly arrivals: number;
  /** What was tried against the rules, and how often each was refused. */
  readonly tries: ReadonlyMap<string, number>;
}

export async function playMoves(seed: number): Promise<MovesOutcome> {
  const world = await openWorld(seed);
  const tries = new Map<string, number>();
  const history = new Moves(world, tries);
  let violation: string | null = null;
  for (let i = 0; i < STEPS && violation === null; i++) {
    try {
      await history.step();
    } catch (error) {
      // Also a core that cannot go on with what it has taken.
      violation = `step ${i}: ${(error as Error).message}`;
    }
  }
  const { rounds, arrivals } = world.across;
  return { violation, rounds, moves: world.departures.length, arrivals, tries };
}

/** The violated property; null if there is none. */
export const playMovingSeed = async (seed: number): Promise<string | null> => (await playMoves(seed)).violation;

class Moves {
  readonly #world: World;
  readonly #tries: Map<string, number>;
  /** Where the run is to go, and for how many steps its owner still wants it. */
  #wish: { readonly to: HubLog; steps: number } | null = null;

  constructor(world: World, tries: Map<string, number>) {
    this.#world = world;
    this.#tries = tries;
  }

  async step(): Promise<void> {
    const world = this.#world;
    if (world.below(100) < TRIES_PERCENT) return this.#cheat();
    if (world.below(2) === 0 && (await this.#move())) return;
    const going = world.going();
    const hub = going && world.below(8) > 0 ? going.hub : world.oneOf(world.hubs);
    const event = hub.next();
    if (event.body.type !== 'run.created') world.hear(hub, event);
    else if (!going && !world.pending()) await world.begin(hub, event.body);
  }

  /** The owner, and the hubs that do what it says, go on with a move. @returns false if there is nothing to do for one */
  async #move(): Promise<boolean> {
    const world = this.#world;
    const going = world.going();
    const comes = world.pending();
    if (comes) {
      const there = world.hubNamed(comes.to);
      const coming = there.state.arriving.get(comes.run);
      world.say(there, comes.owner.id, coming ? comes.parts[coming.parts.length] : comes.arrived);
      return true;
    }
    if (!going) return false;
    const { hub, run } = going;
    if (run.leaving) {
      if (world.below(REVOKED_ONE_IN) === 0) world.revokeOne(going);
      await world.letGo(hub, run);
      this.#wish = null;
      return true;
    }
    if (!this.#wish && world.below(SENT_ONE_IN) === 0) {
      this.#wish = { to: world.oneOf(world.hubs.filter((one) => one !== hub)), steps: PATIENCE };
    }
    if (!this.#wish) return false;
    if (this.#wish.steps-- === 0 || this.#wish.to === hub) this.#wish = null;
    else if (run.phase === 'paused') return world.send(going, this.#wish.to);
    else return world.say(hub, run.owner, { type: 'run.paused', version: world.oneOf([1, 2, 2]), ...asks(going) });
    return false;
  }

  async #cheat(): Promise<void> {
    const world = this.#world;
    const name = world.oneOf(Object.keys(TRIES));
    const tried = await TRIES[name](world);
    if (tried) this.#tries.set(name, (this.#tries.get(name) ?? 0) + 1);
  }
}

const asks = ({ run: { id, round, attempt } }: NonNullable<ReturnType<World['going']>>) =>
  ({ run: id, round, attempt }) satisfies Partial<Extract<EventBody, { type: 'run.paused' }>>;
