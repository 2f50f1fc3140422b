// The state of the network after a prefix of the log: plain data, integers only, and only what the log implies.

import type { Measures } from './events/fields.ts';
import type { Margins } from './events/limits-published.ts';
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
  /** The session that its next join opens; while it is present, its current session is the one before. */
  joins: number;
  /** Whether its work of the open round is in the log. */
  handed_in: boolean;
  /** In a run whose model is cut into stages: the one that a worker holds, or held when it left. Else null. */
  stage: number | null;
  /** By stage of such a run, the last round at which it held it, as far as the run remembers (rounds/held-stages.ts). */
  held: Map<number, number>;
  /** The amount of its verified and merged work, in the run's unit. */
  credit_amount: number;
  merged_submissions: number;
  /** The last round whose model contains its work; null for none. */
  merged_round: number | null;
  refused_submissions: number;
  /** Whether it has ever committed (sealed) a verdict. */
  judged: boolean;
  /** The number of merged rounds in the last model that it evaluated. */
  evaluated_rounds: number | null;
  /** Merged submissions since the last refused one: how far it is trusted. */
  consecutive_valid: number;
  /** Planted submissions that it judged rightly, and wrongly. */
  plants_right: number;
  plants_wrong: number;
  /** The earned shares that it has lost. */
  forfeited_shares: number;
  /** For a validator: openings of rounds since it came, how often it contradicted a jury recently, when last, and until when it is suspended. */
  openings: number;
  strikes: number;
  struck_round: number;
  suspended_until: number;
  /** For a validator: if it stays silent again before this round, it is suspended. */
  warned_until: number;
}

/** What a judge can know of work, by its duty: only the form, what a look or a partial re-execution shows, or all of it. */
export type Known = 'form' | 'looks' | 'all';

export interface Submission {
  readonly id: string;
  readonly worker: string;
  readonly body: WorkSubmitted;
  /** The validators drawn to judge it, in order of id. */
  judges: string[];
  /** In an appeal, the verdicts of the first judges. */
  first: Map<string, VerdictGiven> | null;
  /** By first judge, what its duty let it know, when it was seated and still when it sealed. In an appeal, of those who have sealed. */
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
  readonly amount: number;
  /** The account that it was credited to. */
  readonly account: string;
  /** The judges who would be wrong, in order of id: those who called it made up, or accepted what everybody could re-execute. */
  readonly said: readonly string[];
  /** What its worker lost for it, oldest first; the worker's record before, and how often it had been refused with it. */
  readonly lost: readonly Withheld[];
  readonly record: number;
  readonly refusals: number;
  /** How often it was contested. */
  contests: number;
}

/** Work of an earlier round that a jury judges again while rounds go on. */
export interface Contest {
  readonly by: string;
  /** Verdicts stay committed until so many rounds are merged, or until all are committed; then they are revealed. */
  readonly shows_round: number;
  /** The jury, in order of id; empty until the next draw. */
  judges: string[];
  /** By validator, in the order of the log. */
  seals: Map<string, string>;
  verdicts: Map<string, VerdictGiven>;
}

/** What a device earned in a round; it can lose it for as long as the rules withhold it. */
export interface Withheld {
  readonly round: number;
  readonly account: string;
  readonly shares: number;
  /** Of its work that was merged in the round; 0 for a validator. */
  readonly amount: number;
}

/** Shares locked behind a validator. */
export interface StakeLock {
  readonly account: string;
  readonly device: string;
  shares: number;
  /** The number of merged rounds at which they are free; null while they are not released, and count. */
  readonly free_round: number | null;
}

/** Rules that are announced and not in force yet. */
export interface PendingRules {
  readonly from_round: number;
  readonly rules: Rules;
}

/** One step of the model's history: what a peer needs to get from the model before to `model`. */
export interface MergedRound {
  readonly round: number;
  /** The model before. */
  readonly parent: string;
  /** The bundle of accepted work, which is the evidence. */
  readonly bundle: string;
  /** The step that leads there without the bundle; null where everybody merges the bundle. */
  readonly step: string | null;
  readonly model: string;
}

/** What a run owes to the run that it started from. */
export interface Lineage {
  readonly run: string;
  readonly merged_rounds: number;
  readonly model: string;
  readonly royalty_permille: number;
  /** How many shares of the model each account held, as stated there. */
  readonly holders: ReadonlyMap<string, number>;
}

/** Counts over a run's present peers. Peers and submissions imply each of them; invariants.ts checks that they agree. */
export interface Attendance {
  workers: number;
  /** Present workers whose work of the open round is in the log. */
  handed_in: number;
  /** Verdicts on the open round's submissions that their present judges have not committed (sealed) yet. */
  seals_due: number;
  /** Committed verdicts that present validators have not revealed yet. */
  verdicts_due: number;
}

/** What a run remembers of forgotten peers. */
export interface Forgetting {
  /** How many peers without a record have left since the last check. */
  leaves: number;
  /** Forgotten peers have used only sessions below this one. */
  least_session: number;
  /** The session that the next join of a forgotten peer opens; those from `least_session` on are accepted too. */
  next_session: number;
  /** A Bloom filter of their keys; null where nobody was forgotten. */
  keys: Uint8Array | null;
}

