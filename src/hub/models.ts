// The hub's copy of every run's game and present state: loaded from the last checkpoint, moved on by each merge.

import type { RoundMerged } from '../core/events/round-merged.ts';
import { acceptedSubmissions } from '../core/rounds/judging.ts';
import { mergedList } from '../core/rounds/merged-list.ts';
import { isCheckpoint } from '../core/rounds/merging.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { mustBe, mustBeStep, restAt, wayTo } from '../games/history.ts';
import { checkParamsSize, decodeParams } from '../games/params.ts';
import { isOfThisBuild, type LoadGame, loadGame } from '../games/registry.ts';
import type { KeptState } from '../games/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { type BlobHolds, openBlobHolds } from './blob-holds.ts';
import { openNewestStates } from './newest-states.ts';
import type { StateHost } from './state-host.ts';
import {
  carryOut,
  type GameSpec,
  type Made,
  type MergeOrder,
  type OpenGame,
  type Order,
  openedOnce,
  type Putting,
  stateBlobs,
} from './state-work.ts';

export interface Models {
  /** The game of a run that is in the log, or that wants to be. Throws GameError, HubError missing-blob. */
  game(spec: GameSpec): Promise<OpenGame>;
  /** Throws the game's own error for work that does not have the form that it demands, HubError missing-blob, LedgerError. */
  checkForm(spec: GameSpec, work: string): Promise<void>;
  /** Reads the whole first state of a run. Throws HubError `missing-blob`, and the errors of an invalid state. */
  checkFirst(spec: GameSpec, model: string): Promise<void>;
  /** Does a round's merge: the body of the event that the core expects, with its blobs already stored. */
  merge(network: NetworkState, run: RunState): Promise<RoundMerged>;
}

export interface ModelsOptions {
  readonly loadGame?: LoadGame;
  /** Does the work of built-in games in another thread; without it, and for games from files, this thread does it. */
  readonly states?: StateHost;
  /** Holds on blobs of `blobs`; by default nobody deletes any. */
  readonly holds?: Pick<BlobHolds, 'holding'>;
}

/** `present` keeps each run's newest state beside the blobs: no state is held in memory. Both are the stores that `states` has. */
export function openModels(
  blobs: BlobStore,
  present: BlobStore,
  { loadGame: load = loadGame, states: host, holds = openBlobHolds() }: ModelsOptions = {},
): Models {
  const opened = openedOnce();
  const newest = openNewestStates(present, holds);
  const here = (putting: Putting) => stateBlobs({ named: blobs, present }, putting);

  const game = (spec: GameSpec): Promise<OpenGame> =>
    opened(spec, async () => {
      checkParamsSize((await blobs.sizeOf(spec.params)) ?? 0);
      const loaded = await load(spec.game);
      return { game: loaded, params: await decodeParams(loaded, await here(async () => {}).named(spec.params)) };
    });

  const order = async (spec: GameSpec, what: Order, putting: Putting = async () => {}): Promise<Made | null> => {
    const open = await game(spec);
    const isOurs = host && isOfThisBuild(spec.game) && open.game === (await loadGame(spec.game));
    return isOurs ? host.carryOut(spec, what, putting) : carryOut(open, what, here(putting));
  };

  const advance = (run: RunState, what: Omit<MergeOrder, 'kind'>): Promise<Made> =>
    newest.next(run.id, async (putting) => (await order(run.spec, { kind: 'merge', ...what }, putting))!);

  /** Makes the run's present state, unless it is there: after a start, from the last checkpoint. */
  const catchUp = async (run: RunState): Promise<KeptState> => {
    const known = newest.of(run.id);
    const { merges, from } = wayTo(run, known?.model ?? null);
    let before: KeptState = known?.model === from ? known : { model: from, rest: restAt(run, from) };
    for (const merged of merges) {
      const steps = merged.step !== null;
      const next = await advance(run, { before, from: merged.bundle, steps, put: 'present' });
      mustBeStep(merged, next.step);
      mustBe(merged, next.model);
      before = next;
    }
    return before;
  };

  const mergeNow = async (network: NetworkState, run: RunState): Promise<RoundMerged> => {
    const accepted = acceptedSubmissions(network, run).map(({ submission }) => submission);
    const base = {
      type: 'round.merged' as const,
      version: 2 as const,
      run: run.id,
      round: run.round,
      attempt: run.attempt,
      ...mergedList(accepted.map(({ id }) => id)),
    };
    if (accepted.length === 0) return { ...base, model: run.model, bundle: null, checkpoint: false };
    const { model: last, rest: left } = await catchUp(run);
    const from = accepted.map(({ body }) => ({ work: body.work, weight: body.amount }));
    const checkpoint = isCheckpoint(run, { bundle: '' }); // there is work, so there will be one
    const put = checkpoint ? 'named' : 'present';
    const { model, bundle, step, rest } = await advance(run, {
      ...{ before: { model: last, rest: left }, from, steps: true, put },
    });
    const merge = { ...base, model, bundle, checkpoint };
    if (step === null) return merge;
    return checkpoint && rest !== null ? { ...merge, step, rest } : { ...merge, step };
  };

  /** One after the other: a part that two runs have in common must not be dropped by one while the other makes it. */
  let merging: Promise<unknown> = Promise.resolve();
  return {
    game,
    async checkForm(spec, work) {
      await order(spec, { kind: 'form', work });
    },
    async checkFirst(spec, model) {
      await order(spec, { kind: 'state', hash: model });
    },
    merge(network, run) {
      const merged = merging.then(() => mergeNow(network, run));
      merging = merged.catch(() => {}); // the caller sees the error
      return merged;
    },
  };
}
