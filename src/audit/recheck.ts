// Judges a submission again for anybody, from the public log alone. It repeats the worker's rounds from the last one that started afresh, so
// that the state the worker carried over is known here too. With WASM the bits are the same for everybody.

import type { WorkSubmitted } from '../core/events/work-submitted.ts';
import { acceptedIds } from '../core/rounds/judging.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { decodeBundle } from '../games/bundle.ts';
import { type AnyGame, type Device, isStaged, type Round, type Verdict } from '../games/game.ts';
import { catchUp, type HeldState, type History } from '../games/history.ts';
import { comparedWith } from '../games/judging-draw.ts';
import { memoryDrawer } from '../games/memory-drawer.ts';
import { decodeParams } from '../games/params.ts';
import { type LoadGame, offerOf } from '../games/registry.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { LookupError } from './errors.ts';
import type { PublicLog } from './public-log.ts';
import { arrivedWith } from './run-beginning.ts';
import { replayWithPool } from './shares.ts';
import { type Explanation, explainSubmission } from './why.ts';

/** One of the worker's rounds, judged again. */
export interface Rechecked {
  readonly round: number;
  readonly submission: string;
  readonly verdict: Verdict;
}

export interface Recheck {
  readonly submission: string;
  readonly run: string;
  readonly worker: string;
  readonly worker_name: string;
  /** The runtime that the worker says it used, and the one used here. */
  readonly runtime: string;
  readonly by: string;
  /** The worker's rounds that this submission continues, ending with its own. */
  readonly rounds: readonly Rechecked[];
  readonly accepted: boolean;
  /** The verdicts of the log's judges. */
  readonly judges: readonly { readonly name: string; readonly accepted: boolean; readonly code: string }[];
  /** Whether the log decided the same; null while it has not decided. */
  readonly agrees: boolean | null;
}

/** A submission of the worker, with the inputs of its task. */
interface Handed {
  readonly id: string;
  readonly body: WorkSubmitted;
  readonly seed: string;
  readonly last: string | null;
  readonly runtime: string;
  /** The blobs of work that came before it in its round. */
  readonly before: readonly string[];
  /** The input of the draw of its judges, where they were drawn. */
  draw: string | null;
  merged: boolean;
}

/** What the log says about a run up to a submission. */
interface RunStory {
  readonly game: string;
  readonly game_file: string | undefined;
  readonly params: string;
  /** The model from which its merges lead on here: the first one, or the last whole one with which it came from another log. */
  readonly first: History['checkpoint'];
  /** The rounds that were merged before the run was here; null: none, it began here. */
  readonly came_after: number | null;
  readonly rounds: number;
  readonly merges: History['recent'][number][];
  readonly handed: Handed[];
}

export interface RecheckOptions {
  readonly runtime: Runtime;
  /** For games that need it. */
  readonly run: Device['run'];
  readonly loadGame: LoadGame;
  /** A longer chain of rounds since the worker started afresh is not repeated. */
  readonly most_rounds?: number;
  /** Called before each round is repeated; the round waits for it. */
  readonly onRound?: (round: number, done: number, all: number) => void | Promise<void>;
}

/**
 * Judges again the submission whose event id begins with `wanted`. A round that was not merged leaves no state to continue from, so a
 * submission that continues from one is refused, as judges would refuse it.
 * Throws LookupError `no-such-submission`, `chain-too-long`, `not-in-the-log`, PeerError `bad-blob` where a blob is not kept any more, GameError, HistoryError, AuditFailure,
 * PublicLogError.
 */
export async function recheckSubmission(log: PublicLog, wanted: string, options: RecheckOptions): Promise<Recheck> {
  const explained = await explainSubmission(log, wanted);
  const story = await storyOf(log, explained);
  const fetchBlob = (hash: string) => blobOf(log, hash);
  const game = await options.loadGame(story.game, offerOf(story.game_file, fetchBlob));
  if (game.needs?.includes('channel')) {
    const fact = `${story.game}: expected work that follows from the log, what devices hand to each other is seen by the judges of its round alone`;
    throw new LookupError('not-in-the-log', fact);
  }
  const params = await decodeParams(game, await fetchBlob(story.params));
  const { runtime, run } = options;
  const device: Device = { runtime, fetchBlob, drawer: memoryDrawer(), run, progress: async () => {} };
  const chain = await chainOf(game, story, explained, fetchBlob, options.most_rounds ?? Number.POSITIVE_INFINITY);
  const rounds: Rechecked[] = [];
  let held: HeldState | null = null;
  for (const handed of chain) {
    const { body, id } = handed;
    await options.onRound?.(body.round, rounds.length, chain.length);
    held = await catchUp(game, params, historyTo(game, story, body.base), held, fetchBlob);
    const round: Round = {
      ...{
        run: explained.run,
        number: body.round,
        rounds: story.rounds,
        seed: handed.seed,
        draw: handed.draw,
        last: handed.last,
      },
      ...(body.stage !== undefined && { stage: body.stage }),
    };
    const task = await game.task(params, round, explained.worker, held.state);
    const claim = { work: await fetchBlob(body.work), amount: body.amount, numbers: body.numbers };
    const verdict = await game.check(task, claim, device, {
      ...{ runtime: handed.runtime, repeat_permille: 1000, looks: true, place: 0, time_ms: Number.POSITIVE_INFINITY },
      earlier: () => earlierThan(handed, fetchBlob),
    });
    rounds.push({ round: body.round, submission: id, verdict });
  }
  const { accepted } = rounds.at(-1)!.verdict;
  const { kind } = explained.decision;
  return {
    ...{ submission: explained.submission, run: explained.run, worker: explained.worker },
    ...{ worker_name: explained.worker_name, runtime: chain.at(-1)!.runtime, by: runtime.class, rounds, accepted },
    judges: explained.verdicts.map(({ name, verdict }) => ({ name, accepted: verdict.accepted, code: verdict.code })),
    agrees: kind === 'merged' || kind === 'refused' ? accepted === (kind === 'merged') : null,
  };
}

