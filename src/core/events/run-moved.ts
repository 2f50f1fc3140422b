// The hub lets a run go to another hub's log.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { LOGS_LIMITS } from '../limits.ts';
import { applyMoved, refusalOfMoved } from '../moving/leaving.ts';
import { hubUrl, v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/**
 * By the hub, once the owner has sent the run away: what it takes along, as a hash (moving/moved-run.ts). The core refuses any other than the
 * true one, so a false one convicts the hub before every auditor. With its proof the event is what another log takes the run in by, so it says all that is needed there.
 */
export const RunMovedSchema = z.strictObject({
  type: z.literal('run.moved'),
  ...v1,
  run: hash,
  owner: hash,
  to: hash,
  url: hubUrl,
  /** How often the run has moved before: no other log takes it in by an older departure. */
  move: count.max(LOGS_LIMITS.moves - 1),
  state: hash,
  size_bytes: z.int().min(1).max(LOGS_LIMITS.moved_run_bytes),
});
export type RunMoved = z.infer<typeof RunMovedSchema>;

export const runMoved = runEvent(RunMovedSchema, {
  by_hub: 'a run is let go',
  about: 'run',
  // Nothing is withheld here any more, and nothing can be settled.
  changes_balances: true,
  // Whoever brings the run to the other log fetches the bytes here.
  blobs: ({ state }) => [state],
  words: ({ to, url }, _who, say) => `the run goes on at the hub ${say.short(to)}, ${say.quoted(url)}`,
  refusalOf: (state, run, { body }) => refusalOfMoved(state, run, body),
  apply: (state, run, { body }) => applyMoved(state, run, body),
});
