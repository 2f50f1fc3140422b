// Who may create runs on a hub: the operator's word. A hub that strangers reach takes some runs of theirs, and keeps room for who is named.
import { CORE_LIMITS } from '../core/limits.ts';
import { refusalOfAnotherRun } from '../core/run-life.ts';
import { accountOf, type NetworkState, type RunState } from '../core/state.ts';
import { HubError } from './errors.ts';

/** What strangers may have of a hub that takes their runs. A run that is finished or ended counts nowhere. */
export const STRANGERS_RUNS = {
  of_account: 4, // half of what somebody who is named may have: a key is free
  of_address: 8, // a few people at one address
  together: CORE_LIMITS.runs - 16, // the rest is kept for the named
};

/**
 * - `anybody`: whoever reaches the hub; for a hub that serves its own machine.
 * - `limited`: the named as they like, strangers within STRANGERS_RUNS.
 * - `named`: nobody else.
 */
export type WhoCreatesRuns = 'anybody' | 'limited' | 'named';

export interface RunPolicy {
  /** Throws HubError `refused` where a run of this author, from this address, is not to be taken now. @param address null: this machine */
  check(author: string, address: string | null, state: NetworkState): void;
  /** Why another run of this account would not be taken now; null: it would. */
  refusal(account: string, address: string | null, state: NetworkState): { code: string; message: string } | null;
  /** Remembers where a run came from; after a restart of the hub nobody knows. */
  created(run: string, address: string | null, state: NetworkState): void;
}

/** @param named the accounts that the operator has named */
export function openRunPolicy(who: WhoCreatesRuns, named: ReadonlySet<string>): RunPolicy {
  const addresses = new Map<string, string>();
  const refusal: RunPolicy['refusal'] = (account, address, state) => {
    const unfinished = [...state.runs.values()].filter(({ phase }) => phase !== 'finished');
    const ownerOf = (run: RunState): string => accountOf(state, run.owner);
    const own = unfinished.filter((run) => ownerOf(run) === account).length;
    // Programs of the hub's own machine are its operator's.
    const free = who === 'anybody' || named.has(account) || (who === 'limited' && address === null);
    if (free) return refusalOfAnotherRun(own);
    if (who === 'named') {
      const message = `only accounts that this hub's operator has named may create runs here, and ${account} is none; its operator can name it: potluck hub --owners ${account}`;
      return { code: 'not-named', message };
    }
    const strangers = unfinished.filter((run) => !named.has(ownerOf(run)));
    const here = strangers.filter((run) => addresses.get(run.id) === address);
    const found = [
      { have: own, most: STRANGERS_RUNS.of_account, whose: 'this account' },
      { have: here.length, most: STRANGERS_RUNS.of_address, whose: 'this address' },
      { have: strangers.length, most: STRANGERS_RUNS.together, whose: 'all whom its operator has not named' },
    ].find(({ have, most }) => have >= most);
    if (!found) return null;
    const { most, whose } = found;
    const message = `this hub takes at most ${most} unfinished runs of ${whose}: end one (potluck run end RUN), or ask its operator to name you (potluck hub --owners ${account})`;
    return { code: 'too-many-runs', message };
  };
  return {
    refusal,
    check(author, address, state) {
      const found = refusal(accountOf(state, author), address, state);
      if (found) throw new HubError('refused', found.message, { refusal: found.code });
    },
    created(run, address, state) {
      if (address !== null) addresses.set(run, address);
      if (addresses.size <= 2 * CORE_LIMITS.runs) return;
      // Only of runs that go on does anybody ask again, and of them there are no more than that.
      for (const id of addresses.keys()) {
        if ((state.runs.get(id)?.phase ?? 'finished') === 'finished') addresses.delete(id);
      }
    },
  };
}
