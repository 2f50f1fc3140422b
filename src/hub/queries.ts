// Queries about one run or one account, each answered from a single state.

import { creditLeft, earnedBy, nextGrant, nextPayment } from '../core/serving/credit.ts';
import { nextAddressChange } from '../core/shares/addresses.ts';
import { balanceOf } from '../core/shares/balances.ts';
import { royaltyOf } from '../core/shares/lineage.ts';
import { partsOf } from '../core/shares/shares.ts';
import type { NetworkState } from '../core/state.ts';
import { assert } from '../errors.ts';
import type { AccountView, DeviceWork, HolderView, RunView } from '../protocol/messages.ts';
import type { AbandonedRuns } from './abandoned-runs.ts';
import type { RunPolicy } from './run-policy.ts';
import { type TimeLeft, wholeView } from './views.ts';

export interface QueryOptions {
  readonly hub: string;
  readonly state: NetworkState;
  readonly time: TimeLeft;
  readonly policy: RunPolicy;
  readonly abandoned: AbandonedRuns;
}

export interface Queries {
  /** A run with all submissions of its open round; null where no run has this id. */
  view(run: string): RunView | null;
  /** @param address the address that the client is counted under, because it decides whether an account may create a run */
  account(id: string, address: string | null): AccountView;
  /** What an account holds of a run; null where no run has this id. */
  holder(run: string, account: string): HolderView | null;
  /** What came of a device's work; null where no run has this id, or it has no such device. */
  deviceWork(run: string, peer: string): DeviceWork | null;
}

export function openQueries({ hub, state, time, policy, abandoned }: QueryOptions): Queries {
  return {
    view(id) {
      const run = state.runs.get(id);
      return run ? wholeView(run, time) : null;
    },
    account(account, from) {
      const address = state.addresses.get(account)?.address ?? null;
      const run_refusal = policy.refusal(account, from, state, abandoned.now_ms());
      if (run_refusal?.code === 'too-many-runs') abandoned.wanted();
      const money = {
        ...{ left_micro: creditLeft(state, account), owed_micro: earnedBy(state, account) },
        ...{ next_grant: nextGrant(state, account), next_payment: nextPayment(state, account) },
      };
      return { hub, account, address, next_change: nextAddressChange(state, account), money, run_refusal };
    },
    holder(id, account) {
      const run = state.runs.get(id);
      if (!run) return null;
      const { held, withheld } = balanceOf(run, account);
      assert(held + withheld <= run.emitted_shares, 'an account holds at most what was emitted');
      return { run: id, account, merged_rounds: run.round, shares: held, withheld, emitted: run.emitted_shares };
    },
    deviceWork(id, peer) {
      const run = state.runs.get(id);
      const device = run?.peers.get(peer);
      if (!run || !device) return null;
      const { workers } = partsOf(run.rules.emission, run.round, royaltyOf(run).permille);
      const paid = run.withheld.get(peer) ?? [];
      return {
        ...{ hub, run: id, peer, unit: run.spec.unit, merged_rounds: run.round, merged_units: run.merged_amount },
        worker_shares_per_round: workers,
        paid: paid.map(({ round, shares, amount }) => ({ round, units: amount, shares })),
        lost_shares: device.forfeited_shares,
      };
    },
  };
}
