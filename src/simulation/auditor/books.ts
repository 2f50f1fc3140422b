// What the auditor writes down: its own account of a network, kept from the events alone. It imports nothing of the core but events.

import type { Margins } from '../../core/events/limits-published.ts';
import type { RulesProposed } from '../../core/events/rules-proposed.ts';
import type { RunCreated } from '../../core/events/run-created.ts';
import type { VerdictGiven } from '../../core/events/verdict-given.ts';
import type { WorkSubmitted } from '../../core/events/work-submitted.ts';

export type Rules = RulesProposed['rules'];

export interface Peer {
  readonly id: string;
  role: 'worker' | 'validator';
  present: boolean;
  joins: number;
  /** As a worker, where the model is cut into stages. */
  stage: number | null;
  /** By stage that it has held, the round at which it last did. */
  held: Map<number, number>;
  /** Whether it has ever sealed a verdict. */
  judged: boolean;
  /** The last model that it has measured, by the rounds in it. */
  measured: number | null;
  credit_amount: number;
  merged: number;
  /** The last round that its work is in. */
  merged_in: number | null;
  refused: number;
  /** Merged submissions since the last that was refused. */
  valid: number;
  plants_right: number;
  plants_wrong: number;
  forfeited: number;
  /** As a validator: openings since it came, contradictions of a jury, the last of them, and the round until which it waits. */
  openings: number;
  strikes: number;
  struck_round: number;
  suspended_until: number;
  /** Until then it is suspended when it keeps silent again. */
  warned_until: number;
}

export interface Work {
  readonly id: string;
  readonly worker: string;
  readonly body: WorkSubmitted;
  judges: string[];
  /** What the first judges said, where it is judged again. */
  first: Map<string, VerdictGiven> | null;
  /** By first judge who has sealed, whether it was to repeat all of it, when it came to judge and when it sealed; before, when it came. */
  knew: Map<string, 'form' | 'looks' | 'all'>;
  seals: Map<string, string>;
  verdicts: Map<string, VerdictGiven>;
}

/** Work of a merged round, of which it may still be said that it was decided wrongly. */
export interface Decided {
  readonly worker: string;
  readonly round: number;
  readonly found: 'accepted' | 'fraud';
  readonly amount: number;
  /** Who was credited with them. */
  readonly account: string;
  /** Who pays if it was decided wrongly. */
  readonly answer: string[];
  /** What its worker lost, its record before, and how often it had been refused with it. */
  readonly lost: Earning[];
  readonly valid: number;
  readonly refused: number;
  contests: number;
}

/** What is said against a decision, and by whom it is judged. */
export interface Contest {
  readonly by: string;
  readonly shows: number;
  judges: string[];
  readonly seals: Map<string, string>;
  readonly verdicts: Map<string, VerdictGiven>;
}

/** What a device earned in a round, which it may lose. */
export interface Earning {
  readonly round: number;
  readonly account: string;
  readonly shares: number;
  /** Of a worker's merged work. */
  readonly amount: number;
}

export interface Lock {
  readonly account: string;
  readonly device: string;
  shares: number;
  /** null: it counts. */
  readonly free_round: number | null;
}

export interface ModelsSeen {
  readonly best: number;
  readonly worse: number;
  readonly round: number;
}

export type Phase = 'gathering' | 'working' | 'judging' | 'revealing' | 'merging' | 'paused' | 'finished';

export interface RunBook {
  readonly id: string;
  readonly owner: string;
  readonly spec: RunCreated;
  rules: Rules;
  pending: { from_round: number; rules: Rules } | null;
  proposals: number;
  /** By quantisation, what its owner has published of honest answers, and how often. */
  readonly margins: Map<string, Margins>;
  published: number;
  phase: Phase;
  closing: 'paused' | 'ended' | null;
  /** The hub where its owner wants it, and its address; whether it is there, and how often it has gone from log to log. */
  leaves_for: string | null;
  gone: boolean;
  moves: number;
  round: number;
  attempt: number;
  seed: string;
  eligible: string[];
  /** What whoever is new may claim at most, as it was when the round opened. */
  first_amount: number | null;
  draw: string | null;
  /** Silent judges have made room; what was disputed is judged again. */
  replaced: boolean;
  silent: string[];
  appeals: boolean;
  opened_ms: number;
  deadline_ms: number;
  grace_ms: number;
  judging_ms: number;
  reveal_ms: number;
  model: string;
  /** Openings in a row that brought nothing, and the time before which the next should not come. */
  idle_rounds: number;
  opens_ms: number;
  /** The first tick that found nobody here; 0: somebody is, or came since. */
  empty_ms: number;
  watches: Map<string, ModelsSeen>;
  works: Map<string, Work>;
  peers: Map<string, Peer>;
  /** Of the round that was merged last: pledges, and who accepted. */
  last: Map<string, { readonly pledge: string; readonly said: Map<string, boolean> }>;
  decided: Map<string, Decided>;
  contests: Map<string, Contest>;
  shares: Map<string, number>;
  unearned: number;
  promised: number;
  amounts: Map<string, number>;
  merged_amount: number;
  /** By device. */
  earnings: Map<string, Earning[]>;
  locks: Lock[];
  /** By device, what counted when the round opened. */
  staked: Map<string, number>;
  stake_changes: Map<string, number>;
  settled: Map<string, number>;
  settlements: number;
  /** The size of the log after the last event that changed somebody's balance or address. */
  balances_since: number;
  /** Validator → worker → u16. */
  bonds: Map<string, Map<string, number>>;
  /** How many rounds are in the model that is kept whole, and how many are stated. */
  whole_rounds: number;
  /** The step of the last merge, and what steps had left out at the last model that is kept whole. */
  step: string | null;
  rest: string | null;
  stated_rounds: number;
  stated: { readonly merged_rounds: number; readonly model: string; readonly shares: Map<string, number> } | null;
  /** Who held how much of the model that this run started from. */
  readonly royalty: { readonly permille: number; readonly holders: Map<string, number> };
}

