// What the network knows after a prefix of the log: plain data, integers only, nothing that the log does not imply.

import type { PeerRole } from './events/peer-joined.ts';
import type { RunCreated } from './events/run-created.ts';
import type { RunHalted } from './events/run-halted.ts';
import type { VerdictGiven } from './events/verdict-given.ts';
import type { WorkSubmitted } from './events/work-submitted.ts';
import type { Rules } from './rules.ts';
import type { RoundBonds } from './shares/consensus.ts';

export type Phase = 'gathering' | 'working' | 'judging' | 'revealing' | 'merging' | 'paused' | 'finished';

export interface PeerState {
  readonly id: string;
  role: PeerRole;
  name: string;
  runtime: string;
  present: boolean;
  /** Its next session; while it is here, the present one is the one before. Counts its joins, from where it began. */
  joins: number;
  /** Whether its work of the open round is in the log. */
  handed_in: boolean;
  /** Tokens of work that were verified and merged. */
  credit_tokens: number;
  merged_submissions: number;
  /** The last round in whose model its work is; null: in none. */
  merged_round: number | null;
  refused_submissions: number;
  /** Whether it has ever sealed a verdict. */
  judged: boolean;
  /** How many rounds were merged in the last model that it has evaluated. */
  evaluated_rounds: number | null;
  /** Merged submissions since the last one that was refused: how far it is trusted. */
  consecutive_valid: number;
  /** Planted submissions that it judged rightly, and wrongly. */
  plants_right: number;
  plants_wrong: number;
  /** What it has lost of what it had earned. */
  forfeited_shares: number;
  /** As a validator: how many rounds opened since it came, how often it contradicted a jury lately, when last, and until when it waits. */
  openings: number;
  strikes: number;
  struck_round: number;
  suspended_until: number;
  /** As a validator: the round before which it must not keep silent again. */
  warned_until: number;
}

/** What a judge can know of work by its duty: its form alone, what a look or a repeated beginning shows, all of it. */
export type Known = 'form' | 'looks' | 'all';

export interface Submission {
  readonly id: string;
  readonly worker: string;
  readonly body: WorkSubmitted;
  /** The validators who are to judge it, in order of id. */
  judges: string[];
  /** What the first judges said, where it is judged again by the whole jury. */
  first: Map<string, VerdictGiven> | null;
  /** By first judge, what it was to know: when it was seated, and still when it sealed. In an appeal, of those who have sealed. */
  duties: Map<string, Known>;
  /** By validator, in the order of the log. */
  seals: Map<string, string>;
  verdicts: Map<string, VerdictGiven>;
}

/** What was decided in a merged round and may still be contested. */
export interface DecidedWork {
  readonly worker: string;
  readonly round: number;
  readonly found: 'accepted' | 'fraud';
  readonly tokens: number;
  /** Whom its tokens were credited to. */
  readonly account: string;
  /** The judges who would have been wrong, in order of id: who called it made up, or accepted what everybody could repeat. */
  readonly said: readonly string[];
  /** What its worker lost for it, oldest first; its record before, and how often it had been refused with it. */
  readonly lost: readonly Withheld[];
  readonly record: number;
  readonly refusals: number;
  /** How often it was contested. */
  contests: number;
}

/** Work of an earlier round that is judged again beside the rounds. */
export interface Contest {
  readonly by: string;
  /** Verdicts are sealed until so many rounds are merged, or until all are sealed; then they are shown. */
  readonly shows_round: number;
  /** The jury, in order of id; nobody until the next draw. */
  judges: string[];
  /** By validator, in the order of the log. */
  seals: Map<string, string>;
  verdicts: Map<string, VerdictGiven>;
}

/** What a device earned in a round, at risk for as long as the rules withhold it. */
export interface Withheld {
  readonly round: number;
  readonly account: string;
  readonly shares: number;
  /** Of its work that was merged in the round; a validator has none. */
  readonly tokens: number;
}

