// People and devices in a simulated history besides hub and peers: the run's owner, a stranger, a device that joins and leaves all the time.

import type { EventBody } from '../core/events.ts';
import { sessionOf } from '../core/rounds/presence.ts';
import type { Rules } from '../core/rules.ts';
import { balanceOf } from '../core/shares/balances.ts';
import { settleable, settlementRoot } from '../core/shares/settlement.ts';
import { nextStakeChange } from '../core/shares/stake.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import { withFirstWork } from '../games/first-work.ts';
import { stagesOf } from '../games/game.ts';
import { wordsOfGame } from '../games/parts.ts';
import { keepState } from '../games/state.ts';
import { signEvent } from '../protocol/envelope.ts';
import { utf8 } from '../protocol/hash.ts';
import { type Identity, identityFromSecret } from '../protocol/identity.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import { SimulationError } from './errors.ts';
import { type RunPlan, secretOf } from './plan.ts';
import { Process, RIGHT_CLOCK } from './virtual-time.ts';
import type { World } from './world.ts';

const WAITING_MS = 100;
const FLAP_MS = 1000;
const MOVE_MS = 300;
const HALTED_MS = 2000;
/** How long the owner waits for a hub to take its run. */
const CREATING_MS = 5000;

/** A refusal is an answer; anything else is a problem. */
const expectRefusal =
  (world: World, who: string) =>
  (error: unknown): void => {
    if (!(error instanceof CodedError) || error instanceof SimulationError) world.problem(error, who);
  };

/** The rules of a short history: two judges, and pay is withheld for two rounds at most. */
const judgedQuickly = ({ moves_shares }: RunPlan): Omit<Rules, 'emission' | 'validators'> => ({
  ...{ judges: 2, withheld_rounds: moves_shares ? 0 : 2, release_rounds: 2 },
  ...{ probation: 1, reexecute_permille: 50, notice_rounds: 1 },
});

/** The run's owner creates the run on the hub, over a connection that never fails. */
export async function ownRun(world: World): Promise<void> {
  const { plan } = world;
  const process = new Process(world.time, RIGHT_CLOCK);
  const { game, params, first } = world.setup;
  const stages = stagesOf(game, params);
  const { owner_permille, validators_permille, shares_per_round, halving_rounds } = plan.run;
  const named = world.peers.filter((peer) => peer.plan.stake !== undefined);
  const body: EventBody = {
    type: 'run.created',
    version: 3,
    ...wordsOfGame(game),
    name: `seed ${plan.seed}`,
    game: game.name,
    params: '',
    model: '',
    rounds: plan.run.rounds,
    round_ms: plan.run.round_ms,
    judging_ms: plan.run.judging_ms,
    min_workers: plan.run.min_workers,
    checkpoint_every: stages > 0 ? 1 : plan.run.checkpoint_every,
    ...(stages > 0 && { stages }),
    rules: await withFirstWork(
      {
        ...(plan.run.rules ?? judgedQuickly(plan.run)),
        validators: named.map((peer) => ({ account: peer.identity.id, stake: peer.plan.stake! })),
        emission: {
          shares_per_round,
          halving_rounds,
          owner_permille,
          validators_permille,
          workers_permille: 1000 - owner_permille - validators_permille,
        },
      },
      game,
      params,
    ),
    ...(plan.run.keeps_recent && { keep: 'recent' as const }),
    created_ms: process.clock.now_ms(),
  };
  for (;;) {
    const { hub } = world;
    try {
      if (hub) {
        const { blobs } = hub.place.services;
        const create = async (): Promise<string> => {
          for (const blob of world.setup.blobs.values()) await blobs.put(blob);
          const model = await keepState(game, params, first, (bytes) => blobs.put(bytes));
          const event = { ...body, params: await blobs.put(utf8(JSON.stringify(params))), model };
          return world.post(await signEvent(world.owner, event));
        };
        // A hub that is killed meanwhile never answers. The event has the same bytes every time, so the log contains it once.
        const run = await Promise.race([create(), process.wait(CREATING_MS)]);
        if (run) {
          world.run = run;
          return;
        }
      }
    } catch (error) {
      world.problem(error, 'the owner');
    }
    await process.wait(WAITING_MS);
  }
}

/** A stranger who has read the public log sends some events of others again: the latest one of each author and type. */
export async function replay(world: World, random: Random): Promise<void> {
  const latest = new Map<string, number>();
  world.oracle.witnessed.forEach(({ event: { author, body } }, index) => {
    if (author !== world.hubIdentity.id) latest.set(`${author} ${body.type}`, index);
  });
  for (const index of latest.values()) {
    if (random.below(2) === 0) continue;
    await world.post(world.disk.entries[index]).catch(expectRefusal(world, 'a replay'));
  }
}

/** In every second history the owner lets submitted work be merged first. */
const versionFor = (world: World): 1 | 2 => (world.plan.seed % 2 === 0 ? 1 : 2);
type OwnersWord = 'run.paused' | 'run.resumed' | 'run.ended';