/** What came of the last openings in a row without accepted work. */
export interface Idle {
  rounds: number;
  /** Before this time of the log the round should not open. */
  opens_ms: number;
  /** Of the last opening: how many submissions came, and the most frequent code of its verdicts ("" without any). */
  submissions: number;
  code: string;
}

/** What one validator has measured by the run's first metric since the run began or was resumed. */
export interface ModelWatch {
  best: number;
  last: number;
  worse_models: number;
  /** The round of its last measurement. */
  round: number;
}

interface Evaluation {
  readonly merged_rounds: number;
  readonly measured: Measures;
}

/** A hub, and where it is to be found, in its owner's words. */
export interface Hub {
  readonly hub: string;
  readonly url: string;
}

/** The log in which devices and addresses are named, and how much of it this log has seen. */
export interface Registry extends Hub {
  readonly size: number;
  readonly root: string;
}

/** Where a run is, as its owner has listed it. */
export interface Listing extends Hub {
  readonly name: string;
  readonly owner: string;
  /** How often it had moved there, and how often it was listed. */
  readonly moves: number;
  readonly listed: number;
}

/** A run that comes from another hub's log and is not all here yet. */
export interface Arrival {
  /** Its owner, who brings it. */
  readonly by: string;
  readonly from: string;
  readonly spec: RunCreated;
  /** The place of its arrival in this log. */
  readonly entry: number;
  /** How often it has moved, this time counted. */
  readonly moves: number;
  /** The hash and the size of what it takes along, as the other log states them. */
  readonly state: string;
  readonly size_bytes: number;
  readonly since_ms: number;
  /** What has come so far, and the blobs that it names. */
  parts: Uint8Array[];
  blobs: string[];
}

export interface RunState {
  readonly id: string;
  readonly owner: string;
  readonly spec: RunCreated;
  /** The place in this log of the event that brought it here: its creation, or its arrival. */
  readonly entry: number;
  /** The rules of the current round. */
  rules: Rules;
  pending_rules: PendingRules | null;
  /** How many changes of the rules the owner has proposed. */
  proposals: number;
  phase: Phase;
  /** What happens, by the owner's wish, when the open round is merged. */
  closing: 'paused' | 'ended' | null;
  /** Why the hub has halted it; null where it has not. */
  halted: RunHalted['reason'] | null;
  /** The hub at whose log its owner wants it to go on, before this log has let it go; null where it stays. */
  leaving: Hub | null;
  /** The hub at whose log it goes on, and the place of its departure in this log; what stands here is then history. Null while it is here. */
  moved: (Hub & { readonly index: number }) | null;
  /** How often it has gone from one log to another, this one's last departure counted. */
  moves: number;
  idle: Idle;
  /** By validator, what it has measured. */
  watches: Map<string, ModelWatch>;
  /** The round that is open or will open next, from 0. It advances only with a merge of accepted work. */
  round: number;
  attempt: number;
  /** The seed of the open round, 64 hexadecimal digits, derived from the log. */
  seed: string;
  /** Validators who may judge in the open round, fixed when it opened, in order of id. */
  eligible: string[];
  /** How much a worker without a record may claim in the open round, fixed when it opened; null for any amount. */
  first_amount: number | null;
  /** The input of the draw of judges, 64 hexadecimal digits; null while work is taken. */
  draw: string | null;
  /** Whether judges who stayed silent have been replaced. */
  replaced: boolean;
  /** Judges who stayed silent in the open round, in order of id. */
  silent: string[];
  /** Whether disputed submissions are being judged again. */
  appeals: boolean;
  opened_ms: number;
  deadline_ms: number;
  /** Until this time late work is waited for. */
  grace_deadline_ms: number;
  /** The first is 0 from the end of the work until the next tick, the second from the draw on. */
  judging_deadline_ms: number;
  /** 0 until the first tick of revealing. */
  reveal_deadline_ms: number;
  /** Hash of the current model. */
  model: string;
  /** The last model that is stored whole, how many rounds are in it, and what their steps left out (null for nothing). */
  checkpoint: { merged_rounds: number; model: string; rest: string | null };
  /** The merged rounds since the checkpoint before the last, oldest first. A peer that keeps following never needs a whole model. */
  recent: MergedRound[];
  /** Submissions of the open round, by event id, in the order of the log. */
  submissions: Map<string, Submission>;
  peers: Map<string, PeerState>;
  forgetting: Forgetting;
  attendance: Attendance;
  /** By stage, how many present workers hold it; empty where the model is not cut into stages. */
  stage_workers: number[];
  /** The first tick since which nobody has been present; 0 where there was none. */
  empty_since_ms: number;
  /** The present validators, in order of id. */
  validators: string[];
  /** By device, what it may still lose, oldest first. */
  withheld: Map<string, Withheld[]>;
  /** Shares locked behind validators: still their holders', and lost if the validator is caught. */
  locks: StakeLock[];
  /** By device, the locked shares that count in the open round, as they were when it opened. */
  staked: Map<string, number>;
  /** How often each account has locked or released. */
  stake_changes: Map<string, number>;
  /** By account, what was paid out elsewhere; and how many settlements the owner has signed. */
  settled: Map<string, number>;
  settlements: number;
  /** The size of the log after the last event that changed a balance, or the address of an account that has one. */
  balances_since: number;
  /** The validators' bonds (Yuma): their accumulated expectations of workers. */
  bonds: RoundBonds;
  /** The submissions of the last merged round: their pledges, and which validators accepted them. */
  last_judged: Map<string, { readonly pledge: string; readonly verdicts: Map<string, boolean> }>;
  /** By submission of merged rounds: the decisions that may be contested, in the order of deciding, and the open contests. */
  decided: Map<string, DecidedWork>;
  contests: Map<string, Contest>;
  /** Shares by earner, and those that nobody earned. Together they are what all merged rounds issued. */
  shares: Map<string, number>;
  unearned_shares: number;
  /** The shares that all merged rounds issued: always what everybody holds plus what nobody earned. */
  emitted_shares: number;
  /** Amounts of verified and merged work by the same accounts. */
  amounts: Map<string, number>;
  /** How many rounds were merged when the hub last stated the shares. */
  stated_rounds: number;
  /** The holders that were stated last; a run that starts from that model owes them. */
  stated: { readonly merged_rounds: number; readonly model: string; readonly shares: Map<string, number> } | null;
  readonly lineage: Lineage | null;
  merged_amount: number;
  submissions_total: number;
  bytes_submitted: number;
  /** A validator's last evaluation of a model. */
  evaluation: Evaluation | null;
  first_evaluation: Evaluation | null;
  /** What honest answers of its models stay below, by quantisation, and how often its owner has said so. */
  serving: { margins: Map<string, Margins>; published: number };
}