/** Shares behind a validator. */
export interface StakeLock {
  readonly account: string;
  readonly device: string;
  shares: number;
  /** When so many rounds are merged they are free; null: nobody has asked for them, and they count. */
  readonly free_round: number | null;
}

/** Rules that are announced and not in force yet. */
export interface PendingRules {
  readonly from_round: number;
  readonly rules: Rules;
}

/** One step of the model's history: what a peer needs to go from the model before to `model`. */
export interface MergedRound {
  readonly round: number;
  /** The model before. */
  readonly parent: string;
  /** The accepted work: the evidence. */
  readonly bundle: string;
  /** What leads there without it; null where everybody merges. */
  readonly step: string | null;
  readonly model: string;
}

/** What a run owes to the one that it started from. */
export interface Lineage {
  readonly run: string;
  readonly merged_rounds: number;
  readonly model: string;
  readonly royalty_permille: number;
  /** Who held how many shares of the model, as stated there. */
  readonly holders: ReadonlyMap<string, number>;
}

/** Counts over a run's present peers. Each is implied by peers and submissions; invariants.ts holds them together. */
export interface Attendance {
  workers: number;
  /** Present workers whose work of the open round is in the log. */
  handed_in: number;
  /** Verdicts on the open round's submissions that their present judges have not sealed yet. */
  seals_due: number;
  /** Sealed verdicts that present validators have not shown yet. */
  verdicts_due: number;
}

/** What a run remembers of those whom it has forgotten. */
export interface Forgetting {
  /** How many without a record have left since the last look. */
  leaves: number;
  /** Whoever is forgotten has used only sessions below this one. */
  least_session: number;
  /** The session that the next join of one of them opens; those from `least_session` on are taken too. */
  next_session: number;
  /** A Bloom filter of their keys; null: there are none. */
  keys: Uint8Array | null;
}

/** What came of the last openings in a row that brought nothing. */
export interface Idle {
  rounds: number;
  /** Before this time of the log the round should not open. */
  opens_ms: number;
  /** Of the last of them: how much was handed in, and what most of its verdicts said, "" without any. */
  submissions: number;
  code: string;
}

/** What one validator has measured since the run began or was resumed, in millionths of a nat. */
export interface LossWatch {
  lowest_micro: number;
  last_micro: number;
  worse_models: number;
  /** The round of its last word. */
  round: number;
}

