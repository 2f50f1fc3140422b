// How much of a model in stages each account has been given lately, as the log says it.
import { heldByAccount, rememberedRounds } from '../core/rounds/held-stages.ts';
import { accountOf, type NetworkState, type RunState } from '../core/state.ts';

/** The stages that one account's workers hold, or have held lately. */
export interface HeldStages {
  readonly account: string;
  /** The names of its devices that have held some. */
  readonly devices: readonly string[];
  /** From 0, in order. */
  readonly held: readonly number[];
  readonly owner: boolean;
}

export interface StagesOfRun {
  readonly stages: number;
  /** For how many rounds the run keeps its stages apart; null where it lets anybody hold all. */
  readonly apart_rounds: number | null;
  /** What was held as many merged rounds ago does not count any more. */
  readonly remembered_rounds: number;
  /** The run's game and settings, from which follows what each stage has of the model. */
  readonly game: string;
  readonly params: string;
  /** Who has held most is first. */
  readonly accounts: readonly HeldStages[];
}

/** Null where the run's model is not cut. */
export function stagesHeldIn(state: NetworkState, run: RunState): StagesOfRun | null {
  const { stages, apart_rounds = null, game, params } = run.spec;
  if (stages === undefined) return null;
  const names = Map.groupBy(
    [...run.peers.values()].filter(({ held }) => held.size > 0),
    ({ id }) => accountOf(state, id),
  );
  const owner = accountOf(state, run.owner);
  const accounts = [...heldByAccount(state, run)]
    .map(([account, held]) => ({
      account,
      devices: names.get(account)!.map(({ name }) => name),
      held: [...held].sort((a, b) => a - b),
      owner: account === owner,
    }))
    .sort((a, b) => b.held.length - a.held.length || (a.account < b.account ? -1 : 1));
  return { stages, apart_rounds, remembered_rounds: rememberedRounds(run), game, params, accounts };
}
