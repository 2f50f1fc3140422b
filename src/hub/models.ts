// The hub's copy of every run's game and present state: loaded from the last checkpoint, moved on by each merge.

import type { RoundMerged } from '../core/events/round-merged.ts';
import { acceptedSubmissions } from '../core/rounds/judging.ts';
import { isCheckpoint } from '../core/rounds/merging.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { decodeBundle, encodeBundle } from '../games/bundle.ts';
import type { AcceptedWork } from '../games/game.ts';
import { mustBe, mustBeStep, restAt, wayTo } from '../games/history.ts';
import { checkParamsSize, decodeParams } from '../games/params.ts';
import { isOfThisBuild, type LoadGame, loadGame } from '../games/registry.ts';
import type { KeptState, PutBlob } from '../games/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { HubError } from './errors.ts';
import type { StateHost } from './state-host.ts';
import { carryOut, type GameSpec, type Made, type OpenGame, type Order, openedOnce } from './state-work.ts';

export interface Models {
  /** The game of a run that is in the log, or that wants to be. Throws GameError, HubError missing-blob. */
  game(spec: GameSpec): Promise<OpenGame>;
  /** Throws the game's own error for work that does not have the form that it demands. */
  checkForm(spec: GameSpec, work: Uint8Array): Promise<void>;
  /** Reads the first state of a run, all of it. Throws HubError missing-blob, and what is wrong with it. */
  checkFirst(spec: GameSpec, model: string): Promise<void>;
  /** Does a round's merge: the body of the event that the core expects, with its blobs already stored. */
  merge(network: NetworkState, run: RunState): Promise<RoundMerged>;
}

/**
 * `present` keeps each run's newest state beside the blobs, for as long as it is the newest and no checkpoint: no state is held in memory.
 * What is in it when this opens belongs to nobody. Work for games of this build is done by the thread of `states`, beside the event loop; where there is
 * none, and for games from elsewhere, it is done here.
 */
export function openModels(
  blobs: BlobStore,
  present: BlobStore,
  { loadGame: load = loadGame, states: host }: { readonly loadGame?: LoadGame; readonly states?: StateHost } = {},
): Models {
  const opened = openedOnce();
  /** By run: the state that was made last, and its blobs in `present`. */
  const states = new Map<string, KeptState & { readonly blobs: ReadonlySet<string> }>();

  const need = async (hash: string): Promise<Uint8Array> => {
    const bytes = await blobs.get(hash);
    if (!bytes) throw new HubError('missing-blob', `expected blob ${hash} to be uploaded before it is named`, { hash });
    return bytes;
  };

  const game = (spec: GameSpec): Promise<OpenGame> =>
    opened(spec, async () => {
      checkParamsSize((await blobs.sizeOf(spec.params)) ?? 0);
      const loaded = await load(spec.game);
      return { game: loaded, params: await decodeParams(loaded, await need(spec.params)) };
    });

  const fetch = async (hash: string): Promise<Uint8Array> => (await present.get(hash)) ?? need(hash);

  /** Makes a state known as the newest of its run, and forgets the one before. */
  const keep = async (run: string, { model, rest }: KeptState, made: ReadonlySet<string>): Promise<void> => {
    const before = states.get(run)?.blobs ?? new Set();
    states.set(run, { model, rest, blobs: made });
    await drop(before);
  };

  /** Deletes what no run's newest state is made of. */
  const drop = async (hashes: ReadonlySet<string>): Promise<void> => {
    const used = new Set([...states.values()].flatMap((state) => [...state.blobs]));
    for (const hash of hashes) if (!used.has(hash)) await present.delete(hash);
  };

  const order = async (spec: GameSpec, what: Order, put: PutBlob): Promise<Made | null> => {
    const open = await game(spec);
    const isOurs = host && isOfThisBuild(spec.game) && open.game === (await loadGame(spec.game));
    return isOurs ? host.carryOut(spec, what, { fetch, put }) : carryOut(open, what, { fetch, put });
  };

  /**
   * The state after more work and what its step leaves out, stored here or, where it is a checkpoint, with the blobs. `steps`: whether to cut
   * the work to a step, in games that have some.
   */
  const advance = async (
    run: RunState,
    before: KeptState,
    works: readonly AcceptedWork[],
    { checkpoint, steps }: { readonly checkpoint: boolean; readonly steps: boolean },
  ): Promise<Made> => {
    const made = new Set<string>();
    const put = async (bytes: Uint8Array): Promise<string> => {
      const hash = await (checkpoint ? blobs : present).put(bytes);
      if (!checkpoint) made.add(hash);
      return hash;
    };
    try {
      const next = (await order(run.spec, { kind: 'merge', before, works, steps }, put))!;
      await keep(run.id, next, made);
      return next;
    } catch (error) {
      await drop(made);
      throw error;
    }
  };

  /** Makes the run's present state, unless it is there: after a start, from the last checkpoint. */
  const catchUp = async (run: RunState): Promise<KeptState> => {
    const known = states.get(run.id);
    const { merges, from } = wayTo(run, known?.model ?? null);
    let present: KeptState = known?.model === from ? known : { model: from, rest: restAt(run, from) };
    for (const merged of merges) {
      const works = decodeBundle(await need(merged.bundle));
      const next = await advance(run, present, works, { checkpoint: false, steps: merged.step !== null });
      mustBeStep(merged, next.step && sha256Hex(next.step));
      mustBe(merged, next.model);
      present = next;
    }
    return present;
  };

  const mergeNow = async (network: NetworkState, run: RunState): Promise<RoundMerged> => {
    const accepted = acceptedSubmissions(network, run).map(({ submission }) => submission);
    const base = {
      type: 'round.merged' as const,
      version: 1 as const,
      run: run.id,
      round: run.round,
      attempt: run.attempt,
      accepted: accepted.map(({ id }) => id),
    };
    if (accepted.length === 0) return { ...base, model: run.model, bundle: null, checkpoint: false };
    const before = await catchUp(run);
    const works: AcceptedWork[] = await Promise.all(
      accepted.map(async ({ body }) => ({ work: await need(body.work), weight: body.steps })),
    );
    const bundle = await blobs.put(encodeBundle(works));
    const checkpoint = isCheckpoint(run, { bundle });
    const next = await advance(run, before, works, { checkpoint, steps: true });
    const merge = { ...base, model: next.model, bundle, checkpoint };
    if (next.step === null) return merge;
    const step = await blobs.put(next.step);
    return checkpoint && next.rest !== null ? { ...merge, step, rest: next.rest } : { ...merge, step };
  };

  /** One after the other: a part that two runs have in common must not be dropped by one while the other makes it. */
  let merging: Promise<unknown> = Promise.resolve();
  return {
    game,
    async checkForm(spec, work) {
      await order(spec, { kind: 'form', work }, blobs.put);
    },
    async checkFirst(spec, model) {
      await order(spec, { kind: 'state', hash: model }, blobs.put);
    },
    merge(network, run) {
      const merged = merging.then(() => mergeNow(network, run));
      merging = merged.catch(() => {}); // whoever asked for it hears
      return merged;
    },
  };
}