export interface RunState {
  readonly id: string;
  readonly owner: string;
  readonly spec: RunCreated;
  /** The rules of the present round. */
  rules: Rules;
  pending_rules: PendingRules | null;
  /** How many changes of the rules the owner has proposed. */
  proposals: number;
  phase: Phase;
  /** What the owner wants when the open round is merged. */
  closing: 'paused' | 'ended' | null;
  /** Why the hub has paused it; null: it has not. */
  halted: RunHalted['reason'] | null;
  idle: Idle;
  /** By validator, what it has measured. */
  losses: Map<string, LossWatch>;
  /** The round that is open or will open next, from 0. It advances only when something was merged. */
  round: number;
  attempt: number;
  /** The seed of the open round, 64 hexadecimal digits; derived, never chosen. */
  seed: string;
  /** Validators who may judge in the open round, fixed when it opened, in order of id. */
  eligible: string[];
  /** How many tokens a worker without a record may claim in the open round, fixed when it opened; null: any number. */
  first_tokens: number | null;
  /** What judges are drawn from, 64 hexadecimal digits; null while work is taken. */
  draw: string | null;
  /** Judges who kept silent have made room for others. */
  replaced: boolean;
  /** Judges who kept silent in the open round, in order of id. */
  silent: string[];
  /** What was disputed is judged again. */
  appeals: boolean;
  opened_ms: number;
  deadline_ms: number;
  /** Until then work that is a little late is waited for. */
  grace_deadline_ms: number;
  /** The first is 0 from the end of the work until the next tick, the second from the draw on. */
  judging_deadline_ms: number;
  /** 0 until the first tick of revealing. */
  reveal_deadline_ms: number;
  /** Hash of the present model. */
  model: string;
  /** The last model that is kept whole, how many rounds are in it, and what their steps have left out (null: nothing). */
  checkpoint: { merged_rounds: number; model: string; rest: string | null };
  /** The merged rounds since the checkpoint before the last, oldest first: nobody who followed needs a whole model. */
  recent: MergedRound[];
  /** Submissions of the open round, by event id, in the order of the log. */
  submissions: Map<string, Submission>;
  peers: Map<string, PeerState>;
  forgetting: Forgetting;
  attendance: Attendance;
  /** The first tick since which nobody has been here; 0: there was none. */
  empty_since_ms: number;
  /** The validators who are here, in order of id. */
  validators: string[];
  /** By device, what it may still lose, oldest first. */
  withheld: Map<string, Withheld[]>;
  /** Shares that stand behind validators: still their holders', and lost when the validator is caught. */
  locks: StakeLock[];
  /** By device, the locked shares that count in the open round: as they were when it opened. */
  staked: Map<string, number>;
  /** How often each account has locked or released. */
  stake_changes: Map<string, number>;
  /** By account, what was paid out elsewhere, and how often the owner has said so. */
  settled: Map<string, number>;
  settlements: number;
  /** The size of the log after the last event that changed a balance, or the address of somebody who has one. */
  balances_since: number;
  /** What validators have come to expect of whom (Yuma's bonds). */
  bonds: RoundBonds;
  /** The submissions of the round that was merged last: their pledges, and which validators accepted them. */
  last_judged: Map<string, { readonly pledge: string; readonly verdicts: Map<string, boolean> }>;
  /** By submission, of merged rounds: what may be contested, in the order in which it was decided, and what is. */
  decided: Map<string, DecidedWork>;
  contests: Map<string, Contest>;
  /** Shares by who earned them, and those that nobody had earned. Together: what all merged rounds promised. */
  shares: Map<string, number>;
  unearned_shares: number;
  /** What all merged rounds have promised: always what everybody holds and what nobody earned. */
  emitted_shares: number;
  /** Verified and merged tokens by the same accounts. */
  tokens: Map<string, number>;
  /** How many rounds were merged when the hub last stated the shares. */
  stated_rounds: number;
  /** The holders that were stated last: who starts from that model owes to them. */
  stated: { readonly merged_rounds: number; readonly model: string; readonly shares: Map<string, number> } | null;
  readonly lineage: Lineage | null;
  merged_tokens: number;
  submissions_total: number;
  bytes_submitted: number;
  /** The last evaluation of a model by a validator, in millionths of a nat. */
  evaluation: { merged_rounds: number; loss_micro: number } | null;
  first_evaluation: { merged_rounds: number; loss_micro: number } | null;
}

/** A device that an owner has vouched for. */
export interface Device {
  readonly owner: string;
  readonly expires_ms: number;
  revoked: boolean;
}

export interface NetworkState {
  /** The id of the hub whose log this is: the only author of ticks, rounds and merges. */
  readonly hub: string;
  /** The number of events so far. */
  events: number;
  time_ms: number;
  runs: Map<string, RunState>;
  devices: Map<string, Device>;
  /** How many devices each owner has vouched for. */
  owners: Map<string, number>;
  /** Where owners want to be settled with on an EVM chain, and how often each has said so. */
  addresses: Map<string, { readonly address: string; readonly changes: number }>;
}

/** Who is paid for what a key did: its owner, or the key itself. */
export function accountOf(state: NetworkState, key: string): string {
  return state.devices.get(key)?.owner ?? key;
}

/** The state before the first event. */
export function initialState(hub: string): NetworkState {
  return { hub, events: 0, time_ms: 0, runs: new Map(), devices: new Map(), owners: new Map(), addresses: new Map() };
}

/** How many workers must be here before the next round may open. */
export function workersNeeded(run: RunState): number {
  return run.round === 0 && run.attempt === 0 ? run.spec.min_workers : 1;
}

/** Whether a round may open now. */
export function mayOpenRound(run: RunState): boolean {
  return run.phase === 'gathering' && run.attendance.workers >= workersNeeded(run);
}
