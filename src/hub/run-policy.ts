// Who may create runs on a hub, by its operator's decision. A hub that strangers can reach takes some of their runs, and keeps room for named accounts.

import { CORE_LIMITS } from '../core/limits.ts';
import { abandonedFrom } from '../core/rounds/abandoned.ts';
import { refusalOfAnotherRun } from '../core/rounds/run-life.ts';
import { accountOf, type NetworkState, type RunState } from '../core/state.ts';
import { HubError } from './errors.ts';

/** The limits of strangers on a hub that takes their runs. Finished and ended runs do not count. */
export const STRANGERS_RUNS = {
  of_account: 4, // half of what a named account may have, because a key costs nothing
  of_address: 8, // a few people at one address
  together: CORE_LIMITS.runs - 16, // the rest is reserved for named accounts
};

/**
 * - `anybody`: everybody who reaches the hub; for a hub that serves its own machine.
 * - `limited`: named accounts without limit, strangers within STRANGERS_RUNS.
 * - `named`: named accounts only.
 */
export type WhoCreatesRuns = 'anybody' | 'limited' | 'named';

export interface RunRefusal {
  readonly code: string;
  readonly message: string;
}

export interface RunPolicy {
  /**
   * Throws HubError `refused` where a run of this author, from this address, must not be taken now.
   * @param address null: this machine
   * @param now_ms the log's time; runs that are abandoned by then do not count
   */
  check(author: string, address: string | null, state: NetworkState, now_ms: number): void;
  /** Why another run of this account would be refused now; null where it would not. */
  refusal(account: string, address: string | null, state: NetworkState, now_ms: number): RunRefusal | null;
  /** The abandoned run that must end before this author's can be taken: the one that has been empty for the longest. */
  inTheWay(author: string, address: string | null, state: NetworkState, now_ms: number): RunState | null;
  /** Remembers the address that a run came from, until the hub restarts. */
  created(run: string, address: string | null, state: NetworkState): void;
}

const unfinishedOf = (state: NetworkState): RunState[] =>
  [...state.runs.values()].filter(({ phase }) => phase !== 'finished');

/** @param named the accounts that the operator has named */
export function openRunPolicy(who: WhoCreatesRuns, named: ReadonlySet<string>): RunPolicy {
  const addresses = new Map<string, string>();
  /** The reason, and which runs are in the way. */
  const found = (
    account: string,
    address: string | null,
    state: NetworkState,
    unfinished: readonly RunState[],
  ): (RunRefusal & { readonly runs: readonly RunState[] }) | null => {
    const ownerOf = (run: RunState): string => accountOf(state, run.owner);
    const own = unfinished.filter((run) => ownerOf(run) === account);
    // Programs of the hub's own machine are its operator's.
    const free = who === 'anybody' || named.has(account) || (who === 'limited' && address === null);
    if (free) {
      // The core counts empty runs too.
      const refused = refusalOfAnotherRun(unfinishedOf(state).filter((run) => ownerOf(run) === account).length);
      return refused && { ...refused, runs: [] };
    }
    if (who === 'named') {
      const message = `only accounts that this hub's operator has named may create runs here, and ${account} is none; its operator can name it: potluck hub --owners ${account}`;
      return { code: 'not-named', message, runs: [] };
    }
    const strangers = unfinished.filter((run) => !named.has(ownerOf(run)));
    const here = strangers.filter((run) => addresses.get(run.id) === address);
    const full = [
      { runs: own, most: STRANGERS_RUNS.of_account, whose: 'this account' },
      { runs: here, most: STRANGERS_RUNS.of_address, whose: 'this address' },
      { runs: strangers, most: STRANGERS_RUNS.together, whose: 'all whom its operator has not named' },
    ].find(({ runs, most }) => runs.length >= most);
    if (!full) return null;
    const { runs, most, whose } = full;
    const message = `this hub takes at most ${most} unfinished runs of ${whose}: end one (potluck run end RUN), or ask its operator to name you (potluck hub --owners ${account})`;
    return { code: 'too-many-runs', message, runs };
  };
  const refusal: RunPolicy['refusal'] = (account, address, state, now_ms) => {
    const going = unfinishedOf(state).filter((run) => abandonedFrom(run) > now_ms);
    const full = found(account, address, state, going);
    return full && { code: full.code, message: full.message };
  };
  return {
    refusal,
    check(author, address, state, now_ms) {
      const refused = refusal(accountOf(state, author), address, state, now_ms);
      if (refused) throw new HubError('refused', refused.message, { refusal: refused.code });
    },
    inTheWay(author, address, state, now_ms) {
      const runs = found(accountOf(state, author), address, state, unfinishedOf(state))?.runs ?? [];
      const gone = runs.filter((run) => abandonedFrom(run) <= now_ms);
      return gone.toSorted((a, b) => abandonedFrom(a) - abandonedFrom(b))[0] ?? null;
    },
    created(run, address, state) {
      if (address !== null) addresses.set(run, address);
      if (addresses.size <= 2 * CORE_LIMITS.runs) return;
      // The addresses of finished runs are not needed any more, so the number of unfinished runs bounds the memory.
      for (const id of addresses.keys()) {
        if ((state.runs.get(id)?.phase ?? 'finished') === 'finished') addresses.delete(id);
      }
    },
  };
}
