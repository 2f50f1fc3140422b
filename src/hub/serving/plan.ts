// What happens next with one answer of the pool: a pure function of what the hub knows, a line a case. After exo's planner.

/** What decides when a device is late, and what an answer may cost the pool; each with its reason. */
export const PLAN_LIMITS = {
  times_usual: 3, // a device without a word for so many times its usual is replaced
  gap_least_ms: 800, // however fast a device is: a busy machine, or Wi-Fi, holds a message up so long now and then
  gap_most_ms: 10_000, // however slow it is: nobody reads on after that
  taken_least_ms: 1500, // a device says at once that a request has come; its event loop may be at a long step
  taken_most_ms: 5000,
  first_least_ms: 2000,
  first_most_ms: 60_000, // a prompt of a book on a slow device
  pace_grace_ms: 2000, // over a whole lease a device may take twice its usual time, and this
  pace_times_usual: 2,
  pace_gap_least_ms: 50, // 20 tokens a second are faster than people read: whoever is faster is not replaced for its pace
  hedge_times_usual: 1.5, // most first tokens come sooner, so that most answers are never hedged
  hedge_least_ms: 250,
  hedge_most_ms: 5000,
  alone_ms: 15_000, // a late device that nobody can replace is waited for so much longer
  patience_ms: 20_000, // an answer that has begun waits so long for another device
  fruitless: 4, // leases that end without a token: a request that ends engines is not given to the whole pool
  refusals: 2, // so many devices that refuse the request itself are believed
} as const;

/** A device's usual times for one model, measured by the hub. */
export interface Usual {
  /** From the request to the first token. */
  readonly first_ms: number;
  /** From token to token. */
  readonly gap_ms: number;
  readonly round_trip_ms: number;
}

/** One device that writes the answer. */
export interface LeaseKnown {
  readonly id: string;
  readonly sent_ms: number;
  /** When the device said that the request has come; null: not yet. */
  readonly taken_ms: number | null;
  /** When its first and its last token came; null: none yet. */
  readonly first_ms: number | null;
  readonly last_ms: number | null;
  readonly tokens: number;
  /** As it was when the lease began, so that a device cannot make its own slowness usual. */
  readonly usual: Usual;
}

/** Why a device refuses the request itself. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

export interface AnswerKnown {
  readonly now_ms: number;
  /** The caller has got something of it, so that it cannot be refused any more. */
  readonly begun: boolean;
  /** The caller has read tokens, and waits for the next one in the middle of a sentence. */
  readonly in_mid_answer: boolean;
  /** The caller does not read: what has come for it fills its place in memory. */
  readonly caller_full: boolean;
  readonly leases: readonly LeaseKnown[];
  /** A second device was asked for the next token already, since the last one came. */
  readonly hedged: boolean;
  /** Leases that have ended without a token. */
  readonly fruitless: number;
  readonly refusals: readonly Refusal[];
  /** Since when nobody writes it. */
  readonly without_since_ms: number;
  // What follows is looked for among all devices, and so only where it decides something.
  /** Half of the pool's places are free, and no answer waits for one. */
  readonly idle: boolean;
  /** Devices with room for it now that do not write it, the best first; where there is any, the best at least. */
  readonly candidates: readonly string[];
  /** Whether any device that may serve the caller has the model, with room or without. */
  readonly offered: boolean;
  /** When a place is likely to be free. */
  readonly retry_after_ms: number;
}

export type LeaseReason = 'first' | 'hand-over' | 'hedge';

export type Action =
  | { readonly do: 'lease'; readonly device: string; readonly why: LeaseReason }
  | { readonly do: 'drop'; readonly lease: string; readonly why: 'late' | 'not-needed' | 'caller-slow' }
  /** Before it has begun. */
  | { readonly do: 'refuse'; readonly code: 'no-room' | 'unknown-model'; readonly retry_after_ms: number }
  | { readonly do: 'pass-on'; readonly refusal: Refusal }
  | { readonly do: 'give-up'; readonly why: 'ends-engines' | 'nobody-left' }
  /** Until then nothing is to be done, unless something happens; null: unless something happens. */
  | { readonly do: 'wait'; readonly until_ms: number | null };

