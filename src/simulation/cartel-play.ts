// One history with a cartel: the real hub and peers on virtual time, with the times and rules that `run create` gives.
import type { LoggedEvent } from '../core/events.ts';
import type { RunState } from '../core/state.ts';
import type { AnyGame } from '../games/game.ts';
import { CONNECTION_LIMITS } from '../hub/connection.ts';
import { seededRandom } from '../protocol/random.ts';
import type { Conspiracy, Ring } from './cartel-conduct.ts';
import { isLiar, planOfRoster, type Roster } from './cartel-roster.ts';
import { CartelWatch, type Played } from './cartel-watch.ts';
import { SimulationError } from './errors.ts';
import { History } from './history.ts';
import { judgedAsTraining } from './judged-tally.ts';
import type { PeerPlan } from './plan.ts';
import type { Inhabitant } from './world.ts';

/** So seldom that histories without a restart spend no time on it. */
const SNAPSHOT_EVERY = 100_000;

/** Plays a run to its end. Throws SimulationError `violated` if the network itself fails. */
export async function playCartel(
  roster: Roster,
  rounds: number,
  seed: number,
  conspiracy: Conspiracy,
): Promise<Played> {
  const playedBy = (peer: Inhabitant, tally: AnyGame): AnyGame => {
    const game = judgedAsTraining(tally, peer.plan.step_ms);
    return isLiar(peer.plan) ? Object.assign({}, game, conspiracy[peer.plan.role]?.(game, peer, conspirators)) : game;
  };
  const onEvent = (event: LoggedEvent): void => {
    watch.saw(event, world.time.now_ms);
    if (event.body.type === 'round.drawn') conspirators.last_draw = run().draw;
    if (event.body.type !== 'round.opened') return;
    Object.assign(conspirators, { round: event.body.round, actor: null });
    conspiracy.onRound?.(conspirators);
  };
  const staging = { limits: CONNECTION_LIMITS, snapshot_every: SNAPSHOT_EVERY, watched: false, playedBy, onEvent };
  const world = new History(planOfRoster(roster, rounds, seed), null, staging);
  const liars = (role: PeerPlan['role']): Set<string> =>
    new Set(world.peers.filter(({ plan }) => isLiar(plan) && plan.role === role).map(({ identity }) => identity.id));
  const run = (): RunState => world.hub!.place.sequencer.state.runs.get(world.run)!;
  const random = seededRandom('conspiracy', seed);
  const conspirators: Ring = {
    ...{ world, random, workers: liars('worker'), validators: liars('validator'), lies: new Set<string>() },
    ...{ round: 0, actor: null, last_draw: null, run },
  };
  const watch = new CartelWatch(conspirators);
  const { violation } = await world.play();
  if (violation) throw new SimulationError('violated', violation);
  return watch.result();
}
