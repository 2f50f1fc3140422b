// Generated events about the money of answers: grants, batches and payments, mostly such as may follow, with amounts at their borders.
import { sha256Hex, utf8 } from '../../protocol/hash.ts';
import type { AnswersSettled } from '../events/answers-settled.ts';
import type { EventBody } from '../events.ts';
import { CORE_LIMITS } from '../limits.ts';
import { creditLeft, earnedBy, nextGrant, nextPayment } from '../serving/credit.ts';
import type { NetworkState } from '../state.ts';
import type { Cast } from './cast.ts';

type Below = (bound: number) => number;
type Rows = AnswersSettled['charges'];

/** Callers who are nobody's owner and nobody's device. */
const CALLERS = ['one', 'two', 'three'].map((who) => sha256Hex(utf8(`caller ${who}`)));

/** What is drawn evenly is below it. */
const MOST_DRAWN = 2 ** 31;

/** An author and what it says; null where there is nothing to say. */
export function drawMoney(
  cast: Cast,
  state: NetworkState,
  below: Below,
  fresh: string,
): readonly [author: string, body: EventBody] | null {
  const kind = below(8);
  const body =
    kind < 2 ? drawGrant(cast, state, below) : kind < 7 ? drawBatch(state, below, fresh) : drawPayment(state, below);
  return body && [cast.hub, body];
}

/** Mostly a few thousands; now and then all that can be counted, or one more. */
function drawGrant(cast: Cast, state: NetworkState, below: Below): EventBody {
  const all = [...CALLERS, ...cast.owners];
  const account = all[below(all.length)];
  const most_micro = CORE_LIMITS.credit_micro - state.paid.granted_micro;
  const amount_micro = below(40) === 0 ? most_micro + below(2) : 1 + below([50, 9000, 90_000][below(3)]);
  const number = nextGrant(state, account);
  // More than may be counted at once has no form.
  const amount = Math.min(Math.max(1, amount_micro), CORE_LIMITS.credit_micro);
  return { type: 'credit.granted', version: 1, account, number, amount_micro: amount };
}

function drawPayment(state: NetworkState, below: Below): EventBody | null {
  const accounts = [...state.paid.earnings.keys()];
  if (accounts.length === 0) return null;
  const account = accounts[below(accounts.length)];
  const owed_micro = earnedBy(state, account);
  const amount_micro =
    below(3) === 0 ? owed_micro + below(2) : 1 + below(Math.max(1, Math.min(owed_micro, MOST_DRAWN)));
  return {
    ...{ type: 'earnings.paid', version: 1, account, number: nextPayment(state, account) },
    amount_micro: Math.max(1, amount_micro),
  };
}

/** Charges within the credit, divided anyhow; now and then one too much, one lost, an unknown device, an unknown run, a time to come. */
function drawBatch(state: NetworkState, below: Below, fresh: string): EventBody | null {
  const callers = [...state.paid.credits.keys()].filter((account) => creditLeft(state, account) > 0).sort();
  const charges = callers.filter(() => below(3) > 0).map((id): [string, number] => [id, drawCharge(state, below, id)]);
  const lost = below(12) === 0 ? 1 : 0;
  let rest = charges.reduce((sum, [, micro]) => sum + micro, 0) - lost;
  if (rest <= 0) return null;
  const part = (): number => {
    const micro = below(Math.min(rest + 1, MOST_DRAWN));
    rest -= micro;
    return micro;
  };
  const known = [...state.devices.keys(), ...[...state.runs.values()].flatMap(({ peers }) => [...peers.keys()])];
  const strangers = below(12) === 0 ? [fresh] : [];
  const devices = [...new Set([...known.filter(() => below(4) === 0), ...strangers])];
  const runs = [...state.runs.keys()].filter(() => below(2) === 0);
  const noRuns = below(15) === 0 ? [fresh] : [];
  const rows = (ids: readonly string[]): Rows =>
    [...ids].sort().flatMap((id): Rows => {
      const micro = part();
      return micro > 0 ? [[id, micro]] : [];
    });
  const holders = rows([...runs, ...noRuns]);
  const earnings = rows(devices);
  const receipts = Math.max(1, charges.length, earnings.length, holders.length) + below(3) - (below(12) === 0 ? 1 : 0);
  const until_ms = state.time_ms + (below(15) === 0 ? 1 : 0);
  return {
    ...{ type: 'answers.settled', version: 1, number: state.paid.batches, root: fresh, blob: fresh },
    ...{ receipts: Math.max(1, receipts), charges, earnings, holders, gateway_micro: rest },
    ...{ from_ms: Math.max(0, until_ms - below(100) + (below(15) === 0 ? 101 : 0)), until_ms },
  };
}

function drawCharge(state: NetworkState, below: Below, account: string): number {
  const left_micro = creditLeft(state, account);
  if (below(6) === 0) return Math.min(left_micro + below(2), CORE_LIMITS.credit_micro);
  return 1 + below(Math.min(left_micro, 30_000));
}
