// Generated moves of runs between logs: paused runs leave, and one run comes from elsewhere.
import type { EventBody } from '../events.ts';
import { isLeaving, movedOf } from '../moving/leaving.ts';
import type { NetworkState } from '../state.ts';
import type { Cast } from './cast.ts';

/** The next event of a move, if there is one to make. */
export function drawMove(
  { hub, comes }: Cast,
  state: NetworkState,
  fresh: string,
): readonly [author: string, body: EventBody] | null {
  const runs = [...state.runs.values()];
  const leaves = runs.find(isLeaving);
  if (leaves) return [hub, movedOf(state, leaves)];
  const coming = state.arriving.get(comes.run);
  if (coming) return [comes.owner.id, comes.parts[coming.parts.length]];
  if (!state.runs.has(comes.run)) return [comes.owner.id, comes.arrived];
  const paused = runs.find((run) => run.phase === 'paused' && run.contests.size === 0);
  if (!paused) return null;
  const { id: run, owner, round, attempt } = paused;
  return [owner, { type: 'run.leaving', version: 1, run, round, attempt, to: fresh, url: 'http://c.example' }];
}