/** The money of answers. A purse's name says whose it is: "credit ACCOUNT", "earned ACCOUNT", "holders RUN", "gateway", "world". */
export interface Purses {
  readonly micro: Map<string, bigint>;
  /** How many grants and payments each account has had: "grants ACCOUNT", "payments ACCOUNT". */
  readonly counts: Map<string, number>;
  batches: number;
  answers: number;
}

export interface Listed {
  readonly hub: string;
  readonly url: string;
  readonly owner: string;
  readonly listed: number;
  readonly name: string;
  readonly moves: number;
}

/** A run that comes from another log, and what of it is here. */
export interface Coming {
  readonly by: string;
  readonly from: string;
  readonly spec: RunCreated;
  /** How often it has gone from log to log, with this time. */
  readonly moves: number;
  /** The hash and the size of what it brings. */
  readonly state: string;
  readonly size_bytes: number;
  readonly since_ms: number;
  readonly bytes: Uint8Array;
  readonly parts: number;
  readonly blobs: readonly string[];
}

export interface Books {
  readonly hub: string;
  events: number;
  time_ms: number;
  readonly runs: Map<string, RunBook>;
  readonly arriving: Map<string, Coming>;
  readonly devices: Map<string, { readonly owner: string; readonly expires_ms: number; revoked: boolean }>;
  readonly addresses: Map<string, { readonly address: string; readonly changes: number }>;
  /** The log that names devices and addresses, and how much of it was seen; null: this one does. */
  registry: { readonly hub: string; readonly url: string; readonly size: number; readonly root: string } | null;
  /** By run, where it is listed. */
  readonly directory: Map<string, Listed>;
  readonly purses: Purses;
  /** By device, how many parts of its answers were called right and wrong; and how many events have said so. */
  readonly said: { readonly of: Map<string, { readonly right: number; readonly wrong: number }>; events: number };
}

export const openBooks = (hub: string): Books => ({
  ...{ hub, events: 0, time_ms: 0, runs: new Map(), arriving: new Map(), devices: new Map(), addresses: new Map() },
  ...{ registry: null, directory: new Map() },
  purses: { micro: new Map(), counts: new Map(), batches: 0, answers: 0 },
  said: { of: new Map(), events: 0 },
});

/** Who is paid for what a key does. */
export const accountOf = (books: Books, key: string): string => books.devices.get(key)?.owner ?? key;

/** Everybody of a role who is here, in order of id. */
export const present = ({ peers }: RunBook, role: Peer['role']): string[] =>
  [...peers.values()]
    .filter((peer) => peer.present && peer.role === role)
    .map(({ id }) => id)
    .sort();

export function openRun(
  id: string,
  owner: string,
  spec: RunCreated,
  royalty: RunBook['royalty'],
  size: number,
): RunBook {
  return {
    ...{ id, owner, spec, rules: spec.rules, pending: null, proposals: 0, margins: new Map(), published: 0 },
    ...{ phase: 'gathering', closing: null, leaves_for: null, gone: false, moves: 0 },
    ...{ eligible: [], first_amount: null, draw: null, replaced: false, silent: [], appeals: false },
    ...{ round: 0, attempt: 0, seed: '', opened_ms: 0, deadline_ms: 0, grace_ms: 0, judging_ms: 0, reveal_ms: 0 },
    ...{
      model: spec.model,
      idle_rounds: 0,
      opens_ms: 0,
      empty_ms: 0,
      watches: new Map(),
      works: new Map(),
      peers: new Map(),
    },
    ...{
      last: new Map(),
      decided: new Map(),
      contests: new Map(),
      shares: new Map(),
      unearned: 0,
      promised: 0,
      amounts: new Map(),
      merged_amount: 0,
    },
    ...{ earnings: new Map(), locks: [], staked: new Map(), stake_changes: new Map(), settled: new Map() },
    ...{ settlements: 0, balances_since: size, bonds: new Map(), whole_rounds: 0, stated_rounds: 0, stated: null },
    ...{ step: null, rest: null },
    royalty,
  };
}

export const newPeer = (id: string): Peer => ({
  ...{
    id,
    role: 'worker',
    present: false,
    joins: 0,
    stage: null,
    held: new Map(),
    judged: false,
    measured: null,
    credit_amount: 0,
    merged: 0,
    merged_in: null,
    refused: 0,
  },
  ...{ valid: 0, plants_right: 0, plants_wrong: 0, forfeited: 0 },
  ...{ openings: 0, strikes: 0, struck_round: 0, suspended_until: 0, warned_until: 0 },
});