/** The next action for one answer. Pure. It is asked again after each action, until it waits. */
export function planAnswer(known: AnswerKnown): Action {
  const { now_ms, leases } = known;
  if (known.caller_full) {
    return leases.length > 0 ? { do: 'drop', lease: leases[0].id, why: 'caller-slow' } : { do: 'wait', until_ms: null };
  }
  const slower = leases.some(({ tokens }) => tokens > 0) ? leases.find(({ tokens }) => tokens === 0) : undefined;
  if (slower) return { do: 'drop', lease: slower.id, why: 'not-needed' };
  if (leases.length === 0) return planWithout(known);
  const isAnyLate = leases.some((lease) => now_ms >= lateAt(lease));
  const replaceable = leases.length > 1 || (isAnyLate && known.candidates.length > 0);
  const late = leases.find((lease) => now_ms >= endOf(lease, replaceable));
  if (late) return { do: 'drop', lease: late.id, why: 'late' };
  // When a device that nobody can replace is late, it is time to look out for another.
  const looks = leases.map((lease) => (now_ms < lateAt(lease) ? lateAt(lease) : endOf(lease, replaceable)));
  const hedge_ms = hedgeAt(known);
  if (now_ms < hedge_ms) return { do: 'wait', until_ms: Math.min(hedge_ms, ...looks) };
  if (known.idle && known.candidates.length > 0) return { do: 'lease', device: known.candidates[0], why: 'hedge' };
  return { do: 'wait', until_ms: Math.min(...looks) };
}

/** Whether another device with room could do something for it now: nobody writes it, or late, or not yet though it is time. */
export const wantsDevice = (known: AnswerKnown): boolean =>
  !known.caller_full &&
  (known.leases.length === 0 ||
    known.leases.some((lease) => known.now_ms >= lateAt(lease)) ||
    known.now_ms >= hedgeAt(known));

/** Nobody writes it. */
function planWithout(known: AnswerKnown): Action {
  const { now_ms, begun, refusals, fruitless, without_since_ms } = known;
  if (refusals.length >= PLAN_LIMITS.refusals) return { do: 'pass-on', refusal: refusals[0] };
  const [best] = known.candidates;
  if (refusals.length > 0 && best === undefined) return { do: 'pass-on', refusal: refusals[0] };
  if (fruitless >= PLAN_LIMITS.fruitless) return { do: 'give-up', why: 'ends-engines' };
  if (best !== undefined) return { do: 'lease', device: best, why: begun ? 'hand-over' : 'first' };
  if (!begun) {
    return { do: 'refuse', code: known.offered ? 'no-room' : 'unknown-model', retry_after_ms: known.retry_after_ms };
  }
  const gives_up_ms = without_since_ms + PLAN_LIMITS.patience_ms;
  if (now_ms >= gives_up_ms) return { do: 'give-up', why: 'nobody-left' };
  return { do: 'wait', until_ms: gives_up_ms };
}

/** When a second device is asked for the first token, if the pool is idle then; Infinity: never. */
function hedgeAt({ leases, hedged, in_mid_answer }: AnswerKnown): number {
  const [lease] = leases;
  if (leases.length !== 1 || lease.tokens > 0 || hedged) return Number.POSITIVE_INFINITY;
  const { hedge_times_usual: times, hedge_least_ms, hedge_most_ms } = PLAN_LIMITS;
  // Devices die seldom: what a second one costs then is little beside a reader who waits in the middle of a sentence.
  if (in_mid_answer) return lease.sent_ms + hedge_least_ms;
  const usual_ms = lease.usual.first_ms + lease.usual.round_trip_ms;
  return lease.sent_ms + between(hedge_least_ms, times * usual_ms, hedge_most_ms);
}

/** When a lease ends without another token. Tokens renew it, as long as they keep a pace. */
export function lateAt({ sent_ms, taken_ms, first_ms, last_ms, tokens, usual }: LeaseKnown): number {
  const { times_usual: times } = PLAN_LIMITS;
  if (taken_ms === null) {
    const { taken_least_ms, taken_most_ms } = PLAN_LIMITS;
    return sent_ms + between(taken_least_ms, times * usual.round_trip_ms, taken_most_ms);
  }
  if (first_ms === null || last_ms === null) {
    const { first_least_ms, first_most_ms } = PLAN_LIMITS;
    return taken_ms + between(first_least_ms, times * usual.first_ms, first_most_ms);
  }
  const { gap_least_ms, gap_most_ms, pace_gap_least_ms, pace_grace_ms, pace_times_usual } = PLAN_LIMITS;
  const renewed_ms = last_ms + between(gap_least_ms, times * usual.gap_ms, gap_most_ms);
  const pace_ms = pace_times_usual * Math.max(pace_gap_least_ms, usual.gap_ms) * tokens;
  return Math.min(renewed_ms, first_ms + pace_grace_ms + pace_ms);
}

/** A late device is better than none, for a while. */
const endOf = (lease: LeaseKnown, replaceable: boolean): number =>
  lateAt(lease) + (replaceable ? 0 : PLAN_LIMITS.alone_ms);

export const between = (least: number, value: number, most: number): number => Math.min(most, Math.max(least, value));
