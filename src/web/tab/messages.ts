// The messages between the page and the tab's Worker: plain data for structured cloning.
import type { PeerRole } from '../../core/events/peer-joined.ts';
import type { Answering } from './answering.ts';
import type { ContributionState, PauseReason } from './state.ts';

export interface StartMessage {
  readonly type: 'start';
  readonly url: string;
  readonly run?: string;
  readonly name: string;
  readonly role: PeerRole;
  readonly runtime: 'auto' | 'wasm' | 'webgpu';
  readonly threads?: number;
  /** The hash of a game's file that the owner has agreed to run in a sandbox. */
  readonly game_file?: string;
}

/** What only the page can see of the device. */
export interface Surroundings {
  readonly hidden: boolean;
  readonly pauses: readonly PauseReason[];
  /** How late the page's own timers are, measured. */
  readonly lag_ms: number;
  /** The part of the time that may be worked, in hundredths. */
  readonly duty_percent: number;
}

export type ToTab =
  | StartMessage
  | ({ readonly type: 'surroundings' } & Surroundings)
  /** Whether its owner lets it answer callers. */
  | ({ readonly type: 'answering' } & Answering)
  | { readonly type: 'stop' };

export type FromTab =
  | { readonly type: 'state'; readonly state: ContributionState }
  | { readonly type: 'ended' }
  /** Asks for a sandbox at the other end of this port, because only the page can open one. */
  | { readonly type: 'open-sandbox'; readonly sandbox: number; readonly port: MessagePort }
  | { readonly type: 'end-sandbox'; readonly sandbox: number };
