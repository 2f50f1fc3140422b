// The hub's condition: whether it takes events and uploads, and if not, why. Each change is reported once.
import { statfs } from 'node:fs/promises';
import type { Clock, Timer } from '../protocol/clock.ts';
import type { CutOff } from './cluster/cut-off.ts';
import { HubError } from './errors.ts';
import type { Sequencer } from './sequencer.ts';

/** Free space reserved for the log and for merges, which are small beside uploads; the smaller of the two counts. */
const FLOOR = { bytes: 256 << 20, permille: 20 };
/** How many times the floor must stay free for keys that neither take part in a run nor own one, so that their uploads stop first. */
const STRANGERS_LEAVE = 2;
/** How often the disk is checked while nobody uploads, and how long a check is valid. */
const LOOK_EVERY_MS = 5000;
const LOOK_HOLDS_MS = 500;

/**
 * `disk-low`: events are taken, uploads are not. `disk-full`, `log-failed`: nothing is taken (log-writer.ts). `cut-off`: devices are sent to other
 * processes of this hub (cluster/cut-off.ts).
 */
export type HubState = 'opening' | 'ready' | 'closing' | 'disk-low' | 'disk-full' | 'log-failed' | 'cut-off';

export interface Condition<State extends HubState = HubState> {
  readonly state: State;
  /** A sentence for anybody, without file names of the hub; null where nothing is wrong. */
  readonly reason: string | null;
}

/** The states that are reported here; the code that starts and ends a hub reports the others. */
export type ConditionChange = Condition<Exclude<HubState, 'opening' | 'closing'>>;

export interface DiskSpace {
  readonly free_bytes: number;
  readonly total_bytes: number;
}

/** The space that an unprivileged process may still use on the disk that holds a folder. */
export async function diskSpaceOf(folder: string): Promise<DiskSpace> {
  const { bavail, bsize, blocks } = await statfs(folder);
  return { free_bytes: bavail * bsize, total_bytes: blocks * bsize };
}

export interface ConditionOptions {
  readonly sequencer: Pick<Sequencer, 'standing' | 'onStanding'>;
  readonly stage: () => 'opening' | 'ready' | 'closing';
  readonly clock: Clock;
  /** null where it is unknown, as for a store in memory. */
  readonly space: (() => Promise<DiskSpace>) | null;
  /** The space that uploads leave free; by default FLOOR. */
  readonly floor_bytes?: number;
  /** Of a hub of several processes: why this one sends its devices to others. */
  readonly cutOff?: Pick<CutOff, 'away' | 'onChange'>;
  /** Called at every change after the start. `error`: the log's error, for the hub's operator. */
  readonly onChange: (change: ConditionChange, error: unknown) => void;
}

export interface WatchedCondition {
  /** The current condition, after checking the disk again. */
  look(): Promise<Condition>;
  /** The last known condition. */
  readonly last: Condition;
  /** Throws HubError `disk-full` unless so many more bytes leave the floor free; a stranger's must leave several times the floor. */
  mustHaveRoom(size_bytes: number, whose?: 'known' | 'stranger'): Promise<void>;
  close(): void;
}

export function watchCondition(options: ConditionOptions): WatchedCondition {
  const { sequencer, stage, clock, cutOff, onChange } = options;
  let space: DiskSpace | null = null;
  let looked_ms = Number.NEGATIVE_INFINITY;
  let lastAnnounced: HubState = 'ready';
  let timer: Timer;
  let closed = false;

  const floor = ({ total_bytes }: DiskSpace): number =>
    options.floor_bytes ?? Math.min(FLOOR.bytes, Math.floor((total_bytes * FLOOR.permille) / 1000));

  const present = (): Condition => {
    const now = stage();
    const { standing } = sequencer;
    if (now === 'closing') return { state: 'closing', reason: 'this hub is going down' };
    if (standing === 'log-failed') return { state: standing, reason: 'this hub can no longer write its log' };
    if (standing === 'disk-full') {
      return { state: standing, reason: "this hub's disk is full: it takes nothing until there is room" };
    }
    const away = cutOff?.away ?? null;
    if (away !== null) return { state: 'cut-off', reason: away };
    if (space && space.free_bytes < floor(space)) return { state: 'disk-low', reason: lowOn(space, floor(space)) };
    return { state: now, reason: now === 'opening' ? 'this hub is starting' : null };
  };

  const tell = (error: unknown): Condition => {
    const condition = present();
    const { state, reason } = condition;
    if (state === 'opening' || state === 'closing' || state === lastAnnounced) return condition;
    lastAnnounced = state;
    onChange({ state, reason }, error);
    return condition;
  };

  const look = async (error: unknown = null): Promise<Condition> => {
    if (options.space && clock.elapsed_ms() - looked_ms >= LOOK_HOLDS_MS) {
      looked_ms = clock.elapsed_ms();
      // If the disk cannot be checked, the next write fails with the reason.
      space = await options.space().catch(() => null);
    }
    return tell(error);
  };

  const lookAgain = (): void => {
    if (closed) return;
    timer = clock.setTimeout(() => void look().finally(lookAgain), LOOK_EVERY_MS);
  };
  if (options.space) lookAgain();
  cutOff?.onChange(() => void tell(null));
  sequencer.onStanding((standing, error) => {
    if (standing !== 'taking') return void tell(error);
    // A successful write does not show how much more space there is.
    looked_ms = Number.NEGATIVE_INFINITY;
    void look(error);
  });

  return {
    look: () => look(),
    get last() {
      return present();
    },
    async mustHaveRoom(size_bytes, whose = 'known') {
      const { state, reason } = await look();
      if (state === 'disk-full' || state === 'disk-low') throw new HubError('disk-full', reason!);
      if (!space) return;
      const kept_bytes = floor(space) * (whose === 'known' ? 1 : STRANGERS_LEAVE);
      if (space.free_bytes - size_bytes >= kept_bytes) return;
      const what = whose === 'known' ? 'its log' : 'its log and for those who take part in its runs';
      const message = `this hub's disk has no room for ${size_bytes} bytes: ${mb(space.free_bytes)} are free, and ${mb(kept_bytes)} of them are kept for ${what}`;
      throw new HubError('disk-full', message);
    },
    close() {
      closed = true;
      clock.clearTimeout(timer);
    },
  };
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const lowOn = ({ free_bytes }: DiskSpace, floor_bytes: number): string =>
  `this hub's disk is nearly full: ${mb(free_bytes)} are free; uploads are refused until there are ${mb(floor_bytes)}`;
