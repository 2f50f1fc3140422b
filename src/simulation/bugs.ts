// Faults that only tests plant, around the real modules: each must be found, or the simulator is worth nothing.
import type { StateMachine } from '../core/reduce.ts';
import type { AnyGame } from '../games/game.ts';
import type { MeetingPlace } from '../hub/meeting-place.ts';
import type { Clock } from '../protocol/clock.ts';
import type { DiskFaults, HubDisk } from './disks.ts';

export interface Bug {
  readonly name: string;
  readonly disk?: DiskFaults;
  /** The hub's core. */
  readonly machine?: StateMachine;
  /** The hub's game. */
  game?(game: AnyGame, disk: HubDisk): AnyGame;
  /** Meddles with an open hub. */
  place?(place: MeetingPlace, clock: Clock): void;
}
