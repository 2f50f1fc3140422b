// What a tab that takes part says of itself: plain data, sent from the tab's Worker to the page after every change.

import type { Numbers } from '../../games/game.ts';
import type { Transfer } from '../../peer/blobs.ts';
import type { Obstacle, RunOverview } from '../../protocol/messages.ts';
import { nameOf } from '../../protocol/shown-name.ts';

/** What the tab is doing, in the order in which it usually happens. */
export type Phase =
  | 'starting'
  /** Another tab of this browser is at work with the same key; this one begins when that one ends. */
  | 'elsewhere'
  /** Fetching and starting what computes, and testing it. */
  | 'loading'
  | 'connecting'
  /** In the run: fetching what was learned so far, merging it, preparing the first step of the round. Nothing to hand in yet. */
  | 'catching-up'
  /** The next round has not begun, or this round's work is done. */
  | 'waiting'
  | 'working'
  | 'sending'
  /** Told to pause: what is done is being handed in. */
  | 'pausing'
  /** Not in the run, for the reasons in `pauses`; back by itself when they have gone. */
  | 'paused'
  /** The hub does not answer; it is being tried again. */
  | 'away'
  /** Another device takes part with the same key; whether its place is free is asked every few minutes. */
  | 'key-in-use'
  /** The owner has said stop: the step in flight ends, and what is done is packed. */
  | 'stopping'
  /** The owner has said stop, and nothing computes any more: what is done is being sent. */
  | 'handing-in'
  | 'stopped'
  /** The run is over. */
  | 'finished'
  /** `failure` says why; nothing is tried again. */
  | 'failed';

/** Phases in which there is work that is not handed in yet. */
export const holdsWork = (phase: Phase): boolean => phase === 'working' || phase === 'sending';

/** Phases in which the owner has said stop, and it is not over yet. */
export const isStopping = (phase: Phase): boolean => phase === 'stopping' || phase === 'handing-in';

/** Phases after which nothing computes any more. */
export const isOver = (phase: Phase): boolean => phase === 'stopped' || phase === 'finished' || phase === 'failed';

/** Why a tab does not work although its owner has not stopped it. The owner may overrule each. */
export type PauseReason =
  /** The owner has pressed pause. */
  | 'owner'
  /** Below 20 % and not charging. */
  | 'battery-low'
  /** The browser says that this connection is paid by the byte, or that its owner wants to save data. */
  | 'metered'
  /** Its owner lets it work only at other hours. */
  | 'hours'
  /** Its owner lets it work only while the device charges. */
  | 'not-charging';

/** What slows a tab that works, as it was measured. */
export type Slowdown =
  /** The tab is hidden, and work takes longer than they did while it was in sight. */
  | { readonly kind: 'throttled-hidden'; readonly amount_per_second: number; readonly in_sight: number }
  /** The page itself answers late, so the tab leaves it half of the time. */
  | { readonly kind: 'page-busy'; readonly lag_ms: number }
  /** The browser stopped this tab altogether for a while (sleep, freezing). */
  | { readonly kind: 'was-frozen'; readonly frozen_ms: number };

export interface RuntimeState {
  readonly class: 'wasm' | 'webgpu';
  readonly threads: number;
  /** Why this one and no other, in plain words. */
  readonly why: string;
  /** Measured on a few steps of this run before the work began, where there was a choice. */
  readonly measured: readonly { readonly class: string; readonly tokens_per_second: number }[];
}

/** How a tab answers callers of the hub's pool. */
export interface AnsweringState {
  /** Answers at the same time, as its owner lets it; 0: none. */
  readonly places: number;
  /** The tab is out of sight, so that it answers nobody for now. */
  readonly hidden: boolean;
  /** The model is loaded, and the hub knows of it. */
  readonly ready: boolean;
  readonly writing: number;
  /** Answers that it has written to their end since it began. */
  readonly written: number;
}

/** One piece of work that the hub has taken, with what became of it as far as the log tells. */
export interface HandedIn {
  /** The event's id: what `potluck why` takes. */
  readonly submission: string;
  /** Its place in the log. */
  readonly index: number;
  readonly run: string;
  readonly round: number;
  /** In what the run counts work in. */
  readonly amount: number;
  readonly unit: string;
  readonly size_bytes: number;
  readonly verdicts: readonly {
    readonly validator: string;
    readonly accepted: boolean;
    readonly code: string;
    readonly score_micro: number;
  }[];
  /**
   * `merged`: part of the model; `dropped`: the round was merged without it; `open`: not decided yet; `decided`: the round was merged, and the
   * hub does not show any more whether with it.
   */
  readonly outcome: 'open' | 'merged' | 'dropped' | 'decided';
}

