// Which run a peer means: asks the hub for its runs and picks the one that was named, or the only one that goes on.
import { z } from 'zod';
import { type RunStatus, RunStatusSchema } from '../protocol/messages.ts';
import { reasonOf } from './blobs.ts';
import { PeerError } from './errors.ts';

const StatusSchema = z.object({ hub: z.string().regex(/^[0-9a-f]{64}$/), runs: z.array(RunStatusSchema) });
const ANSWER_MS = 10_000;

/** A hub's id and its runs. Throws PeerError hub-unreachable, not-a-hub. */
export async function fetchStatus(url: string): Promise<{ hub: string; runs: RunStatus[] }> {
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(new URL('/status', url), { signal: AbortSignal.timeout(ANSWER_MS) });
    body = await response.json().catch(() => null);
  } catch (error) {
    throw new PeerError('hub-unreachable', `no hub answers at ${url}: ${reasonOf(error)}`, { url });
  }
  const parsed = StatusSchema.safeParse(body);
  if (!response.ok || !parsed.success) {
    throw new PeerError('not-a-hub', `expected a Potluck hub at ${url}, its /status is something else`, { url });
  }
  return parsed.data;
}

/** The run whose id begins with `wanted`; without it, the only run that is not finished. Throws PeerError no-such-run. */
export async function findRun(url: string, wanted?: string): Promise<{ hub: string; view: RunStatus }> {
  const { hub, runs } = await fetchStatus(url);
  return { hub, view: chooseRun(runs, wanted) };
}

/** As findRun, on a list that is at hand. */
export function chooseRun(runs: readonly RunStatus[], wanted?: string): RunStatus {
  const going = runs.filter((run) => run.phase !== 'finished');
  const candidates = wanted ? runs.filter((run) => run.run.startsWith(wanted)) : going.length > 0 ? going : runs;
  if (candidates.length === 1) return candidates[0];
  const list = runs.map((run) => `${run.run.slice(0, 12)} (${run.name}, ${run.phase})`).join(', ') || 'none';
  const expected = wanted ? `one run whose id begins with "${wanted}"` : 'one run, or its id with --run';
  throw new PeerError('no-such-run', `expected ${expected}; the hub has: ${list}`);
}
