// Finds the run that a peer is to join: asks the hub for its runs, and picks the one that was named or the only one that goes on.

import { z } from 'zod';
import { parseJson, wordsOf } from '../protocol/http-refusal.ts';
import { openLine } from '../protocol/line.ts';
import { type RunStatus, RunStatusSchema } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { runMeant } from '../protocol/run-handle.ts';
import { count, hash } from '../protocol/schemas.ts';
import { allPages, joinedRuns, statusPath } from '../protocol/status-pages.ts';

const StatusSchema = z.object({ hub: hash, runs: z.array(RunStatusSchema), next: count.nullable().optional() });
/** Somebody waits for the answer, which may take long as long as bytes come. */
const SILENCE_MS = 10_000;
/** A page of a status is a thirtieth of this; other answers are larger. */
const ANSWER_BYTES = 32 << 20;

/** How often, and for how long at most, this waits when the hub says that it is asked too fast. */
const TOO_FAST = { waits: 4, longest_s: 10 };

/** A hub's id and its runs. Throws PeerError `hub-unreachable`, `not-a-hub`, `refused`. */
export const fetchStatus = (url: string): Promise<{ hub: string; runs: RunStatus[] }> => readStatus(url, 'all');

/** The same without the peers of runs: of thousands they are megabytes. */
export const fetchRuns = (url: string): Promise<{ hub: string; runs: RunStatus[] }> => readStatus(url, 'none');

async function readStatus(url: string, peers: 'all' | 'none'): Promise<{ hub: string; runs: RunStatus[] }> {
  const pages = await allPages(async (from) => {
    const { ok, json } = await readHub(url, statusPath(from, peers));
    const parsed = StatusSchema.safeParse(json);
    if (ok && parsed.success) return parsed.data;
    throw new PeerError('not-a-hub', `expected a Potluck hub at ${url}, its /status is something else`, { url });
  });
  return { hub: pages[0].hub, runs: joinedRuns(pages) };
}

/** As askHub, for requests that only read: waits if the hub asks for it. Throws PeerError `refused`, with the hub's message, as well. */
export async function readHub(url: string, path: string) {
  for (let waits = 0; ; waits++) {
    const answer = await askHub(url, path);
    const words = answer.ok ? null : wordsOf(answer.json);
    if (!words) return answer;
    const { code, message, retry_after_s } = words;
    if (retry_after_s === null || retry_after_s > TOO_FAST.longest_s || waits === TOO_FAST.waits) {
      throw new PeerError('refused', `the hub at ${url} refused: ${message}`, { refusal: code });
    }
    await new Promise((resolve) => setTimeout(resolve, retry_after_s * 1000));
  }
}

/** A hub's answer as JSON; null where it is not JSON. Throws PeerError `hub-unreachable`, `not-a-hub`. */
export async function askHub(
  url: string,
  path: string,
  init: RequestInit = {},
  silence_ms = SILENCE_MS,
): Promise<{ readonly ok: boolean; readonly status: number; readonly json: unknown }> {
  const line = openLine({ attempts: 1, silence_ms });
  try {
    const asking = { url: new URL(path, url).href, init: () => init, max_bytes: ANSWER_BYTES };
    const { status, bytes } = await line.ask(asking);
    return { ok: status >= 200 && status < 300, status, json: parseJson(bytes) };
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    if (error.code !== 'hub-unreachable')
      throw new PeerError('not-a-hub', `expected a Potluck hub at ${url}: ${error.message}`);
    throw new PeerError('hub-unreachable', `no hub answers at ${url}: ${error.details.reason}`, { url });
  }
}

/** Whether a hub answers at all. */
export async function answersHttp(url: string): Promise<boolean> {
  return askHub(url, '/health').then(
    ({ ok, json }) => ok && json !== null,
    () => false,
  );
}

/** The run that a name or the beginning of an id means, without its peers; without one, the only run that goes on. Throws PeerError `no-such-run`. */
export async function findRun(url: string, wanted?: string): Promise<{ hub: string; view: RunStatus }> {
  const { hub, runs } = await fetchRuns(url);
  return { hub, view: chooseRun(runs, wanted) };
}

/** As findRun, on a given list. */
export function chooseRun(runs: readonly RunStatus[], wanted?: string): RunStatus {
  // What has gone to another hub goes on there, which counts where nothing goes on here.
  const isHere = runs.some(({ phase }) => phase !== 'finished');
  const isOver = ({ phase, moved }: RunStatus): boolean => phase === 'finished' && (isHere || moved === undefined);
  const known = runs.map((view) => ({ id: view.run, name: view.name, finished: isOver(view), view }));
  const found = runMeant(known, wanted, 'the hub');
  if (typeof found === 'string') throw new PeerError('no-such-run', found);
  return found.view;
}