const hasCome = ({ phase }: RunState, type: OwnersWord): boolean =>
  phase === 'finished' || (type !== 'run.ended' && (phase === 'paused') === (type === 'run.paused'));

/** The owner sends this event for its run again and again until it takes effect. */
async function ownerSays(world: World, process: Process, type: OwnersWord): Promise<void> {
  const { run } = world;
  for (;;) {
    const seen = world.hub?.place.sequencer.state.runs.get(run);
    if (seen && hasCome(seen, type)) return;
    if (seen) {
      const { round, attempt } = seen;
      const place = { run, round, attempt };
      const body: EventBody =
        type === 'run.resumed' ? { type, version: 1, ...place } : { type, version: versionFor(world), ...place };
      await world.post(await signEvent(world.owner, body)).catch(expectRefusal(world, 'the owner'));
    }
    await process.wait(WAITING_MS);
  }
}

/** The owner pauses the run for a time. */
export async function pause(world: World, duration_ms: number): Promise<void> {
  if (!world.run) return;
  const process = new Process(world.time, RIGHT_CLOCK);
  await ownerSays(world, process, 'run.paused');
  await process.wait(duration_ms);
  await ownerSays(world, process, 'run.resumed');
}

/** The owner lets a run go on whenever the hub has halted it. */
export async function resumeHalted(world: World): Promise<void> {
  const process = new Process(world.time, RIGHT_CLOCK);
  for (;;) {
    await process.wait(HALTED_MS);
    const run = world.hub?.place.sequencer.state.runs.get(world.run);
    if (run?.halted) await ownerSays(world, process, 'run.resumed');
  }
}

/** The owner ends the run before its rounds are over. */
export async function end(world: World): Promise<void> {
  if (world.run) await ownerSays(world, new Process(world.time, RIGHT_CLOCK), 'run.ended');
}

/** A device joins and leaves every second, and never works. */
export async function flap(world: World, duration_ms: number): Promise<void> {
  const { run } = world;
  const process = new Process(world.time, RIGHT_CLOCK);
  const identity = identityFromSecret(secretOf(world.plan.seed, `flapping ${world.time.now_ms}`));
  const common = { version: 1, run } as const;
  const standing = () => {
    const known = world.hub?.place.sequencer.state.runs.get(run);
    return known ? sessionOf(known, identity.id) : { present: false, session: 0 };
  };
  const until_ms = world.time.now_ms + duration_ms;
  while (run && (world.time.now_ms < until_ms || standing().present || !world.hub)) {
    const { present, session } = standing();
    const body: EventBody = present
      ? { type: 'peer.left', ...common, peer: identity.id, session, reason: 'goodbye' }
      : { type: 'peer.joined', ...common, session, role: 'worker', name: 'flapping', runtime: 'none' };
    await world.post(await signEvent(identity, body)).catch((error) => {
      if (!(error instanceof CodedError) || error instanceof SimulationError) world.problem(error, 'a flapping device');
    });
    await process.wait(FLAP_MS);
  }
}

/** Validators lock what they earn, often try to lock more than they have, and ask for it back; sometimes the owner states that it has paid out. */
export async function moveShares(world: World, validators: readonly Identity[]): Promise<void> {
  const process = new Process(world.time, RIGHT_CLOCK);
  const random = seededRandom('moved shares', world.plan.seed);
  for (;;) {
    await process.wait(MOVE_MS);
    const state = world.hub?.place.sequencer.state;
    const run = state?.runs.get(world.run);
    if (!state || !run) continue;
    const [author, body] = nextMove(world, random, validators, state, run);
    await world.post(await signEvent(author, body)).catch(expectRefusal(world, 'somebody who moves shares'));
  }
}

function nextMove(
  world: World,
  random: Random,
  validators: readonly Identity[],
  state: NetworkState,
  run: RunState,
): [Identity, EventBody] {
  const holder = validators[random.below(validators.length)];
  const { id } = holder;
  const base = { version: 1, run: run.id } as const;
  const choice = random.below(6);
  if (choice === 0) {
    const { balances, total } = settleable(state, run);
    const root = total > 0n ? settlementRoot('merkle-distributor', balances) : `0x${'0'.repeat(64)}`;
    const log = { settlement: run.settlements, log_size: state.events, format: 'merkle-distributor' as const };
    return [world.owner, { type: 'payout.settled', ...base, ...log, root, total: Math.max(1, Number(total)) }];
  }
  if (choice === 1) {
    const change = state.addresses.get(id)?.changes ?? 0;
    const address = `0x${id.slice(0, 40)}`;
    return [holder, { type: 'account.address', version: 1, hub: state.hub, change, chain: 'evm', address }];
  }
  const type = choice < 4 ? 'stake.locked' : 'stake.released';
  const { free, locked } = balanceOf(run, id);
  const shares = 1 + random.below(Math.ceil((type === 'stake.locked' ? free : locked) * 1.2) + 1);
  return [holder, { type, ...base, behind: id, shares, change: nextStakeChange(run, id) }];
}
