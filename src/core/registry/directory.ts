// The directory of runs: where each run is, as its owner has listed it here, with the proof that the other hub's log holds it.
import { RunArrivedSchema } from '../events/run-arrived.ts';
import { RunCreatedSchema } from '../events/run-created.ts';
import type { RunListed } from '../events/run-listed.ts';
import { LOGS_LIMITS } from '../limits.ts';
import { openCame } from '../moving/came.ts';
import { openForeign } from '../moving/foreign-event.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { Listing, NetworkState } from '../state.ts';

/** Why a run may not be listed, or not so. */
export function refusalOfListing(state: NetworkState, author: string, body: RunListed): Refusal | null {
  const known = state.directory.get(body.run);
  const number = known?.listed ?? 0;
  if (body.number !== number)
    return refuse('wrong-change', `expected listing ${number} of the run, got ${body.number}`);
  const opened = openListing(body);
  if ('code' in opened) return opened;
  if (author !== opened.owner) {
    return refuse('not-the-owner', `only the owner ${opened.owner} may do this, got ${author}`);
  }
  if (known) {
    if (opened.moves >= known.moves) return null;
    return refuse(
      'wrong-state',
      `the run has moved since: it was listed after ${known.moves} moves, this is of ${opened.moves}`,
    );
  }
  const own = [...state.directory.values()].filter(({ owner }) => owner === author).length;
  if (state.directory.size < LOGS_LIMITS.listed_runs && own < LOGS_LIMITS.listed_runs_per_owner) return null;
  const most = `${LOGS_LIMITS.listed_runs} runs, ${LOGS_LIMITS.listed_runs_per_owner} of one owner`;
  return refuse('too-many-runs', `a directory lists at most ${most}`);
}

/** What a listing says, all its proofs checked; whether its author is the `owner` is left to the caller. */
export function openListing({ run, url, number, held }: RunListed): Listing | Refusal {
  const event = openForeign(held);
  if ('code' in event) return event;
  const place = { hub: held.hub, url, owner: event.author, listed: number + 1 };
  const created = RunCreatedSchema.safeParse(event.body);
  if (created.success) {
    if (event.id === run) return { ...place, name: created.data.name, moves: 0 };
    return refuse('bad-proof', `expected the first event of run ${run}, got ${event.id}`);
  }
  const arrived = RunArrivedSchema.safeParse(event.body);
  if (!arrived.success || arrived.data.run !== run) {
    return refuse('bad-proof', `expected a run.created or run.arrived of run ${run}, got ${event.body.type}`);
  }
  const came = openCame(arrived.data, held.hub);
  if ('code' in came) return refuse('bad-proof', `the arrival in the log of ${held.hub}: ${came.message}`);
  const { departure, spec } = came;
  if (event.author === departure.owner) return { ...place, name: spec.name, moves: departure.move + 1 };
  return refuse('bad-proof', `${event.author} says that the run has come, its owner is ${departure.owner}`);
}

/** Lists a run; call it only after `refusalOfListing` returned null. */
export function applyListing(state: NetworkState, body: RunListed): void {
  const opened = openListing(body);
  if (!('code' in opened)) state.directory.set(body.run, opened);
}
