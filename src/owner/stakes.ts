// A holder's shares of a run and the stake behind its validators, replayed from the log, and the next change that the holder may sign.

import type { PublicLog } from '../audit/public-log.ts';
import { chooseRunIn, replayWithPool } from '../audit/shares.ts';
import type { StakeLocked } from '../core/events/stake-locked.ts';
import type { StakeReleased } from '../core/events/stake-released.ts';
import { lockedBehind, stakeOf } from '../core/rounds/verdict-stakes.ts';
import { balanceOf, type ShareBalance } from '../core/shares/balances.ts';
import { nextStakeChange, releaseRounds } from '../core/shares/stake.ts';
import { accountOf, type Phase } from '../core/state.ts';
import { listOf } from '../protocol/shown-name.ts';
import { OwnerError } from './errors.ts';

/** A validator that earns for the holder. */
export interface StakedDevice {
  readonly id: string;
  readonly name: string;
  readonly present: boolean;
  /** By the rules, for the account. */
  readonly stake_by_rules: number;
  /** What counts in the open round, or counted in the last one. */
  readonly counting: number;
  /** What counts from the next opening of a round on. */
  readonly locked: number;
  /** What was released: it does not count any more, is lost if the device is caught, and is free when so many rounds are merged. */
  readonly releasing: readonly { readonly shares: number; readonly free_round: number }[];
}

export interface Stakes {
  readonly run: string;
  readonly name: string;
  readonly phase: Phase;
  readonly merged_rounds: number;
  readonly account: string;
  readonly balance: ShareBalance;
  readonly release_rounds: number;
  readonly next_change: number;
  readonly devices: readonly StakedDevice[];
}

/** A holder's shares and stakes in the run whose id begins with `wanted`. Throws LookupError, AuditFailure, PublicLogError. */
export async function stakesOf(log: PublicLog, wanted: string, account: string): Promise<Stakes> {
  const { state } = await replayWithPool(log);
  const run = chooseRunIn(state, wanted);
  const own = run.locks.filter((lock) => lock.account === account);
  const staked = new Set(own.map(({ device }) => device));
  const devices = [...run.peers.values()]
    .filter(({ id, role }) => staked.has(id) || (role === 'validator' && accountOf(state, id) === account))
    .map(({ id, name, present }) => {
      const here = own.filter(({ device }) => device === id);
      return {
        ...{ id, name, present, stake_by_rules: stakeOf(run, account), counting: lockedBehind(run, id) },
        locked: here.find(({ free_round }) => free_round === null)?.shares ?? 0,
        releasing: here.flatMap(({ shares, free_round }) => (free_round === null ? [] : [{ shares, free_round }])),
      };
    });
  return {
    ...{ run: run.id, name: run.spec.name, phase: run.phase, merged_rounds: run.round, account, devices },
    ...{ balance: balanceOf(run, account), release_rounds: releaseRounds(run) },
    next_change: nextStakeChange(run, account),
  };
}

/**
 * The event that locks shares behind one of the holder's validators, or releases them. What the core would refuse, the hub refuses with the
 * core's reason.
 * @param shares how many, or all that are free (to lock) or locked behind the device (to release)
 * @param behind the beginning of the device's id or its name; not needed where there is only one
 * Throws OwnerError `no-such-device`, `nothing-to-move`.
 */
export function stakeChange(
  stakes: Stakes,
  type: 'stake.locked' | 'stake.released',
  shares: number | 'all',
  behind: string | undefined,
): StakeLocked | StakeReleased {
  const candidates = stakes.devices.filter(({ locked }) => type === 'stake.locked' || locked > 0);
  const found = candidates.filter(({ id, name }) => behind === undefined || name === behind || id.startsWith(behind));
  if (found.length !== 1) {
    const list = listOf(candidates);
    const expected = behind === undefined ? 'one validator, or its id with --behind' : `one like "${behind}"`;
    const which = type === 'stake.locked' ? 'validators that earn' : 'validators with stake';
    throw new OwnerError(
      'no-such-device',
      `expected ${expected}; ${which} for ${stakes.account.slice(0, 12)}: ${list}`,
    );
  }
  const [{ id, locked }] = found;
  const all = type === 'stake.locked' ? stakes.balance.free : locked;
  const count = shares === 'all' ? all : shares;
  if (count === 0) throw new OwnerError('nothing-to-move', `${stakes.account.slice(0, 12)} has no free shares to lock`);
  return { type, version: 1, run: stakes.run, behind: id, shares: count, change: stakes.next_change };
}
