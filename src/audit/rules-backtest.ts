// What other rules would have paid: pays every merged round of a run again by them, from the same verdicts in the log.

import { weaknessesOf } from '../core/rule-weaknesses.ts';
import { type Rules, RulesSchema } from '../core/rules.ts';
import { roundPayout } from '../core/shares/payout.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { firstIssue } from '../errors.ts';
import { equalHashes } from '../ledger/merkle.ts';
import { LookupError } from './errors.ts';
import { AuditFailure, type PublicLog } from './public-log.ts';
import { chooseRunIn, replayWithPool } from './shares.ts';

/** What an account was paid in all merged rounds, and what it would have been paid. Forfeited shares are left out on both sides. */
export interface Backtested {
  readonly account: string;
  readonly paid: number;
  readonly would_be: number;
}

export interface Backtest {
  readonly run: string;
  readonly name: string;
  readonly rounds: number;
  /** The run's present round, the number of the next proposal, and the earliest round for new rules. */
  readonly round: number;
  readonly proposal: number;
  readonly earliest: number;
  readonly present: Rules;
  readonly accounts: readonly Backtested[];
  /** The weaknesses of the proposed rules, in sentences. */
  readonly weaknesses: readonly string[];
}

/** Parses rules from JSON: complete, or only the fields that differ from the present ones. Throws LookupError `bad-rules`. */
function readRules(present: Rules, text: string): Rules {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    throw new LookupError('bad-rules', `rules: expected JSON: ${(error as Error).message}`);
  }
  const parsed = RulesSchema.safeParse({ ...present, ...(typeof given === 'object' ? given : {}) });
  if (parsed.success && typeof given === 'object' && given !== null && !Array.isArray(given)) return parsed.data;
  throw new LookupError('bad-rules', `rules: ${parsed.error ? firstIssue(parsed.error) : 'expected an object'}`);
}

/** The rules that are in force in the run whose id begins with `wanted`. Throws LookupError, AuditFailure, PublicLogError. */
export async function rulesOf(
  log: PublicLog,
  wanted: string,
): Promise<{ readonly run: string; readonly rules: Rules }> {
  const { id, rules } = chooseRunIn((await replayWithPool(log)).state, wanted);
  return { run: id, rules };
}

/**
 * Pays every merged round of a run again. What rules cannot change stays: who judged whom, and which work was merged.
 * Throws LookupError, AuditFailure, PublicLogError.
 */
export async function backtestRules(
  log: PublicLog,
  wanted: string,
  text: string,
): Promise<Backtest & { rules: Rules }> {
  const first = await replayWithPool(log);
  const run = chooseRunIn(first.state, wanted);
  const rules = readRules(run.rules, text);
  const sums = new Map<string, { paid: number; would_be: number }>();
  /** The bonds that validators would have now, if these rules had held from the beginning. */
  let bonds: RunState['bonds'] = [];
  let rounds = 0;
  // A log with the same root has the same entries, whose signatures have been verified.
  const second = await replayWithPool(log, {
    verify_signatures: false,
    before({ body }, _index, state: NetworkState) {
      if (body.type !== 'round.merged' || body.run !== run.id || body.bundle === null) return;
      const open = state.runs.get(run.id)!;
      const other = roundPayout(state, { ...open, rules, bonds });
      bonds = other.bonds;
      rounds++;
      for (const [what, payouts] of [
        ['paid', roundPayout(state, open).payouts],
        ['would_be', other.payouts],
      ] as const) {
        for (const { account, shares } of payouts) {
          const sum = sums.get(account) ?? { paid: 0, would_be: 0 };
          sum[what] += shares;
          sums.set(account, sum);
        }
      }
    },
  });
  if (!equalHashes(first.root, second.root)) {
    throw new AuditFailure('wrong-root', `${log.where} has changed since a moment ago`, {
      index: second.state.events - 1,
    });
  }
  const accounts = [...sums].map(([account, sum]) => ({ account, ...sum })).sort((a, b) => b.would_be - a.would_be);
  const { round, proposals, rules: present } = run;
  const earliest = round + present.notice_rounds;
  const weaknesses = weaknessesOf(rules);
  return {
    run: run.id,
    name: run.spec.name,
    rounds,
    round,
    proposal: proposals,
    earliest,
    present,
    rules,
    accounts,
    weaknesses,
  };
}
