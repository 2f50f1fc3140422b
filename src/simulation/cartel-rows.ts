// The conspiracies that `bench cartels` plays.
import { openDraw } from '../core/rounds/panel.ts';
import type { Submission } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import { signEvent } from '../protocol/envelope.ts';
import { type Identity, identityFromSecret } from '../protocol/identity.ts';
import type { Ring } from './cartel-conduct.ts';
import * as conduct from './cartel-conduct.ts';
import { deviceOf, isLiar } from './cartel-roster.ts';
import { SimulationError } from './errors.ts';
import type { Inhabitant } from './world.ts';

export interface CartelRow {
  readonly name: string;
  /** Whether the rules name the validators; otherwise validators that stay may judge. */
  readonly named: boolean;
  /** Lying workers from the start. */
  readonly workers: number;
  /** Whether a third of the validators lie. */
  readonly judges: boolean;
  /** The number of further liars that join as validators after the run has begun. They are its larger part, so no bound holds. */
  readonly ghosts?: number;
  conspire(): conduct.Conspiracy;
}

/** How many keys a liar tries in a round. */
const KEYS_TRIED = 100_000;
/** How long a device that leaves stays away. */
const AWAY_MS = 2000;
const GHOSTS_A_ROUND = 5;
/** The number of rounds for which a sleeper works honestly. */
const HONEST_ROUNDS = 10;
/** Lying workers of a conspiracy. */
const WORKERS = 3;

const anyKey = ({ random }: Ring): Identity =>
  identityFromSecret(Uint8Array.from({ length: 32 }, () => random.below(256)));

/**
 * The best key for what is public: one that only friends would judge if the draw of the round before came again, as near as KEYS_TRIED keys
 * come to it.
 */
function groundKey(ring: Ring): Identity {
  const run = ring.run();
  if (ring.last_draw === null) return anyKey(ring);
  const judgesOf = openDraw(ring.world.hub!.place.sequencer.state, { ...run, draw: ring.last_draw });
  const friends = (ids: readonly string[]): number => ids.filter((id) => ring.validators.has(id)).length;
  const most = Math.min(run.rules.judges, friends(run.eligible));
  let best = { key: anyKey(ring), friends: -1 };
  for (let tried = 0; tried < KEYS_TRIED && best.friends < most; tried++) {
    const key = anyKey(ring);
    const found = friends(judgesOf({ worker: key.id } as Submission, run.rules.judges));
    if (found > best.friends) best = { key, friends: found };
  }
  return best.key;
}

/** In every round, liars who come with other keys than before; those of the round before leave. */
function withOtherKeys(role: 'worker' | 'validator', count: number, keyOf: (ring: Ring) => Identity) {
  let before: Inhabitant[] = [];
  return (ring: Ring): void => {
    const { world, round } = ring;
    for (const peer of before) peer.leave();
    before = Array.from({ length: count }, (_, place) => {
      const key = keyOf(ring);
      const peer = world.enlist(deviceOf(world.plan.seed, `liar-${role}-${place}-of-${round}`, role), key);
      (role === 'worker' ? ring.workers : ring.validators).add(key.id);
      peer.start();
      return peer;
    });
  };
}

/** In every round, the liars among the first validators leave and come back: with the same keys, or not at all. */
function leave(ring: Ring, comesBack: boolean): void {
  const { world } = ring;
  for (const peer of world.peers) {
    if (!isLiar(peer.plan) || peer.plan.role !== 'validator' || peer.plan.name.includes('-of-')) continue;
    peer.leave();
    if (comesBack) world.time.after(AWAY_MS, () => peer.start());
  }
}

function grinds(named: boolean): conduct.Conspiracy {
  const workers = withOtherKeys('worker', WORKERS, groundKey);
  let validators: ((ring: Ring) => void) | null = null;
  return {
    ...{ worker: conduct.fabricates, validator: conduct.hostile },
    onRound(ring) {
      // Their first keys are as good as later ones, so they keep them for one round.
      if (!named && ring.round > 0) {
        validators ??= withOtherKeys('validator', ring.validators.size, anyKey);
        leave(ring, false);
        validators(ring);
      }
      if (named) leave(ring, true);
      workers(ring);
    },
  };
}

/** Keys that join as validators over HTTP without a connection. */
function ghostsJoin(ring: Ring): void {
  const { world } = ring;
  for (let i = 0; i < GHOSTS_A_ROUND; i++) {
    const body = { type: 'peer.joined', version: 1, run: world.run, session: 0, role: 'validator' } as const;
    signEvent(anyKey(ring), { ...body, name: 'ghost', runtime: 'none' })
      .then((event) => world.post(event))
      .catch((error: unknown) => {
        if (!(error instanceof CodedError) || error instanceof SimulationError) world.problem(error, 'a ghost');
      });
  }
}

const row = (
  name: string,
  conspiracy: conduct.Conspiracy,
  workers: number,
  more: Partial<CartelRow> = {},
): CartelRow => ({
  ...{ name, named: true, workers, judges: conspiracy.validator !== undefined, conspire: () => conspiracy },
  ...more,
});
const { fabricates, sleeps } = conduct;

export const NOBODY = row('nobody lies', {}, 0);
export const NOBODY_OPEN = row('nobody lies, open run', {}, 0, { named: false });

export const CARTEL_ROWS: readonly CartelRow[] = [
  row('hostile judges', { validator: conduct.hostile }, 0),
  row('hostile judges and workers', { validator: conduct.hostile, worker: fabricates }, WORKERS),
  row('hostile judges and workers, open run', { validator: conduct.hostile, worker: fabricates }, WORKERS, {
    named: false,
  }),
  row('grinding', {}, 0, { judges: true, conspire: () => grinds(true) }),
  row('grinding, open run', {}, 0, { judges: true, named: false, conspire: () => grinds(false) }),
  row('1,000 ghosts, open run', { onRound: ghostsJoin }, 0, { named: false, judges: false }),
  row('60 silent ghosts, open run', { validator: conduct.silent }, 0, { named: false, judges: false, ghosts: 60 }),
  row('silent judges', { validator: conduct.silent }, 0),
  row('silent judges in turn', { validator: conduct.silentInTurn }, 0),
  row('lazy judges', { validator: conduct.lazy, worker: fabricates }, WORKERS),
  row('bribed judges', { validator: conduct.bribed, worker: fabricates }, WORKERS),
  row('false alarms in turn', { validator: conduct.criesWolfInTurn }, 0),
  ...[1, 2, 3, 5, 10].map((every) =>
    row(
      every === 1 ? 'sleepers' : `sleepers, one lie in ${every}`,
      { validator: conduct.bribed, worker: sleeps(HONEST_ROUNDS, every) },
      WORKERS,
    ),
  ),
  row('fresh keys', {}, 0, {
    judges: true,
    conspire: () => ({
      ...{ worker: fabricates, validator: conduct.bribed },
      onRound: withOtherKeys('worker', 1, anyKey),
    }),
  }),
];

/** The devices of a row: seven honest workers and the liars; 30 % of the validators lie. */
export function rosterOf({ named, workers, judges, ghosts = 0 }: CartelRow, validators: number) {
  const lying = judges ? Math.floor(validators * LYING_PART) : 0;
  return {
    ...{ honest_workers: HONEST_WORKERS, lying_workers: workers, honest_validators: validators - lying },
    ...{ lying_validators: lying, ghosts, named },
  };
}

const HONEST_WORKERS = 7;
const LYING_PART = 0.3;