/** The second pass over the log. The first has verified every signature, and found the submission's run and worker. */
async function storyOf(log: PublicLog, { run: id, worker, submission }: Explanation): Promise<RunStory> {
  let story: RunStory | null = null;
  let done = false;
  await replayWithPool(log, {
    verify_signatures: false,
    before({ body }, _index, state) {
      if (!story || done) return;
      if (body.type !== 'round.merged' || body.run !== id) return;
      const merged = new Set(acceptedIds(state, runIn(state, id)));
      for (const handed of story.handed) handed.merged ||= merged.has(handed.id);
      const { round, bundle, step = null, model } = body;
      if (bundle) story.merges.push({ round, parent: runIn(state, id).model, bundle, step, model });
    },
    after(said, _index, state) {
      const { id: event, author, body } = said;
      const come = done ? null : arrivedWith(said, state);
      if (come?.id === id) story = storyOfArrival(come, story);
      if (body.type === 'run.created' && event === id) {
        const { game, game_file, params, model, rounds } = body;
        story = {
          game,
          game_file,
          params,
          first: { model, rest: null },
          came_after: null,
          rounds,
          merges: [],
          handed: [],
        };
      }
      const run = runIn(state, id);
      if (story && body.type === 'round.drawn' && body.run === id) {
        const last = story.handed.at(-1);
        if (last?.body.round === body.round && last.body.attempt === body.attempt) last.draw = run.draw;
      }
      if (done || !story || body.type !== 'work.submitted' || body.run !== id || author !== worker) return;
      const earlier = [...run.submissions.values()].filter((other) => other.id !== event);
      story.handed.push({
        ...{ id: event, body, seed: run.seed, draw: null, last: run.recent.at(-1)?.bundle ?? null, merged: false },
        runtime: run.peers.get(worker)!.runtime,
        before: earlier.map((other) => other.body.work),
      });
      done = event === submission;
    },
  });
  return story!;
}

/** A run that came from another log goes on from what it brought. One that comes back as it went goes on as if it had stayed. */
function storyOfArrival({ spec, checkpoint, recent, model, round }: RunState, before: RunStory | null): RunStory {
  if (before && (before.merges.at(-1)?.model ?? before.first.model) === model) return before;
  const { game, game_file, params, rounds } = spec;
  return { game, game_file, params, first: checkpoint, came_after: round, rounds, merges: [...recent], handed: [] };
}

const runIn = (state: NetworkState, id: string) => state.runs.get(id)!;

/** The worker's rounds from the last one that started afresh to the one in question. */
async function chainOf(
  game: AnyGame,
  { handed, came_after }: RunStory,
  { submission }: Explanation,
  fetchBlob: (hash: string) => Promise<Uint8Array>,
  most_rounds: number,
): Promise<Handed[]> {
  const chain = [handed.find(({ id }) => id === submission)!];
  for (;;) {
    const [first] = chain;
    const before = handed.find(({ merged, body }) => merged && body.round === first.body.round - 1);
    const goesOn = await game.goesOn?.(await fetchBlob(first.body.work));
    if (!before && goesOn && first.body.round === came_after) {
      const fact = `expected a worker that started afresh since the run came here after round ${came_after}, this one went on from its work before`;
      throw new LookupError('not-in-the-log', fact);
    }
    if (!before || !goesOn) return chain;
    chain.unshift(before);
    if (chain.length > most_rounds) {
      throw new LookupError('chain-too-long', `its worker last started afresh more than ${most_rounds} rounds before`);
    }
  }
}

/** The model's history from the first model that is here to a later one; in games with stages every model is stored whole. */
function historyTo(game: AnyGame, { first, merges }: RunStory, model: string): History {
  if (isStaged(game)) return { model, checkpoint: { model, rest: null }, recent: [] };
  const at = merges.findIndex((merge) => merge.model === model);
  return { model, checkpoint: first, recent: merges.slice(0, at + 1) };
}

/** What a judge compares it with: the work merged last, and the work before it in its round. */
async function earlierThan(
  { last, before }: Handed,
  fetchBlob: (hash: string) => Promise<Uint8Array>,
): Promise<Uint8Array[]> {
  const merged = last ? decodeBundle(await fetchBlob(last)).map(({ work }) => work) : [];
  return comparedWith(merged, await Promise.all(before.map(fetchBlob)), before.length);
}

async function blobOf(log: PublicLog, hash: string): Promise<Uint8Array> {
  const bytes = await log.blob(hash);
  if (!bytes)
    throw new PeerError('bad-blob', `blob ${hash} is not kept any more, and without it the work cannot be repeated`, {
      hash,
    });
  return bytes;
}