/** What served answers cost and earned, in micro-credits (shares of a model are another matter). Whole numbers from 0. */
export interface Paid {
  /** By account: the credit that is left, and how often it was granted some. */
  credits: Map<string, { left_micro: number; grants: number }>;
  /** By account: what it has earned and was not paid out, and how often it was paid. */
  earnings: Map<string, { owed_micro: number; payments: number }>;
  /** By run, what its holders have earned together and was not divided among them yet. */
  pots: Map<string, number>;
  /** What the gateway has kept. */
  gateway_micro: number;
  /** All that was ever granted, charged and paid out. */
  granted_micro: number;
  charged_micro: number;
  paid_micro: number;
  /** How many batches were settled, and how many answers were in them. */
  batches: number;
  answers: number;
}

/** What judges have said of served answers. */
export interface JudgedAnswers {
  /** By device: parts of answers that were accepted, and refused. */
  devices: Map<string, { accepted: number; refused: number }>;
  /** All of them, and how many events have counted them. */
  parts: number;
  batches: number;
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
  /** By run, those that are on their way to this log. */
  arriving: Map<string, Arrival>;
  /** Where the devices and addresses of this log come from; null: they are named here. */
  registry: Registry | null;
  /** By run, where it is, as listed here. */
  directory: Map<string, Listing>;
  devices: Map<string, Device>;
  /** How many devices each owner has vouched for. */
  owners: Map<string, number>;
  /** The addresses on an EVM chain at which owners want to be settled, and how often each has named one. */
  addresses: Map<string, { readonly address: string; readonly changes: number }>;
  paid: Paid;
  judged: JudgedAnswers;
}

/** The account that is paid for what a key did: the key's owner, or the key itself. */
export function accountOf(state: NetworkState, key: string): string {
  return state.devices.get(key)?.owner ?? key;
}

/** The state before the first event. */
export function initialState(hub: string): NetworkState {
  const people = { registry: null, directory: new Map(), devices: new Map(), owners: new Map(), addresses: new Map() };
  const sums = { gateway_micro: 0, granted_micro: 0, charged_micro: 0, paid_micro: 0, batches: 0, answers: 0 };
  const paid: Paid = { credits: new Map(), earnings: new Map(), pots: new Map(), ...sums };
  const judged: JudgedAnswers = { devices: new Map(), parts: 0, batches: 0 };
  return { hub, events: 0, time_ms: 0, runs: new Map(), arriving: new Map(), ...people, paid, judged };
}

/**
 * How many workers must be present before the next round may open. With an empty stage nobody could train anything: if those who are here
 * may not hold it (rounds/held-stages.ts), it takes others.
 */
export function workersNeeded({ round, attempt, spec, stage_workers, attendance }: RunState): number {
  const stages = spec.stages ?? 1;
  const needed = round === 0 && attempt === 0 ? Math.max(spec.min_workers, stages) : stages;
  const empty = stage_workers.filter((workers) => workers === 0).length;
  return empty === 0 ? needed : Math.max(needed, attendance.workers + empty);
}

/** Whether a round may open now. */
export function mayOpenRound(run: RunState): boolean {
  return run.phase === 'gathering' && run.attendance.workers >= workersNeeded(run);
}
