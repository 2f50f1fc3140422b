// A peer's current activity and obstacle: reported to its owner, and to the hub with every progress message.
import type { PeerRole } from '../core/events/peer-joined.ts';
import type { Clock } from '../protocol/clock.ts';
import type { Obstacle, Progress, RunView } from '../protocol/messages.ts';
import { obstacleOf, obstacleTeller } from './obstacles.ts';
import { NOTHING_DONE, type PeerNews, type RoleContext } from './role.ts';

type Doing = Omit<Progress, 'type'>;

/** A pause by the rules of the device's owner; `why` is for others to know, null: they learn only that it pauses. */
export interface Pause {
  readonly why: Obstacle | null;
}

/** Tells of each pause and of its end, until what it gives back is called. */
export type Pauses = (hear: (pause: Pause | null) => void) => () => void;

export interface Status extends Pick<RoleContext, 'progress' | 'heldUp'> {
  /** The device stands still from now on, or goes on. */
  paused(pause: Pause | null): void;
  /** The newest view; null: the last one is not valid any more. */
  saw(view: RunView | null): void;
  /** Whether this peer is present by the log: only then do a view's counts include it. */
  present(here: boolean): void;
  /** Reports the current obstacle to the owner, if it is new. */
  tellObstacle(): void;
}

/** @param send sends it to the hub */
export function openStatus(
  role: PeerRole,
  clock: Clock,
  send: (progress: Doing) => void,
  tell: (news: PeerNews) => void,
): Status {
  let doing: Doing = { state: 'waiting', round: 0, ...NOTHING_DONE };
  let obstacle: Obstacle | null = null;
  let newest: RunView | null = null;
  let here = false;
  let isPaused = false;
  const teller = obstacleTeller(clock.elapsed_ms, (now) => tell({ type: 'obstacle', obstacle: now }));
  const status: Status = {
    progress(progress) {
      doing = obstacle ? { ...progress, obstacle } : progress;
      if (!isPaused) send(doing);
      tell({ type: 'progress', progress: doing });
    },
    heldUp(now) {
      if (!now && !obstacle) return;
      obstacle = now;
      const { obstacle: _, ...rest } = doing;
      status.progress(rest);
      status.tellObstacle();
    },
    paused(pause) {
      if (!pause && !isPaused) return;
      isPaused = pause !== null;
      const why = pause?.why ? { obstacle: pause.why } : {};
      send(pause ? { state: 'paused', round: doing.round, ...NOTHING_DONE, ...why } : doing);
    },
    saw(view) {
      newest = view;
    },
    present(now) {
      here = now;
    },
    tellObstacle() {
      if (here) teller(obstacle ?? (newest && obstacleOf(newest, role)));
    },
  };
  return status;
}
