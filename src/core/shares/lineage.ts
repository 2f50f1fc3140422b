// Lineage: a run may start from another run's model; then a fixed part of each round's shares flows to the holders of that model's shares.
import type { RunCreated } from '../events/run-created.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { Lineage, NetworkState, RunState } from '../state.ts';
import type { Royalty } from './shares.ts';

/** Why a run may not start from the model that it names. Its shares must be stated, because only that says for certain who made it. */
export function refusalOfLineage(state: NetworkState, { ancestor, model }: RunCreated): Refusal | null {
  if (!ancestor) return null;
  const run = state.runs.get(ancestor.run);
  if (!run) return refuse('unknown-run', `no run ${ancestor.run} in this log to start from`);
  const { stated } = run;
  if (!stated) return refuse('wrong-model', `no shares of run ${run.id} are stated yet, so nobody can start from it`);
  if (stated.model === ancestor.model && stated.merged_rounds === ancestor.merged_rounds && model === ancestor.model) {
    return null;
  }
  return refuse(
    'wrong-model',
    `expected the model ${stated.model} after ${stated.merged_rounds} rounds, the last whose shares are stated`,
  );
}

/** What a new run owes to its ancestor. Call it only after `refusalOfLineage` returned null. */
export function lineageOf(state: NetworkState, { ancestor }: RunCreated): Lineage | null {
  if (!ancestor) return null;
  return { ...ancestor, holders: new Map(state.runs.get(ancestor.run)!.stated!.shares) };
}

/** Remembers the holders of the model whose shares are being stated. */
export function rememberHolders(run: RunState): void {
  const shares = new Map([...run.shares].filter(([, held]) => held > 0));
  run.stated = { merged_rounds: run.round, model: run.model, shares };
}

/** The claims of an ancestor's holders, by the shares stated at the model that this run started from. */
export function royaltyOf({ lineage }: RunState): Royalty {
  if (!lineage) return { permille: 0, holders: [] };
  const holders = [...lineage.holders].map(([account, weight]) => ({ id: account, account, weight }));
  return { permille: lineage.royalty_permille, holders };
}