export interface ContributionState {
  readonly phase: Phase;
  /** With what its work is counted in, and the numbers that come with it. */
  readonly run: (Pick<RunOverview, 'name' | 'unit' | 'numbers'> & { readonly id: string }) | null;
  /** The id of this browser's key, under which it is seen. */
  readonly device: string | null;
  /** The id of the person that the device earns for. */
  readonly owner: string | null;
  /** The browser keeps nothing for this page: keys and progress go when the tab is closed. */
  readonly temporary: boolean;
  readonly runtime: RuntimeState | null;
  /** Of the present round. */
  readonly round: number | null;
  readonly amount: number;
  readonly numbers: Numbers;
  readonly amount_per_second: number;
  readonly pauses: readonly PauseReason[];
  readonly slowdowns: readonly Slowdown[];
  /** null: it was never asked to answer. */
  readonly answering: AnsweringState | null;
  /** Newest last; at most the last hundred. */
  readonly handed_in: readonly HandedIn[];
  /** Work that the hub would not take, newest last; at most the last twenty. */
  readonly refused: readonly { readonly round: number; readonly code: string; readonly message: string }[];
  /** Why nothing is achieved for now. */
  readonly obstacle: Obstacle | null;
  /** How much of what computes has come, while it is fetched; bytes over the wire. */
  readonly loading: { readonly done_bytes: number; readonly total_bytes: number } | null;
  /** What is being fetched or sent, when it takes more than a moment. */
  readonly transfer: Transfer | null;
  /** What it is, in words. */
  readonly transfer_of: string | null;
  /** The last thing that went wrong without ending the work. */
  readonly problem: { readonly code: string; readonly message: string } | null;
  readonly failure: { readonly code: string; readonly message: string } | null;
}

export const FIRST_STATE: ContributionState = {
  phase: 'starting',
  run: null,
  device: null,
  owner: null,
  temporary: false,
  runtime: null,
  round: null,
  amount: 0,
  numbers: {},
  amount_per_second: 0,
  obstacle: null,
  loading: null,
  transfer: null,
  transfer_of: null,
  pauses: [],
  slowdowns: [],
  answering: null,
  handed_in: [],
  refused: [],
  problem: null,
  failure: null,
};

/** Why a tab pauses, as a part of a sentence. */
export const PAUSES: Readonly<Record<PauseReason, string>> = {
  owner: 'you have paused it',
  'battery-low': 'the battery is low',
  metered: 'this connection is metered',
  hours: 'it is not one of the hours that you have set',
  'not-charging': 'this device is not charging',
};

const RUNTIMES = { wasm: 'WASM', webgpu: 'WebGPU' } as const;

/** The state in one line: "working · 3,100 tokens/s · WebGPU". */
export function sentenceOf(state: ContributionState): string {
  const { phase, runtime } = state;
  switch (phase) {
    case 'elsewhere':
      return 'another tab of this browser is at work; this one takes over when it ends';
    case 'paused':
      return `paused: ${state.pauses.map((reason) => PAUSES[reason]).join(' and ')}`;
    case 'key-in-use':
      return 'another device uses the key of this one, as a copied browser profile does; this one waits until that one ends';
    case 'away':
      return 'the hub does not answer; trying again';
    case 'catching-up':
      return 'catching up with the model';
    case 'handing-in':
      return 'stopped: nothing computes here any more; sending what is done';
    case 'stopping':
    case 'pausing':
      return state.amount > 0 ? `${phase}: handing in what is done` : phase;
    case 'failed':
      return `stopped: ${state.failure?.message ?? 'it failed'}`;
    case 'working': {
      const speed = Math.round(state.amount_per_second).toLocaleString('en-US');
      const unit = nameOf(state.run?.unit ?? 'pieces');
      return [phase, `${speed} ${unit}/s`, runtime && RUNTIMES[runtime.class], ...state.slowdowns.map(slowdownOf)]
        .filter(Boolean)
        .join(' · ');
    }
    case 'waiting':
      if (state.obstacle) return `waiting: ${state.obstacle.message}`;
      return runtime ? `waiting for the next round · ${RUNTIMES[runtime.class]}` : 'waiting for the next round';
    default:
      return phase;
  }
}

/** A slowdown in a few words. */
export function slowdownOf(slowdown: Slowdown): string {
  switch (slowdown.kind) {
    case 'throttled-hidden': {
      const part = Math.round((100 * slowdown.amount_per_second) / slowdown.in_sight);
      return `throttled to ${part} %, the tab is hidden`;
    }
    case 'page-busy':
      return `half speed, the page answers ${Math.round(slowdown.lag_ms)} ms late`;
    case 'was-frozen':
      return `the browser had frozen this tab for ${Math.round(slowdown.frozen_ms / 1000)} s`;
  }
}
