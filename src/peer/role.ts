// The context of a role, a role's methods, and what a peer reports to its owner.

import type { PublicLog } from '../audit/public-log.ts';
import type { EventBody } from '../core/events.ts';
import type { AnyGame, Device, Numbers, Round } from '../games/game.ts';
import type { Receipt } from '../ledger/receipt.ts';
import type { Clock } from '../protocol/clock.ts';
import type { Identity } from '../protocol/identity.ts';
import type { Obstacle, Progress, RunView, Sample } from '../protocol/messages.ts';
import type { PeerBlobs, Transfer } from './blobs.ts';
import type { ChosenRuntime } from './choose-runtime.ts';
import type { ModelFollower } from './model.ts';
import type { SeenRun } from './round-work.ts';

/** What a peer reports to its owner. */
/** The activity of a peer that has done nothing of a round's work so far. */
export const NOTHING_DONE = { amount: 0, amount_per_second: 0, numbers: {} } as const;

export type PeerNews =
  | {
      readonly type: 'joined';
      readonly peer: string;
      readonly run: string;
      readonly run_name: string;
      readonly unit: string;
    }
  /** What this device computes with, why, and what was timed where there was a choice. */
  | ({ readonly type: 'computes'; readonly runtime: string } & Omit<ChosenRuntime, 'runtime'>)
  | { readonly type: 'progress'; readonly progress: Omit<Progress, 'type'> }
  | {
      readonly type: 'accepted';
      readonly round: number;
      /** The event's id and its index in the log. */
      readonly submission: string;
      readonly index: number;
      /** In the run's unit, with the numbers that its game names. */
      readonly amount: number;
      readonly numbers: Numbers;
      readonly size_bytes: number;
    }
  | { readonly type: 'refused'; readonly round: number; readonly code: string; readonly message: string }
  | {
      readonly type: 'judged';
      readonly round: number;
      /** The event's id. */
      readonly submission: string;
      readonly accepted: boolean;
      readonly code: string;
    }
  | {
      readonly type: 'evaluated';
      readonly merged_rounds: number;
      readonly measured: Readonly<Record<string, number>>;
    }
  /** It offers callers this model from now on. */
  | { readonly type: 'serves'; readonly model: string; readonly places: number }
  | { readonly type: 'away'; readonly reason: string }
  /** The run goes on at another hub, and this device with it. */
  | { readonly type: 'moved'; readonly run: string; readonly url: string; readonly hub: string }
  | ({ readonly type: 'transfer' } & Transfer)
  /** Why the device cannot get on; null when nothing is in the way any more. */
  | { readonly type: 'obstacle'; readonly obstacle: Obstacle | null }
  | { readonly type: 'problem'; readonly code: string; readonly message: string };

/** What a role works with. */
export interface RoleContext {
  readonly run: string;
  readonly identity: Identity;
  readonly game: AnyGame;
  readonly params: unknown;
  readonly device: Device;
  readonly clock: Clock;
  readonly blobs: PeerBlobs;
  readonly model: ModelFollower;
  /** The pledge for submitted work, by the work's hash; an ordinary pledge is random. */
  readonly pledge?: (work: string) => Promise<string | null>;
  /** The hub's public log, for re-executing contested work; without it this device abstains. */
  readonly publicLog?: () => Promise<PublicLog>;
  /** @param enclosed a small blob that the hub keeps before it takes the event; see PeerBlobs.handOver */
  submit(body: EventBody, enclosed?: Uint8Array | null): Promise<Receipt>;
  tell(news: PeerNews): void;
  progress(progress: Omit<Progress, 'type'>): void;
  /** Reports what keeps this device from getting on; null when it is over. */
  heldUp(obstacle: Obstacle | null): void;
  /** Sends the hub text that a model wrote. */
  sample(sample: Omit<Sample, 'type'>): void;
}

/** A role acts on views. It gets only the newest one, after it has finished with the one before. */
export interface Role<V extends RunView = SeenRun> {
  /** Called for every view as it arrives, to interrupt work that does not count any more. */
  onView(view: V): void;
  /** Another device has this one's place: the current work does not count. */
  drop(): void;
  /** Called with the newest view. `leaving` fires when the owner wants the device back. */
  act(view: V, leaving: AbortSignal): Promise<void>;
}

/** A view's round in the form that games use. */
export function roundOf(view: RunView): Round {
  const { run, round: number, rounds, seed, draw, most_amount, stage } = view;
  const last = view.recent.at(-1)?.bundle ?? null;
  return {
    ...{ run, number, rounds, seed, draw, last },
    ...(most_amount !== undefined && { most_amount }),
    ...(stage !== undefined && { stage }),
  };
}

/** A key that distinguishes rounds: a round that was opened again, or is on another model, is another round. */
export const roundKey = (view: Pick<RunView, 'round' | 'attempt' | 'model'>): string =>
  `${view.round}.${view.attempt}.${view.model}`;

/** A key that distinguishes a worker's tasks: in a round, another stage of the model is another task. */
export const taskKey = (view: Pick<RunView, 'round' | 'attempt' | 'model' | 'stage'>): string =>
  view.stage === undefined ? roundKey(view) : `${roundKey(view)}.${view.stage}`;
